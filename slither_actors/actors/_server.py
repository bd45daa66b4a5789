"""The server: OTP's ``gen_server`` as a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pykka._envelope import Envelope

from slither_actors.actors import _runtime
from slither_actors.actors._actor import Actor, bind, without_state
from slither_actors.actors._cell import Cell, Monitor, end, zombie_cells
from slither_actors.actors._child_spec import ChildSpec, Restart
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._names import take_name
from slither_actors.actors._reasons import NORMAL, Crash, without_frames
from slither_actors.actors._ref import Ref, _on_info
from slither_actors.actors._request import Failure, Request
from slither_actors.errors import ActorError, ActorExitError, NotRunningError, StartError
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._timers import Timer
    from slither_actors.core import Backoff

__all__ = ["Ignore", "Server"]

logger = GuardedLog("slither_actors.actors")

S = TypeVar("S", bound="Server")

_BY_KIND = object()


class Ignore(Exception):  # noqa: N818 - not an error: OTP's ``:ignore``
    """Raised in `Server.init`: do not start, and that is fine.

    `Server.start` raises it too. A supervisor takes the child as one that does not run. OTP: ``:ignore``.
    """


class Server(Actor):
    """An actor with OTP's contract: calls, casts, other messages, and a reason at the end.

    Every callback runs in the actor, one at a time; an exception that leaves
    one ends the actor with a `Crash` as its reason. State lives on ``self``.
    A subclass defines `init`, not ``__init__``.

    Source: https://www.erlang.org/doc/apps/stdlib/gen_server
    """

    ref_class: ClassVar[type[Ref]] = Ref
    """What `start` returns; a subclass may add methods to the ref of its kind."""

    child_type: ClassVar[Literal["worker", "supervisor"]] = "worker"
    """What `child_spec` says of the class."""

    # -- starting -------------------------------------------------------------

    def __init__(self) -> None:
        """Bind the object to the runtime. `start` calls it; pass arguments to `init` instead."""

    @classmethod
    def start(cls, *args: Any, name: object = None, **kwargs: Any) -> Ref:
        """Start the server and return its ref once `init` has returned.

        Args:
            *args: given to `init`.
            name: registered for `whereis` while the server lives. ``(registry, key)`` registers it in
                a `Registry` instead, given by its ref or, to outlive its restarts, as ``named(name)``.
            **kwargs: given to `init`.

        `init` runs in the calling thread, or in the actor's own if it has one.

        Raises:
            StartError: `init` raised or stopped; the cause is attached.
            Ignore: `init` raised it.
            NameTakenError: a live actor has the name.
            NotRegisteredError: the registry of the name does not run.
            NotRunningError: the program is at its end.
            ForkedRuntimeError: this is a child made by ``os.fork``.

        OTP: gen_server, ``start/3``.
        """
        return _start(cls, args, kwargs, name=name, linked=False)

    @classmethod
    def start_link(cls, *args: Any, name: object = None, **kwargs: Any) -> Ref:
        """As `start`, and link the server to the calling actor, its parent; a plain thread has no link.

        There is no moment in which one of the two could end and the other not be told.
        Raises as `start` does; a start that fails sends the parent no exit signal besides.
        OTP: gen_server, ``start_link/3``.
        """
        return _start(cls, args, kwargs, name=name, linked=True)

    @classmethod
    def child_spec(
        cls,
        *args: Any,
        id: object = None,
        name: object = None,
        restart: Restart = "permanent",
        shutdown: Any = _BY_KIND,
        significant: bool = False,
        backoff: Backoff | None = None,
        exclusive: bool = False,
        async_kill: bool = False,
        **kwargs: Any,
    ) -> ChildSpec:
        """Describe this server as a supervisor's child; the rest goes to `init`.

        The options are the fields of `ChildSpec`; `name` is that of the server.
        `shutdown` is 5 seconds, and without limit for a supervisor: it needs as
        long as its own children.

        Raises:
            OptionError: an option has a value that is not allowed.

        OTP: supervisor, ``child_spec()``.
        """
        supervises = cls.child_type == "supervisor"
        if shutdown is _BY_KIND:
            shutdown = None if supervises else 5.0
        return ChildSpec(
            id=cls.__name__ if id is None else id,
            start=(cls, args, {**kwargs, **({} if name is None else {"name": name})}),
            restart=restart,
            shutdown=shutdown,
            type=cls.child_type,
            significant=significant,
            backoff=backoff,
            exclusive=exclusive,
            async_kill=async_kill,
        )

    # -- callbacks --------------------------------------------------------------

    def init(self, *args: Any, **kwargs: Any) -> None:
        """Set up the state, from the arguments of `start`.

        Runs before anybody has the server's ref. A raise, or `stop`, fails the start; `Ignore` means that
        there is nothing to start. OTP: gen_server, ``init/1``.
        """

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Answer a call: return the reply, a `Failure`, or `NO_REPLY` and use `sender` later.

        Args:
            request: what `Ref.call` was given.
            sender: answers the call: `Request.reply` and `Request.fail`, from any thread.

        A raise is a crash; the caller gets `ActorExitError` with it. OTP: gen_server, ``handle_call/3``.
        """
        msg = f"{type(self).__name__} got a call and has no handle_call: {request!r:.200}"
        raise NotImplementedError(msg)

    def handle_cast(self, message: Any) -> None:
        """Handle a one-way message, sent by `Ref.cast`. OTP: gen_server, ``handle_cast/2``."""
        msg = f"{type(self).__name__} got a cast and has no handle_cast: {message!r:.200}"
        raise NotImplementedError(msg)

    def handle_info(self, message: Any) -> None:
        """Handle any other message: `Down`, `Exit`, `TaskDone`, timers, `Ref.info`. Logs it by default.

        OTP: gen_server, ``handle_info/2``.
        """
        logger.warning("%s got a message that it does not handle: %.200r", self._cell.describe(), message)

    def handle_continue(self, value: Any) -> None:
        """Go on after a callback that called `continue_with` with `value`, before any other message.

        OTP: gen_server, ``handle_continue/2``.
        """

    def terminate(self, reason: Any) -> None:
        """Clean up. Runs last, whatever the reason, unless the actor was killed or its start failed.

        Args:
            reason: see `Ref.exit_reason`. What `terminate` raises takes its place.

        OTP: gen_server, ``terminate/2``, which after an exit signal runs only if exits are trapped.
        """

    # -- for the callbacks --------------------------------------------------------

    @property
    def ref(self) -> Ref:
        """The server's own ref."""
        return self._cell.ref

    @property
    def actor_ref(self) -> Any:
        """As in Pykka: the server's own ref."""
        return self._cell.ref

    def stop(self, reason: Any = NORMAL) -> None:
        """End after the callback that runs now; `terminate` gets the reason.

        A reply that the callback returns is still sent. Only for the callbacks; others use `Ref.stop`.
        OTP: gen_server, ``{stop, Reason, NewState}``.
        """
        end(self._cell, reason)

    def continue_with(self, value: Any = None) -> None:
        """Have `handle_continue` called with `value` before the next message.

        May be called in any callback. OTP: gen_server, ``{continue, Continue}``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.put_control((_on_continue, value))

    def monitor(self, ref: Ref) -> Monitor:
        """Be told by exactly one `Down`, in `handle_info`, when the other actor ends.

        It comes at once, with the reason ``"noproc"``, if the actor is dead. Each call is a monitor of its
        own; `Monitor.cancel` takes it back. OTP: erlang, ``monitor/2``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        return ref._cell.monitor(self._cell)

    def link(self, ref: Ref) -> None:
        """Die with the other actor, and it with this one, unless they trap exits.

        An end with the reason ``"normal"`` does not count. If the other is dead, this one gets an exit
        signal ``"noproc"``. A second link changes nothing. OTP: erlang, ``link/1``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.link(ref._cell)

    def unlink(self, ref: Ref) -> None:
        """Undo `link`, whoever made it; without one it does nothing. OTP: erlang, ``unlink/1``."""
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.unlink(ref._cell)

    def send_after(self, seconds: float, message: Any, *, period: float | None = None) -> Timer:
        """Have `handle_info` called with `message` in `seconds`, and then every `period` seconds.

        Args:
            seconds: 0 or less is as soon as possible, as a message of its own.
            message: any object.
            period: seconds between the messages; None is one message. An actor that is busy gets one for
                all the periods that it missed.

        Returns:
            What cancels it. It ends with the actor.

        Raises:
            OptionError: `seconds` is no finite number, or `period` not more than 0.

        OTP: erlang, ``send_after/3``; timer, ``send_interval/2``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        return _runtime.timers.start(self._cell, seconds, (_on_info, message), period)

    def run_after(
        self, seconds: float, function: Callable[[Any, Any], object], argument: Any = None
    ) -> Timer:
        """Have ``function(self, argument)`` run as a message in `seconds`; otherwise as `send_after`."""
        if zombie_cells:
            _runtime.refuse_zombie()
        return _runtime.timers.start(self._cell, seconds, (function, argument))

    def watch(self, fd: int, function: Callable[[Any, int], object]) -> None:
        """Have ``function(self, fd)`` run as a message whenever `fd` becomes readable or ends.

        It has to read until that would block, and then call `rearm`. The watch ends with the actor; the
        descriptor stays the caller's to close, after `unwatch`.

        Raises:
            OSError: the descriptor cannot be waited for; a regular file, say.
        """
        self._watch(self._cell.scheduler.poller.watch, fd, function)

    def watch_write(self, fd: int, function: Callable[[Any, int], object]) -> None:
        """Have ``function(self, fd)`` run once, when `fd` becomes writable."""
        self._watch(self._cell.scheduler.poller.watch_write, fd, function)

    def _watch(self, watch: Callable[..., None], fd: int, function: Callable[[Any, int], object]) -> None:
        if zombie_cells:
            _runtime.refuse_zombie()
        cell = self._cell
        watch(fd, cell, function)
        if cell.watches is None:
            cell.watches = set()
        cell.watches.add(fd)
        cell.scheduler.watch_changed()

    def rearm(self, fd: int) -> None:
        """Listen to `fd` again after it was read until that would block."""
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.scheduler.poller.rearm(fd)

    def unwatch(self, fd: int) -> None:
        """Stop listening; call it before the descriptor is closed."""
        if self._cell.watches is not None:
            self._cell.watches.discard(fd)
        self._cell.scheduler.poller.unwatch(fd, self._cell)

    # -- what the cell asks -------------------------------------------------------

    @calls_out
    def _on_info(self, message: Any) -> None:
        self.handle_info(message)

    @calls_out
    def _on_envelope(self, envelope: Envelope[Any]) -> None:
        """A message through Pykka's interface: an ask is a call, a tell is an info."""
        if envelope.reply_to is None:
            self.handle_info(envelope.message)
            return
        try:
            envelope.reply_to.set(self._handle_receive(envelope.message))
        except Exception as error:
            if self._cell.obeys(error):
                raise
            envelope.reply_to.set_exception()  # Pykka's contract for asks and proxies: the caller's

    @calls_out
    def on_receive(self, message: Any) -> Any:
        """Answer a Pykka ask with `handle_call`."""
        request = Request(message, self._cell)
        reply = self.handle_call(message, request)
        if isinstance(reply, Failure):
            raise reply.error
        return request.result() if request.answered else reply

    def __str__(self) -> str:
        return self._cell.describe()

    def _remains(self) -> Server:
        remains: Server | None = without_state(self, Server)
        if remains is None:
            return self
        remains._cell = self._cell
        return remains

    def _ends_silently(self) -> bool:
        kind = type(self)
        return (
            kind.terminate is Server.terminate
            and kind._on_end is Server._on_end
            and kind._on_dead is Server._on_dead
            and not self.own_thread
            and "terminate" not in vars(self)
        )

    @calls_out
    def _on_end(self, reason: Any) -> None:
        self.terminate(reason)

    def _on_dead(self) -> None:
        """Nothing to do: the cell rejects what is left in the mailbox."""

    @calls_out
    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run before anybody knows the server; stages and supervisors extend it."""
        self.init(*args, **kwargs)


@calls_out
def _on_continue(server: Server, value: Any) -> None:
    server.handle_continue(value)


@calls_out
def _start(
    cls: type[Server], args: tuple[Any, ...], kwargs: dict[str, Any], *, name: object, linked: bool
) -> Ref:
    server = cls.__new__(cls)
    try:
        cell = bind(server, linked=linked)
    except RecursionError as error:  # a supervisor takes it for what it is: a start that failed
        raise StartError(cls.__name__, Crash.of(error)) from error
    cell.ref = cls.ref_class(cell)
    cell.acquire(False)
    server.__init__()  # type: ignore[misc]
    if name is not None:
        take_name(name, cell)
    cell.admit()
    if cell.parent is not None:
        cell.link(cell.parent)
    failed = _begin_there(cell, args, kwargs) if cls.own_thread else _begin_here(cell, args, kwargs)
    if failed is None:
        return cell.ref
    try:
        raise failed from failed.__cause__
    finally:
        # In a cycle with its own frames it would keep those of the caller until the collector runs.
        del failed


def _begin_here(cell: Cell, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseException | None:
    """Run `init` in the starter's thread, which has to wait for it anyway."""
    error: BaseException | None = None
    with _runtime.inline(cell, Request(None, cell)):
        try:
            cell.actor._begin(args, kwargs)  # type: ignore[attr-defined]
        except BaseException as raised:  # noqa: BLE001 - the start failed, whatever it is
            error = raised
        failed = _start_failed(cell, error)
    # What `init` continues with, or a signal that came meanwhile, runs in the scheduler: the start is over.
    cell.release()
    return _runtime.interrupt(error) or failed


