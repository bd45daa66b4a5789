"""An executor whose batches the test answers, and ways to run against it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from slither_actors.actors import Ref
from slither_actors.actors._cell import live_cells
from slither_actors.dispatch import Batch, DispatchRunner, DispatchStatistics, Executor

SECONDS = 20.0
"""How long to wait for what must happen. Nothing waits this long unless it is broken."""

RUN_ACTORS = {"ItemSource", "AsyncItemSource", "_Input", "DispatchRunner", "Reader", "RunSupervisor"}


class Manual(Executor):
    """Hands its batches to the test. `close`, or leaving its ``with`` block, fails what is open."""

    def __init__(self) -> None:
        self.submitted: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self.cancelled: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._closed = False
        self._open: list[Batch] = []

    def submit(self, batch: Batch) -> None:
        if self._closed:
            raise RuntimeError("the test is over")
        self._open.append(batch)
        self.submitted.put(batch)

    def cancel(self, batch: Batch) -> None:
        self.cancelled.put(batch)

    def next(self) -> Batch:
        return self.submitted.get(timeout=SECONDS)

    def take(self, count: int) -> list[Batch]:
        return [self.next() for _ in range(count)]

    def answer(self, count: int) -> None:
        """Answer as many batches, each as it is submitted."""
        for _ in range(count):
            double(self.next())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        for batch in self._open:
            batch.fail(RuntimeError("the test is over"))


def double(batch: Batch) -> None:
    """Answer a batch of numbers."""
    batch.succeed([2 * value for value in batch.payloads])


class Endless:
    """An input without an end that counts what is read of it, and says when it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.count = 0

    def items(self) -> Iterator[int]:
        """Count from 1."""
        try:
            while True:
                self.count += 1
                yield self.count
        finally:
            self.closed.set()


@contextlib.contextmanager
def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Future[Any]]:
    """Call a function in another thread while the block runs."""
    with ThreadPoolExecutor(1) as threads:
        try:
            yield threads.submit(function, *args, **kwargs)
        finally:
            executor = kwargs.get("executor")
            if isinstance(executor, Manual):
                executor.close()


def statistics(batch: Batch) -> DispatchStatistics:
    """What the runner of a batch says, after it has handled all messages that it has now."""
    found: DispatchStatistics = batch.runner.run(DispatchRunner.snapshot)
    return found


def payloads(items: Any) -> list[Any]:
    return [item.payload for item in items]


def actors_of_runs() -> list[str]:
    """The actors of runs that are alive."""
    return [cell.describe() for cell in live_cells() if type(cell.actor).__name__ in RUN_ACTORS]


def actor(kind: str) -> Ref:
    """The one live actor of a class, once it is there."""
    found = [cell.ref for cell in live_cells() if type(cell.actor).__name__ == kind]
    assert len(found) == 1, (kind, found)
    return found[0]


def wait(event: threading.Event) -> None:
    assert event.wait(SECONDS)
