"""Rows whose reads are counted, for ``Table(count_reads=True)``.

Readers follow the same path as ever and find these in the place of the rows,
so a table that does not count pays for nothing. The writer goes on with the
rows themselves and is not counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from slither_actors.store._rows import SetRows

__all__ = ["CountedRows", "ReadCounter", "uncounted"]


class ReadCounter:
    """Counts up from any thread. A reader takes no lock: the step of `itertools.count` is atomic."""

    __slots__ = ("_looked", "_looking", "_steps", "step")

    def __init__(self) -> None:
        self._steps = count()
        self.step: Callable[[], int] = self._steps.__next__
        """Count one read."""
        self._looked = 0
        self._looking = threading.Lock()  # between those who ask for the value; readers never take it

    @property
    def value(self) -> int:
        """The reads so far."""
        with self._looking:
            # Nothing but a step tells how many there were, so those of this property are taken off.
            value = self.step() - self._looked
            self._looked += 1
            return value


class CountedRows:
    """The rows of a table as its readers see them. One `get` or one query is one read, and `size` none."""

    __slots__ = ("_step", "get", "rows")

    def __init__(self, rows: SetRows, reads: ReadCounter) -> None:
        self.rows = rows
        self._step = step = reads.step
        find = rows.get

        def get(key: Any, default: Any = None) -> Any:
            step()
            return find(key, default)

        self.get: Callable[..., Any] = get

    @property
    def version(self) -> int:
        """Changes so far."""
        return self.rows.version

    def query(self, name: str, *arguments: Any) -> Any:
        """One of `QUERIES`, all of one moment; None where a writer was always in the way."""
        self._step()
        return self.rows.query(name, *arguments)

    def size(self) -> int | None:
        """How many rows there are; None where a writer was always in the way."""
        return self.rows.size()


def uncounted(rows: Any) -> SetRows:
    """The rows of the writer, whatever readers see in their place."""
    found: SetRows = rows.rows if isinstance(rows, CountedRows) else rows
    return found
