"""A step that calls a function in the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from slither_actors.config import build
from slither_actors.context import Context
from slither_actors.errors import OptionError, ResultError
from slither_actors.item import Item
from slither_actors.pipe._checks import check_function, comparable, name_of, positional
from slither_actors.pipe._declaration import CodeOptions, StageDeclaration, refuse_stage
from slither_actors.pipe._stage import PER_ITEM, Stage

__all__ = ["FunctionStage"]


def _bool(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise OptionError(field.name, f"is {value!r}; allowed are True and False")


@attrs.frozen(kw_only=True)
class _FunctionOptions(CodeOptions):
    """Options of a function stage."""

    batch: bool = attrs.field(default=False, validator=_bool)
    batch_handler: Callable[..., Any] | None = None


class FunctionStage(StageDeclaration):
    """A step that calls a function in the driver, per item or per batch."""

    kind = "function"

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        refuse_stage("function", function)
        checked = build(_FunctionOptions, options, where=f"@stage {name_of(function)}")
        check_function(function)
        if checked.batch_handler is not None:
            if checked.batch:
                problem = "is for a function that gets one item; with batch=True it gets the batch itself"
                raise OptionError("batch_handler", problem)
            refuse_stage("batch_handler", checked.batch_handler)
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

    @property
    def does(self) -> Any:
        """See `StageDeclaration.does`."""
        return comparable(self.function), comparable(self.batch_handler), self.batch, self.routes


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
