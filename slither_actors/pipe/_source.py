"""The first stage of a pipe's run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slither_actors.dispatch._async_source import AsyncItemSource
from slither_actors.dispatch._source import ItemSource, SourceStatistics
from slither_actors.item import DEFAULT_ROUTE, Item

__all__ = ["AsyncPipeSource", "PipeSource"]


class PipeSource(ItemSource):
    """Emits the input as items that are bound for no output yet.

    What left another pipe by an output of that one is an input like any other.
    Nothing is read before the last stage has started: an input that is soon at
    its end would else end stages that those below have not subscribed to yet.
    """

    demand = "accumulate"

    def snapshot(self, _: None = None) -> SourceStatistics:
        """Return the statistics."""
        return SourceStatistics(items=self.count)

    def drain(self, _: None = None) -> None:
        """Read no more, and end behind what was read. A wait for the next item ends."""
        entry = self._link.entry  # type: ignore[union-attr]
        if entry is not None:
            entry.close()
        super().drain()

    def emit(self, events: Iterable[Any]) -> None:
        """Emit items, with the default route."""
        self._link.read = self.count  # type: ignore[union-attr]
        super().emit(
            [each if each.route == DEFAULT_ROUTE else each.put_route(DEFAULT_ROUTE) for each in events]
        )


class AsyncPipeSource(AsyncItemSource):
    """As `PipeSource`, for an input that is read with ``async for``."""

    def init(self, iterable: Any, **options: Any) -> None:
        """Take what `AsyncItemSource.init` does."""
        super().init(iterable, **options)
        self.demand = "accumulate"

    demand = "accumulate"

    def snapshot(self, _: None = None) -> SourceStatistics:
        """Return the statistics."""
        return SourceStatistics(items=self.count)

    def _dispatch(self, events: Sequence[Any]) -> None:
        self._link.read = self.count  # type: ignore[union-attr]
        super()._dispatch(
            [
                each.put_route(DEFAULT_ROUTE)
                if isinstance(each, Item) and each.route != DEFAULT_ROUTE
                else each
                for each in events
            ]
        )
