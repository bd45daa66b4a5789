"""`OrderedTable`: a table that is sorted by key, with ranges and neighbours."""

from __future__ import annotations

from typing import Any, TypeVar

from slither_actors.store._arguments import INCLUSIVE, LIMIT, PREFIX
from slither_actors.store._pattern import Prefix
from slither_actors.store._rows import MISSING
from slither_actors.store._table import _KINDS, K, Table, V

__all__ = ["OrderedTable"]

D = TypeVar("D")


class OrderedTable(Table[K, V]):
    """``Table(ordered=True)``: one value per key, sorted by key.

    Keys have to be comparable with one another (`TypeError` otherwise), and
    equal keys are one key, as in a dict. Finding a place takes logarithmic
    time; iteration and `snapshot` are in the order of the keys. ETS:
    ``ordered_set``.
    """

    __slots__ = ()

    kind = "ordered"

    @classmethod
    def _implied(cls) -> dict[str, Any]:
        return {"ordered": True}

    def range(
        self,
        low: K = MISSING,
        high: K = MISSING,
        *,
        inclusive: tuple[bool, bool] = (True, False),
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[K, V]]:
        """The rows of one moment from `low` to `high`; without one of them, from the first, to the last.

        Args:
            low: where to begin.
            high: where to end.
            inclusive: whether a row at `low`, and one at `high`, belong to it. As in a slice the
                first does and the second does not, unless told otherwise.
            reverse: begin with the largest key.
            limit: the most rows to return.
        """
        where = self._where("range")
        INCLUSIVE.check("inclusive", inclusive, where)
        LIMIT.check("limit", limit, where)
        return self._query("range", low, high, inclusive, reverse, limit)  # type: ignore[no-any-return]

    def prefix(
        self, prefix: str | bytes | tuple[Any, ...], *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[K, V]]:
        """The rows of one moment whose key begins with `prefix`: text, bytes, or first places of a tuple."""
        where = self._where("prefix")
        LIMIT.check("limit", limit, where)
        start = Prefix(PREFIX.check("prefix", prefix, where))
        bounds = (MISSING, MISSING, (True, True), reverse, limit, start)
        return self._query("range", *bounds, operation="prefix")  # type: ignore[no-any-return]

    def first(self) -> tuple[K, V] | None:
        """The row with the smallest key; None where there is none."""
        return self._query("first") or None

    def last(self) -> tuple[K, V] | None:
        """The row with the largest key; None where there is none."""
        return self._query("last") or None

    def next(self, key: K) -> tuple[K, V] | None:
        """The row with the smallest key above `key`, which need not be there; None where there is none."""
        return self._query("next", key) or None

    def previous(self, key: K) -> tuple[K, V] | None:
        """The row with the largest key below `key`, which need not be there; None where there is none."""
        return self._query("previous", key) or None


_KINDS["ordered"] = OrderedTable
