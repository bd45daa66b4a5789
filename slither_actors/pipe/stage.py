"""What a step of a pipe does: a function, a class, a router, or work for a pool.

These are declarations, made in a pipe's class body. What runs them is private
to the package: `StageRunner` for the first three, `DispatchRunner` for workers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, overload

import attrs

from slither_actors.config import build
from slither_actors.context import Context
from slither_actors.dispatch import (
    AsyncExecutor,
    DispatchOptions,
    InlineExecutor,
    PoolExecutor,
    ThreadExecutor,
)
from slither_actors.dispatch._options import check_together
from slither_actors.errors import OptionError, ResultError
from slither_actors.item import Item
from slither_actors.outcome import RouteTo
from slither_actors.pipe._checks import check_function, check_route, name_of, names, positional
from slither_actors.policy import Policy, policy

__all__ = [
    "PER_ITEM",
    "BrokenStage",
    "ClassStage",
    "FunctionStage",
    "NestablePipe",
    "PipeStage",
    "RouterStage",
    "Stage",
    "StageDeclaration",
    "WorkerStage",
    "router",
    "stage",
    "workers",
]


class _PerItem:
    """The type of `PER_ITEM`."""

    def __repr__(self) -> str:
        return "PER_ITEM"


PER_ITEM = _PerItem()
"""Returned by ``handle_batch``: have the items handled one by one, each under the error policy."""


class Stage:
    """A step with state: subclass it, and put it into a pipe with ``stage(TheClass, **options)``.

    One instance serves one run, in one actor: methods run one at a time.
    Source: ``Slither.Stage``.
    """

    def init(self) -> None:
        """Set up, before the first item. Gets the keywords of the declaration; a raise fails the run."""

    def handle_item(self, item: Item, ctx: Context) -> Any:
        """Return the new payload, or `Ok`, `Skip`, `Fail`, `RouteTo`, `Many`. A raise is a failure."""
        msg = f"{type(self).__name__} has no handle_item"
        raise NotImplementedError(msg)

    def handle_batch(self, items: Sequence[Item], ctx: Context) -> Any:
        """Handle the items that arrived together: return one result per item, or `PER_ITEM`.

        A mapping of output to items routes them, at once; a list of `Item` is
        taken as it is, however many there are, so an empty one drops them all.
        A raise fails all items of the batch, and so does a `Fail`.
        """
        return PER_ITEM

    def shutdown(self) -> None:
        """Clean up after the last item, however the run ended."""


def _policy_or_none(value: Any) -> Policy | None:
    return None if value is None else policy(value)


def _after(value: Any) -> tuple[str, ...] | None:
    return None if value is None else names("after", value)


def _routes(value: Any) -> tuple[str, ...] | None:
    return None if value is None else names("routes", value)


@attrs.frozen(kw_only=True)
class _StageOptions:
    """Options that every kind of stage takes."""

    on_error: Policy | None = attrs.field(default=None, converter=_policy_or_none)
    after: tuple[str, ...] | None = attrs.field(default=None, converter=_after)


@attrs.frozen(kw_only=True)
class _CodeOptions(_StageOptions):
    """Options of stages that run code of the user's in the driver."""

    routes: tuple[str, ...] | None = attrs.field(default=None, converter=_routes)


def _taken(options: dict[str, Any], *own: str) -> dict[str, Any]:
    """Take options of ours out of those that are for something else."""
    return {name: options.pop(name) for name in own if name in options}


class StageDeclaration:
    """One step as it stands in a pipe's class body. Its name is the attribute's."""

    kind: ClassVar[str] = ""
    """``"function"``, ``"class"``, ``"router"``, ``"workers"`` or ``"pipe"``."""

    on_error: Policy | None = None
    """The stage's own policy; None leaves it to the pipe's."""

    after: tuple[str, ...] | None = None
    """The stages and routes whose items it takes; None for those of the stage above it."""

    names_all_routes: bool = True
    """Whether `outputs` are all that its code may route to. A `Route` policy may name others."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Routes that the stage names itself, which lead to outputs or to other stages."""
        return ()

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was declared with, for people."""
        return {}

    @property
    def runs(self) -> Any:
        """The code that it runs."""
        return None

    def describe(self) -> str:
        """Say in a line what it does."""
        return self.kind

    def _same(self) -> Any:
        """What makes two declarations equal."""
        return id(self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._same() == other._same()

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"


class BrokenStage(StageDeclaration):
    """A declaration with a mistake. The pipe's class body, which knows the stage's name, raises it."""

    kind = "broken"

    def __init__(self, error: OptionError) -> None:
        self.error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Raise the mistake, as this was no pipe's class body."""
        raise self.error


