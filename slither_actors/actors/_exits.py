"""The exits of an actor: links, exit signals, and the waits that end because it is to end.

An exit that is on its way dooms the actor: the wait that it is in raises
`ExitPendingError`, and so does each that it would begin. One that traps exits
is never doomed, but by a kill.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _life
from slither_actors.actors._departures import Departures
from slither_actors.actors._mailbox import Mailbox, handled_while_suspended
from slither_actors.actors._reasons import KILLED, NOPROC, Exit, cause_of
from slither_actors.core import OnExit, on_exit
from slither_actors.errors import ExitPendingError, class_name, safe_text

if TYPE_CHECKING:
    from slither_actors.actors._actor import Actor
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._ref import Ref
    from slither_actors.actors._request import Request

__all__ = ["Exits", "end", "release_once"]

BY_KILL = (KILLED,)
BY_END = (None,)


class Exits(Mailbox):
    """The part of a `Cell` that takes exit signals. Usable from any thread, but for `suspend`."""

    __slots__ = (
        "dead",
        "departed",
        "doom",
        "ending",
        "id",
        "links",
        "name",
        "parent",
        "ref",
        "waiting_on",
        "wake",
    )

    id: int
    name: object
    ref: Ref
    parent: Cell | None
    """Who started the actor and was linked to it then."""

    dead: bool
    ending: tuple[Any] | None
    """The reason to end with, once it was decided."""

    links: set[Exits] | None

    departed: Departures | None
    """The exit signals of linked actors that are still to be handled."""

    waiting_on: Request | None
    """What this actor waits for in another one; call cycles are found along it."""

    wake: Callable[[], object] | None
    """Ends a wait of this actor that is no call."""

    doom: tuple[Any, ...] | None
    """The reason of an exit that is on its way and lets no wait go on, and the signal if it is a linked
    actor's; `BY_END` while the last callback runs, which only a kill disturbs."""

    def link(self, other: Exits) -> None:
        """Make each die with the other. A dead `other` is an exit signal ``"noproc"``."""
        with _life.lock:
            if not other.dead and not self.dead:
                for one, two in ((self, other), (other, self)):
                    if one.links is None:
                        one.links = set()
                    one.links.add(two)
                return
            if not other.dead or (self.departed is not None and other in self.departed):
                return
            signal = self.departs(other, NOPROC)
        self.signal_departed(signal)

    def unlink(self, other: Exits) -> None:
        """Undo `link`, and take back the exit signal of one of them that the other has not handled yet."""
        with _life.lock:
            for one, two in ((self, other), (other, self)):
                if one.links is not None:
                    one.links.discard(two)
            undoomed = [one for one, two in ((self, other), (other, self)) if one._take_back(two)]
        for one in undoomed:
            one._doom_again()

    def departs(self, other: Exits, reason: Any) -> Exit:
        """Note and return the exit signal of a linked actor. The lock is held."""
        if self.links is not None:
            self.links.discard(other)
        if self.departed is None:
            self.departed = Departures()
        return self.departed.add(other, reason)

    def take_departed(self, signal: Exit) -> bool:
        """Whether the exit signal of a linked actor is still wanted, asked in the actor; only once."""
        with _life.lock:
            wanted = self.departed is not None and self.departed.take(signal)
            self.departed = self.departed or None
        return wanted

    def _take_back(self, other: Exits) -> bool:
        """Drop the exit signal of `other`; True if waits were to end for it. The lock is held."""
        if self.departed is None:
            return False
        self.departed.take_back(other)
        if other in self.departed:
            return False
        self.departed = self.departed or None
        if self.doom is None or not (self.doom[1:] and self.doom[1].ref is other.ref):
            return False
        self.doom = None
        return True

    def _doom_again(self) -> None:
        """Find the next exit that is on its way, now that one was taken back."""
        for function, argument in (*self.control, *self.inbox.copy()):
            if function is _ordered_end and not self.actor.trap_exit:
                self._end_waits((argument,))
            elif function is _exit_signal or function is _link_exit:
                self._doom_by(function, argument)

    def signal(self, source: Ref | None, reason: Any) -> None:
        """Send an exit signal, in order with the other messages."""
        self._signal(_exit_signal, Exit(source, reason))

    def signal_departed(self, signal: Exit) -> None:
        """Send the exit signal of a linked actor that `departs`."""
        self._signal(_link_exit, signal)

    def _signal(self, function: Callable[[Actor, Exit], None], signal: Exit) -> None:
        if self.is_parent(signal.ref):
            self.put_system((function, signal))
        else:
            self.put((function, signal))
        self._doom_by(function, signal)

    def signal_ahead(self, source: Ref | None, reason: Any) -> None:
        """Send an exit signal ahead of the mailbox, unless the actor traps exits."""
        if self.actor.trap_exit:
            self.signal(source, reason)
        else:
            signal = Exit(source, reason)
            self.put_control((_exit_signal, signal))
            self._doom_by(_exit_signal, signal)

    def order_end(self, reason: Any) -> None:
        """Have the actor end as if it had stopped itself, ahead of the mailbox, trapping or not."""
        self.put_control((_ordered_end, reason))
        if not self.actor.trap_exit:
            self._end_waits((reason,))

    def kill(self) -> None:
        """End the actor at its next message boundary; no callback runs any more."""
        self.put_control((_kill, None))
        self._end_waits(BY_KILL)

    def _doom_by(self, function: Callable[[Actor, Exit], None], signal: Exit) -> None:
        # One that traps exits finishes what it does before it looks at any, as in OTP.
        if self.actor.trap_exit or _effect_on(self, signal) is not OnExit.END:
            return
        self._end_waits((signal.reason,), of_link=signal if function is _link_exit else None)

    def _end_waits(self, doom: tuple[Any, ...], *, of_link: Exit | None = None) -> None:
        """End the wait that the actor is in, and those that it would begin: it is to end."""
        with _life.lock:
            if self.dead or (self.doom is not None and doom is not BY_KILL):
                return
            if of_link is not None:
                if self.departed is None or not self.departed.wants(of_link):
                    return  # it was taken back, or was handled meanwhile
                doom = (*doom, of_link)
            self.doom = doom
        # Who waits says first for what and then looks at `doom`: one of the two sees the other.
        waiting_on, wake = self.waiting_on, self.wake
        if self.doom is not doom:
            return  # the last callback runs, and those waits are its own
        error = None if waiting_on is None else self.pending_exit()
        if waiting_on is not None and error is not None:
            waiting_on.settle(error)
        if wake is not None:
            wake()

    def pending_exit(self) -> ExitPendingError | None:
        """Return what a wait of the actor has to raise now, if anything."""
        if self.doom is None:
            return None
        with _life.lock:
            doom = self.doom
            if doom is None or doom is BY_END:
                return None
            if doom[1:] and self.departed is not None:
                self.departed.make_final(doom[1])
        return ExitPendingError(self.describe(), doom[0])

    def obeys(self, error: BaseException | None) -> bool:
        """Whether `error` left a callback because a wait was ended for an exit that is on its way."""
        if self.doom is None or self.doom is BY_END:
            return False
        # A cause may be what it causes: the user's code says what is whose.
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            if issubclass(type(error), ExitPendingError) and error.actor == self.describe():  # type: ignore[attr-defined]
                return True
            seen.add(id(error))
            error = cause_of(error)
        return False

    def suspend(self) -> None:
        """Keep the messages in the mailbox until `suspended` is cleared. Called by a message."""
        self.suspended = self.attention = True
        for message in self.inbox.copy():
            if message[0] in handled_while_suspended or (
                message[0] in (_exit_signal, _link_exit) and self.is_parent(message[1].ref)
            ):
                self.control.append(message)

    def is_parent(self, source: Ref | None) -> bool:
        """Whether `source` started this actor and is linked to it."""
        return self.parent is not None and source is self.parent.ref

    def describe(self) -> str:
        """Name the actor for a person: its class, its name, its number."""
        name = f" {safe_text(self.name, repr)}" if self.name is not None else ""
        return f"{class_name(self.actor)}{name} <{self.id}>"


