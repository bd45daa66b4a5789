"""The pipe: prepare, validate in workers, transform, and the invalid ones leave by an output of their own."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.examples._csv_files import number
from slither_actors.examples.data_etl._schema import Row
from slither_actors.examples.data_etl._stores import AuditStore, SchemaStore
from slither_actors.examples.data_etl._validate import Verdict
from slither_actors.item import Item
from slither_actors.pipe import Pipe, router, stage, workers
from slither_actors.policy import Retry

__all__ = ["Clean", "EtlPipe"]


@attrs.frozen(kw_only=True)
class Clean:
    """A row that went through: the verdict, and the row's values if it is valid."""

    verdict: Verdict
    values: dict[str, float | str] | None = None


class EtlPipe(Pipe):
    """Rows in, values out; what is invalid leaves by ``invalid``."""

    stores = (SchemaStore, AuditStore)

    @stage
    def prepare(item: Item) -> Row:  # noqa: N805 - a stage is a function of an item
        """Strip the cells."""
        row: Row = item.payload
        return attrs.evolve(row, cells={column: cell.strip() for column, cell in row.cells.items()})

    # A worker that dies costs nothing here: its batch is run again by another.
    validate = workers(
        "slither_actors.examples.data_etl._validate:validate",
        batch_size=100,
        max_in_flight=8,
        on_error=Retry(max_attempts=3),
    )

    @stage
    def transform(item: Item) -> Clean:  # noqa: N805
        """Turn the text of a valid row into numbers."""
        verdict: Verdict = item.payload
        if verdict.problems:
            return Clean(verdict=verdict)
        values: dict[str, Any] = {}
        for column, cell in verdict.row.cells.items():
            value = number(cell)
            values[column] = cell if value is None else value
        return Clean(verdict=verdict, values=values)

    sort = router(invalid=lambda item: item.payload.values is None)