def _bool(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise OptionError(field.name, f"is {value!r}; allowed are True and False")


@attrs.frozen(kw_only=True)
class _FunctionOptions(_CodeOptions):
    """Options of a function stage."""

    batch: bool = attrs.field(default=False, validator=_bool)
    batch_handler: Callable[..., Any] | None = None


class FunctionStage(StageDeclaration):
    """A step that calls a function in the driver, per item or per batch."""

    kind = "function"

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        checked = build(_FunctionOptions, options, where=f"@stage {name_of(function)}")
        check_function(function)
        if checked.batch_handler is not None:
            if checked.batch:
                problem = "is for a function that gets one item; with batch=True it gets the batch itself"
                raise OptionError("batch_handler", problem)
            check_function(checked.batch_handler, "batch_handler", "(items, ctx) or (items)")
        self.function = function
        self.batch: bool = checked.batch
        self.batch_handler = checked.batch_handler
        self.on_error = checked.on_error
        self.after = checked.after
        self.routes = checked.routes
        self.names_all_routes = checked.routes is not None
        self.__doc__ = function.__doc__
        self.takes_context = positional(function) > 1

    @property
    def outputs(self) -> tuple[str, ...]:
        """The routes that were declared."""
        return self.routes or ()

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was declared with."""
        given = {"batch": self.batch, "batch_handler": self.batch_handler, "routes": self.routes}
        return {name: value for name, value in given.items() if value}

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function itself, as a test would."""
        return self.function(*arguments, **keywords)

    def make(self) -> Stage:
        """Return the stage that a run uses."""
        return _FunctionOfItems(self)

    @property
    def runs(self) -> Any:
        """The function."""
        return self.function

    def describe(self) -> str:
        """Say in a line what it does."""
        batches = " on batches" if self.batch else ""
        if self.batch_handler is not None:
            batches = f", batches by {name_of(self.batch_handler)}"
        return f"{name_of(self.function)}{batches}"

    def _same(self) -> Any:
        return self.function, self.batch, self.batch_handler, self.on_error, self.after, self.routes


class _FunctionOfItems(Stage):
    """Runs a `FunctionStage`."""

    def __init__(self, declaration: FunctionStage) -> None:
        call = _with_context(declaration.function)
        if declaration.batch:
            self._call = call
        else:
            if declaration.batch_handler is not None:
                self._call = _with_context(declaration.batch_handler)
            self.handle_item = call  # type: ignore[method-assign, assignment]  # one call less per item

    _call: Callable[[Any, Any], Any] | None = None

    def handle_item(self, item: Item, ctx: Context) -> Any:
        """There is no function for one item."""
        msg = (
            "returned PER_ITEM and has no function for one item; put @stage(batch_handler=…) over the "
            "function of one item instead of batch=True over that of a batch"
        )
        raise ResultError(msg)

    def handle_batch(self, items: Sequence[Item], ctx: Context) -> Any:
        """Call a batch function; leave the others to the items."""
        return PER_ITEM if self._call is None else self._call(items, ctx)


def _with_context(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    return function if positional(function) > 1 else lambda value, _: function(value)


class ClassStage(StageDeclaration):
    """A step that is a `Stage` subclass, made anew for each run."""

    kind = "class"

    def __init__(self, cls: type[Stage], **options: Any) -> None:
        own = _taken(options, "on_error", "after", "routes")
        if cls is Stage:
            raise OptionError("function", "is Stage itself; allowed is a subclass of it")
        checked = build(_CodeOptions, own, where=f"stage {cls.__name__}")
        self.on_error = checked.on_error
        self.after = checked.after
        self.routes = checked.routes
        self.names_all_routes = checked.routes is not None
        self.cls = cls
        self._options = options
        try:
            inspect.signature(cls.init).bind(None, **options)
        except TypeError as error:
            raise OptionError(
                ", ".join(options) or "init", f"does not fit {cls.__name__}.init: {error}"
            ) from None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The routes that were declared."""
        return self.routes or ()

    @property
    def options(self) -> Mapping[str, Any]:
        """What `Stage.init` gets."""
        return self._options

    def make(self) -> Stage:
        """Return the stage that a run uses, set up."""
        made = self.cls()
        made.init(**self._options)
        return made

    @property
    def runs(self) -> Any:
        """The class."""
        return self.cls

    def describe(self) -> str:
        """Say in a line what it does."""
        return self.cls.__qualname__

    def _same(self) -> Any:
        return self.cls, self._options, self.on_error, self.after, self.routes


class RouterStage(StageDeclaration):
    """A step that sends items to named outputs: the first predicate that holds decides.

    An item that none holds for goes on to the next stage, and after the last
    one leaves by ``"default"``. One that is routed leaves at once, or goes to
    the stage that comes ``after`` the route.
    """

    kind = "router"

    def __init__(self, routes: Mapping[str, Callable[[Item], Any]], **options: Any) -> None:
        checked = build(_StageOptions, options, where="router")
        if not isinstance(routes, Mapping) or not routes:
            raise OptionError("routes", "has no routes; write router(accept=lambda item: …)", where="router")
        for output, predicate in routes.items():
            check_route(output, predicate)
        self.routes = dict(routes)
        self.on_error = checked.on_error
        self.after = checked.after

    @property
    def outputs(self) -> tuple[str, ...]:
        """Where it routes to."""
        return tuple(self.routes)

    def make(self) -> Stage:
        """Return the stage that a run uses."""
        return _Routing(self.routes)

    @property
    def runs(self) -> Any:
        """The predicate of each route."""
        return self.routes

    def describe(self) -> str:
        """Say in a line what it does."""
        return f"to {', '.join(self.routes)}"

    def _same(self) -> Any:
        return tuple(self.routes.items()), self.on_error, self.after


class _Routing(Stage):
    """Runs a `RouterStage`."""

    def __init__(self, routes: Mapping[str, Callable[[Item], Any]]) -> None:
        self._routes = tuple(routes.items())

    def handle_item(self, item: Item, ctx: Context) -> Item | RouteTo:
        """Route the item to the first output whose predicate holds."""
        for output, predicate in self._routes:
            if predicate(item):
                return RouteTo(output, item.payload)
        return item


class WorkerStage(StageDeclaration):
    """A step that runs a function on batches in worker processes, or on any executor."""

    kind = "workers"

    def __init__(self, executor: Any, **options: Any) -> None:
        for name in ("executor", "context"):
            if name in options:
                raise OptionError(name, "is not for a stage: the first argument and the run say it")
        self.after = build(_StageOptions, _taken(options, "after"), where="workers").after
        own_policy = options.get("on_error")
        given = {name: value for name, value in options.items() if name != "on_error" or value is not None}
        self.dispatch = build(DispatchOptions, {"executor": executor, **given}, where="workers")
        check_together(self.dispatch, given, "workers")
        self.on_error = None if own_policy is None else self.dispatch.on_error
        self._given = options

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was declared with."""
        return self._given

    @property
    def runs(self) -> Any:
        """The name of the executor."""
        return self.dispatch.make_executor().name

    def describe(self) -> str:
        """Say in a line what it does."""
        options = self.dispatch
        executor = options.make_executor()
        where = ""
        if isinstance(executor, PoolExecutor):
            where = f" in pool {executor.pool!r}"
        elif isinstance(executor, (AsyncExecutor, InlineExecutor, ThreadExecutor)):
            where = " in the driver"
        return f"{executor.name}{where}, at most {options.max_in_flight} batches {self._strategy()}"

    def _strategy(self) -> str:
        strategy = self.dispatch.strategy
        return f"of {self.dispatch.batch_size}" if strategy is None else f"by {type(strategy).__name__}"

    def _same(self) -> Any:
        return self.dispatch, self.on_error, self.after


class NestablePipe:
    """What may stand in a pipe as a stage: the base of `Pipe`."""

    definition: ClassVar[Any]


class PipeStage(StageDeclaration):
    """A step that is a pipe: its stages run as stages of the pipe that it stands in.

    What leaves it by ``"default"`` goes on to the next stage; its other outputs
    are routes.
    """

    kind = "pipe"

    def __init__(self, pipe: type[NestablePipe], **options: Any) -> None:
        if getattr(pipe, "definition", None) is None:
            raise OptionError("function", "is Pipe itself; allowed is a subclass of it")
        checked = build(_StageOptions, options, where=f"stage {pipe.__name__}")
        self.pipe = pipe
        self.on_error = checked.on_error
        self.after = checked.after

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the pipe but the last, ``"default"``."""
        outputs: tuple[str, ...] = self.pipe.definition.outputs
        return outputs[:-1]

    @property
    def runs(self) -> Any:
        """The pipe."""
        return self.pipe

    def describe(self) -> str:
        """Say in a line what it does."""
        return f"the stages of {self.pipe.__name__}"

    def _same(self) -> Any:
        return self.pipe.definition, self.on_error, self.after


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
        return lambda decorated: stage(decorated, **options)
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
            problem = f"is {routes!r:.200}; allowed is a mapping of output to predicate"
            raise OptionError("routes", problem, where="router")
        return RouterStage({**(routes or {}), **named}, on_error=on_error, after=after)

    declared: RouterStage = _declare(make)
    return declared


def _declare(make: Callable[[], Any]) -> Any:
    """Make a declaration, or keep the mistake until the pipe's class body can name the stage."""
    try:
        return make()
    except OptionError as error:
        return BrokenStage(error)