def _kill(actor: Actor, _: None) -> None:
    actor._cell.die(KILLED)


def _ordered_end(actor: Actor, reason: Any) -> None:
    end(actor._cell, reason)


def _exit_signal(actor: Actor, signal: Exit) -> None:
    cell = actor._cell
    effect = _effect_on(cell, signal)
    if effect is OnExit.MESSAGE:
        with _life.lock:
            if cell.doom is not BY_KILL:
                cell.doom = None
        actor._on_info(signal)
    elif effect is OnExit.END:
        end(cell, signal.reason)


def _link_exit(actor: Actor, signal: Exit) -> None:
    """The end of a linked actor, unless the link was undone meanwhile."""
    if actor._cell.take_departed(signal):
        _exit_signal(actor, signal)


def _effect_on(cell: Exits, signal: Exit) -> OnExit:
    return on_exit(signal.reason, traps=cell.actor.trap_exit, from_parent=cell.is_parent(signal.ref))


def release_once(lock: threading.Lock) -> None:
    """Release a lock that somebody waits for, unless another has done so just now."""
    with contextlib.suppress(RuntimeError):
        lock.release()


def end(cell: Exits, reason: Any) -> None:
    """Let the cell end after the message that runs now."""
    if cell.ending is None:
        cell.ending = (reason,)
    cell.attention = True
