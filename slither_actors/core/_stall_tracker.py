"""Which stalls are news, and which are over: one picture of a graph after the other."""

from __future__ import annotations

import attrs

from slither_actors.core._stage_graph import StageGraph
from slither_actors.core._stall import Stall, StallKind
from slither_actors.core._stalls import HANDLER_SECONDS, find_stalls

__all__ = ["StallNews", "StallTracker"]

_Key = tuple[int, StallKind]


@attrs.frozen(kw_only=True)
class StallNews:
    """What has changed since the picture before. Returned by `StallTracker.look`."""

    new: tuple[Stall, ...] = ()
    """Stalls that have lasted since the picture before, and were not told yet."""

    over: tuple[Stall, ...] = ()
    """Stalls that were told and are no more, with the seconds that they lasted."""


@attrs.define
class StallTracker:
    """Tells each stall once, and once when it is over.

    Not thread-safe: the owning actor is the only caller.
    """

    handler_seconds: float = HANDLER_SECONDS
    _before: StageGraph | None = attrs.field(default=None, init=False)
    _since: dict[_Key, float] = attrs.field(factory=dict, init=False)
    _told: dict[_Key, Stall] = attrs.field(factory=dict, init=False)

    def look(self, graph: StageGraph, again: StageGraph | None = None) -> StallNews:
        """Judge the next picture, and one taken right after it, as `find_stalls` does.

        What is seen for the first time is no news: it may be over already.
        """
        found = find_stalls(graph, self._before, again=again, handler_seconds=self.handler_seconds)
        # A picture in between in which it was over ends a stall: the next one is another.
        since = {stall.key: self._since.get(stall.key, graph.at) for stall in found}
        lasting = {
            stall.key: attrs.evolve(stall, seconds=max(stall.seconds or 0.0, graph.at - since[stall.key]))
            for stall in found
            if stall.verdict != "seen"
        }
        over = [
            attrs.evolve(stall, seconds=max(stall.seconds or 0.0, graph.at - self._since[key]))
            for key, stall in self._told.items()
            if key not in lasting
        ]
        new = [stall for key, stall in lasting.items() if key not in self._told]
        self._before, self._since, self._told = graph, since, lasting
        return StallNews(new=tuple(new), over=tuple(over))

    @property
    def current(self) -> tuple[Stall, ...]:
        """What has been told and is not over."""
        return tuple(self._told.values())
