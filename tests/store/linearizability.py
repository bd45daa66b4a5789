"""Is there an order of these operations in which a plain dict would have answered the same?

An operation took effect at one instant between its call and its return. The
search is that of Wing and Gong ("Testing and Verifying Concurrent Objects",
1993): take any operation that nobody returned before, do it to the model, and
go on with the rest; step back where an answer does not fit. It remembers the
pairs of operations done and state reached (Lowe, "Testing for linearizability",
2017), so no pair is searched twice. Operations on keys that no operation has in
common are searched apart: a history is linearizable if each part of it is
(Herlihy and Wing, 1990).

An operation whose outcome is unknown, as its server died, happened before its
caller was told so, or never. One that never returned may happen at any time.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

__all__ = ["UNKNOWN", "Operation", "find_violation"]


class Unknown(enum.Enum):
    """The type of `UNKNOWN`: an enum's member is the same one after a pickle."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
"""The result of an operation that failed and may have happened."""


@attrs.frozen
class Operation:
    """One call of a client, as it saw it. Times are of one clock of all clients."""

    name: str
    """A method of the table; ``transaction``, with a name, table and arguments for each of its operations,
    and their results in a tuple; or ``load``, with the pairs of `Rows` that replace all others."""

    table: str
    arguments: tuple[Any, ...]
    result: Any
    called: float
    returned: float

    def __str__(self) -> str:
        return f"{self.called}-{self.returned}: {self.table}.{self.name}{self.arguments} -> {self.result!r}"


Row = tuple[str, Any]
"""A table and a key."""

Rows = dict[Row, Any]
"""The model: the value of each row; in a bag the tuple of values."""


def find_violation(
    history: Iterable[Operation], initial: Rows | None = None, *, bags: Iterable[str] = ()
) -> str | None:
    """Say what cannot be put in order; None where all can. `bags` are the tables that are bags."""
    rows, bags = dict(initial or {}), frozenset(bags)
    for operations, touched in _parts(list(history), rows):
        part = {row: value for row, value in rows.items() if row in touched}
        violation = _search(sorted(operations, key=lambda each: each.called), part, bags)
        if violation is not None:
            return violation
    return None


def _search(operations: Sequence[Operation], initial: Rows, bags: frozenset[str]) -> str | None:
    all_done = sum(1 << index for index, each in enumerate(operations) if each.returned < math.inf)
    state = frozenset(initial.items())
    seen = {(0, state)}
    # What is left to try after `done`, which led to `state`.
    stack = [(0, state, _minimal(operations, 0))]
    longest = 0
    while stack:
        done, state, candidates = stack[-1]
        if done & all_done == all_done:
            return None
        if done.bit_count() > longest.bit_count():
            longest = done
        index = next(candidates, None)
        if index is None:
            stack.pop()
            continue
        operation = operations[index]
        rows = dict(state)
        answer = _perform(rows, operation.name, operation.table, operation.arguments, bags=bags)
        after = frozenset(rows.items())
        if operation.result is UNKNOWN:
            states = {after, state}  # it happened, or it never will
        else:
            states = {after} if answer == operation.result else set()
        for reached in states:
            pair = done | 1 << index, reached
            if pair not in seen:
                seen.add(pair)
                stack.append((*pair, _minimal(operations, pair[0])))
    stuck = "\n  ".join(str(operations[index]) for index in _minimal(operations, longest))
    return (
        f"no order explains the answers: at most {longest.bit_count()} of {len(operations)} operations can "
        f"be done, and then none of\n  {stuck}"
    )


def _minimal(operations: Sequence[Operation], done: int) -> Iterator[int]:
    """Those that may be the next to take effect: nobody who is not done returned before their call."""
    first_return = math.inf
    found = []
    for index, operation in enumerate(operations):
        if not done >> index & 1:
            if operation.called > first_return:
                break  # as all that follow, which return later still
            first_return = min(first_return, operation.returned)
            found.append(index)
    # Those that had to return soon are tried first: they are the likely ones.
    return iter(
        sorted(
            (index for index in found if operations[index].called <= first_return),
            key=lambda index: operations[index].returned,
        )
    )


# -- parts that have no row in common -----------------------------------------


def _parts(history: list[Operation], rows: Rows) -> list[tuple[list[Operation], set[Row]]]:
    every = set(rows).union(*(_touched(each, set()) for each in history))
    parts: list[tuple[list[Operation], set[Row]]] = []
    for operation in history:
        together, touched = [operation], _touched(operation, every)
        for part in [part for part in parts if part[1] & touched]:
            parts.remove(part)
            together += part[0]
            touched |= part[1]
        parts.append((together, touched))
    return parts


def _touched(operation: Operation, every: set[Row]) -> set[Row]:
    """The rows that an operation may read or write, where `every` is all there are."""
    return _rows_of(operation.name, operation.table, operation.arguments, every=every)


