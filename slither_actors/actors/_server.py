"""The server: OTP's ``gen_server`` as a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pykka._envelope import Envelope

from slither_actors.actors import _runtime
from slither_actors.actors._actor import without_state
from slither_actors.actors._cell import end, zombie_cells
from slither_actors.actors._child_spec import SHUTDOWN_SECONDS, ChildSpec, Restart, checked_name
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._keywords import takes, unknown_keyword
from slither_actors.actors._linked_actor import LinkedActor
from slither_actors.actors._reasons import NORMAL
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Failure, Request, raise_anew
from slither_actors.actors._start import start
from slither_actors.config import placed
from slither_actors.errors import OptionError
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.core import Backoff

__all__ = ["Server"]

logger = GuardedLog("slither_actors.actors")

S = TypeVar("S", bound="Server")

_BY_KIND = object()

_OPTIONS = ("async_kill", "backoff", "exclusive", "id", "name", "restart", "shutdown", "significant")
"""Those of `Server.child_spec`."""


class Server(LinkedActor):
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
            OptionError: the name has no hash.
            NameTakenError: a live actor has the name.
            NotRegisteredError: the registry of the name does not run.
            NotRunningError: the program is at its end.
            ForkedRuntimeError: this is a child made by ``os.fork``.

        OTP: gen_server, ``start/3``.
        """
        return start(cls, args, kwargs, name=name, linked=False)

    @classmethod
    def start_link(cls, *args: Any, name: object = None, **kwargs: Any) -> Ref:
        """As `start`, and link the server to the calling actor, its parent; a plain thread has no link.

        There is no moment in which one of the two could end and the other not be told.
        Raises as `start` does; a start that fails sends the parent no exit signal besides.
        OTP: gen_server, ``start_link/3``.
        """
        return start(cls, args, kwargs, name=name, linked=True)

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
            OptionError: an option has a value that is not allowed, or a keyword is neither an option nor a
                parameter of `init`.

        OTP: supervisor, ``child_spec()``.
        """
        if kwargs and not takes(_init_of(cls), kwargs):
            raise _unknown(cls, kwargs, "child spec of ", _OPTIONS)
        supervises = cls.child_type == "supervisor"
        if shutdown is _BY_KIND:
            shutdown = None if supervises else SHUTDOWN_SECONDS
        if name is not None:
            kwargs["name"] = checked_name(name, f"child spec of {cls.__name__}")
        return ChildSpec(
            id=cls.__name__ if id is None else id,
            start=(cls, args, kwargs),
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
            raise_anew(reply.error)
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
        kind = type(self)
        if kwargs and not takes(_init_of(kind), kwargs):
            raise _unknown(kind, kwargs)
        try:
            self.init(*args, **kwargs)
        except OptionError as error:
            if error.where:
                raise
            raise placed(error, self._cell.describe()) from error.__cause__


def _no_init() -> None:
    """What `Server.init` takes, which has to say that it takes everything for those that redefine it."""


def _init_of(cls: type[Server]) -> Callable[..., object]:
    return _no_init if cls.init is Server.init else cls.init


def _unknown(
    cls: type[Server], given: dict[str, Any], owner: str = "", options: tuple[str, ...] = ()
) -> OptionError:
    title = f"{cls.__name__}.init"
    where = f"{owner}{cls.__name__}"
    return unknown_keyword(_init_of(cls), given, title=title, where=where, options=options)


@calls_out
def _on_continue(server: Server, value: Any) -> None:
    server.handle_continue(value)
