"""The task supervisor: any number of tasks, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, ClassVar, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

import attrs

from slither_actors.actors._child_spec import ChildSpec
from slither_actors.actors._cores import cores
from slither_actors.actors._dynamic import DynamicSupervisor, DynamicSupervisorRef
from slither_actors.actors._ref import Ref
from slither_actors.actors._task import Task, launch
from slither_actors.actors._task_actor import TaskActor
from slither_actors.actors._task_outcome import TaskOutcome
from slither_actors.actors._task_stream import TaskStream
from slither_actors.config import a_function, build, flag, integer, one_of, shown, wait_seconds_or_none
from slither_actors.core import Ordering, TaskWindow
from slither_actors.errors import OptionError

__all__ = ["StreamOptions", "TaskSupervisor", "TaskSupervisorRef"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class StreamOptions(TypedDict, total=False):
    """The options of `TaskSupervisorRef.async_stream` and `TaskSupervisorRef.async_stream_nolink`."""

    max_concurrency: int | None
    """The most tasks at one time, the number of cores by default.

    A result that waits for an earlier one counts as well.
    """

    ordered: bool
    """Whether outcomes are in the order of the input, which is the default, or come as they are there."""

    timeout: float | None
    """Seconds that each task may take, 5 by default; None is no limit."""

    on_timeout: Literal["exit", "kill_task"]
    """What a late task means.

    ``"exit"``, the default, raises `CallTimeoutError` at the reader, ``"kill_task"`` yields a `TaskExit` with
    the reason ``"timeout"`` for it.
    """


@attrs.frozen(kw_only=True)
class _StreamSchema:
    """`StreamOptions`, checked."""

    max_concurrency: int | None = attrs.field(default=None, validator=integer(1, none=True))
    ordered: bool = attrs.field(default=True, validator=flag)
    timeout: float | None = attrs.field(default=5.0, validator=wait_seconds_or_none)
    on_timeout: Literal["exit", "kill_task"] = attrs.field(
        default="exit", validator=one_of("exit", "kill_task")
    )

    def window(self) -> TaskWindow[TaskOutcome[Any]]:
        """Return the window of a run."""
        ordering = Ordering.PRESERVE if self.ordered else Ordering.AS_COMPLETED
        limit = cores() if self.max_concurrency is None else self.max_concurrency
        return TaskWindow(limit, ordering, self.timeout)


class TaskSupervisorRef(DynamicSupervisorRef):
    """The reference to a `TaskSupervisor`.

    Where a method takes a function and its arguments, it takes a
    `Task.child_spec` as well, which says how the task is to be stopped.

    All that start a task raise `ChildError` if there are `max_children` of them,
    and `ActorExitError` if the supervisor has ended. Elixir: Task.Supervisor.
    """

    def start_child(  # type: ignore[override]
        self, function: Callable[..., object] | ChildSpec, *args: Any, **kwargs: Any
    ) -> Ref:
        """Run ``function(*args, **kwargs)`` in a task that nobody waits for, and return its ref.

        A spec may ask for restarts as well.
        """
        return self._launch(_spec(function, args, kwargs))

    @overload
    def async_(self, function: ChildSpec) -> Task[Any]: ...
    @overload
    def async_(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Task[R]: ...
    def async_(self, function: Callable[..., Any] | ChildSpec, *args: Any, **kwargs: Any) -> Task[Any]:
        """Run ``function(*args, **kwargs)`` in a task that is linked to the calling actor as well.

        If the function raises, the caller dies of it unless it traps exits; if
        the caller dies of anything but ``"normal"``, so does the task.
        """
        return self._async(_spec(function, args, kwargs), linked=True)

    @overload
    def async_nolink(self, function: ChildSpec) -> Task[Any]: ...
    @overload
    def async_nolink(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Task[R]: ...
    def async_nolink(self, function: Callable[..., Any] | ChildSpec, *args: Any, **kwargs: Any) -> Task[Any]:
        """Run ``function(*args, **kwargs)`` in a task whose failure is nobody's but its own."""
        return self._async(_spec(function, args, kwargs), linked=False)

    def async_stream(
        self, function: Callable[[T], R], iterable: Iterable[T], **options: Unpack[StreamOptions]
    ) -> Generator[TaskOutcome[R], None, None]:
        """Run ``function(item)`` in a task for each item, and yield a `TaskResult` or `TaskExit` for each.

        The tasks are linked to the caller as those of `async_`. The input is
        read when the reader asks for more, at most `max_concurrency` items
        ahead of it. If the reader stops early, or the input raises, the tasks
        that run are killed; it is not waited for functions that run on.

        Args:
            function: what each task runs.
            iterable: the items, any number of them.
            **options: see `StreamOptions`.

        Raises:
            OptionError: an option is not allowed; raised by the call.
        """
        return self._stream(function, iterable, build(_StreamSchema, options, where="async_stream"), True)

    def async_stream_nolink(
        self, function: Callable[[T], R], iterable: Iterable[T], **options: Unpack[StreamOptions]
    ) -> Generator[TaskOutcome[R], None, None]:
        """As `async_stream`, with tasks whose failures are their own."""
        schema = build(_StreamSchema, options, where="async_stream_nolink")
        return self._stream(function, iterable, schema, False)

    def children(self) -> list[Ref]:
        """Return the tasks that run, the newest first."""
        return [info.ref for info in self.which_children() if info.ref is not None]

    # -- inside ------------------------------------------------------------------------

    def _launch(self, spec: ChildSpec) -> Ref:
        ref: Ref = self.call(("start_child", spec, ()), None)
        return ref

    def _async(self, spec: ChildSpec, *, linked: bool, notifies: bool = True) -> Task[Any]:
        cls, args, kwargs = spec.start
        if cls is not TaskActor:
            raise OptionError("function", f"is the spec of a {cls.__name__}; allowed is a Task.child_spec")
        if spec.restart != "temporary":
            raise OptionError("restart", f"is {spec.restart!r}; a task with a result runs once: 'temporary'")
        return launch(
            lambda reply: self._launch(attrs.evolve(spec, start=(cls, args, {**kwargs, "reply": reply}))),
            linked=linked,
            notifies=notifies,
        )

    def _stream(
        self, function: Callable[[T], R], iterable: Iterable[T], options: _StreamSchema, linked: bool
    ) -> Generator[TaskOutcome[R], None, None]:
        where = str(self)
        a_function.check("function", function, where)
        if not isinstance(iterable, Iterable):
            raise OptionError("iterable", f"is {shown(iterable)}; allowed are items to iterate", where=where)

        def start(item: T) -> Task[Any]:
            return self._async(_spec(function, (item,), {}), linked=linked, notifies=False)

        return TaskStream(start, options.window(), options.on_timeout).outcomes(iterable)


class TaskSupervisor(DynamicSupervisor):
    """A dynamic supervisor of tasks, which it does not restart unless their spec says so.

    Source: https://hexdocs.pm/elixir/Task.Supervisor.html
    """

    ref_class: ClassVar[type[TaskSupervisorRef]] = TaskSupervisorRef


def _spec(
    function: Callable[..., object] | ChildSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ChildSpec:
    if not isinstance(function, ChildSpec):
        a_function.check("function", function, "a task")
        return ChildSpec(id=None, start=(TaskActor, (function, args, kwargs), {}), restart="temporary")
    if args or kwargs:
        raise OptionError("function", "is a child spec, which has its arguments; give no more of them")
    return function
