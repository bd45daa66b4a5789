"""The handle to an actor that may be passed around: the only thing others hold of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import pykka
from pykka._envelope import Envelope

from slither_actors.actors import _inspection, _runtime
from slither_actors.actors._cell import Cell, end, handled_while_suspended, zombie_cells
from slither_actors.actors._inspection import ActorStatistics
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._reasons import NOPROC, NORMAL, SHUTDOWN, Crash
from slither_actors.actors._request import NO_REPLY, Failure, Request
from slither_actors.errors import ActorExitError, CallTimeoutError, ThreadLimitError

__all__ = ["Ref"]


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

    def call(self, message: Any, timeout: float | None = 5.0) -> Any:
        """Ask the server and return its reply.

        Args:
            message: what ``handle_call`` gets.
            timeout: seconds to wait; None waits as long as the server lives.

        Raises:
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
        cell = self._cell
        if cell.actor.inline_calls and cell.acquire(False):
            if not cell.inbox and not cell.attention:
                return self._call_inline(cell, message, timeout)
            cell.release()
        return self._ask(_on_call, message, timeout)

    def run(
        self, function: Callable[[Any, Any], Any], argument: Any = None, timeout: float | None = 5.0
    ) -> Any:
        """Have the actor run ``function(actor, argument)`` as one message, and return its result.

        For the library's own requests to stages and supervisors; raises as `call` does.
        """
        return self._ask(_on_run, (function, argument), timeout)

    def _ask(
        self,
        handler: Callable[[Any, Request], None],
        message: Any,
        timeout: float | None,
        *,
        system: bool = False,
    ) -> Any:
        """Send a request and wait for its answer; one of the system's is handled while suspended, too."""
        if zombie_cells:
            _runtime.refuse_zombie()
        cell = self._cell
        if cell.dead:
            raise ActorExitError(str(self), NOPROC)
        request = Request(message, cell)
        request.expect()
        caller = _runtime.wait_for(request)
        try:
            (cell.put_system if system else cell.put)((handler, request))
            if cell.dead:
                # An actor that was abandoned is stuck in its handler and rejects nothing any more.
                request.reject(cell.reason)
            return self._wait(request, timeout)
        finally:
            if caller is not None:
                caller.waiting_on = None

    def _wait(self, request: Request, timeout: float | None) -> Any:
        if not request.answered:
            try:
                _runtime.hand_over(request)
            except ThreadLimitError as error:
                request.settle(error)  # the server need not handle it any more
        if not request.wait(timeout):
            raise CallTimeoutError(str(self), timeout or 0.0)
        return request.take()

    @calls_out
    def _call_inline(self, cell: Cell, message: Any, timeout: float | None) -> Any:
        """Run the call here and now: the server is idle and its token is ours."""
        request = cell.answering = Request(message, cell)
        cell.handled += 1
        interrupt, at_once = None, False
        frame = _runtime.inline(cell, request)
        try:
            reply = cell.actor.handle_call(message, request)  # type: ignore[attr-defined]
            if reply is NO_REPLY or isinstance(reply, Failure):
                _answer(request, reply)
            elif request._claim(False):
                # As `reply`, without the way through the request.
                request.answered = at_once = True
            cell.answering = None
        except BaseException as error:  # noqa: BLE001 - a crash of the server, whatever it is
            cell.crash(error, (_on_call, request))
            interrupt = _runtime.interrupt(error) or _struck_at_the_end(cell)
        finally:
            if cell.ending is not None:
                cell.attend()
                interrupt = interrupt or _struck_at_the_end(cell)
            frame.leave()
            cell.release()
        if interrupt is not None:
            raise interrupt
        if at_once:
            return reply
        if request.answered:
            return request.take()
        request.expect()
        caller = _runtime.wait_for(request)
        try:
            return self._wait(request, timeout)
        finally:
            if caller is not None:
                caller.waiting_on = None

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
            ExitPendingError: the caller is an actor that is to end itself.
        """
        return _runtime.join(self._cell, timeout)

    def stop(self, reason: Any = NORMAL, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor after the messages that are in its mailbox now.

        Returns:
            True once it has ended, False if it was dead already. With
            ``block=False`` nothing is waited for and None is returned.

        Raises:
            CallTimeoutError: it still lived after `timeout` seconds.
            CallCycleError: it waits, directly or not, for the caller.
            ExitPendingError: the caller is an actor that is to end itself.
            AbandonedError: the caller is an actor that was abandoned.

        OTP: gen_server, ``stop/3``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
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

        `function` runs in the actor. If it raises, the state stays and the exception is the caller's.
        OTP: sys, ``replace_state/3``.
        """
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


