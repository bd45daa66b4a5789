"""The end of a pipe's run, where its ways come together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.actors import NORMAL
from slither_actors.dispatch._lazy_items import routes_of
from slither_actors.dispatch._reader import Credit, Outlet, Reader
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.stages import Subscription

__all__ = ["PipeReader"]


class PipeReader(Reader):
    """Takes the items that leave a run, until the last stage has ended, or one has halted."""

    def init(self, outlet: Outlet, *, subscribe_to: Sequence[Any], **options: Any) -> None:
        """Subscribe to the stages that lead to outputs; takes what `Reader.init` does."""
        self._open_inputs = len(subscribe_to)
        self._has_routes = len(options["link"].definition.outputs) > 1
        super().init(outlet, subscribe_to=subscribe_to, **options)

    def _take(self, items: Sequence[Item], credit: Credit) -> None:
        counts = self._link.counts  # type: ignore[attr-defined]
        if self._has_routes:
            counts.update(routes_of(items))
        else:
            counts[DEFAULT_ROUTE] += len(items)
        super()._take(items, credit)
        if self._collect and self._link.acks is not None:
            self._link.acks.ended(items)

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """A stage has ended: the run has, if it is the last one, or did not end as it should."""
        self._open_inputs -= 1
        if self._open_inputs <= 0 or cause[1] != NORMAL:
            self.abort(cause[1])
