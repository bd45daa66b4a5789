"""One incarnation of an actor: its mailbox, its life, its links and monitors.

A message is a pair ``(function, argument)``; running it is
``function(actor, argument)``. Whoever holds the cell's token runs it, so it
runs one message at a time. The token is taken by whoever puts a message into
a cell that is not queued, and is released at the end of a slice; after that
the mailbox is looked at once more, so that no wake-up is lost.

A dead cell is run like a live one. What it does with a message is to reject
it, so a message that arrives while its receiver dies is answered as well.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.actors._async_kill import disarm
from slither_actors.actors._crash_report import CrashReport
from slither_actors.actors._interrupts import calls_out, waits
from slither_actors.actors._message import Message
from slither_actors.actors._reasons import KILLED, NOPROC, Crash, Down, Exit, cause_of
from slither_actors.actors._scheduler import Scheduler, lock_timeout
from slither_actors.core import OnExit, on_exit
from slither_actors.errors import ExitPendingError, safe_text
from slither_actors.telemetry import ACTOR_CRASH
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from pykka._envelope import Envelope

    from slither_actors.actors._actor import Actor
    from slither_actors.actors._ref import Ref
    from slither_actors.actors._request import Request
    from slither_actors.actors._timers import Timer

__all__ = ["Cell", "Message", "Monitor", "live_cells"]

logger = GuardedLog("slither_actors.actors")

_SLICE = 64
"""The most messages of one slice."""

_life = threading.RLock()
"""Guards who is alive, linked, monitored and named. Held for a few assignments, never
while anything is called, so one lock for all actors is enough and cannot deadlock.
Reentrant, because the collector may run a finalizer that uses actors at any place."""

handled_while_suspended: set[Callable[[Any, Any], object]] = set()
"""The functions of the messages that a suspended actor handles; to run one twice does nothing."""

_serial = itertools.count(1).__next__
_live: dict[int, Cell] = {}
_names: dict[object, Cell] = {}
_name_waiters: dict[object, list[tuple[Cell, Message]]] = {}

zombie_cells: dict[int, tuple[Cell, float, int | None]] = {}
"""The cells that were abandoned and whose handlers still run, since when, and in which thread.
Empty as a rule, which is all that the hot paths look at."""


_KILL = (KILLED,)
_LAST = (None,)


class Monitor:
    """A watch over another actor, until its `Down` arrives or `cancel` is called; see `Server.monitor`.

    OTP: erlang, ``monitor/2``.
    """

    __slots__ = ("_target", "_watcher", "id")

    def __init__(self, watcher: Cell, target: Cell) -> None:
        self.id = _serial()
        self._watcher: Cell | None = watcher
        self._target = target

    def cancel(self) -> None:
        """Take the watch back, from any thread; a second time does nothing.

        A `Down` that is on its way is dropped too. OTP: erlang, ``demonitor(MonitorRef, [flush])``.
        """
        with _life:
            self.forget()
            self._watcher = None
            if self._target.monitors is not None:
                self._target.monitors.pop(self.id, None)

    def forget(self) -> None:
        """Take the monitor off its watcher's list. The lock is held."""
        watcher = self._watcher
        if watcher is not None and watcher.watching is not None:
            watcher.watching.discard(self)

    def deliver(self, ref: Ref, reason: Any) -> None:
        """Send the `Down` to the watcher."""
        watcher = self._watcher
        if watcher is not None:
            watcher.put((_down, (self, Down(self, ref, reason))))

    def abolish(self) -> None:
        """The watcher has ended. The lock is held."""
        self._watcher = None
        if self._target.monitors is not None:
            self._target.monitors.pop(self.id, None)

    def take(self) -> bool:
        """Whether the `Down` is still wanted, asked in the watcher; only the first time."""
        wanted = self._watcher is not None
        self._watcher = None
        return wanted


def _down(actor: Actor, argument: tuple[Monitor, Down]) -> None:
    monitor, down = argument
    if monitor.take():
        actor._on_info(down)


