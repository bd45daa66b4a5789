"""The monitor of a scheduler: it looks for handlers that do not return, and goes around them.

Every few milliseconds it looks for a slice that has not moved, and lets the
other actors go on in another thread. The more handlers block at one time, the
more threads it adds per look. While all attached threads are busy, it is the
monitor that looks at the file descriptors. It sleeps when nothing is attached.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slither_actors.actors._awaited import Awaited
    from slither_actors.actors._runner import Runner
    from slither_actors.actors._threads import Threads

__all__ = ["StallWatch"]

_TICK = 0.005
"""Seconds between two looks of the monitor: a stall is seen after one to two."""

_MIN_TICK = 0.001
_IDLE_TICKS = 20
"""Looks at an idle scheduler before the monitor goes to sleep."""

_BOOST_FACTOR = 4

_OVERDUE = 1.0
"""Seconds from the answer to a call until its handler counts as one that blocks by itself, when that
matters: when all threads are taken. Hundreds that are woken at one time need a while."""


class StallWatch:
    """The monitor's thread and what it saw. All is written under the scheduler's lock."""

    def __init__(self, scheduler: Threads) -> None:
        self.thread: threading.Thread | None = None
        self.runs = False
        """Whether the thread may still look into the poller."""
        self.rush = False
        """Whether the monitor adds threads now, because handlers block."""
        self.stalls = 0
        self.longest = 0.0
        """Seconds of the longest stall so far."""
        self._scheduler = scheduler
        self._wake = threading.Condition(scheduler.lock)
        self._asleep = False
        self._tick, self._boost = _TICK, _BOOST_FACTOR
        self._calm = 0
        """Looks since one that found a stall."""
        self._idle = 0
        """Looks since one that found an attached thread."""
        self._answered: dict[Runner, tuple[Awaited, float]] = {}
        """What threads had waited for that have not come back, and since when that is known."""

    def begin(self) -> None:
        """Start the monitor with the first thread that there is to watch."""
        if self.thread is None:
            thread = threading.Thread(target=self._main, name="slither-monitor", daemon=True)
            with contextlib.suppress(RuntimeError):  # the program ends: nobody will be stalled for long
                thread.start()
                self.thread = thread

    def rouse(self) -> None:
        """There is a thread to watch again."""
        if self._asleep:
            self._asleep = False
            self._wake.notify()

    def close(self) -> None:
        """End the monitor's thread; the scheduler is closed."""
        self._wake.notify_all()

    def ended(self, runner: Runner) -> None:
        """A thread that was found stalled is back."""
        if runner.stalled_since:
            self.longest = max(self.longest, time.monotonic() - runner.stalled_since)
            runner.stalled_since = 0.0

    def _main(self) -> None:
        scheduler = self._scheduler
        with scheduler.lock:
            self.runs = not scheduler.closed
        while not scheduler.closed:
            with scheduler.lock:
                self._sleep()
                self._look()
                busy = scheduler.active and scheduler.unattended
            scheduler.complain()
            if busy:
                scheduler.poll_now()
        with scheduler.lock:
            self.runs = False
            scheduler.close_poller()

    def _sleep(self) -> None:
        scheduler = self._scheduler
        if self._idle >= _IDLE_TICKS and not scheduler.active:
            self._asleep = True
            while self._asleep and not scheduler.closed:
                self._wake.wait()
            self._idle = 0
        self._wake.wait(self._tick)

    def _look(self) -> None:
        scheduler = self._scheduler
        if self._detach_stalled() and (scheduler.has_work or scheduler.unattended):
            self._add_threads()
            self._boost *= _BOOST_FACTOR
            self._tick = max(_MIN_TICK, self._tick / 2)
            self._calm = 0
        else:
            self._calm += 1
            if self._calm > 1:
                # A thread is found stalled at the second look at it: one quiet look means nothing.
                self._tick, self._boost = _TICK, _BOOST_FACTOR
        doubtful = self._seek_overdue()
        self._idle = 0 if scheduler.active or doubtful else self._idle + 1

    def _seek_overdue(self) -> bool:
        """Find handlers that had their answer and block now by themselves; whether there may be some.

        Their threads had handed over before, so none of them is attached and looks stalled. If there can
        be no other thread, nobody else would ever say so.
        """
        scheduler = self._scheduler
        before, self._answered = self._answered, {}
        if scheduler.active or scheduler.complained or not scheduler.has_work:
            return False
        now, overdue = time.monotonic(), False
        for runner in scheduler.runners:
            awaits = runner.awaits
            if awaits is None or not awaits.answered or runner.wakes:
                continue
            known, since = before.get(runner, (None, now))
            if known is not awaits:
                since = now
            elif now - since >= _OVERDUE:
                runner.awaits, overdue = None, True  # it was an earlier wait
            self._answered[runner] = awaits, since
        if overdue:
            scheduler.wake_one()
        return True

    def _add_threads(self) -> None:
        scheduler = self._scheduler
        self.rush = True
        # Those that were woken at the last look and have not begun yet will each take one, too.
        for _ in range(max(1, min(self._boost, len(scheduler.run_queue)) - scheduler.active)):
            if not scheduler.wake_one():
                break
        self.rush = False

    def _detach_stalled(self) -> int:
        scheduler = self._scheduler
        stalled = 0
        for runner in scheduler.runners:
            if not runner.attached:
                continue
            if runner.seen == runner.slices and runner.cell is not None:
                scheduler.detach(runner)
                runner.awaits = None  # it was an earlier wait
                runner.stalled_since = time.monotonic() - _TICK
                stalled += 1
            else:
                runner.seen = runner.slices
        self.stalls += stalled
        return stalled
