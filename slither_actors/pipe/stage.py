"""What a step of a pipe does: a function, a class, a router, or work for a pool.

These are declarations, made in a pipe's class body. What runs them is private
to the package: `StageRunner` for the first three, `DispatchRunner` for workers.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
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
from slither_actors.errors import OptionError
from slither_actors.item import Item
from slither_actors.outcome import RouteTo
from slither_actors.policy import Policy, policy

__all__ = [
    "PER_ITEM",
    "BrokenStage",
    "ClassStage",
    "FunctionStage",
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
        A raise fails all items of the batch.
        """
        return PER_ITEM

    def shutdown(self) -> None:
        """Clean up after the last item, however the run ended."""


def _policy_or_none(value: Any) -> Policy | None:
    return None if value is None else policy(value)


@attrs.frozen(kw_only=True)
class _StageOptions:
    """Options that every kind of stage takes."""

    on_error: Policy | None = attrs.field(default=None, converter=_policy_or_none)


class StageDeclaration:
    """One step as it stands in a pipe's class body. Its name is the attribute's."""

    kind: ClassVar[str] = ""
    """``"function"``, ``"class"``, ``"router"`` or ``"workers"``."""

    on_error: Policy | None = None
    """The stage's own policy; None leaves it to the pipe's."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs that the stage names itself."""
        return ()

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was declared with, for people."""
        return {}

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


class FunctionStage(StageDeclaration):
    """A step that calls a function in the driver, per item or per batch."""

    kind = "function"

    def __init__(self, function: Callable[..., Any], *, batch: bool = False, **options: Any) -> None:
        checked = build(_StageOptions, options, where=f"@stage {_name(function)}")
        _check_function(function)
        if not isinstance(batch, bool):
            raise OptionError("batch", f"is {batch!r}; allowed are True and False")
        self.function = function
        self.batch = batch
        self.on_error = checked.on_error
        self.__doc__ = function.__doc__
        self.takes_context = _positional(function) > 1

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function itself, as a test would."""
        return self.function(*arguments, **keywords)

    def make(self) -> Stage:
        """Return the stage that a run uses."""
        return _FunctionOfItems(self)

    def describe(self) -> str:
        """Say in a line what it does."""
        return f"{_name(self.function)}{' on batches' if self.batch else ''}"

    def _same(self) -> Any:
        return self.function, self.batch, self.on_error


class _FunctionOfItems(Stage):
    """Runs a `FunctionStage`."""

    def __init__(self, declaration: FunctionStage) -> None:
        self._batch = declaration.batch
        function: Callable[..., Any] = declaration.function
        self._call: Callable[[Any, Any], Any] = function
        if not declaration.takes_context:
            self._call = lambda value, _: function(value)
        if not self._batch:
            self.handle_item = self._call  # type: ignore[method-assign, assignment]  # one call less per item

    def handle_batch(self, items: Sequence[Item], ctx: Context) -> Any:
        """Call a batch function; leave the others to the items."""
        return self._call(items, ctx) if self._batch else PER_ITEM


class ClassStage(StageDeclaration):
    """A step that is a `Stage` subclass, made anew for each run."""

    kind = "class"

    def __init__(self, cls: type[Stage], **options: Any) -> None:
        own = {name: options.pop(name) for name in ("on_error",) if name in options}
        if cls is Stage:
            raise OptionError("function", "is Stage itself; allowed is a subclass of it")
        self.on_error = build(_StageOptions, own, where=f"stage {cls.__name__}").on_error
        self.cls = cls
        self._options = options
        try:
            inspect.signature(cls.init).bind(None, **options)
        except TypeError as error:
            raise OptionError(
                ", ".join(options) or "init", f"does not fit {cls.__name__}.init: {error}"
            ) from None

    @property
    def options(self) -> Mapping[str, Any]:
        """What `Stage.init` gets."""
        return self._options

    def make(self) -> Stage:
        """Return the stage that a run uses, set up."""
        made = self.cls()
        made.init(**self._options)
        return made

    def describe(self) -> str:
        """Say in a line what it does."""
        return self.cls.__qualname__

    def _same(self) -> Any:
        return self.cls, self._options, self.on_error