class Cell:
    """The runtime's side of one actor incarnation.

    `put` and the signals may be called from any thread. `run` is called by the
    scheduler, with the token held; the callbacks run inside it.
    """

    __slots__ = (
        "__weakref__",
        "_append",
        "_release",
        "acquire",
        "actor",
        "answering",
        "attention",
        "began",
        "control",
        "dead",
        "deferred",
        "doom",
        "ended",
        "ending",
        "handled",
        "id",
        "inbox",
        "joiners",
        "last_message",
        "links",
        "monitors",
        "name",
        "parent",
        "reason",
        "ref",
        "scheduler",
        "suspended",
        "timers",
        "tracers",
        "waiting_on",
        "wake",
        "watches",
        "watching",
    )

    def __init__(self, actor: Actor, scheduler: Scheduler, parent: Cell | None) -> None:
        self.id = _serial()
        self.actor: Actor = actor
        self.scheduler = scheduler
        self.inbox: deque[Message] = deque()
        self._append = self.inbox.append
        token = threading.Lock()
        self.acquire = token.acquire
        self._release = token.release
        self.control: list[Message] = []
        """Messages of the supervisor and the system, ahead of all others."""
        self.attention = False
        """Something other than the next message is due: control, an end, a pause."""
        self.ending: tuple[Any] | None = None
        """The reason to end with, once it was decided."""
        self.dead = False
        self.began = time.monotonic()
        self.ended: float | None = None
        self.handled = 0
        """Messages of the slices that are over; counting costs nothing per message."""
        self.reason: Any = None
        self.suspended = False
        self.ref: Ref = None  # type: ignore[assignment]  # set by whoever makes the cell
        self.name: object = None
        self.parent = parent
        self.links: set[Cell] | None = None
        self.monitors: dict[int, Monitor] | None = None
        self.watching: set[Monitor] | None = None
        """The monitors that this actor has set on others."""
        self.answering: Request | Envelope[Any] | None = None
        """The call that is handled now."""
        self.deferred: set[Request] | None = None
        """Calls that will be answered later."""
        self.joiners: list[threading.Lock] | None = None
        """Plain waits for the end, each a held lock."""
        self.waiting_on: Request | None = None
        """What this actor waits for in another one; call cycles are found along it."""
        self.wake: Callable[[], object] | None = None
        """Ends a wait of this actor that is no call."""
        self.doom: tuple[Any] | None = None
        """The reason of an exit that is on its way and lets no wait go on; `_LAST` while the last
        callback runs, which only a kill disturbs."""
        self.timers: set[Timer] | None = None
        self.watches: set[int] | None = None
        self.last_message: Message | None = None
        self.tracers: tuple[Callable[[Message], None], ...] = ()
        """Told of each message before it runs; who has any is never without `attention`."""

    # -- any thread ----------------------------------------------------------

    def put(self, message: Message) -> None:
        """Send one message. It never blocks; a dead cell rejects it."""
        self._append(message)
        if self.acquire(False):
            # As `scheduler.ready`, which would be one more call for each message.
            scheduler = self.scheduler
            scheduler.run_queue.append(self)
            if scheduler.active < scheduler.target:
                scheduler._add_thread()

    def put_control(self, message: Message) -> None:
        """Send one message ahead of the mailbox. For supervisors and the system only."""
        self.control.append(message)
        self.attention = True
        if self.acquire(False):
            self.scheduler.ready(self)

    def put_system(self, message: Message) -> None:
        """Send a message that a suspended actor handles too: one of `handled_while_suspended`."""
        self.put(message)
        # `suspend` sets the flag first and looks through the mailbox then: one of the two finds it.
        if self.suspended:
            self.put_control(message)

    def admit(self) -> None:
        """Register the cell as alive."""
        _live[self.id] = self

    def monitor(self, watcher: Cell) -> Monitor:
        """Watch this cell for `watcher`: exactly one `Down`, also if it is dead already."""
        monitor = Monitor(watcher, self)
        with _life:
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

    def link(self, other: Cell) -> None:
        """Make each die with the other. A dead `other` is an exit signal ``"noproc"``."""
        with _life:
            if not other.dead and not self.dead:
                for one, two in ((self, other), (other, self)):
                    if one.links is None:
                        one.links = set()
                    one.links.add(two)
                return
        if other.dead:
            self.signal(other.ref, NOPROC)

    def unlink(self, other: Cell) -> None:
        """Undo `link`."""
        with _life:
            for one, two in ((self, other), (other, self)):
                if one.links is not None:
                    one.links.discard(two)

    def signal(self, source: Ref | None, reason: Any) -> None:
        """Send an exit signal, in order with the other messages."""
        message = (_exit_signal, Exit(source, reason))
        if self.is_parent(source):
            self.put_system(message)
        else:
            self.put(message)
        self._doom_by(source, reason)

    def is_parent(self, source: Ref | None) -> bool:
        """Whether `source` started this actor and is linked to it."""
        return self.parent is not None and source is self.parent.ref

    def signal_ahead(self, source: Ref | None, reason: Any) -> None:
        """Send an exit signal ahead of the mailbox, unless the actor traps exits."""
        if self.actor.trap_exit:
            self.signal(source, reason)
        else:
            self.put_control((_exit_signal, Exit(source, reason)))
            self._doom_by(source, reason)

    def order_end(self, reason: Any) -> None:
        """Have the actor end as if it had stopped itself, ahead of the mailbox, trapping or not."""
        self.put_control((_ordered_end, reason))
        if not self.actor.trap_exit:
            self._end_waits((reason,))

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

    def kill(self) -> None:
        """End the actor at its next message boundary; no callback runs any more."""
        self.put_control((_kill, None))
        self._end_waits(_KILL)

    def _doom_by(self, source: Ref | None, reason: Any) -> None:
        # One that traps exits finishes what it does before it looks at any, as in OTP.
        if not self.actor.trap_exit and _effect_on(self, Exit(source, reason)) is OnExit.END:
            self._end_waits((reason,))

    def _end_waits(self, doom: tuple[Any]) -> None:
        """End the wait that the actor is in, and those that it would begin: it is to end."""
        with _life:
            if self.dead or (self.doom is not None and doom is not _KILL):
                return
            self.doom = doom
        # Who waits says first for what and then looks at `doom`: one of the two sees the other.
        waiting_on, wake = self.waiting_on, self.wake
        if self.doom is not doom:
            return  # the last callback runs, and those waits are its own
        if waiting_on is not None:
            waiting_on.settle(ExitPendingError(self.describe(), doom[0]))
        if wake is not None:
            wake()

    def pending_exit(self) -> ExitPendingError | None:
        """Return what a wait of the actor has to raise now, if anything."""
        doom = self.doom
        return None if doom is None or doom is _LAST else ExitPendingError(self.describe(), doom[0])

    def obeys(self, error: BaseException | None) -> bool:
        """Whether `error` left a callback because a wait was ended for an exit that is on its way."""
        if self.doom is None or self.doom is _LAST:
            return False
        # A cause may be what it causes: the user's code says what is whose.
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            if isinstance(error, ExitPendingError) and error.actor == self.describe():
                return True
            seen.add(id(error))
            error = cause_of(error)
        return False

    @waits
    def join(self, timeout: float | None, lock: threading.Lock | None = None) -> bool:
        """Wait in this thread until the cell is dead, or `lock` is released. The caller has handed over."""
        if lock is None:
            lock = threading.Lock()
            lock.acquire()
        with _life:
            if self.dead:
                return True
            if self.joiners is None:
                self.joiners = []
            self.joiners.append(lock)
        if lock.acquire(timeout=lock_timeout(timeout)):
            return True
        with _life:
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

    def release(self) -> None:
        """Give the token back, then look again: a message may have come meanwhile."""
        self._release()
        if ((self.inbox and not self.suspended) or self.control) and self.acquire(False):
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

    def suspend(self) -> None:
        """Keep the messages in the mailbox until `suspended` is cleared. Called by a message."""
        self.suspended = self.attention = True
        for message in self.inbox.copy():
            if message[0] in handled_while_suspended or (
                message[0] is _exit_signal and self.is_parent(message[1].ref)
            ):
                self.control.append(message)

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
            elif doom is _KILL:
                self.die(KILLED)
            else:
                self.finish(doom[0])
        finally:
            if message is not None:
                self.actor._on_rejected(message, self.reason)
            self._has_returned()

    def finish(self, reason: Any) -> None:
        """Run the actor's last callback and die of `reason`, or of what the callback raises."""
        with _life:
            if self.dead:
                return
            if self.doom is not _KILL:
                self.doom = _LAST
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

    def die(self, reason: Any) -> None:
        """Become dead: free the name, then tell who watches. The first reason counts."""
        with _life:
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
            _live.pop(self.id, None)
            broken = [_failure(monitor.forget) for monitor in (monitors or {}).values()]
            for monitor in watching or ():
                monitor.abolish()
            for other in links or ():
                if other.links is not None:
                    other.links.discard(self)
            if self.name is not None:
                _free_name(self)
        for error in filter(None, broken):
            self._complain(error)
        for fd in tuple(self.watches or ()):
            self.scheduler.poller.unwatch(fd, self)
        for timer in tuple(self.timers or ()):
            timer.cancel()
        try:
            self.actor._on_dead()
        finally:
            self._tell_end(reason, monitors, links, joiners)

    def _tell_end(
        self,
        reason: Any,
        monitors: dict[int, Monitor] | None,
        links: set[Cell] | None,
        joiners: list[threading.Lock] | None,
    ) -> None:
        """Answer who waits and tell who watches."""
        answering, self.answering = self.answering, None
        for request in tuple(self.deferred or ()):
            request.reject(reason)
        if answering is not None:
            self.actor._on_rejected((_asked, answering), reason)
        for monitor in (monitors or {}).values():
            error = _failure(monitor.deliver, self.ref, reason)
            if error is not None:
                self._complain(error)
        for other in links or ():
            other.signal(self.ref, reason)
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
        self.control.clear()
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

    def ancestors(self) -> list[Cell]:
        """Return who started the actor with a link, who started that one, and so on."""
        found, cell = [], self.parent
        while cell is not None:
            found.append(cell)
            cell = cell.parent
        return found

    def describe(self) -> str:
        """Name the actor for a person: its class, its name, its number."""
        name = f" {safe_text(self.name, repr)}" if self.name is not None else ""
        return f"{type(self.actor).__name__}{name} <{self.id}>"


