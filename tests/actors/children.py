"""Children for supervisors, which note their starts and ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from slither_actors.actors import ChildSpec, Ref, Supervisor, SupervisorRef
from slither_actors.actors._cell import Cell, Message
from tests.actors.probes import LONG, Log, Probe


class Child(Probe):
    """Notes ``("start", label)`` and ``("stop", label)``; an end without `terminate` is not noted."""

    def init(
        self, log: Log | None = None, label: str = "", at_start: Callable[[Any], Any] | None = None
    ) -> None:
        assert log is not None
        log.add(("start", label))
        super().init(log, label, at_start)

    def terminate(self, reason: Any) -> None:
        self.log.add(("stop", self.label))


def spec(log: Log, label: str, at_start: Callable[[Any], Any] | None = None, **more: Any) -> ChildSpec:
    """Describe a child whose id is its label."""
    return Child.child_spec(log, label, at_start, id=label, **more)


def starts(*labels: str) -> list[tuple[str, str]]:
    return [("start", label) for label in labels]


def stops(*labels: str) -> list[tuple[str, str]]:
    return [("stop", label) for label in labels]


def supervise(log: Log, *children: ChildSpec, **options: Any) -> SupervisorRef:
    """Start a supervisor and take its children's starts off the log."""
    ref = Supervisor.start(list(children), **options)
    assert isinstance(ref, SupervisorRef)
    log.take(len(children))
    return ref


def kill(supervisor: SupervisorRef, id: object) -> Ref:
    """Kill a child and return its ref when it is dead."""
    ref = supervisor.child(id)
    assert ref is not None
    ref.kill()
    assert ref.join(LONG)
    return ref


class ManualTimer:
    """A message that is sent when the test says so."""

    def __init__(self, timers: ManualTimers, cell: Cell, delay: float, message: Message) -> None:
        self.delay = delay
        self._timers = timers
        self._cell = cell
        self._message = message

    def cancel(self) -> bool:
        return self._timers.take(self)

    def fire(self) -> None:
        """Send the message, and return when the actor has handled it."""
        assert self._timers.take(self)
        self._cell.put(self._message)
        if not self._cell.dead:
            self._cell.ref.call(("count_children",), LONG)


class ManualTimers:
    """In the place of the runtime's timers: time passes when a test says so."""

    def __init__(self) -> None:
        self._waiting: list[ManualTimer] = []
        self._lock = threading.Lock()

    def start(self, cell: Cell, delay: float, message: Message, period: float | None = None) -> ManualTimer:
        timer = ManualTimer(self, cell, delay, message)
        with self._lock:
            self._waiting.append(timer)
        return timer

    def take(self, timer: ManualTimer) -> bool:
        with self._lock:
            if timer not in self._waiting:
                return False
            self._waiting.remove(timer)
            return True

    def delays(self) -> list[float]:
        with self._lock:
            return [timer.delay for timer in self._waiting]

    def fire(self) -> None:
        """Let the time of the first one come."""
        self._waiting[0].fire()


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
