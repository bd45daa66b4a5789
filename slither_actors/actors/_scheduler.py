"""Who runs an actor: a run queue, a few threads, and a monitor against stalls.

A cell (an actor with its mailbox) that has messages is put on the run queue,
once; a scheduler thread takes it off and runs it for one slice, the messages
that were there when the slice began. A message between two actors therefore
needs no thread switch, and a chain of local sends cannot starve anybody,
because every send goes to the end of the queue.

`target` threads are *attached*: they take slices. A thread whose handler
blocks is *detached*: at once before a wait of the framework, otherwise by the
monitor, which looks every few milliseconds for a slice that has not moved and
lets the others go on in another thread. The more handlers block at one time,
the more threads the monitor adds per look. A detached thread finishes its
handler and then attaches again or parks.

There is no poll anywhere: an idle thread waits on its own lock, or in the
poller where file descriptors are watched, and the monitor sleeps when nothing
is attached. While all attached threads are busy, it is the monitor that looks
at the descriptors.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.actors._async_kill import HandlerBrokenOff
from slither_actors.actors._poller import Poller
from slither_actors.errors import ForkedRuntimeError, NotRunningError, SlitherError
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

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

_TICK = 0.005
"""Seconds between two looks of the monitor: a stall is seen after one to two."""

_MIN_TICK = 0.001
_IDLE_TICKS = 20
"""Looks at an idle scheduler before the monitor goes to sleep."""

_BOOST_FACTOR = 4
_SLICES_PER_POLL = 64
_PARK_SECONDS = 10.0
"""How long a spare thread waits for work before it ends."""

FORKED = "actors live in the parent process; this is a child made by os.fork()"

_local = threading.local()

schedulers: weakref.WeakSet[Scheduler] = weakref.WeakSet()
"""All of them, for the child of a fork."""


def lock_timeout(seconds: float | None) -> float:
    """Return the `timeout` of a lock's `acquire` for a wait of so many seconds; None waits for ever."""
    if seconds is None:
        return -1
    return min(max(0.0, seconds), threading.TIMEOUT_MAX)


def current_runner() -> Any:
    """Return what runs actors in this thread, or None in a plain thread."""
    return getattr(_local, "runner", None)


@attrs.frozen(kw_only=True)
class SchedulerStatistics:
    """What a scheduler held and had done at one moment. Returned by `Scheduler.statistics`."""

    run_queue: int
    """Actors that are ready and wait for a thread."""

    threads: int
    """Threads that exist, blocked and parked ones included."""

    attached: int
    """Threads that take slices from the run queue."""

    blocked: int
    """Threads inside a handler that waits or does not return."""

    parked: int
    """Threads that wait for work."""

    slices: int
    """Slices run so far; approximate while threads run."""

    hand_overs: int
    """Times a thread gave up the run queue before a framework wait."""

    stalls: int
    """Times the monitor found a handler that did not return and went around it."""

    longest_stall: float
    """Seconds of the longest stall so far, to the monitor's resolution."""

    thread_limit: int
    """The most threads this scheduler starts."""


class Runner:
    """One scheduler thread. Everything but `cell` is written under the scheduler's lock."""

    __slots__ = (
        "attached",
        "cell",
        "detached",
        "park",
        "runner",
        "scheduler",
        "seen",
        "slices",
        "stalled_since",
        "thread",
    )

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.runner = self
        """As on an inline frame: the thread that would have to hand over."""
        self.cell: Cell | None = None
        """The actor whose slice runs now."""
        self.slices = 0
        self.seen = -1
        """`slices` at the monitor's last look: the same number again is a stall."""
        self.attached = False
        self.detached = False
        """Set when the run queue was taken away; read by the thread at the end of its slice."""
        self.stalled_since = 0.0
        self.park = threading.Lock()
        self.park.acquire()
        self.thread: threading.Thread | None = None


