"""What a pipe's class body calls to declare its steps: `stage`, `workers` and `router`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from slither_actors.errors import OptionError
from slither_actors.item import Item
from slither_actors.pipe._class_stage import ClassStage
from slither_actors.pipe._declaration import BrokenStage
from slither_actors.pipe._function_stage import FunctionStage
from slither_actors.pipe._pipe_stage import NestablePipe, PipeStage
from slither_actors.pipe._router_stage import RouterStage
from slither_actors.pipe._stage import Stage
from slither_actors.pipe._worker_stage import WorkerStage

__all__ = ["router", "stage", "workers"]


@overload
def stage(function: Callable[..., Any], /, **options: Any) -> FunctionStage: ...
@overload
def stage(function: type[Stage], /, **options: Any) -> ClassStage: ...
@overload
def stage(function: type[NestablePipe], /, **options: Any) -> PipeStage: ...
@overload
def stage(
    function: None = None,
    /,
    *,
    batch: bool = False,
    batch_handler: Callable[..., Any] | None = None,
    on_error: Any = None,
    after: str | Iterable[str] | None = None,
    routes: str | Iterable[str] | None = None,
) -> Callable[[Callable[..., Any]], FunctionStage]: ...
def stage(function: Any = None, /, **options: Any) -> Any:
    """Declare a step that runs in the driver.

    ``@stage`` or ``@stage(on_error="skip")`` over a function of ``(item, ctx)``
    or ``(item)``; ``stage(TheClass, option=…)`` for a `Stage` subclass, or
    ``stage(ThePipe)`` for the stages of another pipe. A function's bare result
    is the new payload; `Ok`, `Skip`, `Fail`, `RouteTo` and `Many` say more.

    A mistake, such as an unknown option, is raised by the pipe's class body,
    which knows the name of the stage.

    Args:
        function: what to run.
        **options: ``on_error``, the stage's own policy; ``after``, the names of the stages and routes whose
            items it takes, by default the stage above; ``routes``, the names that its code may route to, by
            default all outputs. Of functions: ``batch=True`` for one that gets the list of items that
            arrived together, or ``batch_handler``, which gets the list first and may return `PER_ITEM`.
            Of classes: what ``init`` takes.
    """
    if function is None:
        return _Undecorated(lambda decorated: stage(decorated, **options))
    if isinstance(function, type) and issubclass(function, Stage):
        return _declare(lambda: ClassStage(function, **options))
    if isinstance(function, type) and issubclass(function, NestablePipe):
        return _declare(lambda: PipeStage(function, **options))
    return _declare(lambda: FunctionStage(function, **options))


def workers(function: Any, /, **options: Any) -> WorkerStage:
    """Declare a step that runs in worker processes, batch by batch.

    Args:
        function: ``"module:function"``, a callable that workers can import, or an executor. It gets a list
            of payloads and returns as many results.
        **options: what `dispatch.run` takes: ``pool``, ``batch_size``, ``batch_timeout``, ``strategy``,
            ``max_in_flight``, ``ordering``, ``on_error``, ``timeout``, ``affinity``, ``poison_after``,
            ``breaker``, ``dead_letters``; not what is a run's as a whole. And ``after``, as `stage`.

    A mistake is raised by the pipe's class body, as with `stage`.
    """
    declared: WorkerStage = _declare(lambda: WorkerStage(function, **options))
    return declared


def router(
    routes: Mapping[str, Callable[[Item], Any]] | None = None,
    /,
    *,
    on_error: Any = None,
    after: str | Iterable[str] | None = None,
    **named: Callable[[Item], Any],
) -> RouterStage:
    """Declare a step that sends items by named routes by predicates, the first that holds.

    ``router(accept=lambda item: item.payload["score"] >= 0.8)``; a mapping does
    for names that are no identifiers. A route leads to the stage that comes
    ``after`` it, or else to the output of that name. A mistake is raised by the
    pipe's class body, as with `stage`.
    """

    def make() -> RouterStage:
        if routes is not None and not isinstance(routes, Mapping):
            problem = (
                f"is {routes!r:.200}; allowed is a mapping of output to predicate, or names: router(high=...)"
            )
            raise OptionError("routes", problem, where="router")
        return RouterStage({**(routes or {}), **named}, on_error=on_error, after=after)

    declared: RouterStage = _declare(make)
    return declared


class _Undecorated(BrokenStage):
    """What `stage` returns that got options only: a decorator, and a mistake where no function follows."""

    def __init__(self, decorate: Callable[[Any], Any]) -> None:
        problem = (
            "is missing; allowed are a function, a Stage subclass and a Pipe, or put @stage(…) over a def"
        )
        super().__init__(OptionError("function", problem))
        self._decorate = decorate

    def __call__(self, function: Any) -> Any:
        """Declare the function."""
        return self._decorate(function)


def _declare(make: Callable[[], Any]) -> Any:
    """Make a declaration, or keep the mistake until the pipe's class body can name the stage."""
    try:
        return make()
    except OptionError as error:
        return BrokenStage(error)
