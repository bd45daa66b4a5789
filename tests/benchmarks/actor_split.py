"""Where the time goes: a few operations of actors, and what their parts cost alone.

Most parts are run apart from the whole, so the shares are an estimate; what no
part accounts for is shown as the rest.
"""

from __future__ import annotations

import gc
import statistics
import threading
import time
import timeit
from collections import deque
from collections.abc import Callable
from typing import Any

from slither_actors.actors import ChildSpec, Crash, _runtime
from slither_actors.actors._cell import Cell
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Request
from tests.benchmarks.actor_work import Echo, InlineEcho, OnServers, crash_median
from tests.benchmarks.placement import spread

__all__ = ["Split", "splits", "two_locks"]

Split = tuple[str, float, list[tuple[str, float]]]
"""An operation, its seconds, and its parts with theirs."""


def two_locks(count: int) -> float:
    """Wake a thread and be woken by it: what no answer from another thread can do without."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def answer() -> None:
        for _ in range(count):
            there.acquire()
            back.release()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with spread():
        began = time.perf_counter()
        for _ in range(count):
            there.release()
            back.acquire()
        took = (time.perf_counter() - began) / count
    thread.join()
    return took


def splits(rounds: int, scale: float) -> list[Split]:
    """Measure all, the best of `rounds` each."""

    def best(work: Callable[[int], float], count: int) -> float:
        return min(work(max(2, int(count * scale))) for _ in range(rounds))

    def alone(function: Callable[[], object], count: int = 2000) -> float:
        return best(lambda number: timeit.timeit(function, number=number) / number, count) - nothing

    nothing = 0.0
    nothing = alone(lambda: None)
    return [
        _call(best),
        _message(best, alone),
        _inline_call(best, alone),
        _start(best, alone),
        _many_starts(max(2, int(20_000 * scale))),
        _crash(best),
    ]


def _call(best: Any) -> Split:
    return (
        "a call from a thread",
        best(OnServers.call, 120),
        [("waking a thread, being woken by it", best(two_locks, 200))],
    )


def _message(best: Any, alone: Any) -> Split:
    box: deque[int] = deque()
    token = threading.Lock()

    def containers() -> None:
        box.append(1)
        token.acquire(False)
        box.append(1)
        box.popleft()
        box.popleft()
        token.release()

    def calls() -> None:
        _empty(1, 2)
        _empty(1, 2)
        _empty(1, 2)
        _empty(1, 2)
        _empty(1, 2)

    return (
        "a message between two servers",
        best(OnServers.ping_pong, 4000),
        [
            ("mailbox, run queue, token", alone(containers)),
            ("cast, put, run and two handlers: five empty calls", alone(calls)),
        ],
    )


def _empty(_one: object, _two: object) -> None:
    pass


def _inline_call(best: Any, alone: Any) -> Split:
    ref = InlineEcho.start()
    cell = ref._cell
    request = Request(None, cell)

    def token() -> None:
        cell.acquire(False)
        cell.release()

    parts = [
        ("the handler", alone(lambda: cell.actor.handle_call(None, request))),  # type: ignore[attr-defined]
        ("the sender that it gets, with its claim", alone(lambda: Request(None, cell)._claim(False))),
        ("the token", alone(token)),
        ("noting who runs in this thread", alone(lambda: _runtime.inline(cell, request).leave())),
    ]
    ref.stop()
    return "a call with inline_calls", best(OnServers.inline_call, 2000), parts


def _start(best: Any, alone: Any) -> Split:
    def objects() -> Ref:
        server = Echo.__new__(Echo)
        cell = Cell(server, _runtime.scheduler, None)
        server._cell = cell
        cell.ref = Ref(cell)
        return cell.ref

    def stop(count: int) -> float:
        refs = [Echo.start() for _ in range(count)]
        began = time.perf_counter()
        for ref in refs:
            ref.stop()
        return (time.perf_counter() - began) / count

    parts = [("making server, cell and ref", alone(objects)), ("the stop", best(stop, 300))]
    return "start and stop of a server", best(OnServers.start_and_stop, 300), parts


def _many_starts(count: int) -> Split:
    def start(collect: bool) -> float:
        gc.collect()
        if not collect:
            gc.disable()
        began = time.perf_counter()
        refs = [Echo.start() for _ in range(count)]
        took = (time.perf_counter() - began) / count
        gc.enable()
        for ref in refs:
            ref.stop()
        return took

    whole, without = start(True), start(False)
    return f"start of one of {count:,} that stay", whole, [("the garbage collector", whole - without)]


def _crash(best: Any) -> Split:
    """Parts timed where they happen: cold code takes twice as long as in a loop."""
    with Stopwatch() as watch:
        watch.time(Crash, "of")
        watch.time(Cell, "_report")
        watch.time(ChildSpec, "launch")
        whole = best(crash_median, 20)
    parts = [
        ("the text of the traceback", watch.median("of")),
        ("the report, its text, a log record", watch.median("_report")),
        ("the start of the successor", watch.median("launch")),
    ]
    return "crash to restarted and ready", whole, parts


class Stopwatch:
    """Notes how long some methods take, for as long as the block runs."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}
        self._originals: list[tuple[type, str, Any]] = []

    def __enter__(self) -> Stopwatch:
        return self

    def time(self, owner: type, name: str) -> None:
        """Begin to note the times of one method."""
        original = vars(owner)[name]
        self._originals.append((owner, name, original))
        bound = isinstance(original, classmethod)
        function = original.__func__ if bound else original
        times = self._times[name] = []

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                times.append(time.perf_counter() - began)

        setattr(owner, name, classmethod(timed) if bound else timed)

    def median(self, name: str) -> float:
        return statistics.median(self._times[name])

    def __exit__(self, *_: object) -> None:
        for owner, name, original in self._originals:
            setattr(owner, name, original)
