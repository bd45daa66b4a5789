"""What a run of a pipe returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slither_actors.item import Item
from slither_actors.pipe._definition import PipeDefinition

__all__ = ["PipeOutputs"]


class PipeOutputs(dict[str, list[Item]]):
    """Output name to items, in the order in which they came; every output of the pipe is there."""

    def __init__(
        self, definition: PipeDefinition, found: Iterable[Item], statistics: Mapping[str, Any]
    ) -> None:
        super().__init__((name, []) for name in definition.outputs)
        for item in found:
            self[item.route].append(item)
        self.statistics = dict(statistics)
        """Stage name to what the stage did: `StageStatistics` or `DispatchStatistics`, and for
        ``"source"`` `SourceStatistics`."""
