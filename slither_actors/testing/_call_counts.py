"""How often batches are answered, and executors opened and closed, while a block runs."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from slither_actors.dispatch import Batch, Executor

__all__ = ["answers", "opens"]


@contextlib.contextmanager
def answers() -> Iterator[Counter[int]]:
    """Count the answers of each batch while the block runs, by reference."""
    counts: Counter[int] = Counter()
    lock = threading.Lock()
    originals = {name: getattr(Batch, name) for name in ("succeed", "fail", "settle")}

    def counting(original: Any) -> Any:
        def answer(batch: Batch, *args: Any) -> None:
            with lock:
                counts[batch.ref] += 1
            original(batch, *args)

        return answer

    for name, original in originals.items():
        setattr(Batch, name, counting(original))
    try:
        yield counts
    finally:
        for name, original in originals.items():
            setattr(Batch, name, original)


@contextlib.contextmanager
def opens(executor: Executor) -> Iterator[Counter[str]]:
    """Count how often the executor is opened and closed while the block runs."""
    counts: Counter[str] = Counter()
    cls = type(executor)
    own = {name: cls.__dict__.get(name) for name in ("open", "close")}

    def counting(name: str, original: Any) -> Any:
        def call(self: Executor) -> None:
            original(self)
            counts[name] += 1

        return call

    for name in own:
        setattr(cls, name, counting(name, getattr(cls, name)))
    try:
        yield counts
    finally:
        for name, original in own.items():
            if original is None:
                delattr(cls, name)
            else:
                setattr(cls, name, original)
