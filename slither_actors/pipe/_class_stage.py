"""A step that is a `Stage` subclass."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from slither_actors.config import build
from slither_actors.errors import OptionError
from slither_actors.pipe._checks import check_methods
from slither_actors.pipe._declaration import CodeOptions, StageDeclaration, taken
from slither_actors.pipe._stage import Stage

__all__ = ["ClassStage"]

_OURS = ("on_error", "after", "routes")
"""Options that `Stage.init` does not get."""


class ClassStage(StageDeclaration):
    """A step that is a `Stage` subclass, made anew for each run."""

    kind = "class"

    def __init__(self, cls: type[Stage], **options: Any) -> None:
        own = taken(options, *_OURS)
        if cls is Stage:
            raise OptionError("function", "is Stage itself; allowed is a subclass of it")
        checked = build(CodeOptions, own, where=f"stage {cls.__name__}")
        self.on_error = checked.on_error
        self.after = checked.after
        self.routes = checked.routes
        self.names_all_routes = checked.routes is not None
        self.cls = cls
        self._options = options
        _check_class(cls)
        _check_init(cls, options)

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

    @property
    def does(self) -> Any:
        """See `StageDeclaration.does`."""
        return self.cls, self._options, self.routes


def _check_class(cls: type[Stage]) -> None:
    """Refuse a class that no run could make, or that could handle nothing."""
    check_methods(cls, Stage)
    if not _own(cls, "handle_item") and not _own(cls, "handle_batch"):
        problem = f"is {cls.__name__}, which has neither handle_item(self, item, ctx) nor handle_batch"
        raise OptionError("function", problem)
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise OptionError("function", f"is {cls.__name__}, which is abstract: it has no {missing}")
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        problem = f"is {cls.__name__}, whose __init__ is called with nothing ({error}); init gets the options"
        raise OptionError("function", problem) from None
    except ValueError:
        pass  # it does not tell


def _own(cls: type[Stage], name: str) -> bool:
    return getattr(cls, name) is not getattr(Stage, name)


def _check_init(cls: type[Stage], options: Mapping[str, Any]) -> None:
    signature = inspect.signature(cls.init)
    clash = [name for name in _OURS if name in signature.parameters]
    if clash:
        problem = f"is an option of every stage, which {cls.__name__}.init never gets; rename its parameter"
        raise OptionError(clash[0], problem)
    try:
        signature.bind(None, **options)
    except TypeError as error:
        raise OptionError(
            ", ".join(options) or "init", f"does not fit {cls.__name__}.init: {error}"
        ) from None