def _failure(function: Callable[..., object], *args: object) -> BaseException | None:
    """Call a function that uses what the user gave, a key for example; return what it raises."""
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are told
        return error
    return None


def _free_name(cell: Cell) -> None:
    """Take the name of a cell that has ended off the table. The lock is held."""
    try:
        if _names.get(cell.name) is cell:
            del _names[cell.name]
    except Exception:  # noqa: BLE001 - its hash is not what it was: find it by its holder
        others = [(name, holder) for name, holder in _names.items() if holder is not cell]
        _names.clear()
        _names.update(others)


def add_tracer(cell: Cell, tell: Callable[[Message], None]) -> None:
    """Have `tell` called with each message before it runs."""
    with _life:
        cell.tracers = (*cell.tracers, tell)
    cell.attention = True


def remove_tracer(cell: Cell, tell: Callable[[Message], None]) -> None:
    """Undo `add_tracer`."""
    with _life:
        cell.tracers = tuple(other for other in cell.tracers if other != tell)


def _kill(actor: Actor, _: None) -> None:
    actor._cell.die(KILLED)


def _asked(actor: Actor, argument: Any) -> None:
    """The place of a handler that is known no more, in a message that is rejected."""


def _ordered_end(actor: Actor, reason: Any) -> None:
    end(actor._cell, reason)