def _start_failed(cell: Cell, error: BaseException | None) -> BaseException | None:
    """End a cell whose `init` raised or stopped, and return what the starter has to raise."""
    if error is None and cell.ending is None:
        return None
    if isinstance(error, Ignore):
        reason: Any = NORMAL
    elif cell.doom is not None and cell.obeys(error):
        reason = cell.doom[0]
    elif error is not None:
        reason = error.reason if isinstance(error, StartError) else Crash.of(error)
    else:
        reason = cell.ending[0] if cell.ending else NORMAL
    if error is not None:
        without_frames(error)
    if cell.parent is not None:
        # The starter gets the error; it must not get an exit signal on top of it.
        cell.unlink(cell.parent)
    cell.die(reason)
    if isinstance(error, Ignore):
        return error
    failed = StartError(cell.describe(), reason)
    failed.__cause__ = error
    return failed


def _begin_there(cell: Cell, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseException | None:
    """Run `init` in the actor's own thread and wait for it."""
    failed: BaseException | None
    request = Request((args, kwargs), cell)
    request.expect()
    caller = None
    try:
        caller = _runtime.wait_for(request)
        _runtime.hand_over(request)
    except ActorError as error:  # the starter must not wait: it is to end itself, say
        if caller is not None:
            caller.waiting_on = None
        failed = _start_failed(cell, error)
        cell.release()
        return failed
    try:
        cell.put((_begin, request))
        cell.release()
        request.wait(None)
        failed = request.take()
    except NotRunningError as error:  # no thread could be started
        return _start_failed(cell, error)
    except ActorExitError as error:  # it was killed before or while it ran `init`
        return StartError(cell.describe(), error.reason)
    finally:
        if caller is not None:
            caller.waiting_on = None
    return failed


def _begin(server: Server, request: Request) -> None:
    args, kwargs = request.message
    server._cell.answering = request
    error: BaseException | None = None
    try:
        server._begin(args, kwargs)
    except BaseException as raised:  # noqa: BLE001 - the start failed, whatever it is
        error = raised
    server._cell.answering = None
    request.reply(_start_failed(server._cell, error))
