"""One incarnation of an actor: it runs its messages, ends, and tells of its end.

A dead cell is run like a live one. What it does with a message is to reject
it, so a message that arrives while its receiver dies is answered as well.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _ancestry, _life
from slither_actors.actors._async_kill import disarm
from slither_actors.actors._crash_report import CrashReport
from slither_actors.actors._exits import BY_END, BY_KILL, Exits, end, release_once
from slither_actors.actors._interrupts import calls_out, waits
from slither_actors.actors._life import live_cells, zombie_cells
from slither_actors.actors._mailbox import asked_ahead, handled_while_suspended
from slither_actors.actors._message import Message
from slither_actors.actors._monitor import Monitor
from slither_actors.actors._name_table import free_name
from slither_actors.actors._reasons import KILLED, NOPROC, Crash, Exit
from slither_actors.actors._scheduler import Scheduler, lock_timeout
from slither_actors.telemetry import ACTOR_CRASH
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from pykka._envelope import Envelope

    from slither_actors.actors._actor import Actor
    from slither_actors.actors._request import Request
    from slither_actors.actors._timers import Timer

__all__ = [
    "Cell",
    "Message",
    "Monitor",
    "end",
    "handled_while_suspended",
    "live_cells",
    "release_once",
    "zombie_cells",
]

logger = GuardedLog("slither_actors.actors")

_SLICE = 64
"""The most messages of one slice."""


class Cell(Exits):
    """The runtime's side of one actor incarnation.

    `put` and the signals may be called from any thread. `run` is called by the
    scheduler, with the token held; the callbacks run inside it.
    """

    __slots__ = (
        "answering",
        "began",
        "deferred",
        "ended",
        "handled",
        "joiners",
        "monitors",
        "reason",
        "timers",
        "watches",
        "watching",
    )

    began: float
    ended: float | None
    reason: Any

    handled: int
    """Messages of the slices that are over; counting costs nothing per message."""

    monitors: dict[int, Monitor] | None
    watching: set[Monitor] | None
    """The monitors that this actor has set on others."""

    answering: Request | Envelope[Any] | None
    """The call that is handled now."""

    deferred: set[Request] | None
    """Calls that will be answered later."""

    joiners: list[threading.Lock] | None
    """Plain waits for the end, each a held lock."""

    timers: set[Timer] | None
    watches: set[int] | None
    """The file descriptors that the actor watches."""

    def __init__(self, actor: Actor, scheduler: Scheduler, parent: Cell | None) -> None:
        # The fields of the bases as well: a call for each of them would be a tenth of the time to start.
        self.id = _life.next_number()
        self.actor = actor
        self.scheduler = scheduler
        self.parent = None if parent is None else _ancestry.below(parent)
        self.inbox = deque()
        self._append = self.inbox.append
        token = threading.Lock()
        self.acquire = token.acquire
        self._release = token.release
        self.control = []
        self.tracers = ()
        self.attention = self.suspended = self.dead = False
        self.began = time.monotonic()
        self.handled = 0
        self.ref = None  # type: ignore[assignment]  # set by whoever makes the cell
        self.ended = self.ending = self.reason = self.doom = self.name = None
        self.links = self.departed = self.monitors = self.watching = self.joiners = None
        self.answering = self.deferred = self.waiting_on = self.wake = None
        self.timers = self.watches = None

    # -- any thread ----------------------------------------------------------

    def admit(self) -> None:
        """Register the cell as alive."""
        _life.cells[self.id] = self

    def monitor(self, watcher: Cell) -> Monitor:
        """Watch this cell for `watcher`: exactly one `Down`, also if it is dead already."""
        monitor = Monitor(watcher, self)
        with _life.lock:
            if not self.dead:
                if self.monitors is None:
                    self.monitors = {}
                self.monitors[monitor.id] = monitor
                if watcher.watching is None:
                    watcher.watching = set()
                watcher.watching.add(monitor)
                return monitor
        monitor.deliver(self.ref, NOPROC)
        return monitor

    def end_here(self, reason: Any) -> bool:
        """End an idle actor in this thread, if no code of its class would run; else return False.

        For callers that would wait for the end: it spares them two changes of threads.
        """
        if not self.actor._ends_silently() or not self.acquire(False):
            return False
        try:
            if self.inbox or self.attention:
                return False
            end(self, reason)
            self.attend()
        except BaseException:
            # Ctrl-C, in the main thread: the scheduler goes on with it.
            self.order_end(reason)
            raise
        finally:
            self.release()
        return True

    @waits
    def join(self, timeout: float | None, lock: threading.Lock | None = None) -> bool:
        """Wait in this thread until the cell is dead, or `lock` is released. The caller has handed over."""
        if lock is None:
            lock = threading.Lock()
            lock.acquire()
        with _life.lock:
            if self.dead:
                return True
            if self.joiners is None:
                self.joiners = []
            self.joiners.append(lock)
        if lock.acquire(timeout=lock_timeout(timeout)):
            return True
        with _life.lock:
            if self.joiners and lock in self.joiners:
                self.joiners.remove(lock)
            return self.dead

    # -- with the token held -------------------------------------------------

    @calls_out
    def run(self) -> None:
        """Run one slice. Never raises."""
        inbox = self.inbox
        message: Message | None = None
        count = left = 0
        try:
            actor = self.actor
            take = inbox.popleft
            count = left = len(inbox)
            if count > _SLICE:
                count = left = _SLICE
            while left:  # for the one message that there is as a rule, cheaper than a range
                left -= 1
                if self.attention and not self.prepare():
                    left += 1
                    break
                message = take()
                message[0](actor, message[1])
            if self.attention:
                self.attend()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this actor only
            self.crash(error, message)
        finally:
            self.handled += count - left
            # As `release`, which would be one more call for each slice.
            self._release()
            if ((inbox and not self.suspended) or self.control) and self.acquire(False):
                self.scheduler.ready(self)

    def prepare(self) -> bool:
        """Do what is due before the next message. False if it may not run now."""
        if not self.attend():
            return False
        for tell in self.tracers:
            tell(self.inbox[0])
        return True

    def attend(self) -> bool:
        """Do what is due besides messages. False if no message may run now."""
        while True:
            if self.dead:
                self._has_returned()
                self._reject()
                return False
            if self.ending is not None:
                self.finish(self.ending[0])
                continue
            if not self.control:
                self.attention = self.suspended
                # Who sends or traces sets the flag last: look once more.
                if self.control or self.tracers:
                    self.attention = True
                if not self.control:
                    return not self.suspended
                continue
            message = self.control.pop(0)
            for tell in self.tracers:
                tell(message)
            try:
                message[0](self.actor, message[1])
            except BaseException as error:  # noqa: BLE001 - it ends this actor only
                self.crash(error, message)

    def _has_returned(self) -> None:
        # No handler of this dead actor runs any more: if one was abandoned, this was its end.
        # Off the list first: who is not on it is not struck any more.
        zombie_cells.pop(self.id, None)
        disarm(self)

    def crash(self, error: BaseException, message: Message | None) -> None:
        """End the actor because `error` left a callback."""
        if self.dead:
            self._has_returned()
            return
        doom = self.doom
        try:
            if doom is None or not self.obeys(error):
                reason = Crash.of(error)
                try:
                    self._report(reason, message)
                finally:
                    self.finish(reason)
            elif doom is BY_KILL:
                self.die(KILLED)
            else:
                self.finish(doom[0])
        finally:
            if message is not None:
                self.actor._on_rejected(message, self.reason)
            self._has_returned()

    def finish(self, reason: Any) -> None:
        """Run the actor's last callback and die of `reason`, or of what the callback raises."""
        with _life.lock:
            if self.dead:
                return
            if self.doom is not BY_KILL:
                self.doom = BY_END
        try:
            self.actor._on_end(reason)
        except BaseException as error:  # noqa: BLE001 - it ends this actor only
            if self.obeys(error):
                reason = KILLED
            else:
                reason = Crash.of(error)
                self._report(reason, None)
        finally:
            self.die(reason)

    def die(self, reason: Any, *, begun: bool = True) -> None:
        """Become dead: free the name, then tell who watches. The first reason counts.

        An actor that has not `begun` has not run any of its code, and does not now.
        """
        with _life.lock:
            if self.dead:
                return
            self.reason = reason
            self.ended = time.monotonic()
            self.dead = True
            self.attention = True
            monitors, self.monitors = self.monitors, None
            watching, self.watching = self.watching, None
            links, self.links = self.links, None
            joiners, self.joiners = self.joiners, None
            _life.cells.pop(self.id, None)
            # Most have none of these, and an empty comprehension is a call of a function, too.
            broken = [_failure(monitor.forget) for monitor in monitors.values()] if monitors else ()
            for monitor in watching or ():
                monitor.abolish()
            signals = [(other, other.departs(self, reason)) for other in links] if links else ()
            self.departed = None
            if self.name is not None:
                free_name(self)
        for error in filter(None, broken):
            self._complain(error)
        if self.watches:
            for fd in tuple(self.watches):
                self.scheduler.poller.unwatch(fd, self)
        if self.timers:
            for timer in tuple(self.timers):
                timer.cancel()
        try:
            if begun:
                self.actor._on_dead()
        finally:
            self._tell_end(reason, monitors, signals, joiners)

    def _tell_end(
        self,
        reason: Any,
        monitors: dict[int, Monitor] | None,
        signals: Sequence[tuple[Exits, Exit]],
        joiners: list[threading.Lock] | None,
    ) -> None:
        """Answer who waits and tell who watches."""
        answering, self.answering = self.answering, None
        if self.deferred:
            for request in tuple(self.deferred):
                request.reject(reason)
        if answering is not None:
            self.actor._on_rejected((_asked, answering), reason)
        for monitor in monitors.values() if monitors else ():
            error = _failure(monitor.deliver, self.ref, reason)
            if error is not None:
                self._complain(error)
        for other, signal in signals:
            other.signal_departed(signal)
        for lock in joiners or ():
            release_once(lock)
        self._reject()
        # Refs outlive their actor, which may have held a lot.
        self.actor = self.actor._remains()
        if self.scheduler.successor is not None:
            # A thread of the actor's own ends with it; what still comes is rejected by another.
            own, self.scheduler = self.scheduler, self.scheduler.successor
            own.close(0.0)

    def _complain(self, error: BaseException) -> None:
        logger.error("%s: who watches it could not be told of its end", self.describe(), exc_info=error)

    def _reject(self) -> None:
        while self.control:
            try:
                message = self.control.pop(0)
            except IndexError:
                break
            if message[0] in asked_ahead:
                message[1].reject(self.reason)
        while self.inbox:
            try:
                message = self.inbox.popleft()
            except IndexError:
                return
            self.actor._on_rejected(message, self.reason)

    def _report(self, reason: Crash, message: Message | None) -> None:
        report = CrashReport.of(self, reason, message)
        # As text: a handler may keep the record, and with it the actor.
        logger.error("%s", str(report))
        report.tell()

    def tell_crash(self, reason: Crash, message: Message | None) -> None:
        """Emit the event of a crash that Pykka has logged."""
        if ACTOR_CRASH.receivers:
            CrashReport.of(self, reason, message).tell()


def _failure(function: Callable[..., object], *args: object) -> BaseException | None:
    """Call a function that uses what the user gave, a key for example; return what it raises."""
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are told
        return error
    return None


def _asked(actor: Actor, argument: Any) -> None:
    """The place of a handler that is known no more, in a message that is rejected."""
