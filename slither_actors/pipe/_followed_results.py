"""The results of a stage in a run whose items are followed to their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slither_actors.item import Item
from slither_actors.pipe._ack_keeper import AckKeeper
from slither_actors.pipe._results import Results, Sorted

__all__ = ["FollowedResults"]


class FollowedResults(Results):
    """Tells what the items of a stage became."""

    def __init__(
        self, stage: str, outputs: Mapping[str, str], onward: Mapping[str, str], acks: AckKeeper
    ) -> None:
        super().__init__(stage, outputs, onward)
        self._acks = acks

    def sort(self, item: Item, result: Any) -> Sorted:
        """As that of `Results`."""
        made = super().sort(item, result)
        self._acks.became((item,), [*made[0], *made[1]])
        return made

    def sort_batch(self, items: Sequence[Item], results: Any) -> Sorted | list[Any]:
        """As that of `Results`."""
        made = super().sort_batch(items, results)
        if isinstance(made, tuple):
            self._acks.became(items, [*made[0], *made[1]])
        return made

    def plain(self, items: Sequence[Item], results: list[Any]) -> Sequence[Item] | None:
        """Return None: what each item became is told one by one."""
        return None