def _exit_signal(actor: Actor, signal: Exit) -> None:
    cell = actor._cell
    effect = _effect_on(cell, signal)
    if effect is OnExit.MESSAGE:
        with _life:
            if cell.doom is not _KILL:
                cell.doom = None
        actor._on_info(signal)
    elif effect is OnExit.END:
        end(cell, signal.reason)


def _effect_on(cell: Cell, signal: Exit) -> OnExit:
    return on_exit(signal.reason, traps=cell.actor.trap_exit, from_parent=cell.is_parent(signal.ref))


def release_once(lock: threading.Lock) -> None:
    """Release a lock that somebody waits for, unless another has done so just now."""
    with contextlib.suppress(RuntimeError):
        lock.release()


def end(cell: Cell, reason: Any) -> None:
    """Let the cell end after the message that runs now."""
    if cell.ending is None:
        cell.ending = (reason,)
    cell.attention = True


def live_cells() -> list[Cell]:
    """Return the cells that are alive, oldest first."""
    with _life:
        return list(_live.values())


def register_name(name: object, cell: Cell) -> Cell | None:
    """Give `cell` the name, or return the live cell that has it."""
    with _life:
        holder = _names.get(name)
        if holder is not None and not holder.dead:
            return holder
        _names[name] = cell
        cell.name = name
        waiting = _name_waiters.pop(name, ())
    for waiter, message in waiting:
        waiter.put(message)
    return None


def await_name(name: object, waiter: Cell, message: Message) -> None:
    """Put `message` into `waiter` when a live cell has the name, which may be now."""
    with _life:
        holder = _names.get(name)
        if holder is None or holder.dead:
            waiting = [entry for entry in _name_waiters.get(name, ()) if not entry[0].dead]
            _name_waiters[name] = [*waiting, (waiter, message)]
            return
    waiter.put(message)


def stop_awaiting_name(name: object, waiter: Cell, message: Message) -> None:
    """Undo `await_name`."""
    with _life:
        waiting = _name_waiters.get(name, [])
        if (waiter, message) in waiting:
            waiting.remove((waiter, message))
        if not waiting:
            _name_waiters.pop(name, None)


def find_name(name: object) -> Cell | None:
    """Return the live cell of that name."""
    cell = _names.get(name)
    return None if cell is None or cell.dead else cell


def after_fork_in_child(current: Cell | None, forked: Callable[..., None]) -> None:
    """Make every use of an actor an error, and the rest usable: another thread may have held the lock."""
    global _life  # noqa: PLW0603
    _life = threading.RLock()
    zombie_cells.clear()
    for name in ("__init__", "put", "put_control", "end_here", "monitor", "link", "unlink", "join"):
        for kind in (Cell, *Cell.__subclasses__()):
            setattr(kind, name, forked)
    if current is not None:
        # The actor that forked goes on with its message in both processes, with the next in the parent only.
        current.dead = current.attention = True


__all__ += [
    "add_tracer",
    "after_fork_in_child",
    "await_name",
    "end",
    "find_name",
    "handled_while_suspended",
    "register_name",
    "release_once",
    "remove_tracer",
    "stop_awaiting_name",
    "zombie_cells",
]
