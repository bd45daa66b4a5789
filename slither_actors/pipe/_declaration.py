"""What a step of a pipe is declared with, in the pipe's class body.

Each kind of step has a module of its own. What runs them is private to the
package: `WorkerRunner` for workers, `StageRunner` for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from slither_actors.errors import OptionError
from slither_actors.pipe._checks import names
from slither_actors.policy import Policy, policy

__all__ = ["BrokenStage", "CodeOptions", "StageDeclaration", "StageOptions", "refuse_stage", "taken"]


def _policy_or_none(value: Any) -> Policy | None:
    return None if value is None else policy(value)


def _after(value: Any) -> tuple[str, ...] | None:
    return None if value is None else names("after", value)


def _routes(value: Any) -> tuple[str, ...] | None:
    return None if value is None else names("routes", value)


@attrs.frozen(kw_only=True)
class StageOptions:
    """Options that every kind of stage takes."""

    on_error: Policy | None = attrs.field(default=None, converter=_policy_or_none)
    after: tuple[str, ...] | None = attrs.field(default=None, converter=_after)


@attrs.frozen(kw_only=True)
class CodeOptions(StageOptions):
    """Options of stages that run code of the user's in the driver."""

    routes: tuple[str, ...] | None = attrs.field(default=None, converter=_routes)


def taken(options: dict[str, Any], *own: str) -> dict[str, Any]:
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

    @property
    def does(self) -> Any:
        """What it runs and how, its place and its policy aside: by this two are the same."""
        return id(self)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return False
        placed = (self.on_error, self.after) == (other.on_error, other.after)
        return placed and self.does_as(other)

    def does_as(self, other: StageDeclaration) -> bool:
        """Whether both run the same in the same way, wherever they stand and whatever a failure does."""
        if type(other) is not type(self):
            return False
        try:
            return bool(self.does == other.does)
        except Exception:  # noqa: BLE001 - options are the user's, and an array has no truth value
            return False

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


def refuse_stage(option: str, value: Any) -> None:
    """Refuse a declared stage where its function is wanted: it can be called, but is no function."""
    if isinstance(value, BrokenStage):
        raise value.error
    if isinstance(value, StageDeclaration):
        raise OptionError(option, f"is {value!r:.200}, a stage; allowed is the function that it is made of")
