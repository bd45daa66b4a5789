"""Clients of a store that write down what they asked and what they were told."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from slither_actors.errors import ActorExitError
from slither_actors.store import BagTable, OrderedTable, Store, Transaction
from tests.store.linearizability import UNKNOWN, Operation

KEYS = "abc"


def stepped(value: int) -> int:
    """What `Table.update` is given: two of them are never the same as one."""
    return 3 * value + 1


def rotated(values: tuple[int, ...]) -> tuple[int, ...]:
    """The same for a bag."""
    return (*values[1:], sum(values) % 1009)


@attrs.define
class Client:
    """Asks for `count` random operations on the tables that are named, and records them."""

    store: type[Store]
    tables: Sequence[str]
    seed: int
    count: int
    transactions: bool = False
    history: list[Operation] = attrs.field(factory=list)
    _draw: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    def run(self) -> None:
        for _ in range(self.count):
            if self.transactions and self._draw.random() < 0.25:
                self.transact()
            else:
                name, table, arguments = self.draw()
                self.record(name, table, arguments, lambda: ask(self.store, name, table, arguments))  # noqa: B023

    def transact(self) -> None:
        steps = tuple(self.draw() for _ in range(self._draw.randint(2, 4)))
        if self._draw.random() < 0.5:
            self.record("transaction", "", steps, lambda: self.store.transact(ask_all, steps))
        else:
            writes = tuple(step for step in steps if step[0] in WRITES)
            if writes:
                self.record("transaction", "", writes, lambda: self.collect(writes))

    def collect(self, writes: Sequence[tuple[str, str, tuple[Any, ...]]]) -> tuple[Any, ...]:
        with self.store.transaction() as tx:
            for step in writes:
                ask(tx, *step)
        return tuple(tx.results)

    def record(self, name: str, table: str, arguments: Any, ask: Callable[[], Any]) -> None:
        called = now()
        try:
            result = ask()
        except ActorExitError:  # it may have happened
            result = UNKNOWN
        self.history.append(Operation(name, table, arguments, result, called, now()))

    def draw(self) -> tuple[str, str, tuple[Any, ...]]:
        table = self._draw.choice(self.tables)
        kind = getattr(self.store, table)
        names = BAG if isinstance(kind, BagTable) else ORDERED if isinstance(kind, OrderedTable) else SET
        name = self._draw.choice(names)
        return name, table, self.arguments(name, is_bag=isinstance(kind, BagTable))

    def arguments(self, name: str, *, is_bag: bool) -> tuple[Any, ...]:
        draw = self._draw
        key, value = draw.choice(KEYS), draw.randrange(1000)
        if name in ("put", "put_new"):
            return key, value % 5 if is_bag else value
        if name == "delete_value":
            return key, value % 5
        if name == "update":
            return (key, rotated, ()) if is_bag else (key, stepped, 0)
        if name == "increment":
            return key, value
        if name == "get_many":
            return (tuple(draw.sample(KEYS, 2)),)
        if name == "bulk_insert":
            return (tuple((each, value % 5) for each in draw.sample(KEYS, 2)),)
        if name == "range":
            return "a", "c"
        return () if name in ("size", "clear", "snapshot", "first", "last") else (key,)


SET = ["get", "get", "get_many", "size", "snapshot", "put", "put_new", "update", "update"]
SET += ["increment", "increment", "take", "delete", "bulk_insert", "clear"]
ORDERED = [*SET, "first", "last", "range"]
BAG = [*(name for name in SET if name != "increment"), "put", "delete_value"]
WRITES = ["put", "put_new", "update", "increment", "take", "delete", "delete_value", "bulk_insert", "clear"]


def now() -> int:
    """Nanoseconds of a clock that all processes share."""
    return time.monotonic_ns()


def ask(tables: type[Store] | Transaction, name: str, table: str, arguments: tuple[Any, ...]) -> Any:
    """Perform one operation; the answer is what the model gives."""
    answer = getattr(getattr(tables, table), name)(*arguments)
    return sorted(answer.items()) if name == "snapshot" else answer


def ask_all(tx: Transaction, steps: Sequence[tuple[str, str, tuple[Any, ...]]]) -> tuple[Any, ...]:
    """A transaction that reads and writes."""
    return tuple(ask(tx, *step) for step in steps)


def run_together(*runs: Callable[[], object]) -> None:
    """Each in a thread of its own, all from one moment on."""
    barrier = threading.Barrier(len(runs))
    failed: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        barrier.wait(20)
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    if failed:
        raise failed[0]
