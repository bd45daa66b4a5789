"""The handle to an actor that may be passed around: the only thing others hold of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import pykka

from slither_actors.actors import _inspection, _runtime
from slither_actors.actors._call import ask, call_inline
from slither_actors.actors._cell import Cell, zombie_cells
from slither_actors.actors._handlers import _on_call, _on_cast, _on_info, _on_run, _on_stop
from slither_actors.actors._inbox import Inbox
from slither_actors.actors._inspection import ActorStatistics
from slither_actors.actors._reasons import NORMAL, SHUTDOWN
from slither_actors.actors._request import Request
from slither_actors.config import a_function, flag, wait_seconds_or_none
from slither_actors.errors import CallTimeoutError

__all__ = ["Ref"]

_SECONDS = 5.0
"""How long a call waits as a rule."""


class Ref(pykka.ActorRef[Any]):
    """A reference to one incarnation of an actor; a restart makes a new one.

    Usable from any thread. One actor has one `Ref`, so refs compare by identity.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._actor_weakref = weakref.ref(cell.actor)
        self.actor_class = type(cell.actor)

    @property
    def _actor(self) -> Any:
        # Where the proxies of Pykka 4.4 look; later ones take the weak reference.
        return self._cell.actor

    @property
    def id(self) -> int:
        """The number of this incarnation, unique in the process."""
        return self._cell.id

    @property
    def name(self) -> object:
        """The name that the actor was started under, or its key there if that was in a registry, or None."""
        return self._cell.name

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """As in Pykka: a string that is unique to the incarnation."""
        return f"urn:slither-actors:{self._cell.id}"

    @property
    def actor_inbox(self) -> Inbox:  # type: ignore[override]
        """As in Pykka: the mailbox, for messages in envelopes."""
        return Inbox(self._cell)

    @property
    def exit_reason(self) -> Any:
        """Why the actor ended; None while it lives.

        ``"normal"``, ``"shutdown"``, ``("shutdown", term)``, ``"killed"``, a `Crash`, or whatever `stop` or
        `exit` was given.
        """
        return self._cell.reason

    def __repr__(self) -> str:
        return f"<Ref of {self}>"

    def __str__(self) -> str:
        return self._cell.describe()

    def __reduce__(self) -> NoReturn:
        msg = f"{self!r} cannot be pickled: actors live in one process, workers know nothing of them"
        raise TypeError(msg)

    # -- messages ------------------------------------------------------------

    def send(self, function: Callable[[Any, Any], object], argument: Any = None) -> None:
        """Run ``function(actor, argument)`` as one message of the actor. Never blocks or fails."""
        if zombie_cells and _runtime.is_fenced():
            return
        self._cell.put((function, argument))

    def cast(self, message: Any) -> None:
        """Send a message to ``handle_cast``. Never blocks; to a dead actor it does nothing.

        A bounded mailbox that is full raises `MailboxFullError`, drops or blocks, as its class says.
        OTP: gen_server, ``cast/2``.
        """
        if zombie_cells and _runtime.is_fenced():
            return
        self._cell.put((_on_cast, message))

    def info(self, message: Any) -> None:
        """Send a message to ``handle_info``. Never blocks; to a dead actor it does nothing.

        A bounded mailbox that is full raises `MailboxFullError`, drops or blocks, as its class says.
        OTP: erlang, ``send/2``.
        """
        if zombie_cells and _runtime.is_fenced():
            return
        self._cell.put((_on_info, message))

    def call(self, message: Any, timeout: float | None = _SECONDS) -> Any:
        """Ask the server and return its reply.

        Args:
            message: what ``handle_call`` gets.
            timeout: seconds to wait; None waits as long as the server lives.

        Raises:
            OptionError: `timeout` is no number of at least 0.
            CallTimeoutError: no reply in time. A late one is dropped.
            ActorExitError: the server was dead or died before it replied.
            CallCycleError: the server waits, directly or not, for the caller.
            ExitPendingError: the caller is an actor that is to end itself.
            MailboxFullError: the server has a bounded mailbox and dropped or refused the call.
            AbandonedError: the caller is an actor that was abandoned.
            Exception: the error of a `Failure` that the server returned.

        OTP: gen_server, ``call/3``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        # What is usual is told first, as this is done a million times a second.
        if not (timeout is _SECONDS or timeout is None or (timeout.__class__ is float and timeout >= 0.0)):
            wait_seconds_or_none.check("timeout", timeout, self)
        cell = self._cell
        if cell.actor.inline_calls and cell.acquire(False):
            if not cell.inbox and not cell.attention:
                return call_inline(self, cell, message, timeout)
            cell.release()
        return ask(self, _on_call, message, timeout)

    def run(
        self, function: Callable[[Any, Any], Any], argument: Any = None, timeout: float | None = 5.0
    ) -> Any:
        """Have the actor run ``function(actor, argument)`` as one message, and return its result.

        For the library's own requests to stages and supervisors; raises as `call` does.
        """
        wait_seconds_or_none.check("timeout", timeout, self)
        return ask(self, _on_run, (function, argument), timeout)

    # -- life ----------------------------------------------------------------

    def is_alive(self) -> bool:
        """Whether the actor has not ended."""
        return not self._cell.dead

    def exit(self, reason: Any = SHUTDOWN) -> None:
        """Send an exit signal: the actor ends, or gets an `Exit` message if it traps exits.

        Ahead of what waits in its mailbox, unless it traps exits; takes effect between two messages. The
        reason ``"normal"`` ends nobody. Does not wait: see `join`.

        Raises:
            AbandonedError: the caller is an actor that was abandoned.

        OTP: erlang, ``exit/2``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        current = _runtime.current_cell()
        self._cell.signal_ahead(None if current is None else current.ref, reason)

    def kill(self) -> None:
        """End the actor at its next message boundary; it cannot refuse and runs no callback.

        The reason is ``"killed"``. Does not wait: see `join`.

        Raises:
            AbandonedError: the caller is an actor that was abandoned.

        OTP: erlang, ``exit(Pid, kill)``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.kill()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the actor has ended; False if it has not within `timeout` seconds.

        Raises:
            OptionError: `timeout` is no number of at least 0.
            ExitPendingError: the caller is an actor that is to end itself.
        """
        if timeout is not None:
            wait_seconds_or_none.check("timeout", timeout, self)
        return _runtime.join(self._cell, timeout)

    def stop(self, reason: Any = NORMAL, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor after the messages that are in its mailbox now.

        Returns:
            True once it has ended, False if it was dead already. With
            ``block=False`` nothing is waited for and None is returned.

        Raises:
            OptionError: `timeout` is no number of at least 0, or `block` no bool.
            CallTimeoutError: it still lived after `timeout` seconds.
            CallCycleError: it waits, directly or not, for the caller.
            ExitPendingError: the caller is an actor that is to end itself.
            AbandonedError: the caller is an actor that was abandoned.

        OTP: gen_server, ``stop/3``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        if timeout is not None:
            wait_seconds_or_none.check("timeout", timeout, self)
        if block is not True:
            flag.check("block", block, self)
        cell = self._cell
        if cell.dead:
            return False
        if not block:
            cell.put_system((_on_stop, reason))
            return None
        if cell.end_here(reason):
            return True
        caller = _runtime.wait_for(Request(None, cell))
        try:
            cell.put_system((_on_stop, reason))
            if not self.join(timeout):
                raise CallTimeoutError(str(self), timeout or 0.0)
        finally:
            if caller is not None:
                caller.waiting_on = None
        return True

    # -- looking inside --------------------------------------------------------

    def get_state(self, timeout: float | None = 5.0) -> dict[str, Any]:
        """Return the actor's public attributes by name, as they are after the messages sent before.

        The dict is a copy, its values are the actor's own: look, and leave them as they are. Raises as
        `call` does. OTP: sys, ``get_state/2``.
        """
        state: dict[str, Any] = _inspection.ask(self, _inspection.state, timeout=timeout)
        return state

    def replace_state(
        self, function: Callable[[dict[str, Any]], Mapping[str, Any]], timeout: float | None = 5.0
    ) -> dict[str, Any]:
        """Have the actor replace its public attributes by what `function` makes of them; return these.

        `function` runs in the actor. If it raises, or an attribute cannot be set or deleted, all of the
        state stays and the exception is the caller's.
        OTP: sys, ``replace_state/3``.
        """
        a_function.check("function", function, self)
        state: dict[str, Any] = _inspection.ask(self, _inspection.replace_state, function, timeout=timeout)
        return state

    def suspend(self, timeout: float | None = 5.0) -> None:
        """Have the actor handle no more messages until `resume`; they wait in its mailbox.

        It still answers `get_state` and `replace_state`, and still ends by `stop`, `kill`, exit signals
        that it does not trap and those of its parent. Returns once the messages sent before are handled.
        Raises as `call` does. OTP: sys, ``suspend/2``.
        """
        _inspection.ask(self, _inspection.suspend, timeout=timeout)

    def resume(self, timeout: float | None = 5.0) -> None:
        """Have the actor go on after `suspend`. Raises as `call` does. OTP: sys, ``resume/2``."""
        _inspection.ask(self, _inspection.resume, timeout=timeout)

    def statistics(self) -> ActorStatistics:
        """Return what the actor holds now. It is not asked: one that is stuck or dead has numbers too.

        OTP: erlang, ``process_info/1``.
        """
        return _inspection.statistics_of(self._cell)

    def tell(self, message: Any) -> None:
        """Send a message to ``handle_info``; to a dead actor, unlike `info`, an error.

        Raises:
            pykka.ActorDeadError: the actor is dead.
        """
        if self._cell.dead:
            msg = f"{self} not found"
            raise pykka.ActorDeadError(msg)
        if zombie_cells and _runtime.is_fenced():
            return
        self._cell.put((_on_info, message))
