"""Callbacks that are coroutines: how a stage starts them, learns of their end, and ends with them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, ClassVar

from slither_actors.actors import NO_REPLY, NORMAL, Failure, Request, Server
from slither_actors.actors._bounded_mailbox import Box
from slither_actors.config import flag, positive_int, shown, wait_seconds_or_none
from slither_actors.stages import _protocol
from slither_actors.stages._job import Job, current_job, without_job
from slither_actors.stages._kinds import ASYNC_CALLBACKS, Kind, check_kinds, kind_of
from slither_actors.stages._unfinished import Unfinished

if TYPE_CHECKING:
    from slither_actors.stages._coroutines import Coroutines
    from slither_actors.stages._lanes import Lane, MessageLane

__all__ = ["AsyncServer", "refuse_coroutine"]


class AsyncServer(Server):
    """A server whose callbacks may be coroutines. Not for users: see `Producer` and `Consumer`.

    They run in the event loop of the stages, in a thread of its own, while the
    stage goes on with its other messages.
    """

    max_concurrency: int = 1
    """The most coroutines for events, or for demand, that run at one time."""

    ordered: bool = True
    """Whether what coroutines return is emitted in the order of their input, not as they end."""

    cancel_timeout: float | None = 5.0
    """Seconds that coroutines have to end in when the stage does and they are cancelled; then they are
    abandoned. A supervisor that waits less long ends this wait. None is no limit of the stage's own."""

    _handlers: ClassVar[tuple[str, ...]] = ()
    """The callback for events or demand."""

    _emits: ClassVar[bool] = True
    """Whether what it yields goes anywhere."""

    _handler_kind: ClassVar[Kind] = Kind.PLAIN
    """What kind of function it is."""

    _awaits: ClassVar[bool] = False
    """Whether it is a coroutine or an async generator."""

    _has_coroutines: ClassVar[bool] = False
    """Whether any callback is."""

    _coroutines: Coroutines | None = None
    _lane: Lane | None = None
    _message_lane: MessageLane | None = None
    _start_context: Context

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_kinds(cls, cls._handlers, emits=cls._emits)
        for name in cls._handlers:
            cls._handler_kind = kind_of(getattr(cls, name))
            cls._awaits = cls._handler_kind in (Kind.COROUTINE, Kind.STREAM)
        cls._has_coroutines = cls._has_coroutines or cls._awaits
        for name in ASYNC_CALLBACKS:
            function = getattr(cls, name)
            if kind_of(function) is Kind.COROUTINE:
                make = _awaited if name in ("init", "terminate") else _queued
                setattr(cls, name, make(name, function))
                cls._has_coroutines = True

    def __init__(self) -> None:
        """Keep the context of whoever starts the stage, in whose thread this runs."""
        super().__init__()
        if self._has_coroutines:
            self._start_context = without_job(copy_context())

    # -- starting ----------------------------------------------------------------------

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._coroutines = None
        if self._has_coroutines:
            from slither_actors.stages import _lanes  # noqa: PLC0415 - asyncio takes its time to import

            self._coroutines = _lanes.Coroutines(self, self._start_context)
            inbox = self._cell.inbox
            self._message_lane = _lanes.MessageLane(
                self._coroutines, inbox if isinstance(inbox, Box) else None
            )
        super()._begin(args, kwargs)

    def _open_lane(self) -> None:
        """Read the options, which `init` may have set."""
        self._check_options()
        if self._awaits and self._coroutines is not None:
            from slither_actors.stages import _lanes  # noqa: PLC0415 - as above

            self._lane = _lanes.Lane(
                self._coroutines,
                self.max_concurrency,
                ordered=self.ordered,
                quota=_lanes.Quota() if self._shares_quota() else None,
            )

    def _shares_quota(self) -> bool:
        """Whether the async generators of the stage draw on the same demand."""
        return self._handler_kind is Kind.STREAM

    def _check_options(self) -> None:
        where = type(self).__name__
        positive_int.check("max_concurrency", self.max_concurrency, where)
        flag.check("ordered", self.ordered, where)
        wait_seconds_or_none.check("cancel_timeout", self.cancel_timeout, where)

    # -- jobs ----------------------------------------------------------------------------

    def _await(self, name: str, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Run a coroutine and wait for it, in the stage."""
        assert self._coroutines is not None
        job = Job(self, name, args, call=call, finish=self._call_over)
        job.force = name == "terminate"
        self._coroutines.run(job)
        self._call_over(job)

    def _queue_message(self, name: str, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Run a coroutine that handles a message, behind those of the messages before."""
        assert self._message_lane is not None
        self._message_lane.start(Job(self, name, args, call=call, finish=self._finish_message))
        return NO_REPLY if name == "handle_call" else None

    def _finish_message(self, job: Job) -> None:
        if job.name == "handle_call" and job.result is not NO_REPLY:
            sender: Request = job.what[1]
            if isinstance(job.result, Failure):
                sender.fail(job.result.error)
            else:
                sender.reply(job.result)
        self._call_over(job)

    def _job_yielded(self, job: Job) -> None:
        if job.lane is not None:
            job.lane.yielded(job)

    def _job_ended(self, job: Job) -> None:
        error, job.error = job.error, None
        if error is not None:
            raise error
        if job.lane is not None:
            job.lane.ended(job)
            self._lane_moved()

    def _take_yielded(self, job: Job) -> None:
        """Emit what an async generator has yielded."""

    def _lane_moved(self) -> None:
        """A coroutine has ended: go on with what waited for that."""

    def _call_over(self, call: Unfinished) -> None:
        """Do what is due at the end of a call: complete or stop if it said so, ask for more."""
        if call.completion is not None:
            self._completed(call.completion[0])
        if call.ending is not None:
            super().stop(call.ending[0])
        source = call.subscription
        if source is None or source.closed:
            return
        if call.ask:
            source.producer_put((_protocol.ask, (source, call.ask)))
        elif call.chunk is not None:
            source.handled(*call.chunk)

    def _completed(self, reason: Any) -> None:
        """A handler has called `complete`, which only an emitter has."""

    def _call_loop(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function in the loop's thread."""
        if self._coroutines is not None:
            self._coroutines.call(function, *args)

    def stop(self, reason: Any = NORMAL) -> None:
        """End after the callback that runs now, a coroutine too; otherwise as `Server.stop`."""
        job = current_job(self) if self._has_coroutines else None
        if job is None:
            super().stop(reason)
        elif job.over:
            self.ref.send(AsyncServer.stop, reason)
        else:
            job.ending = (reason,)

    # -- the end -------------------------------------------------------------------------

    def _has_unfinished(self) -> bool:
        """Whether a call of a handler is not over."""
        return self._coroutines is not None and self._coroutines.running > 0

    def _end_unfinished(self, *, killed: bool) -> None:
        """End the calls that are not over: before `terminate`, if it runs, and once more at the very end."""
        if self._coroutines is not None:
            if killed and self._message_lane is not None:
                self._message_lane.forget()
            self._coroutines.close(self.cancel_timeout, killed=killed)

    def _runs_here(self) -> bool:
        return self._has_coroutines and current_job(self) is not None


def refuse_coroutine(stage: AsyncServer, name: str, returned: Any) -> None:
    """Raise if a plain callback has returned a coroutine, which nobody would run.

    Raises:
        TypeError: it has.
    """
    if hasattr(returned, "__await__") or hasattr(returned, "__anext__"):
        close = getattr(returned, "close", None)
        if close is not None:
            close()  # else Python warns that it was never awaited
        msg = (
            f"{type(stage).__name__}.{name} is no `async def` but returned {shown(returned)}; define it in "
            "the class with `async def`, or return its result"
        )
        raise TypeError(msg)


def _awaited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a callback of a coroutine that the stage waits for."""

    @functools.wraps(function)
    def callback(self: AsyncServer, *args: Any, **kwargs: Any) -> Any:
        if current_job(self) is not None:  # by `await super()...`
            return function(self, *args, **kwargs)
        return self._await(name, functools.partial(function, self, **kwargs), args)

    return callback


def _queued(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a callback of a coroutine that handles a message."""

    @functools.wraps(function)
    def callback(self: AsyncServer, *args: Any) -> Any:
        if current_job(self) is not None:
            return function(self, *args)
        return self._queue_message(name, functools.partial(function, self), args)

    return callback
