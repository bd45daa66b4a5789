"""The same work in plain Python, twice: with shared state and no coordination, and with what makes it right.

The comparison is about correctness and about how much code it takes. It is no
race against the pipeline: threads share memory and pay no transport, and with
a GIL they compute one at a time.
"""

from __future__ import annotations

import inspect
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs

from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._proof import Claim

__all__ = ["Baseline", "Variant", "has_gil", "in_threads", "parts_of", "threads_for", "timed"]

P = TypeVar("P")
R = TypeVar("R")

_FEWEST: Final = 2


def has_gil() -> bool:
    """Whether this interpreter runs one thread at a time."""
    enabled: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    return True if enabled is None else enabled()


def threads_for(options: ExampleOptions) -> int:
    """Return as many threads as the pipeline has workers, but two at least: one shares with nobody."""
    return max(_FEWEST, options.workers or _processors())


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parts_of(items: Sequence[P], count: int) -> list[Sequence[P]]:
    """Deal items out to `count` threads."""
    return [items[at::count] for at in range(count)]


def in_threads(work: Callable[[P], R], parts: Sequence[P]) -> list[R]:
    """Run `work` on each part in a thread of its own; return the results in the order of the parts.

    The threads are daemons: a program that is interrupted does not wait for them.
    """
    results: list[Any] = [None] * len(parts)
    errors: list[BaseException] = []

    def run(at: int) -> None:
        try:
            results[at] = work(parts[at])
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=(at,), daemon=True) for at in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


@attrs.frozen(kw_only=True)
class Variant:
    """One of the two ways, and what came of it."""

    seconds: float
    lines: int
    """Lines of its source."""

    claims: Sequence[Claim]

    @property
    def holds(self) -> bool:
        """Whether it got everything right."""
        return all(claim.holds for claim in self.claims)


def timed(
    function: Callable[..., R],
    *arguments: Any,
    check: Callable[[R], Sequence[Claim]],
    code: Sequence[Any] = (),
) -> Variant:
    """Run a variant and check what it found.

    Args:
        function: the variant.
        *arguments: of the function.
        check: what has to be so of its result. Not timed.
        code: what else of the source is its own: a class that it needs.
    """
    began = time.monotonic()
    result = function(*arguments)
    seconds = time.monotonic() - began
    lines = sum(len(inspect.getsource(each).splitlines()) for each in (function, *code))
    return Variant(seconds=seconds, lines=lines, claims=check(result))


@attrs.frozen(kw_only=True)
class Baseline:
    """The report."""

    name: str
    threads: int
    compared: str
    """What the two have to do, and wherein they differ."""

    unsafe: Variant
    safe: Variant

    @property
    def holds(self) -> bool:
        """Whether the safe variant is right; the other is not asked to be."""
        return self.safe.holds

    def __str__(self) -> str:
        gil = "with a GIL: one thread computes at a time" if has_gil() else "without a GIL"
        python = f"{platform.python_implementation()} {platform.python_version()}"
        return "\n".join(
            [
                f"baseline of {self.name}: the same work in plain Python",
                f"{python} {gil}; {_processors()} processors, {self.threads} threads",
                self.compared,
                "",
                *_lines("unsafe_threaded", self.unsafe),
                *_lines("safe_python", self.safe),
                *self._verdict(),
            ]
        )

    def _verdict(self) -> list[str]:
        if not self.safe.holds:
            return ["SAFE_PYTHON IS WRONG: this baseline compares nothing"]
        if not self.unsafe.holds:
            unsafe = "unsafe_threaded is wrong"
        elif has_gil():
            unsafe = "unsafe_threaded got it right this time: a GIL hides much, and promises nothing"
        else:
            unsafe = "unsafe_threaded got it right this time, by luck"
        return [unsafe, f"safe_python is right, and takes {self.safe.lines} lines for {self.unsafe.lines}"]


def _lines(name: str, variant: Variant) -> list[str]:
    return [f"{name:<20}{variant.seconds:>8.2f} s{variant.lines:>6} lines", *map(str, variant.claims)]
