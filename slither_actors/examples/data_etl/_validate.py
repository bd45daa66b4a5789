"""What runs in the worker processes."""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs

from slither_actors.context import Context
from slither_actors.examples.data_etl._schema import Row, problems
from slither_actors.examples.data_etl._stores import AuditEntry, AuditStore

__all__ = ["Verdict", "validate"]


@attrs.frozen(kw_only=True)
class Verdict:
    """What a worker says about a row."""

    row: Row
    problems: Sequence[str]
    versions: frozenset[int]
    """Versions of the rules that the row met: one, unless the schema was read half-swapped."""

    worker: int
    """Its pid."""

    validated: int
    """Rows that this process had validated after the batch, by its own count."""


_validated = 0


def validate(rows: Sequence[Row], ctx: Context) -> list[Verdict]:
    """Validate a batch under one schema, and enter it into the audit log."""
    global _validated  # noqa: PLW0603 - a worker has its globals to itself, and needs no lock
    # One call a batch. The driver may swap the schema meanwhile: the next batch meets the new one.
    schema = ctx.views.schema()
    versions = frozenset(rule.version for rule in schema.values())
    found = [problems(row, schema) for row in rows]
    _validated += len(rows)
    # By the batch's first row: one that is run again, because its worker died, has one entry all the same.
    AuditStore.log.put(rows[0].number, AuditEntry(worker=os.getpid(), rows=len(rows)))
    return [
        Verdict(row=row, problems=wrong, versions=versions, worker=os.getpid(), validated=_validated)
        for row, wrong in zip(rows, found, strict=True)
    ]
