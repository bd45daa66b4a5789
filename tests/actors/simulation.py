"""Actors without threads: a test says who runs next, one message at a time.

Everything is real but the scheduler. Whoever waits, in a call or for the end
of a child, runs the others meanwhile, so that nothing blocks, every order of
events can be made, and a failure happens again in the same way.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from slither_actors.actors import Ref, _cell, _child, _runtime
from slither_actors.actors._cell import Cell, Message, live_cells
from slither_actors.actors._handlers import _on_call
from slither_actors.actors._request import Request
from slither_actors.actors._scheduler import Runner
from slither_actors.actors._timers import Timer, TimerThread
from tests.actors.children import Clock

__all__ = ["Simulation"]


class Timers(TimerThread):
    """Timers that fire when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[Timer, float]] = []

    def start(self, cell: Cell, delay: float, message: Message, period: float | None = None) -> Timer:
        timer = super().start(cell, delay, message, period)
        self._waiting.append((timer, delay))
        return timer

    def add(self, _: Timer) -> None:
        """No thread waits for it."""

    def delays(self) -> list[float]:
        """Of those that wait, the oldest first."""
        self._waiting = [entry for entry in self._waiting if entry[0].active]
        return [delay for _, delay in self._waiting]

    def fire(self, number: int) -> None:
        """Let the time of one of `delays` come."""
        self._waiting.pop(number)[0].fire()


class Simulation:
    """In the place of the scheduler, the timers, the clock and the chance of the runtime, until `close`.

    The thread that makes it counts as a plain thread, and is the only one.
    """

    closed = False
    started = True
    successor = None
    active, target = 0, 1
    """Nobody runs actors: whoever makes one ready tells with `add_thread`."""

    def __init__(self, at_a_time: int = 1) -> None:
        self.run_queue: deque[Cell] = deque()
        self.clock = Clock()
        self.timers = Timers()
        self._frame = _runtime._local.__dict__.get("runner")
        _runtime._local.runner = Runner(self)  # type: ignore[arg-type]
        self._patched = [
            self._patch(_runtime, "scheduler", self),
            self._patch(_runtime, "timers", self.timers),
            self._patch(_child, "clock", self.clock),
            self._patch(_child, "uniform", lambda: 0.0),
            self._patch(_cell, "_SLICE", at_a_time),
        ]
        # Crashes are the game here, and there are thousands.
        logging.disable(logging.CRITICAL)

    @staticmethod
    def _patch(owner: Any, name: str, value: Any) -> tuple[Any, str, Any]:
        before = getattr(owner, name)
        setattr(owner, name, value)
        return owner, name, before

    def close(self) -> None:
        """End all actors and bring the runtime back."""
        for cell in reversed(live_cells()):
            cell.kill()
        self.run_all()
        logging.disable(logging.NOTSET)
        for owner, name, before in self._patched:
            setattr(owner, name, before)
        _runtime._local.runner = self._frame

    # -- what the runtime asks of a scheduler ----------------------------------

    def ready(self, cell: Cell) -> None:
        self.run_queue.append(cell)
        self.add_thread()

    def add_thread(self) -> None:
        """The last actor of the queue has become ready."""

    def reserve(self, count: int) -> None:
        """There are no threads to have."""

    def hand_over(self, _runner: Runner, _awaited: object) -> bool:
        self.run_all()
        return True

    # -- for the test ----------------------------------------------------------

    def run_all(self) -> None:
        """Run whoever has messages, first come, first served, until nobody has any."""
        while self.run_queue:
            self.run(self.run_queue[0])

    def run(self, cell: Cell) -> bool:
        """Run one slice of an actor; False if it has nothing to do."""
        if cell not in self.run_queue:
            return False
        self.run_queue.remove(cell)
        outer, frame = _runtime._local.runner, Runner(self)  # type: ignore[arg-type]
        frame.cell = cell
        _runtime._local.runner = frame
        try:
            cell.run()
        finally:
            _runtime._local.runner = outer
        return True

    def ask(self, ref: Ref, message: Any) -> Request:
        """Put a call into the mailbox; it is answered when the actor was run often enough."""
        request = Request(message, ref._cell)
        ref._cell.put((_on_call, request))
        return request
