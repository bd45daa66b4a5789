"""What the workers share: the schema, which they read, and the audit log, which they write."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from slither_actors.examples.data_etl._schema import Rule, Schema
from slither_actors.store import Store, Table, view

__all__ = ["AuditEntry", "AuditStore", "SchemaStore"]


class SchemaStore(Store):
    """The schema in force."""

    rules: Table[tuple[str, str], Rule] = Table()
    published: ClassVar[Schema] = {}
    """What the next load finds; in a program of yours, a file or a table of a database."""

    def load(self, tables: Any) -> None:
        """Fill the table. Runs aside: readers have the old one until it is done."""
        tables.rules.insert(self.published)

    @view
    def schema(self) -> dict[tuple[str, str], Rule]:
        """Return all rules, as they are at one moment."""
        return dict(self.rules.items())

    @classmethod
    def publish(cls, schema: Schema) -> None:
        """Swap in another schema, at once."""
        cls.published = schema
        cls.reload()


@attrs.frozen(kw_only=True)
class AuditEntry:
    """A batch that a worker has validated."""

    worker: int
    rows: int


class AuditStore(Store):
    """Which worker validated what."""

    log: Table[int, AuditEntry] = Table()
    """Number of a batch's first row to the batch."""
