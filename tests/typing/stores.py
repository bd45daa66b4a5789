"""Tables are typed by their options, and by what their store says of rows. Only checked, never run."""

from typing import Any, assert_type

from slither_actors.store import ANY, BagTable, OrderedTable, Store, Table

assert_type(Table(), Table[Any, Any])
assert_type(Table(max_rows=5, evict="lru"), Table[Any, Any])
assert_type(Table(ordered=True, ttl=5.0), OrderedTable[Any, Any])
assert_type(Table(bag=True), BagTable[Any, Any])


class Typed(Store):
    bare = Table()
    plain: Table[str, int] = Table()
    ordered: OrderedTable[str, int] = Table(ordered=True)
    spelled: OrderedTable[str, int] = OrderedTable(ttl=1)
    bag: BagTable[str, int] = Table(bag=True)


assert_type(Typed.plain.get("x"), int | None)
assert_type(Typed.plain.get("x", ""), int | str)
assert_type(Typed.plain.match(key=ANY, limit=5), list[tuple[str, int]])
assert_type(Typed.plain.select(lambda key, value: value > len(key)), list[tuple[str, int]])
assert_type(Typed.plain.select(project=lambda key, value: key), list[str])
assert_type(Typed.ordered.range("a", "b", inclusive=(True, True)), list[tuple[str, int]])
assert_type(Typed.ordered.prefix("a"), list[tuple[str, int]])
assert_type(Typed.ordered.first(), tuple[str, int] | None)
assert_type(Typed.bag.get("x"), tuple[int, ...])
assert_type(Typed.bag.take("x"), tuple[int, ...])
Typed.plain.range("a")  # type: ignore[attr-defined]
Typed.ordered.next(5)  # type: ignore[arg-type]