def _struck_at_the_end(cell: Cell) -> KeyboardInterrupt | None:
    """The user's Ctrl-C, if it struck in the `terminate` of an actor that ran in the main thread."""
    return _runtime.interrupt(cell.reason.exception) if isinstance(cell.reason, Crash) else None


class ActorRef(Ref):
    """The reference to an `Actor`: Pykka's own, on our mailbox."""

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """As in Pykka: the actor's UUID as a URN."""
        return self._cell.actor.actor_urn

    def is_alive(self) -> bool:
        """As in Pykka: False from the moment on which the actor begins to stop."""
        stopped: bool = self._cell.actor.actor_stopped.is_set()
        return not stopped

    def tell(self, message: Any) -> None:
        """As in Pykka: send a message; `pykka.ActorDeadError` if the actor is dead."""
        cell = self._cell
        if cell.actor.actor_stopped.now:
            msg = f"{self} not found"
            raise pykka.ActorDeadError(msg)
        if zombie_cells and _runtime.is_fenced():
            return
        # Without an envelope, which would double the time to send: nobody waits for an answer.
        cell.put((_on_info, message))

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """As in Pykka; see `pykka.ActorRef.ask`."""
        cell = self._cell
        if cell.actor.actor_stopped.now:
            return pykka.ActorRef.ask(self, message, block=block, timeout=timeout)
        if zombie_cells:
            _runtime.refuse_zombie()
        future = self.actor_class._create_future()
        future.cell = cell
        cell.put((_on_envelope, Envelope(message, reply_to=future)))
        return future.get(timeout=timeout) if block else future

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:  # type: ignore[override]
        """As in Pykka; see `pykka.ActorRef.stop`."""
        if zombie_cells:
            _runtime.refuse_zombie()
        if block and self._cell.end_here(NORMAL):
            return True
        return pykka.ActorRef.stop(self, block=block, timeout=timeout)

    @property
    def actor_stopped(self) -> Any:  # type: ignore[override]
        """As in Pykka: the event that says that the actor stops."""
        return self._cell.actor.actor_stopped

    def __str__(self) -> str:
        return f"{self.actor_class.__name__} ({self.actor_urn})"

    def __repr__(self) -> str:
        return f"<ActorRef for {self}>"


class Inbox:
    """The mailbox as Pykka's code sees it."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add an envelope to the mailbox."""
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.put((_on_envelope, envelope))

    def get(self) -> Envelope[Any]:
        """Take the first envelope; for a mailbox whose actor does not run."""
        argument = self._cell.inbox.popleft()[1]
        return argument if isinstance(argument, Envelope) else Envelope(argument)

    def empty(self) -> bool:
        """Whether no message waits."""
        return not self._cell.inbox


@calls_out
def _on_call(server: Any, request: Request) -> None:
    if request.answered:
        return
    cell = request.cell
    cell.answering = request
    _answer(request, server.handle_call(request.message, request))
    cell.answering = None


@calls_out
def _on_run(server: Any, request: Request) -> None:
    if request.answered:
        return
    cell = request.cell
    cell.answering = request
    function, argument = request.message
    _answer(request, function(server, argument))
    cell.answering = None


def _answer(request: Request, reply: Any) -> None:
    if reply is NO_REPLY:
        cell = request.cell
        if not request.answered:
            if cell.deferred is None:
                cell.deferred = set()
            cell.deferred.add(request)
            if request.answered:
                cell.deferred.discard(request)
    elif isinstance(reply, Failure):
        request.fail(reply.error)
    else:
        request.reply(reply)


@calls_out
def _on_cast(server: Any, message: Any) -> None:
    server.handle_cast(message)


@calls_out
def _on_info(server: Any, message: Any) -> None:
    server._on_info(message)


def _on_envelope(actor: Any, envelope: Envelope[Any]) -> None:
    if envelope.reply_to is None:
        actor._on_envelope(envelope)
        return
    cell = actor._cell
    cell.answering = envelope
    actor._on_envelope(envelope)
    cell.answering = None


def _on_stop(actor: Any, reason: Any) -> None:
    end(actor._cell, reason)


handled_while_suspended.add(_on_stop)