class Scheduler:
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
        self.name = name
        self.target = target
        self.thread_limit = thread_limit
        self.successor = successor
        """Where an actor goes on when this scheduler, which is its own, has ended with it."""
        self.run_queue: deque[Cell] = deque()
        self.poller = Poller()
        self.active = 0
        """Attached threads. `ready` reads it without the lock, after its append; a
        thread that detaches writes it before it looks at the queue again."""
        # Reentrant, because the collector may run a finalizer that sends a message at any place.
        self._lock = threading.RLock()
        self._idle: list[Runner] = []
        self._polling: Runner | None = None
        """The idle thread that waits in the poller instead of on its lock."""
        self._waking: Runner | None = None
        """The thread that was woken in the poller and has not noticed yet. Nobody else polls
        meanwhile: one who did might take the wake-up away."""
        self._runners: list[Runner] = []
        self._serial = 0
        self.closed = False
        """No thread starts any more; those that run end when they have nothing to do."""
        self.forked = False
        self._hand_overs = 0
        self._stalls = 0
        self._longest_stall = 0.0
        self._slices_ended = 0
        self._complaint = ""
        """To be logged when the lock is free: a log handler may send messages, too."""
        self._complained = False
        self._rush = False
        """Whether the monitor adds threads now, because handlers block."""
        self._reserved = 1
        """Threads that stay however long they have nothing to do."""
        self._monitor: threading.Thread | None = None
        self._monitor_wake = threading.Condition(self._lock)
        self._monitor_asleep = False
        schedulers.add(self)

    # -- any thread ----------------------------------------------------------

    def ready(self, cell: Cell) -> None:
        """Queue a cell whose token the caller has just taken."""
        self.run_queue.append(cell)
        if self.active < self.target:
            self._add_thread()

    def _add_thread(self) -> None:
        with self._lock:
            if self.active < self.target:
                self._wake_one()
        self._complain()

    def _complain(self) -> None:
        if self._complaint:
            text, self._complaint = self._complaint, ""
            logger.critical("%s", text)

    def _wake_one(self) -> bool:
        """Attach a parked or new thread. The lock is held."""
        if self.forked:
            raise ForkedRuntimeError(FORKED)
        if self.closed:
            while self.successor is not None and self.run_queue:
                self.successor.ready(self.run_queue.popleft())
            return False
        if self._polling is not None:
            # Rather than a parked thread: a thread that polls beside one that runs would
            # fight it for the interpreter lock at every arrival.
            runner, self._polling = self._polling, None
            self._waking = runner
            self._attach(runner)
            self.poller.wake()
            return True
        if self._idle:
            runner = self._idle.pop()
            self._attach(runner)
            runner.park.release()
            return True
        return self._start_thread()

    def reserve(self, count: int) -> None:
        """Have at least `count` threads from now on, parked ones included.

        Actors wait for one another while the program exits, too, when Python
        starts no thread any more. So there are some from the first actor on,
        and one more for each level of supervisors, who wait for their children.
        """
        with self._lock:
            self._reserved = max(self._reserved, min(count, self.thread_limit))
            while len(self._runners) < self._reserved and not self.closed and not self.forked:
                if not self._start_thread(parked=True):
                    break

    def _start_thread(self, *, parked: bool = False) -> bool:
        if len(self._runners) >= self.thread_limit:
            if self.successor is None and not self._complained:
                self._complained = True
                self._complaint = (
                    f"all {self.thread_limit} threads of {self.name} are inside handlers that do not return; "
                    f"{len(self.run_queue)} actors wait. Give actors that block a thread of their own."
                )
            return False
        runner = Runner(self)
        self._serial += 1
        runner.thread = threading.Thread(
            target=self._main, args=(runner, parked), name=f"slither-{self.name}-{self._serial}", daemon=True
        )
        self._runners.append(runner)
        if parked:
            self._idle.append(runner)
        else:
            self._attach(runner)
        try:
            runner.thread.start()
        except BaseException as error:
            self._runners.remove(runner)
            if parked:
                self._idle.remove(runner)
            else:
                self.active -= 1
            if not isinstance(error, RuntimeError):
                raise  # a signal, while the main thread was here: if the new thread runs, it leaves at once
            if parked:
                return False
            if not self._runners:
                msg = f"no scheduler thread could be started: {error}"
                raise NotRunningError(msg) from error
            if "shutdown" not in str(error):  # the program ends, and so do the actors
                self._complaint = f"no further scheduler thread could be started: {error}"
            return False
        if self._monitor is None and self.successor is None:
            monitor = threading.Thread(target=self._watch, name="slither-monitor", daemon=True)
            with contextlib.suppress(RuntimeError):  # the program ends: nobody will be stalled for long
                monitor.start()
                self._monitor = monitor
        return True

    def _attach(self, runner: Runner) -> None:
        runner.attached = True
        runner.detached = False
        # While many block, the first slice of a new thread counts as seen already: it has one look to end.
        runner.seen = runner.slices + 1 if self._rush else -1
        self.active += 1
        if self._monitor_asleep:
            self._monitor_asleep = False
            self._monitor_wake.notify()

    # -- scheduler threads ---------------------------------------------------

    def _main(self, runner: Runner, parked: bool) -> None:
        """Body of a scheduler thread."""
        _local.runner = runner
        with self._lock:
            if runner not in self._runners:
                return
        if parked and not self._park(runner):
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

    def _loop(self, runner: Runner) -> None:
        take = self.run_queue.popleft
        poller = self.poller
        while True:
            for _ in range(_SLICES_PER_POLL):
                try:
                    cell = take()
                except IndexError:
                    runner.cell = None
                    if not (poller.watching and self._poll_now()) and not self._rest(runner):
                        return
                    break
                runner.cell = cell
                runner.slices += 1
                cell.run()
                if runner.detached:
                    break
            else:
                if poller.watching:
                    self._poll_now()
            if runner.detached or self.active > self.target:
                runner.cell = None
                if not self._come_back(runner):
                    return

    def _poll_now(self) -> bool:
        events = self.poller.wait(0)
        if events:
            self.poller.deliver(events)
        return bool(events)

    def _come_back(self, runner: Runner) -> bool:
        """Attach again after a blocking handler if there is room, else park."""
        with self._lock:
            if runner.attached:
                self.active -= 1
                runner.attached = False
            elif runner.stalled_since:
                self._longest_stall = max(self._longest_stall, time.monotonic() - runner.stalled_since)
                runner.stalled_since = 0.0
            if self.closed:
                return self._forget(runner)
            if self.active < self.target:
                self._attach(runner)
                return True
            self._idle.append(runner)
        return self._park(runner)

    def _rest(self, runner: Runner) -> bool:
        """The queue was empty: wait for work. False ends the thread."""
        with self._lock:
            if runner.attached:
                runner.attached = False
                self.active -= 1
            runner.detached = False
            # The order matters: `active` first, then the queue. A sender appends first and
            # reads `active` then, so one of the two sees the other.
            if self.run_queue and self.active < self.target:
                self._attach(runner)
                return True
            if self.closed:
                return self._forget(runner)
            polls = self._unattended() and self.active < self.target
            if polls:
                self._polling = runner
            else:
                self._idle.append(runner)
        return self._poll(runner) if polls else self._park(runner)

    def _poll(self, runner: Runner) -> bool:
        """Wait in the poller until a descriptor is ready or somebody wakes us."""
        events = self.poller.wait(None)
        with self._lock:
            if not runner.attached:
                self._polling = None
                self._attach(runner)
            elif self._waking is runner:
                self._waking = None
        self.poller.deliver(events)
        return True

    def _park(self, runner: Runner) -> bool:
        spare = len(self._runners) > self._reserved
        while not runner.park.acquire(timeout=_PARK_SECONDS if spare else -1):
            with self._lock:
                if not runner.attached and len(self._runners) > self._reserved:
                    return self._forget(runner)
        with self._lock:
            return runner.attached or self._forget(runner)

    def _forget(self, runner: Runner) -> bool:
        """The thread of `runner` ends. The lock is held; returns False for the loop."""
        if runner in self._idle:
            self._idle.remove(runner)
        if runner in self._runners:
            self._runners.remove(runner)
        self._slices_ended += runner.slices
        if self.closed and not self._runners:
            self.poller.close()
        return False

    def watch_changed(self) -> None:
        """Make sure that somebody polls, after the first descriptor was registered."""
        with self._lock:
            if self.closed or self.forked or self.active or self._polling is not None:
                return
            self._wake_one()
        self._complain()

    # -- blocking ------------------------------------------------------------

    def hand_over(self, runner: Runner) -> None:
        """Give up the run queue before the calling thread waits for something."""
        with self._lock:
            if not runner.attached or self.successor is not None:
                return
            runner.attached = False
            runner.detached = True
            self.active -= 1
            self._hand_overs += 1
            if self.active < self.target and (self.run_queue or self._unattended()):
                self._wake_one()
        self._complain()

    def _unattended(self) -> bool:
        return self.poller.watching > 0 and self._polling is None and self._waking is None

    def _watch(self) -> None:
        """Body of the monitor thread."""
        tick, boost, calm, idle = _TICK, _BOOST_FACTOR, 0, 0
        while not self.closed:
            with self._lock:
                if idle >= _IDLE_TICKS and not self.active:
                    self._monitor_asleep = True
                    while self._monitor_asleep and not self.closed:
                        self._monitor_wake.wait()
                    idle = 0
                self._monitor_wake.wait(tick)
                stalled = self._detach_stalled()
                if stalled and (self.run_queue or self._unattended()):
                    self._rush = True
                    # Those that were woken at the last look and have not begun yet will each take one, too.
                    for _ in range(max(1, min(boost, len(self.run_queue)) - self.active)):
                        if not self._wake_one():
                            break
                    self._rush = False
                    boost *= _BOOST_FACTOR
                    tick = max(_MIN_TICK, tick / 2)
                    calm = 0
                elif (calm := calm + 1) > 1:
                    # A thread is found stalled at the second look at it: one quiet look means nothing.
                    tick, boost = _TICK, _BOOST_FACTOR
                idle = 0 if self.active else idle + 1
                busy = self.active and self._unattended()
            self._complain()
            if busy:
                self._poll_now()

    def _detach_stalled(self) -> int:
        stalled = 0
        for runner in self._runners:
            if not runner.attached:
                continue
            if runner.seen == runner.slices and runner.cell is not None:
                runner.attached = False
                runner.detached = True
                runner.stalled_since = time.monotonic() - _TICK
                self.active -= 1
                self._stalls += 1
                stalled += 1
            else:
                runner.seen = runner.slices
        return stalled

    # -- the end -------------------------------------------------------------

    def close(self, timeout: float) -> bool:
        """End all threads that are not inside a handler. True if none is left."""
        deadline = time.monotonic() + timeout
        with self._lock:
            if self.closed:
                return True
            self.closed = True
            threads = [r.thread for r in self._runners]
            for runner in self._idle:
                runner.park.release()
            if self._polling is not None:
                self.poller.wake()
            self._monitor_wake.notify_all()
            threads.append(self._monitor)
            if not self._runners:
                self.poller.close()
        others = [t for t in threads if t is not None and t is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in others)

    def refusal(self) -> SlitherError:
        """Say why nothing can start here any more."""
        if self.forked:
            return ForkedRuntimeError(FORKED)
        return NotRunningError("the program ends and its actors have stopped")

    @property
    def started(self) -> bool:
        """Whether the scheduler ever had a thread."""
        return self._serial > 0

    def after_fork_in_child(self) -> None:
        """The threads are gone: make every use of the actors an error instead of a hang."""
        self._lock = threading.RLock()
        self.forked = self.closed = True
        self.active = -1
        self.run_queue.clear()
        self._idle = []
        self._polling = self._waking = None
        self._runners = []
        self.poller.after_fork_in_child()

    def is_queued(self, cell: Cell) -> bool:
        """Whether a cell waits for a thread."""
        return cell in self.run_queue.copy()

    def thread_of(self, cell: Cell) -> int | None:
        """Return the ident of the thread that runs `cell` now, for a look at its stack."""
        with self._lock:
            for runner in self._runners:
                if runner.cell is cell and runner.thread is not None:
                    return runner.thread.ident
        return None

    def statistics(self) -> SchedulerStatistics:
        """Return what the scheduler holds and did."""
        with self._lock:
            blocked = sum(1 for r in self._runners if r.detached and r not in self._idle)
            return SchedulerStatistics(
                run_queue=len(self.run_queue),
                threads=len(self._runners),
                attached=self.active,
                blocked=blocked,
                parked=len(self._idle) + (self._polling is not None),
                slices=self._slices_ended + sum(r.slices for r in self._runners),
                hand_overs=self._hand_overs,
                stalls=self._stalls,
                longest_stall=self._longest_stall,
                thread_limit=self.thread_limit,
            )


def default_target() -> int:
    """One scheduler with a GIL; on a free-threaded build one per core, up to eight."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if gil:
        return 1
    import os  # noqa: PLC0415 - only on free-threaded builds

    return max(2, min(8, os.cpu_count() or 2))
