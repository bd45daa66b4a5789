"""What a run of a pipe returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slither_actors.config import did_you_mean
from slither_actors.item import Item
from slither_actors.pipe._link import PipeLink
from slither_actors.pipe._record import PipeRecord, record_of

__all__ = ["PipeOutputs"]


class PipeOutputs(dict[str, list[Item]]):
    """Output name to items, in the order in which they came; every output of the pipe is there."""

    def __init__(self, link: PipeLink, found: Iterable[Item]) -> None:
        super().__init__((name, []) for name in link.definition.outputs)
        for item in found:
            self[item.route].append(item)
        self.statistics: Mapping[str, Any] = dict(link.finished)
        """Stage name to what the stage did: `StageStatistics` or `DispatchStatistics`, and for
        ``"source"`` `SourceStatistics`."""
        self.record: PipeRecord = record_of(link)
        """What the run did, in figures: a `PipeRecord`."""

    def __missing__(self, name: str) -> list[Item]:
        """Name the outputs that there are: this one is misspelt."""
        known = ", ".join(map(repr, self))
        msg = f"there is no output {name!r}{did_you_mean(str(name), self)} Known: {known}"
        raise KeyError(msg)
