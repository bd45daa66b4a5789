"""Who runs an actor: a run queue, a few threads, and a monitor against stalls.

A cell (an actor with its mailbox) that has messages is put on the run queue,
once; a scheduler thread takes it off and runs it for one slice, the messages
that were there when the slice began. A message between two actors therefore
needs no thread switch, and a chain of local sends cannot starve anybody,
because every send goes to the end of the queue.

`target` threads take slices. A thread whose handler blocks is relieved: at
once before a wait of the framework, otherwise by the monitor.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

from slither_actors.actors import _runner
from slither_actors.actors._async_kill import HandlerBrokenOff
from slither_actors.actors._runner import Runner, current_runner
from slither_actors.actors._scheduler_statistics import SchedulerStatistics
from slither_actors.actors._threads import FORKED, Threads
from slither_actors.errors import ForkedRuntimeError, NotRunningError, SlitherError
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._awaited import Awaited
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._mailbox import Mailbox
    from slither_actors.actors._message import Message

__all__ = [
    "FORKED",
    "Runner",
    "Scheduler",
    "SchedulerStatistics",
    "current_runner",
    "lock_timeout",
    "schedulers",
]

logger = GuardedLog("slither_actors.actors")

_SLICES_PER_POLL = 64
_ARRIVALS_AT_REST = 8
"""So often in a row descriptors are attended to before what waits for a rest; some always have something."""

schedulers: weakref.WeakSet[Scheduler] = weakref.WeakSet()
"""All of them, for the child of a fork."""


def lock_timeout(seconds: float | None) -> float:
    """Return the `timeout` of a lock's `acquire` for a wait of so many seconds; None waits for ever."""
    if seconds is None:
        return -1
    return min(max(0.0, seconds), threading.TIMEOUT_MAX)