class RouterStage(StageDeclaration):
    """A step that sends items to named outputs: the first predicate that holds decides.

    An item that none holds for goes on to the next stage, and after the last
    one leaves by ``"default"``. One that is routed leaves at once.
    """

    kind = "router"

    def __init__(self, routes: Mapping[str, Callable[[Item], Any]], **options: Any) -> None:
        checked = build(_StageOptions, options, where="router")
        if not isinstance(routes, Mapping) or not routes:
            raise OptionError("routes", "has no routes; write router(accept=lambda item: …)", where="router")
        for output, predicate in routes.items():
            _check_route(output, predicate)
        self.routes = dict(routes)
        self.on_error = checked.on_error

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that it routes to."""
        return tuple(self.routes)

    def make(self) -> Stage:
        """Return the stage that a run uses."""
        return _Routing(self.routes)

    def describe(self) -> str:
        """Say in a line what it does."""
        return f"to {', '.join(self.routes)}"

    def _same(self) -> Any:
        return tuple(self.routes.items()), self.on_error


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
        return self.dispatch, self.on_error


@overload
def stage(function: Callable[..., Any], /) -> FunctionStage: ...
@overload
def stage(function: type[Stage], /, **options: Any) -> ClassStage: ...
@overload
def stage(
    function: None = None, /, *, batch: bool = False, on_error: Any = None
) -> Callable[[Callable[..., Any]], FunctionStage]: ...
def stage(function: Any = None, /, **options: Any) -> Any:
    """Declare a step that runs in the driver.

    ``@stage`` or ``@stage(on_error="skip")`` over a function of ``(item, ctx)``
    or ``(item)``; with ``batch=True`` of a list of items; or
    ``stage(TheClass, option=…)`` for a `Stage` subclass. A function's bare
    result is the new payload; `Ok`, `Skip`, `Fail`, `RouteTo` and `Many` say more.

    A mistake, such as an unknown option, is raised by the pipe's class body,
    which knows the name of the stage.
    """
    if function is None:
        return lambda decorated: stage(decorated, **options)
    if isinstance(function, type) and issubclass(function, Stage):
        return _declare(lambda: ClassStage(function, **options))
    return _declare(lambda: FunctionStage(function, **options))


def workers(function: Any, /, **options: Any) -> WorkerStage:
    """Declare a step that runs in worker processes, batch by batch.

    Args:
        function: ``"module:function"``, a callable that workers can import, or an executor. It gets a list
            of payloads and returns as many results.
        **options: what `dispatch.run` takes: ``pool``, ``batch_size``, ``batch_timeout``, ``strategy``,
            ``max_in_flight``, ``ordering``, ``on_error``, ``timeout``, ``affinity``, ``poison_after``,
            ``breaker``, ``dead_letters``; not what is a run's as a whole.

    A mistake is raised by the pipe's class body, as with `stage`.
    """
    declared: WorkerStage = _declare(lambda: WorkerStage(function, **options))
    return declared


def router(
    routes: Mapping[str, Callable[[Item], Any]] | None = None,
    /,
    *,
    on_error: Any = None,
    **named: Callable[[Item], Any],
) -> RouterStage:
    """Declare a step that sends items to named outputs by predicates, the first that holds.

    ``router(accept=lambda item: item.payload["score"] >= 0.8)``; a mapping does
    for names that are no identifiers. A mistake is raised by the pipe's class
    body, as with `stage`.
    """

    def make() -> RouterStage:
        if routes is not None and not isinstance(routes, Mapping):
            problem = f"is {routes!r:.200}; allowed is a mapping of output to predicate"
            raise OptionError("routes", problem, where="router")
        return RouterStage({**(routes or {}), **named}, on_error=on_error)

    declared: RouterStage = _declare(make)
    return declared


def _declare(make: Callable[[], Any]) -> Any:
    """Make a declaration, or keep the mistake until the pipe's class body can name the stage."""
    try:
        return make()
    except OptionError as error:
        return BrokenStage(error)


def _check_route(output: Any, predicate: Any) -> None:
    if not isinstance(output, str) or not output:
        raise OptionError("routes", f"has the output {output!r}; allowed are names", where="router")
    if not callable(predicate):
        hint = "; did you mean 'on_error'?" if difflib.get_close_matches(output, ["on_error"]) else ""
        problem = f"is {predicate!r:.200}; allowed is a predicate of an item{hint}"
        raise OptionError(output, problem, where="router")


def _check_function(function: Any) -> None:
    """Refuse what would not do what it looks like."""
    if not callable(function) or isinstance(function, type):
        raise OptionError("function", f"is {function!r:.200}; allowed are a function and a Stage subclass")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise OptionError("function", "is asynchronous; a stage is called by an actor: make it a plain def")
    if inspect.isgeneratorfunction(function):
        raise OptionError("function", "is a generator; return Many(...) to make many items of one")
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return  # a builtin that does not tell
    names = list(parameters)
    if names and names[0] == "self":
        raise OptionError("function", "has a parameter 'self'; it gets (item, ctx) or (item), and no self")
    accepts = [count for count in (1, 2) if _accepts(function, count)]
    if not accepts:
        raise OptionError("function", f"takes ({', '.join(names)}); it gets (item, ctx) or (item)")


def _accepts(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def _positional(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1  # a builtin that does not tell
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 2
    return sum(1 for p in parameters if p.kind in kinds and (p.default is p.empty or p.name == "ctx"))


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or type(function).__qualname__
