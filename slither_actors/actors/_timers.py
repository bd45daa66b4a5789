"""Messages that arrive later: one thread, one heap.

A timer belongs to one incarnation of an actor. It is checked again in the
actor, so a timer that was cancelled is not delivered even if it was on its
way, and one of a dead actor never reaches its successor.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from slither_actors.actors._scheduler import FORKED
from slither_actors.config import delay_seconds, period_seconds
from slither_actors.errors import ForkedRuntimeError
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._actor import Actor
    from slither_actors.actors._cell import Cell, Message

__all__ = ["Timer", "TimerThread"]

logger = GuardedLog("slither_actors.actors")

_COMPACT_AT = 1024

_LONGEST_WAIT = 3600.0
"""Seconds; Python refuses to wait for centuries at once, and that would end the thread."""


class Timer:
    """A message that will arrive once, or every `period` seconds; made by `Server.send_after`.

    It belongs to one incarnation of an actor and ends with it. `due` is when it comes next, in seconds of
    `time.monotonic`. OTP: erlang, ``send_after/3``.
    """

    __slots__ = ("_cell", "_message", "_period", "due", "thread")

    def __init__(
        self, thread: TimerThread, cell: Cell, message: Message, due: float, period: float | None
    ) -> None:
        self.thread = thread
        self.due = due
        self._cell: Cell | None = cell
        self._message: Message | None = message
        self._period = period

    def cancel(self) -> bool:
        """Take the timer back, from any thread. True if it had not been delivered, and never will be then.

        OTP: erlang, ``cancel_timer/1``.
        """
        cell, self._cell = self._cell, None
        if cell is None:
            return False
        self._message = None
        if cell.timers is not None:
            cell.timers.discard(self)
        self.thread.note_cancelled()
        return True

    @property
    def active(self) -> bool:
        """Whether the timer still waits or is on its way."""
        return self._cell is not None

    def fire(self) -> None:
        """Put the message; called by the timer thread."""
        cell = self._cell
        if cell is not None:
            cell.put((_deliver, self))

    def take(self) -> Message | None:
        """The message, if it is still wanted; asked in the actor."""
        cell = self._cell
        if cell is None:
            return None
        if self._period is None:
            self._cell = None
            if cell.timers is not None:
                cell.timers.discard(self)
        else:
            # The next one is set when this one is handled: a busy actor gets fewer, not a backlog.
            self.due = max(self.due + self._period, time.monotonic())
            self.thread.add(self)
        return self._message


class _Alarm(Timer):
    """A function that runs once, in the timer thread."""

    __slots__ = ("fire",)

    def __init__(self, thread: TimerThread, due: float, function: Callable[[], object]) -> None:
        self.thread = thread
        self.due = due
        self.fire = function  # type: ignore[method-assign,assignment]

    @property
    def active(self) -> bool:
        return True


def _deliver(actor: Actor, timer: Timer) -> None:
    message = timer.take()
    if message is not None:
        message[0](actor, message[1])


def _check_times(cell: Cell, delay: float, period: float | None) -> None:
    """Refuse what could never arrive, or would arrive without end."""
    if not delay_seconds.allows(delay):
        delay_seconds.check("seconds", delay, cell.describe())
    if period is not None and not period_seconds.allows(period):
        period_seconds.check("period", period, cell.describe())


class TimerThread:
    """The heap and the thread that waits for its first entry. Usable from any thread."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        # Its lock is reentrant: the collector may run a finalizer that uses actors at any place.
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._forked = False
        self._cancelled = 0

    @property
    def started(self) -> bool:
        """Whether there ever was a timer."""
        return self._thread is not None

    def start(self, cell: Cell, delay: float, message: Message, period: float | None = None) -> Timer:
        """Send `message` to `cell` in `delay` seconds, and every `period` seconds then."""
        _check_times(cell, delay, period)
        timer = Timer(self, cell, message, time.monotonic() + max(0.0, delay), period)
        if cell.timers is None:
            cell.timers = set()
        cell.timers.add(timer)
        self.add(timer)
        return timer

    def call_after(self, delay: float, function: Callable[[], object]) -> None:
        """Run `function`, which has to be short, in the timer thread in `delay` seconds."""
        self.add(_Alarm(self, time.monotonic() + delay, function))

    def add(self, timer: Timer) -> None:
        """Put a timer (again) on the heap."""
        if self._forked:
            raise ForkedRuntimeError(FORKED)
        with self._condition:
            if self._closed:
                return
            heapq.heappush(self._heap, (timer.due, next(self._count), timer))
            if self._thread is None:
                thread = threading.Thread(target=self._loop, name="slither-timer", daemon=True)
                thread.start()
                self._thread = thread
            elif self._heap[0][2] is timer:
                self._condition.notify()

    def note_cancelled(self) -> None:
        """Count a cancelled entry; the heap is rebuilt when most of it is dead."""
        self._cancelled += 1
        if self._cancelled > _COMPACT_AT and self._cancelled * 2 > len(self._heap):
            with self._condition:
                self._heap = [entry for entry in self._heap if entry[2].active]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def _loop(self) -> None:
        while (timer := self._next()) is not None:
            try:
                timer.fire()
            except BaseException as error:  # noqa: BLE001 - the other timers go on
                logger.error("a timer's message could not be sent: %s", error)

    def _next(self) -> Timer | None:
        """Wait for the next timer that is due; None when the thread has to end."""
        with self._condition:
            while not self._closed:
                if not self._heap:
                    self._condition.wait()
                    continue
                due, _, timer = self._heap[0]
                delay = due - time.monotonic() if timer.active else 0.0
                if delay > 0:
                    self._condition.wait(min(delay, _LONGEST_WAIT))
                    continue
                heapq.heappop(self._heap)
                return timer
        return None

    def after_fork_in_child(self) -> None:
        """The thread is gone, and another may have held the lock."""
        self._condition = threading.Condition()
        self._forked = True
        self._heap.clear()

    def close(self, timeout: float) -> None:
        """End the thread."""
        with self._condition:
            self._closed = True
            self._heap.clear()
            self._condition.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