class Scheduler(Threads):
    """A run queue and the threads that empty it.

    `ready` may be called from any thread; the rest belongs to the runtime.
    """

    def __init__(
        self,
        *,
        name: str = "scheduler",
        target: int = 1,
        thread_limit: int = 512,
        successor: Scheduler | None = None,
    ) -> None:
        super().__init__(name, target, thread_limit, successor)
        self._hand_overs = 0
        schedulers.add(self)

    # -- any thread ----------------------------------------------------------

    def ready(self, cell: Mailbox) -> None:
        """Queue a cell whose token the caller has just taken."""
        self.run_queue.append(cell)
        if self.active < self.target:
            self.add_thread()

    def when_idle(self, cell: Mailbox, message: Message) -> None:
        """Send `message` when the run queue is empty and no watched descriptor is ready, or soon at least.

        For work that is cheaper the more of it there is at one time. Whoever is busy does not put it off
        for longer than some slices.
        """
        self.at_rest.append((cell, message))
        if self.active < self.target:
            self.add_thread()

    def add_thread(self) -> None:
        """Have a thread look at the run queue, unless enough do."""
        with self.lock:
            if self.active < self.target:
                self.wake_one()
        self.complain()

    def reserve(self, count: int) -> None:
        """Have at least `count` threads from now on, parked ones included.

        Actors wait for one another while the program exits, too, when Python
        starts no thread any more. So there are some from the first actor on,
        and one more for each level of supervisors, who wait for their children.
        """
        with self.lock:
            self.reserved = max(self.reserved, min(count, self.thread_limit))
            while len(self.runners) < self.reserved and not self.closed and not self.forked:
                if not self.start_thread(parked=True):
                    break

    def watch_changed(self) -> None:
        """Make sure that somebody polls, after the first descriptor was registered."""
        with self.lock:
            if self.closed or self.forked or self.active or self.polling is not None:
                return
            self.wake_one()
        self.complain()

    def hand_over(self, runner: Runner, awaited: Awaited | None) -> bool:
        """Give up the run queue before the calling thread waits; False if it must not: nothing would move."""
        if self.successor is not None:
            return True
        allowed = True
        with self.lock:
            runner.awaits = awaited
            detached = runner.attached
            if detached:
                self.detach(runner)
                self._hand_overs += 1
            if self.active < self.target and (self.has_work or self.unattended or self.is_full):
                # Also for a thread that waits a second time: it may have been the last that moved.
                allowed = self.wake_one() or not self.all_wait
                if not allowed:
                    runner.awaits = None
                    if detached:
                        self.attach(runner)
        self.complain()
        return allowed

    # -- scheduler threads ---------------------------------------------------

    def _main(self, runner: Runner, parked: bool) -> None:
        _runner.local.runner = runner
        with self.lock:
            if runner not in self.runners:
                return
        if parked and not self.stay_parked(runner):
            return
        while True:
            try:
                self._loop(runner)
                return
            except ForkedRuntimeError:
                return
            except HandlerBrokenOff as error:
                # It arrived when the handler had just raised something else.
                if runner.cell is not None:
                    runner.cell.crash(error, None)
                    runner.cell.release()
            except BaseException as error:
                # A slice never raises; if it did after all, one actor is lost and not all of them.
                logger.critical("%s: an actor could not be run", self.name, exc_info=error)
                if runner.cell is not None:
                    runner.cell.kill()  # it has lost a message; who waits for it is to know

    def _loop(self, runner: Runner) -> None:
        take = self.run_queue.popleft
        poller = self.poller
        arrivals = 0
        while True:
            for _ in range(_SLICES_PER_POLL):
                try:
                    cell = take()
                except IndexError:
                    runner.cell = None
                    enough = self.at_rest and arrivals >= _ARRIVALS_AT_REST
                    if poller.watching and not enough and self.poll_now():
                        arrivals += 1
                        break
                    arrivals = 0
                    if self.at_rest:
                        self.put_at_rest()
                    elif not self.rest(runner):
                        return
                    break
                runner.cell = cell
                runner.slices += 1
                cell.run()
                if runner.detached:
                    break
            else:
                if poller.watching:
                    self.poll_now()
                if self.at_rest:
                    self.put_at_rest()
            if runner.detached or self.active > self.target:
                runner.cell = None
                if not self.come_back(runner):
                    return

    # -- the end -------------------------------------------------------------

    def close(self, timeout: float) -> bool:
        """End all threads that are not inside a handler. True if none is left."""
        deadline = time.monotonic() + timeout
        with self.lock:
            if self.closed:
                return True
            self.closed = True
            threads = [r.thread for r in self.runners]
            for runner in self.idle:
                runner.park.release()
            if self.polling is not None:
                self.poller.wake()
            self.stall_watch.close()
            threads.append(self.stall_watch.thread)
            self.close_poller()
        others = [t for t in threads if t is not None and t is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in others)

    def refusal(self) -> SlitherError:
        """Say why nothing can start here any more."""
        if self.forked:
            return ForkedRuntimeError(FORKED)
        return NotRunningError("the program ends and its actors have stopped")

    def after_fork_in_child(self) -> None:
        """The threads are gone: make every use of the actors an error instead of a hang."""
        self.lock = threading.RLock()
        self.forked = self.closed = True
        self.active = -1
        self.run_queue.clear()
        self.at_rest.clear()
        self.idle = []
        self.polling = self.waking = None
        self.runners = []
        self.poller.after_fork_in_child()

    # -- looking inside --------------------------------------------------------

    @property
    def started(self) -> bool:
        """Whether the scheduler ever had a thread."""
        return self.serial > 0

    def is_queued(self, cell: Cell) -> bool:
        """Whether a cell waits for a thread."""
        return cell in self.run_queue.copy()

    def thread_of(self, cell: Cell) -> int | None:
        """Return the ident of the thread that runs `cell` now, for a look at its stack."""
        with self.lock:
            for runner in self.runners:
                if runner.cell is cell and runner.thread is not None:
                    return runner.thread.ident
        return None

    def stalled_since(self, cell: Cell) -> float | None:
        """Return when the monitor saw that the handler of `cell` does not return; None if it has not."""
        with self.lock:
            for runner in self.runners:
                if runner.cell is cell and runner.stalled_since:
                    return runner.stalled_since
        return None

    def statistics(self) -> SchedulerStatistics:
        """Return what the scheduler holds and did."""
        with self.lock:
            idle = set(self.idle)
            blocked = sum(1 for r in self.runners if r.detached and r not in idle)
            return SchedulerStatistics(
                run_queue=len(self.run_queue),
                threads=len(self.runners),
                attached=self.active,
                blocked=blocked,
                parked=len(self.idle) + (self.polling is not None),
                slices=self.slices_ended + sum(r.slices for r in self.runners),
                hand_overs=self._hand_overs,
                stalls=self.stall_watch.stalls,
                longest_stall=self.stall_watch.longest,
                thread_limit=self.thread_limit,
            )


def default_target() -> int:
    """One scheduler with a GIL; on a free-threaded build one per core, up to eight."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if gil:
        return 1
    import os  # noqa: PLC0415 - only on free-threaded builds

    return max(2, min(8, os.cpu_count() or 2))
