"""The pipe and its store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from slither_actors.examples.ml_scoring._records import Record, Scale
from slither_actors.item import Item
from slither_actors.pipe import Pipe, router, stage, workers
from slither_actors.store import Store, Table

__all__ = ["FeatureCache", "ScorePipe"]


class FeatureCache(Store):
    """What was worked out once and every record needs."""

    scales: Table[str, Scale] = Table()
    """Data set to scale."""

    prepared: ClassVar[Mapping[str, Scale]] = {}
    """What `load` finds; in a program of yours a file or a database."""

    def load(self, tables: Any) -> None:
        """Fill the table."""
        tables.scales.insert(self.prepared)


class ScorePipe(Pipe):
    """Records in, predictions by confidence out."""

    stores = (FeatureCache,)

    @stage
    def enrich(item: Item) -> tuple[Record, Scale]:  # noqa: N805 - a stage is a function of an item
        """Look the data set's scale up."""
        return item.payload, FeatureCache.scales.fetch(item.payload.dataset)

    @stage
    def featurize(item: Item) -> tuple[Record, list[float]]:  # noqa: N805
        """Make features of the record's values."""
        record, scale = item.payload
        return record, scale.features(record.values)

    # The session's own worker, where its model is, and no other. Should that worker die, the model is
    # gone with it: the run halts and says so, rather than go on with nothing.
    predict = workers(
        "slither_actors.examples.ml_scoring._model:predict",
        batch_size=50,
        max_in_flight=4,
        affinity="strict_queue",
        on_error="halt",
    )

    route = router(
        high=lambda item: item.payload.confidence >= 0.9,
        low=lambda item: item.payload.confidence < 0.6,
    )
