"""What a stage counts, and what it says about the failures that it skipped."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs

from slither_actors.dispatch._lazy_items import routes_of
from slither_actors.errors import safe_text
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.pipe._results import Sorted

__all__ = ["StageStatistics", "Tally", "tell_skipped"]

logger = logging.getLogger("slither_actors.pipe")


@attrs.frozen(kw_only=True)
class StageStatistics:
    """What a function, class or router stage had done at one moment.

    After its end ``items_in + made == emitted + routed + skipped + failed``.
    """

    items_in: int
    """Items taken from upstream."""

    made: int
    """Items beyond one for one: those of a `Many`, and what a batch handler made anew."""

    emitted: int
    """Items passed on to the next stage."""

    routed: int
    """Items sent by a route, to an output or to a stage: by the stage itself, or by a `Route` policy."""

    routes: Mapping[str, int]
    """The routed items by their route."""

    skipped: int
    """Items dropped: on purpose, or because they failed under ``"skip"``."""

    failed: int
    """Items that had no result when the run ended early: what halted it, and what the stage still held."""

    retries: int
    """Attempts beyond the first."""

    busy: float
    """Seconds that it was at work, its waits aside."""

    errors: Mapping[str, int]
    """Failed items that the policy skipped, routed or halted for, by the name of the exception's type."""

    last_error: str
    """The last of them in words, with its item; empty if there was none."""


@attrs.define
class Tally:
    """The counters of one stage. Only its actor touches it."""

    items_in: int = 0
    made: int = 0
    emitted: int = 0
    routed: int = 0
    routes: Counter[str] = attrs.field(factory=Counter)
    skipped: int = 0
    failed: int = 0
    retries: int = 0
    busy: float = 0.0
    errors: Counter[str] = attrs.field(factory=Counter)
    last_error: str = ""

    def took(self, made: Sorted) -> None:
        """Count what one item became, its emission and routing aside."""
        count = len(made[0]) + len(made[1])
        if count:
            self.made += count - 1
        else:
            self.skipped += 1

    def took_batch(self, items: Sequence[Item], made: Sorted) -> None:
        """Count what a batch became: an item is told by its id."""
        found = [*made[0], *made[1]]
        kept = len({item.id for item in items} & {item.id for item in found})
        self.skipped += len(items) - kept
        self.made += len(found) - kept

    def left(self, items: Sequence[Item]) -> None:
        """Count items that leave the run here: all of them were routed."""
        self.routed += len(items)
        self.routes.update(routes_of(items))

    def sent(self, items: Sequence[Item]) -> int:
        """Count, among items that go to other stages, those that were routed; return how many."""
        found = Counter(routes_of(items))
        found.pop(DEFAULT_ROUTE, None)
        self.routes.update(found)
        count = found.total()
        self.routed += count
        return count

    def saw(self, error: BaseException, count: int, where: str) -> None:
        """Note why `count` items failed."""
        self.errors[type(error).__name__] += count
        # As text: the exception would keep the frames alive that it went through.
        text = f"{type(error).__name__}: {safe_text(error)}"
        self.last_error = text if where in text else f"{where}: {text}"

    def statistics(self, by_route: Callable[[Mapping[str, int]], dict[str, int]]) -> StageStatistics:
        """Return a snapshot; `by_route` takes counts by `Item.route` and knows what the stage calls those."""
        figures = attrs.asdict(self, recurse=False)
        return StageStatistics(**{**figures, "errors": dict(self.errors), "routes": by_route(self.routes)})


def tell_skipped(stage: str, errors: Mapping[str, int], last_error: str) -> None:
    """Log once, at the end of a stage, which failures were skipped: nothing is swallowed, nothing floods."""
    if errors:
        by_type = ", ".join(f"{name} x {count:,}" for name, count in sorted(errors.items()))
        logger.warning("%s skipped %d failed items: %s; the last: %s",
                       stage, sum(errors.values()), by_type, last_error)  # fmt: skip
