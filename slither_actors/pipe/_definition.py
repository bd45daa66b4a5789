"""A pipe as data: what its class body says, checked and ready to run or to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors.pipe._data import as_dict
from slither_actors.pipe._declaration import StageDeclaration
from slither_actors.pipe._graph import Destination
from slither_actors.pipe._picture import as_mermaid, as_text, stage_text
from slither_actors.policy import Policy

__all__ = ["PipeDefinition", "StageDefinition"]


@attrs.frozen(eq=False)
class _Does:
    """What makes two stages the same besides what their definitions have: equal if they run the same."""

    declaration: StageDeclaration

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Does) and self.declaration.does_as(other.declaration)

    __hash__ = None  # type: ignore[assignment]


@attrs.frozen(kw_only=True)
class StageDefinition:
    """One step of a pipe."""

    name: str
    """The attribute's name; for a stage of a pipe within the pipe, behind that one's and a dot."""

    kind: str
    """``"function"``, ``"class"``, ``"router"`` or ``"workers"``."""

    on_error: Policy = attrs.field(hash=False)
    """The policy that holds for it: the pipe's for it, its own, or the pipe's for all."""

    declaration: StageDeclaration = attrs.field(eq=_Does, hash=False)
    """What stood in the class body."""

    after: tuple[str, ...] = ()
    """Where its items come from: stages, and ``"stage.route"``; empty for the first, which has the input.

    Without what only may come, where something surely comes.
    """

    next: Destination
    """Where the items go that it does not route."""

    routes: Mapping[str, Destination] = attrs.field(hash=False)
    """Where those go that it routes, by every name that it may route to."""

    stated: tuple[str, ...] = ()
    """The names in `routes` that it states itself; its code or its policy may use the others."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Routes that it names itself."""
        return self.declaration.outputs

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was declared with besides its policy and its place."""
        return self.declaration.options

    def __str__(self) -> str:
        return stage_text(self)


@attrs.frozen(kw_only=True)
class PipeDefinition:
    """A whole pipe. ``print(ScorePipe.definition)`` shows it.

    Two are equal if they have the same name and do the same: the same functions
    with the same options, connected in the same way.
    """

    name: str
    stages: tuple[StageDefinition, ...]
    """In the order in which items pass them. Those of a pipe within it stand in its place."""

    outputs: tuple[str, ...]
    """Every output by name; ``"default"`` is the last."""

    stores: Mapping[str, Any] = attrs.field(hash=False)
    """Store name to store class."""

    pipe: Any = attrs.field(default=None, eq=False, repr=False)
    """The class that it is the definition of."""

    def stage(self, name: str) -> StageDefinition:
        """Return one stage.

        Raises:
            KeyError: there is none of that name.
        """
        for found in self.stages:
            if found.name == name:
                return found
        raise KeyError(name)

    def describe(self) -> str:
        """Return it as text, a line for each stage."""
        return as_text(self)

    def mermaid(self) -> str:
        """Return it as a Mermaid flow chart, for a page.

        Dashed: a way that only code or a `Route` policy may take, to where nothing else leads.
        """
        return as_mermaid(self)

    def to_dict(self) -> dict[str, Any]:
        """Return it as what `json.dumps` takes, and `json.loads` gives back as it is; code by its name.

        `Pipe.from_dict` makes a pipe of it again.
        """
        return as_dict(self)

    __str__ = describe

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle it by the name of its pipe: functions of a class body have no name that leads to them."""
        if vars(self.pipe or object).get("definition") is self:
            return getattr, (self.pipe, "definition")
        if self.pipe is not None:
            return attrs.evolve(self, pipe=None).__reduce_ex__(protocol)
        return super().__reduce_ex__(protocol)
