"""The threads of a scheduler: which there are, which take slices, and where the others wait.

A thread is *attached* while it takes slices from the run queue, and *detached*
while a handler in it blocks. A detached thread finishes its handler and then
attaches again or parks. There is no poll anywhere: an idle thread waits on its
own lock, or in the poller where file descriptors are watched.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from slither_actors.actors._poller import Poller
from slither_actors.actors._runner import Runner
from slither_actors.actors._stall_watch import StallWatch
from slither_actors.errors import ForkedRuntimeError, NotRunningError
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._scheduler import Scheduler

__all__ = ["FORKED", "Threads"]

logger = GuardedLog("slither_actors.actors")

_RELIEF = 8
"""How many times `thread_limit` threads there may be while all wait for actors."""

_PARK_SECONDS = 10.0
"""How long a spare thread waits for work before it ends."""

FORKED = "actors live in the parent process; this is a child made by os.fork()"


class Threads:
    """The threads of a `Scheduler`, its run queue and its poller."""

    def __init__(self, name: str, target: int, thread_limit: int, successor: Scheduler | None) -> None:
        self.name = name
        self.target = target
        """How many threads take slices at one time."""
        self.thread_limit = thread_limit
        """The most threads for handlers that block, as long as one of them does so by itself."""
        self.successor = successor
        """Where an actor goes on when this scheduler, which is its own, has ended with it."""
        self.run_queue: deque[Any] = deque()
        """The cells whose token was taken."""
        self.at_rest: deque[tuple[Any, Any]] = deque()
        """Cells and the messages that they get when nothing else is to be done, see `when_idle`."""
        self.poller = Poller()
        self.active = 0
        """Attached threads. `ready` reads it without the lock, after its append; a
        thread that detaches writes it before it looks at the queue again."""
        # Reentrant, because the collector may run a finalizer that sends a message at any place.
        self.lock = threading.RLock()
        self.runners: list[Runner] = []
        self.idle: list[Runner] = []
        self.polling: Runner | None = None
        """The idle thread that waits in the poller instead of on its lock."""
        self.waking: Runner | None = None
        """The thread that was woken in the poller and has not noticed yet. Nobody else polls
        meanwhile: one who did might take the wake-up away."""
        self.reserved = 1
        """Threads that stay however long they have nothing to do."""
        self.serial = 0
        self.slices_ended = 0
        self.closed = False
        """No thread starts any more; those that run end when they have nothing to do."""
        self.forked = False
        self.complaint = ""
        """To be logged when the lock is free: a log handler may send messages, too."""
        self.complained = False
        self.stall_watch = StallWatch(self)

    @property
    def has_work(self) -> bool:
        """Whether there is something for a thread to do besides looking at descriptors."""
        return bool(self.run_queue or self.at_rest)

    @property
    def unattended(self) -> bool:
        """Whether nobody waits in the poller for the descriptors that are watched."""
        return self.poller.watching > 0 and self.polling is None and self.waking is None

    # -- more of them ----------------------------------------------------------

    def wake_one(self) -> bool:
        """Attach a parked or new thread; False if there can be none. The lock is held."""
        if self.forked:
            raise ForkedRuntimeError(FORKED)
        if self.closed:
            self.put_at_rest()
            while self.successor is not None and self.run_queue:
                self.successor.ready(self.run_queue.popleft())
            return False
        if self.polling is not None:
            # Rather than a parked thread: a thread that polls beside one that runs would
            # fight it for the interpreter lock at every arrival.
            runner, self.polling = self.polling, None
            self.waking = runner
            self.attach(runner)
            self.poller.wake()
            return True
        if self.idle:
            runner = self.idle.pop()
            self.attach(runner)
            runner.park.release()
            return True
        if len(self.runners) < self.thread_limit:
            return self.start_thread()
        return self._relieve()

    @property
    def all_wait(self) -> bool:
        """Whether all threads wait for actors, so that another one has to run these. The lock is held."""
        return all(runner.waits for runner in self.runners)

    @property
    def is_full(self) -> bool:
        """Whether there are as many threads as there may ever be."""
        return len(self.runners) >= _RELIEF * self.thread_limit

    def _relieve(self) -> bool:
        """Start a thread beyond the limit if nothing moves otherwise; it ends when it has nothing to do."""
        if self.successor is not None or not self.all_wait:
            # One that has its answer is about to come back, and no reason to complain.
            if any(runner.awaits is None for runner in self.runners):
                self._complain_of_limit()
            self.stall_watch.rouse()  # it finds those that do not come back
            return False
        if self.is_full:
            return False
        self._hasten_awaited()
        return self.start_thread()

    def _hasten_awaited(self) -> None:
        """Put those for whom others wait ahead in the queue: others would only wait, too."""
        queued = set(self.run_queue.copy())
        seen: set[Cell] = set()
        for runner in self.runners:
            awaited = runner.awaits
            while awaited is not None and not awaited.answered:  # along a chain: who is asked may ask, too
                cell = awaited.cell
                if cell is None or cell in seen:
                    break
                seen.add(cell)
                if cell in queued:
                    with contextlib.suppress(ValueError):  # another thread has taken it just now
                        self.run_queue.remove(cell)
                        self.run_queue.appendleft(cell)
                awaited = cell.waiting_on

    def _complain_of_limit(self) -> None:
        if self.successor is None and not self.complained:
            self.complained = True
            self.complaint = (
                f"all {self.thread_limit} threads of {self.name} are inside handlers that do not return; "
                f"{len(self.run_queue)} actors wait. Give actors that block a thread of their own."
            )

    def complain(self) -> None:
        """Log what could not be logged under the lock, which is free now."""
        if self.complaint:
            text, self.complaint = self.complaint, ""
            logger.critical("%s", text)

    def start_thread(self, *, parked: bool = False) -> bool:
        """Start a thread, attached or parked; False if the system or the interpreter starts none."""
        runner = Runner(self)
        self.serial += 1
        runner.thread = threading.Thread(
            target=self._main, args=(runner, parked), name=f"slither-{self.name}-{self.serial}", daemon=True
        )
        self.runners.append(runner)
        if parked:
            self.idle.append(runner)
        else:
            self.attach(runner)
        try:
            runner.thread.start()
        except BaseException as error:
            self.forget(runner)
            if not isinstance(error, RuntimeError):
                raise  # a signal, while the main thread was here: if the new thread runs, it leaves at once
            return self._could_not_start(error, parked=parked)
        if self.successor is None:
            self.stall_watch.begin()
        return True

    def _could_not_start(self, error: RuntimeError, *, parked: bool) -> bool:
        if not parked:
            if not self.runners:
                msg = f"no scheduler thread could be started: {error}"
                raise NotRunningError(msg) from error
            if "shutdown" not in str(error):  # the program ends, and so do the actors
                self.complaint = f"no further scheduler thread could be started: {error}"
        return False

    def _main(self, runner: Runner, parked: bool) -> None:
        """Body of a thread."""
        raise NotImplementedError

    # -- their states: the lock is held ------------------------------------------

    def attach(self, runner: Runner) -> None:
        """Have a thread take slices."""
        runner.attached = True
        runner.detached = False
        # While many block, the first slice of a new thread counts as seen already: it has one look to end.
        runner.seen = runner.slices + 1 if self.stall_watch.rush else -1
        self.active += 1
        self.stall_watch.rouse()

    def detach(self, runner: Runner) -> None:
        """Take the run queue away from a thread whose handler blocks."""
        runner.attached = False
        runner.detached = True
        self.active -= 1

    def forget(self, runner: Runner) -> bool:
        """The thread ends; returns False, for its loop."""
        if runner.attached:
            runner.attached = False
            self.active -= 1
        if runner in self.idle:
            self.idle.remove(runner)
        if runner in self.runners:
            self.runners.remove(runner)
        self.slices_ended += runner.slices
        self.close_poller()
        return False

    def close_poller(self) -> None:
        """Close the poller with the last who may look into it, the monitor included. The lock is held."""
        if self.closed and not self.runners and not self.stall_watch.runs:
            self.poller.close()

    def _is_surplus(self, runner: Runner) -> bool:
        """Whether a thread beyond the limit can end, because another one takes slices or will."""
        if len(self.runners) <= self.thread_limit:
            return False
        return self.active >= self.target or any(other.wakes for other in self.runners if other is not runner)

    # -- in the thread itself: False ends it ---------------------------------------

    def come_back(self, runner: Runner) -> bool:
        """Attach again after a blocking handler if there is room, else park."""
        with self.lock:
            if runner.attached:
                self.active -= 1
                runner.attached = False
            else:
                self.stall_watch.ended(runner)
            if self.closed or self._is_surplus(runner):
                return self.forget(runner)
            if self.active < self.target:
                self.attach(runner)
                return True
            self.idle.append(runner)
        return self.stay_parked(runner)

    def rest(self, runner: Runner) -> bool:
        """The queue was empty: wait for work."""
        with self.lock:
            if runner.attached:
                runner.attached = False
                self.active -= 1
            runner.detached = False
            # The order matters: `active` first, then the queue. A sender appends first and
            # reads `active` then, so one of the two sees the other.
            if self.has_work and self.active < self.target:
                self.attach(runner)
                return True
            if self.closed or len(self.runners) > self.thread_limit:
                return self.forget(runner)
            polls = self.unattended and self.active < self.target
            if polls:
                self.polling = runner
            else:
                self.idle.append(runner)
        return self._poll(runner) if polls else self.stay_parked(runner)

    def _poll(self, runner: Runner) -> bool:
        """Wait in the poller until a descriptor is ready or somebody wakes us."""
        events = self.poller.wait(None)
        with self.lock:
            if not runner.attached:
                self.polling = None
                self.attach(runner)
            elif self.waking is runner:
                self.waking = None
        self.poller.deliver(events)
        return True

    def put_at_rest(self) -> None:
        """Put the messages that waited for this moment."""
        waiting = self.at_rest
        with contextlib.suppress(IndexError):  # another thread does the same
            for _ in range(len(waiting)):
                cell, message = waiting.popleft()
                cell.put(message)

    def poll_now(self) -> bool:
        """Deliver what the poller has, without waiting; whether there was anything."""
        events = self.poller.wait(0)
        if events:
            self.poller.deliver(events)
        return bool(events)

    def stay_parked(self, runner: Runner) -> bool:
        """Wait until somebody attaches the thread."""
        spare = len(self.runners) > self.reserved
        while not runner.park.acquire(timeout=_PARK_SECONDS if spare else -1):
            with self.lock:
                if not runner.attached and len(self.runners) > self.reserved:
                    return self.forget(runner)
        with self.lock:
            return runner.attached or self.forget(runner)
