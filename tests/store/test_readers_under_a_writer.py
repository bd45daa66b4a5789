"""Readers in threads against a writer that never rests, with a switch of threads every microsecond."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from slither_actors.store import BagTable, LoadTables, OrderedTable, SQLite, Store, Table, Transaction
from tests.store.conftest import Start

SECONDS = 0.5
PATIENCE = 20.0
KEYS = list(range(60))


class Counted(Store):
    """Every row of both tables holds the same number, and each load the next one."""

    first: Table[int, int] = Table()
    second: Table[int, int] = Table()
    number: ClassVar[int] = 0

    def load(self, tables: LoadTables) -> None:
        Counted.number += 1
        for key in KEYS:
            tables.first.put(key, Counted.number)
            tables.second.put(key, Counted.number)


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run(
    write: Callable[[], object], *reads: Callable[[], str | None], seconds: float = SECONDS, few: int = 10
) -> list[str]:
    """Write in this thread for a while, read in one each for `reads`; return what they complained of.

    It takes longer where somebody came to it no more than `few` times, on a busy machine.
    """
    over = threading.Event()
    wrong: list[str] = []
    rounds = [0] * len(reads)

    def read(index: int) -> None:
        while not over.is_set():
            complaint = reads[index]()
            rounds[index] += 1
            if complaint:
                wrong.append(complaint)
                return

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(reads))]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    writes = 0
    while not wrong and time.monotonic() < began + PATIENCE:
        write()
        writes += 1
        if min(writes, *rounds) > few and time.monotonic() >= began + seconds:
            break
    over.set()
    for thread in threads:
        thread.join(20)
    assert wrong or (writes > few and all(count > few for count in rounds)), (writes, rounds)
    return wrong


def mixed(values: list[Any]) -> str | None:
    return f"half of it: {sorted(set(values))}" if len(set(values)) > 1 else None


def test_no_reader_sees_half_a_bulk_insert(start: Start) -> None:
    """Whether it asks for many keys, for a copy, or for one key after the other."""
    start(Counted)
    numbers = iter(range(1_000_000, 2_000_000))

    def one_by_one() -> str | None:
        early = Counted.first.get(KEYS[-1], 0)
        late = Counted.first.get(KEYS[0], 0)
        return f"{late} after {early}" if late < early else None

    complaints = run(
        lambda: Counted.first.bulk_insert(dict.fromkeys(KEYS, next(numbers))),
        lambda: mixed(Counted.first.get_many(KEYS)),
        lambda: mixed(list(Counted.first.values())),
        one_by_one,
    )
    assert complaints == []


def test_no_reader_sees_half_a_reload(start: Start) -> None:
    """Nor the new rows of one table before those of another, in either order."""
    start(Counted)

    def first_then_second() -> str | None:
        early, late = Counted.first.get(0, 0), Counted.second.get(0, 0)
        return f"second {late} after first {early}" if late < early else None

    def second_then_first() -> str | None:
        early, late = Counted.second.get(59, 0), Counted.first.get(59, 0)
        return f"first {late} after second {early}" if late < early else None

    complaints = run(
        Counted.reload,
        lambda: mixed(Counted.first.get_many(KEYS)),
        lambda: mixed(list(Counted.second.values())),
        first_then_second,
        second_then_first,
    )
    assert complaints == []


def set_all(tx: Transaction, number: int) -> None:
    for key in KEYS:
        tx.first.put(key, number)
    for key in reversed(KEYS):
        tx.second.put(key, number)


@pytest.mark.parametrize("form", ["function", "block"])
def test_no_reader_sees_half_a_transaction(start: Start, form: str) -> None:
    """Of one table, nor the first table before the second, in whatever order it was written."""
    start(Counted)
    numbers = iter(range(1_000_000, 2_000_000))

    def write() -> None:
        number = next(numbers)
        if form == "function":
            Counted.transact(set_all, number)
        else:
            with Counted.transaction() as tx:
                set_all(tx, number)

    def first_then_second() -> str | None:
        early, late = Counted.first.get(59, 0), Counted.second.get(0, 0)
        return f"second {late} after first {early}" if late < early else None

    def second_then_first() -> str | None:
        early, late = Counted.second.get(59, 0), Counted.first.get(0, 0)
        return f"first {late} after second {early}" if late < early else None

    complaints = run(
        write,
        lambda: mixed(Counted.first.get_many(KEYS)),
        lambda: mixed(list(Counted.second.values())),
        first_then_second,
        second_then_first,
    )
    assert complaints == []


def test_a_transaction_reads_one_moment_over_all_tables(start: Start) -> None:
    """It is in line with the writes; readers beside it see no half of those either."""
    start(Counted)
    numbers = iter(range(1_000_000, 2_000_000))

    def both() -> str | None:
        return Counted.transact(lambda tx: mixed([*tx.first.values(), *tx.second.get_many(KEYS)]))

    assert run(lambda: Counted.transact(set_all, next(numbers)), both, both) == []


@pytest.mark.parametrize("what", ["transaction", "bulk insert", "reload", "merging reload"])
def test_no_reader_sees_half_of_what_goes_to_a_file(start: Start, tmp_path: Path, what: str) -> None:
    """The way of a write through the file ends in one publication as well."""

    class Filed(Counted):
        backing = SQLite(tmp_path / "counted.db")
        during_reload = "merge" if what == "merging reload" else "queue"

    start(Filed)
    numbers = iter(range(1_000_000, 2_000_000))
    writes: dict[str, Callable[[], object]] = {
        "transaction": lambda: Filed.transact(set_all, next(numbers)),
        "bulk insert": lambda: Filed.first.bulk_insert(dict.fromkeys(KEYS, next(numbers))),
        "reload": Filed.reload,
        "merging reload": Filed.reload,
    }

    def first_then_second() -> str | None:
        early, late = Filed.first.get(59, 0), Filed.second.get(0, 0)
        return f"second {late} after first {early}" if late < early and what != "bulk insert" else None

    complaints = run(
        writes[what],
        lambda: mixed(Filed.first.get_many(KEYS)),
        lambda: mixed(list(Filed.first.values())),
        first_then_second,
    )
    assert complaints == []


def test_many_keys_are_of_one_moment_between_point_writes(start: Start) -> None:
    """Row 0 is always written before row 1: no moment has them the other way round."""
    start(Counted)
    numbers = iter(range(1_000_000, 10_000_000))

    def write() -> None:
        number = next(numbers)
        Counted.first.put(0, number)
        Counted.first.put(1, number)

    def many() -> str | None:
        lead, follow = Counted.first.get_many([0, 1], 0)
        return None if lead - follow in (0, 1) or follow < 1_000_000 else f"{lead} and {follow}"

    def copied() -> str | None:
        rows = Counted.first.snapshot()
        return None if rows[0] - rows[1] in (0, 1) or rows[1] < 1_000_000 else f"{rows[0]} and {rows[1]}"

    assert run(write, many, copied) == []


def test_iteration_survives_rows_that_come_and_go(start: Start) -> None:
    """The table grows and shrinks under the readers; they see each row whole."""
    start(Counted)
    Counted.first.clear()

    def write() -> None:
        for key in KEYS:
            Counted.first.put(key, key)
        for key in KEYS:
            Counted.first.delete(key)

    def iterate() -> str | None:
        return next((f"{key}: {value}" for key, value in Counted.first.items() if key != value), None)

    def size() -> str | None:
        found = Counted.first.size()
        return None if 0 <= found <= len(KEYS) else f"size {found}"

    assert run(write, iterate, size) == []


def test_writers_lose_nothing(start: Start) -> None:
    """Increments and updates of four threads, at once on one row, all count."""
    start(Counted)

    def write() -> None:
        for _ in range(500):
            Counted.first.increment(0)
            Counted.first.update(0, lambda value: value + 1)

    before = Counted.first.fetch(0)
    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert Counted.first.fetch(0) == before + 4 * 500 * 2


class Growing(Store):
    """An ordered table whose keys only ever grow, and a bag whose values follow one another."""

    numbers: OrderedTable[int, int] = Table(ordered=True)
    bag: BagTable[str, int] = Table(bag=True)


def test_no_reader_sees_half_an_ordered_write(start: Start) -> None:
    """What ``get`` has seen is in every range from then on, and no key is skipped."""
    start(Growing)
    numbers = iter(range(10_000_000))
    seen = [0, 0]

    def write() -> None:
        number = next(numbers)
        Growing.numbers.put(number, number)

    def get_then_range() -> str | None:
        while seen[0] in Growing.numbers:
            seen[0] += 1
        if not seen[0]:
            return None
        found = Growing.numbers.range(seen[0] - 1, limit=1)
        return (
            None if found == [(seen[0] - 1,) * 2] else f"{seen[0] - 1} is in the table, the range has {found}"
        )

    def tail() -> str | None:
        keys = [key for key, _ in Growing.numbers.range(reverse=True, limit=5)]
        if keys and keys[0] < seen[1]:
            return f"{keys} after {seen[1]}"
        seen[1] = keys[0] if keys else 0
        return None if keys == list(range(seen[1], seen[1] - len(keys), -1)) else f"{keys} has holes"

    def neighbours() -> str | None:
        last = Growing.numbers.last()
        if last is None:
            return None
        before = Growing.numbers.previous(last[0])
        wrong = last[0] and before != (last[0] - 1, last[0] - 1)
        return f"{before} before {last}" if wrong else None

    assert run(write, get_then_range, tail, neighbours) == []


def test_no_reader_sees_half_an_ordered_bulk_insert(start: Start) -> None:
    """Nor of a clear: a range has all the rows of one insert or none."""
    start(Growing)
    numbers = iter(range(1, 1_000_000))

    def write() -> None:
        Growing.numbers.bulk_insert(dict.fromkeys(range(2000), next(numbers)))
        Growing.numbers.clear()

    def whole() -> str | None:
        values = [value for _, value in Growing.numbers.range()]
        return mixed(values) or (f"{len(values)} rows" if len(values) not in (0, 2000) else None)

    def copied() -> str | None:
        rows = Growing.numbers.snapshot()
        return None if list(rows) in ([], list(range(2000))) else f"{len(rows)} rows"

    assert run(write, whole, copied) == []


def test_rows_that_come_and_go_in_the_middle_of_a_chunk(start: Start) -> None:
    """The rows beside them are always there, in order."""
    start(Growing)
    Growing.numbers.bulk_insert((number, number) for number in range(0, 4000, 2))

    def write() -> None:
        for number in range(501, 1501, 2):
            Growing.numbers.put(number, number)
        for number in range(501, 1501, 2):
            Growing.numbers.delete(number)

    def even() -> str | None:
        keys = [key for key, _ in Growing.numbers.range(400, 1600)]
        return None if [key for key in keys if key % 2 == 0] == list(range(400, 1600, 2)) else "a row is gone"

    def ordered() -> str | None:
        keys = list(Growing.numbers)
        return None if keys == sorted(keys) else "not in order"

    assert run(write, even, ordered) == []


def test_the_values_of_a_bag_change_at_once(start: Start) -> None:
    """A value comes before its predecessor goes: there are always one or two, and the size says so."""
    start(Growing)
    Growing.bag.put("x", 0)
    numbers = iter(range(1, 10_000_000))

    def write() -> None:
        number = next(numbers)
        Growing.bag.put("x", number)
        Growing.bag.delete_value("x", number - 1)

    def values() -> str | None:
        found = Growing.bag.get("x")
        return None if len(found) == 1 or (len(found) == 2 and found[1] == found[0] + 1) else f"{found}"

    def size() -> str | None:
        found = Growing.bag.size()
        return None if found in (1, 2) else f"size {found}"

    assert run(write, values, size) == []


# -- each kind of table, each of what must appear at once, each way to read -------------


class Kinds(Store):
    """Every row of all tables holds the same number, and each load the next one; a bag has it twice."""

    plain: Table[int, int] = Table()
    ordered: OrderedTable[int, int] = Table(ordered=True)
    bag: BagTable[int, int] = Table(bag=True)
    ending: Table[int, int] = Table(ttl=3600.0)
    number: ClassVar[int] = 0

    def load(self, tables: LoadTables) -> None:
        Kinds.number += 1
        for name in ("plain", "ordered", "bag", "ending"):
            for key in KEYS:
                tables[name].put(key, Kinds.number)
                if name == "bag":
                    tables[name].put(key, -Kinds.number)


def renew(tx: Any, name: str, number: int) -> None:
    """Replace all rows of one table, those of a bag by an update of each key."""
    table = getattr(tx, name)
    for key in KEYS:
        if name == "bag":
            table.update(key, lambda _: (number, -number))
        else:
            table.put(key, number)


@pytest.mark.parametrize("name", ["plain", "ordered", "bag", "ending"])
@pytest.mark.parametrize("what", ["transaction", "bulk insert", "reload", "merging reload"])
def test_every_way_to_read_sees_all_of_it_or_nothing(start: Start, name: str, what: str) -> None:
    """Many keys, iteration, a selection, a fold, a match and, in order, a range are of one moment."""
    during = "merge" if what == "merging reload" else "queue"
    store: Any = type("Here", (Kinds,), {"during_reload": during})
    start(store)
    table = getattr(store, name)
    numbers = iter(range(1_000_000, 2_000_000))

    def bulk_insert() -> None:
        if name == "bag":  # adds values: to be one again, a bag is emptied first
            table.clear()
        number = next(numbers)
        rows = dict.fromkeys(KEYS, number)
        table.bulk_insert([*rows.items(), *((key, -number) for key in KEYS)] if name == "bag" else rows)

    writes: dict[str, Callable[[], object]] = {
        "transaction": lambda: store.transact(renew, name, next(numbers)),
        "bulk insert": bulk_insert,
        "reload": store.reload,
        "merging reload": store.reload,
    }
    may_be_empty = what == "bulk insert" and name == "bag"
    sizes = {len(KEYS) * (2 if name == "bag" else 1)} | ({0} if may_be_empty else set())

    def whole(values: list[int]) -> str | None:
        wrong = None if len(values) in sizes else f"{len(values)} rows"
        return wrong or mixed([abs(value) for value in values])

    def iterated() -> str | None:
        return whole(list(table.values())) or whole([value for _, value in table.items()])

    def selected() -> str | None:
        return whole(table.select(lambda key, _: key >= 0, project=lambda _, value: value))

    def folded() -> str | None:
        return whole(table.fold(lambda found, _, value: [*found, value], []))

    def matched() -> str | None:
        return whole([value for _, value in table.match()])

    def several() -> str | None:
        found = table.get_many(KEYS)
        return mixed([abs(value[0]) if value else 0 for value in found] if name == "bag" else found)

    def ranged() -> str | None:
        return whole([value for _, value in table.range(reverse=True)])

    reads = [iterated, selected, folded, matched, several, *([ranged] if name == "ordered" else [])]
    assert run(writes[what], *reads, seconds=0.2, few=2) == []
