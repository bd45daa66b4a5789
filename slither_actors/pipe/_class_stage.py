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


class ClassStage(StageDeclaration):
    """A step that is a `Stage` subclass, made anew for each run."""

    kind = "class"

    def __init__(self, cls: type[Stage], **options: Any) -> None:
        own = taken(options, "on_error", "after", "routes")
        if cls is Stage:
            raise OptionError("function", "is Stage itself; allowed is a subclass of it")
        checked = build(CodeOptions, own, where=f"stage {cls.__name__}")
        check_methods(cls, Stage)
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

    @property
    def does(self) -> Any:
        """See `StageDeclaration.does`."""
        return self.cls, self._options, self.routes
