"""A pipe as data: what its class body says, checked and ready to run or to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors.pipe.stage import StageDeclaration
from slither_actors.policy import Policy, Retry, Route

__all__ = ["PipeDefinition", "StageDefinition"]


@attrs.frozen(kw_only=True)
class StageDefinition:
    """One step of a pipe."""

    name: str
    """The attribute's name."""

    kind: str
    """``"function"``, ``"class"``, ``"router"`` or ``"workers"``."""

    on_error: Policy
    """The policy that holds for it: the pipe's for it, its own, or the pipe's for all."""

    declaration: StageDeclaration
    """What stood in the class body."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs that it names itself."""
        return self.declaration.outputs

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was declared with besides its policy."""
        return self.declaration.options

    def __str__(self) -> str:
        return (
            f"{self.name} ({self.kind}): {self.declaration.describe()}; on error {policy_text(self.on_error)}"
        )


@attrs.frozen(kw_only=True)
class PipeDefinition:
    """A whole pipe. ``print(ScorePipe.definition)`` shows it.

    Two are equal if they have the same name and do the same: the same functions
    with the same options, in the same order.
    """

    name: str
    stages: tuple[StageDefinition, ...]
    """In the order in which items pass them."""

    outputs: tuple[str, ...]
    """Every output by name; ``"default"`` is the last."""

    stores: Mapping[str, Any] = attrs.field(hash=False)
    """Store name to store class."""

    def stage(self, name: str) -> StageDefinition:
        """Return one stage.

        Raises:
            KeyError: there is none of that name.
        """
        for found in self.stages:
            if found.name == name:
                return found
        raise KeyError(name)

    def __str__(self) -> str:
        lines = [f"pipe {self.name}"]
        if self.stores:
            lines.append(f"  stores: {', '.join(self.stores)}")
        lines += [f"  {number}. {stage}" for number, stage in enumerate(self.stages, 1)]
        lines.append(f"  outputs: {', '.join(self.outputs)}")
        return "\n".join(lines)


def policy_text(policy: Policy) -> str:
    """Say in words what a policy does."""
    if isinstance(policy, Retry):
        return f"retry up to {policy.max_attempts} attempts, then {policy_text(policy.then)}"
    if isinstance(policy, Route):
        return f"route with {getattr(policy.fn, '__qualname__', policy.fn)}"
    return type(policy).__name__.lower().removesuffix("ping")
