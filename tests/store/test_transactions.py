"""Several writes that happen together or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.errors import CallCycleError, RowNotFoundError, StoreError
from slither_actors.store import Store, Table, Transaction
from slither_actors.store._store import pointer_of
from tests.store.conftest import Start


class Bank(Store):
    accounts: Table[str, int] = Table()
    log: Table[int, str] = Table()


@pytest.fixture(autouse=True)
def bank(start: Start) -> None:
    start(Bank)
    Bank.accounts.bulk_insert({"ann": 10, "bob": 5})


def rows() -> tuple[dict[str, int], dict[int, str]]:
    return Bank.accounts.snapshot(), Bank.log.snapshot()


def move(tx: Transaction, source: str, target: str, amount: int) -> int:
    if tx.accounts.fetch(source) < amount:
        msg = f"{source} has too little"
        raise ValueError(msg)
    tx.accounts.increment(source, -amount)
    tx.accounts.increment(target, amount)
    tx.log.put(len(tx.log), f"{source} {target} {amount}")
    result: int = tx.accounts.fetch(target)
    return result


# -- a function in the server ------------------------------------------------------


def test_a_transaction_does_all_of_its_writes() -> None:
    """In several tables; the function's result is the caller's."""
    assert Bank.transact(move, "ann", "bob", 4) == 9
    assert rows() == ({"ann": 6, "bob": 9}, {0: "ann bob 4"})


def test_an_error_leaves_everything_as_it_was() -> None:
    """Whatever was written before it; the caller gets the error, and the server lives."""
    before, version = rows(), Bank.statistics().tables[0].version

    def fail(tx: Transaction) -> None:
        tx.accounts.clear()
        tx.log.put(1, "gone")
        tx["accounts"].fetch("ann")

    with pytest.raises(RowNotFoundError, match=r"Bank\.accounts has no row 'ann'"):
        Bank.transact(fail)
    assert rows() == before
    assert Bank.statistics().tables[0].version == version
    Bank.log.put(0, "on it goes")


def test_a_transaction_reads_its_own_writes() -> None:
    """By every kind of read; all others still see the tables as they were."""

    def look(tx: Transaction) -> None:
        table = tx.accounts
        table.put("cid", 1)
        table.delete("ann")
        assert table.get_many(["ann", "bob", "cid"]) == [None, 5, 1]
        assert list(table.items()) == [("bob", 5), ("cid", 1)]
        assert len(table) == 2
        assert "ann" not in table
        assert table.select(lambda _, value: value > 1) == [("bob", 5)]
        assert table.take("cid") == 1
        assert not table.put_new("bob", 7)
        assert table.update("bob", lambda value: value + 1) == 6
        assert table.bulk_insert([("x", 1), ("y", 2)]) == 2
        assert table.clear() == 3
        assert (table.clear(), len(table), table.snapshot()) == (0, 0, {})
        assert table.put_new("new", 3)
        assert table.snapshot() == {"new": 3}
        assert Bank.accounts.snapshot() == {"ann": 10, "bob": 5}

    Bank.transact(look)
    assert rows() == ({"new": 3}, {})


def test_a_row_that_is_deleted_and_put_again_is_the_last_one() -> None:
    """As in the table itself: the order is that of the writes."""

    def again(tx: Transaction) -> list[str]:
        tx.accounts.delete("ann")
        tx.accounts.put("ann", 1)
        return list(tx.accounts)

    assert Bank.transact(again) == ["bob", "ann"]
    assert list(Bank.accounts) == ["bob", "ann"]


def test_one_publication_for_all_tables() -> None:
    """And none of the old tables is touched, so whoever holds one sees it as it was."""
    held = pointer_of(Bank).now
    Bank.transact(move, "ann", "bob", 4)
    assert held.rows[0].snapshot() == {"ann": 10, "bob": 5}
    assert held.rows[1].snapshot() == {}
    assert pointer_of(Bank).now is not held


def test_a_transaction_of_one_row_copies_no_table() -> None:
    """It is changed in place, as by a write without a transaction."""
    held = pointer_of(Bank).now
    Bank.transact(lambda tx: tx.accounts.increment("ann"))
    assert pointer_of(Bank).now is held
    assert Bank.accounts.get("ann") == 11


def test_a_transaction_without_writes_changes_nothing() -> None:
    """It is a read of one moment over all tables."""
    version = Bank.statistics().tables[0].version
    assert Bank.transact(lambda tx: (tx.accounts.get("ann"), len(tx.log))) == (10, 0)
    assert Bank.statistics().tables[0].version == version


def test_what_is_kept_of_a_transaction_is_of_no_use() -> None:
    """A write after its end would be lost, so it is an error; so is a read."""
    kept: list[Any] = []
    Bank.transact(lambda tx: kept.extend([tx, tx.accounts]))
    with pytest.raises(StoreError, match="store Bank: the transaction is over"):
        kept[1].put("x", 1)
    with pytest.raises(StoreError, match="the transaction is over"):
        kept[0].log.get(1)
    assert "x" not in Bank.accounts


def test_a_transaction_names_a_table_that_is_not_there() -> None:
    """Before anything is written."""
    with pytest.raises(StoreError, match="store Bank has no table 'acounts'; declared: accounts, log"):
        Bank.transact(lambda tx: tx.acounts.put("x", 1))


def test_a_function_that_would_not_run_is_refused() -> None:
    """An async one, and one with a yield: a transaction of nothing is not taken for one that was done."""

    async def later(tx: Transaction) -> None:
        tx.accounts.clear()

    def pieces(tx: Transaction) -> Any:
        yield tx.accounts.clear()

    for function in (later, pieces):
        with pytest.raises(StoreError, match=f"takes a plain function; .*{function.__name__}"):
            Bank.transact(function)
    assert list(Bank.transact(lambda tx: (each for each in [1, 2]))) == [1, 2]


def test_a_plain_write_inside_a_transaction_is_refused() -> None:
    """It would wait for the transaction that it is in; nothing is written."""

    def mixed(tx: Transaction) -> None:
        tx.accounts.put("ann", 0)
        Bank.accounts.put("bob", 0)

    with pytest.raises(CallCycleError):
        Bank.transact(mixed)
    assert rows()[0] == {"ann": 10, "bob": 5}


# -- collected in a block ------------------------------------------------------------


def test_a_block_writes_at_its_end() -> None:
    """Until then there is nothing of it, and then all; the results are in the order of the writes."""
    with Bank.transaction() as tx:
        assert tx.accounts.increment("ann", -3) is None
        tx.accounts.update("bob", lambda value: value + 3)
        tx.log.put_new(0, "moved")
        tx["log"].delete(7)
        assert rows() == ({"ann": 10, "bob": 5}, {})
        with pytest.raises(StoreError, match="has results once its block has ended well"):
            _ = tx.results
    assert tx.results == [7, 8, True, False]
    assert rows() == ({"ann": 7, "bob": 8}, {0: "moved"})


def test_a_block_that_raises_sends_nothing() -> None:
    """The error goes on."""

    def block() -> None:
        with Bank.transaction() as tx:
            tx.accounts.clear()
            raise KeyError

    with pytest.raises(KeyError):
        block()
    assert rows()[0] == {"ann": 10, "bob": 5}


def test_a_block_of_which_one_write_fails_writes_nothing() -> None:
    """The error comes where the block ends."""

    def block() -> None:
        with Bank.transaction() as tx:
            tx.accounts.put("ann", 0)
            tx.accounts.increment("bob", "a string")

    with pytest.raises(TypeError):
        block()
    assert rows()[0] == {"ann": 10, "bob": 5}


def test_a_block_cannot_read() -> None:
    """It says what can."""
    with pytest.raises(StoreError, match=r"cannot read; use transact"), Bank.transaction() as tx:
        tx.accounts.get("ann")


def test_an_empty_block_asks_nobody() -> None:
    """It has no results."""
    with Bank.transaction() as tx:
        pass
    assert tx.results == []


def test_only_writes_can_be_asked_for_by_name() -> None:
    """Whatever a worker sends: no other method of the server is reached."""
    with pytest.raises(StoreError, match="has 'apply', which is none"):
        pointer_of(Bank).write(("transaction", [("apply", 0)]), 5.0)


# -- telling -------------------------------------------------------------------------


def test_a_transaction_is_told_per_table() -> None:
    """One event for each table that it has changed, with the number of its changes."""
    seen: list[tuple[str, int]] = []

    def note(_: str, __: object, measured: Any, data: Any) -> None:
        seen.append((data["table"], measured["count"]))

    with telemetry.attach("slither.store.write", note):
        Bank.transact(move, "ann", "bob", 4)
        Bank.transact(lambda tx: tx.accounts.get("ann"))
    assert seen == [("accounts", 2), ("log", 1)]