def _rows_of(name: str, table: str, arguments: tuple[Any, ...], *, every: set[Row]) -> set[Row]:
    if name == "transaction":
        return set().union(*(_rows_of(*step, every=every) for step in arguments))
    if name == "load":
        return every | {row for row, _ in arguments[0]}
    if name in _WHOLE:
        return {row for row in every if row[0] == table}
    if name == "get_many":
        return {(table, key) for key in arguments[0]}
    if name == "bulk_insert":
        return {(table, key) for key, _ in arguments[0]}
    return {(table, arguments[0])}


# -- the model: what one operation does to the rows, and answers -----------------


def _perform(rows: Rows, name: str, table: str, arguments: tuple[Any, ...], *, bags: frozenset[str]) -> Any:
    if name == "transaction":
        return tuple(_perform(rows, *step, bags=bags) for step in arguments)
    if name == "load":
        rows.clear()
        rows.update(arguments[0])
        return None
    perform = _WHOLE.get(name) or (_OF_A_BAG if table in bags else _OF_A_SET)[name]
    return perform(rows, table, *arguments)


def _pairs(rows: Rows, table: str) -> list[tuple[Any, Any]]:
    """The rows of one table, sorted by key."""
    return sorted((row[1], value) for row, value in rows.items() if row[0] == table)


def _size(rows: Rows, table: str) -> int:
    return sum(len(value) if isinstance(value, tuple) else 1 for _, value in _pairs(rows, table))


def _clear(rows: Rows, table: str) -> int:
    size = _size(rows, table)
    for key, _ in _pairs(rows, table):
        del rows[table, key]
    return size


_WHOLE: dict[str, Callable[..., Any]] = {
    "size": _size,
    "clear": _clear,
    "snapshot": _pairs,
    "first": lambda rows, table: next(iter(_pairs(rows, table)), None),
    "last": lambda rows, table: next(iter(_pairs(rows, table)[::-1]), None),
    "range": lambda rows, table, low, high: [pair for pair in _pairs(rows, table) if low <= pair[0] < high],
}
"""The operations on all rows of a table. A bag's are `size`, `clear` and `snapshot`."""


def _get_many(rows: Rows, table: str, keys: Sequence[Any], default: Any = None) -> list[Any]:
    return [rows.get((table, key), default) for key in keys]


def _delete(rows: Rows, table: str, key: Any) -> bool:
    return rows.pop((table, key), None) is not None


# -- those of a set, or an ordered table


def _put(rows: Rows, table: str, key: Any, value: Any) -> None:
    rows[table, key] = value


def _put_new(rows: Rows, table: str, key: Any, value: Any) -> bool:
    is_new = (table, key) not in rows
    rows.setdefault((table, key), value)
    return is_new


def _update(rows: Rows, table: str, key: Any, function: Callable[[Any], Any], default: Any) -> Any:
    rows[table, key] = function(rows.get((table, key), default))
    return rows[table, key]


def _increment(rows: Rows, table: str, key: Any, by: int) -> int:
    rows[table, key] = rows.get((table, key), 0) + by
    return rows[table, key]  # type: ignore[no-any-return]


def _bulk_insert(rows: Rows, table: str, pairs: Sequence[tuple[Any, Any]]) -> int:
    rows.update(((table, key), value) for key, value in pairs)
    return len(dict(pairs))


_OF_A_SET: dict[str, Callable[..., Any]] = {
    "get": lambda rows, table, key: rows.get((table, key)),
    "get_many": _get_many,
    "put": _put,
    "put_new": _put_new,
    "update": _update,
    "increment": _increment,
    "delete": _delete,
    "take": lambda rows, table, key: rows.pop((table, key), None),
    "bulk_insert": _bulk_insert,
}

# -- those of a bag


def _add(rows: Rows, table: str, key: Any, value: Any) -> bool:
    values = rows.get((table, key), ())
    is_new = value not in values
    if is_new:
        rows[table, key] = (*values, value)
    return is_new


def _set_values(rows: Rows, table: str, key: Any, values: Iterable[Any]) -> tuple[Any, ...]:
    distinct = tuple(dict.fromkeys(values))
    if distinct:
        rows[table, key] = distinct
    else:
        rows.pop((table, key), None)
    return distinct


def _delete_value(rows: Rows, table: str, key: Any, value: Any) -> bool:
    values = rows.get((table, key), ())
    _set_values(rows, table, key, [each for each in values if each != value])
    return value in values


_OF_A_BAG: dict[str, Callable[..., Any]] = {
    "get": lambda rows, table, key: rows.get((table, key), ()),
    "get_many": lambda rows, table, keys: _get_many(rows, table, keys, ()),
    "put": lambda rows, table, key, value: (_add(rows, table, key, value), None)[1],
    "put_new": lambda rows, table, key, value: (table, key) not in rows and _add(rows, table, key, value),
    "update": lambda rows, table, key, function, default: _set_values(
        rows, table, key, function(rows.get((table, key), default))
    ),
    "delete": _delete,
    "delete_value": _delete_value,
    "take": lambda rows, table, key: rows.pop((table, key), ()),
    "bulk_insert": lambda rows, table, pairs: sum(_add(rows, table, *pair) for pair in pairs),
}
