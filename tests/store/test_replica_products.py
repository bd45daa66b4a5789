"""Replicated tables of every combination of options, at random, against a model.

The writes are one after the other, so the driver has a history of states.
Checked is that the driver's tables are what the model says, and that each batch
sees one of those states, and none from before it was sent.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors.bridge import answer
from slither_actors.errors import (
    ActorExitError,
    StoreLoadError,
    StoreReloadingError,
    TableFullError,
    WorkerCrashError,
)
from slither_actors.pool import Job
from slither_actors.store import SQLite, StoreSupervisor, retire
from slither_actors.store._store import handles_of, pointer_of
from tests.pool.asking import Asker, asking, until
from tests.store import product_code as code
from tests.store.product_code import NAMES, STORES, Product, State
from tests.store.product_model import TableModel

BRIEF = 0.05
"""Seconds that some rows live."""


def first_half(values: Any) -> Any:
    return values[len(values) // 2 :] if isinstance(values, tuple) else (values or 0) + 1


class Walk:
    """One store, two workers, and what the store has to hold."""

    def __init__(self, pool: Asker, store: type[Product], seed: int) -> None:
        self.pool = pool
        self.store = store
        self.random = random.Random(seed)
        self.has_file = store.backing is not None
        self.model = {table.name: TableModel(table.options) for table in handles_of(store)}
        self.history: list[State] = [code.cells(store)]
        self.sent: list[tuple[int, Job]] = []
        self.names = self.random.sample(NAMES, 5)
        """The tables that are written one by one: few, so that those with a limit are full."""
        self.number = 0
        self.brief: dict[tuple[str, Any], float] = {}
        """Rows that end soon, and when they certainly have."""
        self.seen = self.unseen = 0
        self.written: deque[Any] = deque(maxlen=10)
        """The last writes, for who looks for what went wrong."""

    # -- steps -----------------------------------------------------------------------

    def step(self) -> None:
        steps: list[Callable[[], None]] = [
            self.write, self.write_from_worker, self.read, self.transact, self.collect, self.end_soon,
            self.reload, self.fail_reload, self.write_during_reload, self.crash_during_reload, self.crash,
            self.kill_worker, self.settle,
        ]  # fmt: skip
        (chosen,) = self.random.choices(steps, [70, 8, 8, 10, 6, 3, 2, 1, 3, 1, 1, 1, 1])
        chosen()
        self.record()
        self.compare(chosen.__name__)
        if self.random.random() < 0.4:
            self.send()

    def value(self) -> int:
        self.number += 1
        return self.number

    def key(self) -> str:
        return self.random.choice("abcdefg")

    def a_write(self) -> tuple[str, str, tuple[Any, ...]]:
        """Table, operation, arguments."""
        name = self.random.choice(self.names)
        bag = self.model[name].options.bag
        key = self.key()
        rows = [(self.key(), self.value()) for _ in range(self.random.choice([0, 1, 3, 6]))]
        writes: list[tuple[str, tuple[Any, ...]]] = [
            *[("put", (key, self.value()))] * 6,
            ("put_new", (key, self.value())),
            ("delete", (key,)),
            ("take", (key,)),
            ("bulk_insert", (rows,)),
            ("update", (key, first_half, () if bag else 0)),
        ]
        if bag:
            held = self.model[name].rows.get(key, (0,))
            writes += [("delete_value", (key, held[0])), ("put", (key, held[-1]))]
        else:
            writes += [("increment", (key, 1))] * 2
        if self.random.random() < 0.3:
            writes.append(("clear", ()))
        return (name, *self.random.choice(writes))

    def write(self, *, is_merged: bool = False) -> None:
        name, operation, arguments = self.a_write()
        if is_merged and operation == "clear" and not self.model[name].rows:
            return  # of an empty table changes no row, unless one is over
        self.wait_for_ends(name)
        before = code.cells(self.store)
        wanted = self.modelled([(name, operation, arguments)])
        with pytest.raises(TableFullError) if wanted else contextlib.nullcontext():
            getattr(getattr(self.store, name), operation)(*arguments)
        self.record_room(before)

    def write_from_worker(self) -> None:
        """And see it there."""
        name, operation, arguments = self.a_write()
        self.wait_for_ends(name)
        before = code.cells(self.store)
        wanted = self.modelled([(name, operation, arguments)])
        job = self.pool.submit(code.write, [(self.store, name, operation, arguments)])
        self.pool.wait(job)
        assert job.error is None, job.error
        assert job.results is not None
        ((error, saw),) = job.results
        assert error == ("TableFullError" if wanted else "")
        self.record_room(before)
        self.record()
        self.check_seen(saw, len(self.history) - 1)

    def read(self) -> None:
        """A use, for those that count them."""
        name, key = self.random.choice(NAMES), self.key()
        getattr(self.store, name).get(key)
        self.model[name].get(key)

    def writes(self, most: int) -> list[tuple[str, str, tuple[Any, ...]]]:
        """For a transaction. Without reads that are uses: those count whatever becomes of the rest."""
        writes = [self.a_write() for _ in range(self.random.randrange(1, most))]
        reading = ("put_new", "increment", "update")
        return [each for each in writes if each[1] not in reading or "lru" not in each[0]]

    def transact(self) -> None:
        """All of it or nothing."""
        writes = self.writes(5)
        for name in NAMES:
            self.wait_for_ends(name)
        fails = self.random.random() < 0.2
        wanted = self.modelled(writes, fails=fails)
        broken: list[Any] = [("none", "put", ())] if fails else []
        with pytest.raises(Exception, match="full|no table") if wanted else contextlib.nullcontext():
            self.store.transact(code.several, [*writes, *broken])

    def collect(self) -> None:
        """As a block."""
        writes = self.writes(4)
        for name in NAMES:
            self.wait_for_ends(name)
        wanted = self.modelled(writes)
        with (
            pytest.raises(TableFullError) if wanted else contextlib.nullcontext(),
            self.store.transaction() as tx,
        ):
            code.several(tx, writes)

    def end_soon(self) -> None:
        """A row that ends while others look."""
        name = self.random.choice([name for name in NAMES if self.model[name].options.ttl is not None])
        self.wait_for_ends(name)
        key, value = self.random.choice(["brief", self.key()]), self.value()
        before = code.cells(self.store)
        self.modelled([(name, "put", (key, value))])
        getattr(self.store, name).put(key, value, ttl=BRIEF)
        self.brief[name, key] = time.monotonic() + BRIEF
        self.record_room(before)

    # -- loads -------------------------------------------------------------------------

    def a_base(self) -> None:
        most = {name: 4 if "refuse" in name else 6 for name in NAMES}
        Product.base = {
            name: {
                key: self.value() for key in self.random.sample("abcdefg", self.random.randrange(most[name]))
            }
            for name in NAMES
        }

    def loaded(self) -> dict[str, TableModel]:
        wanted = {}
        for name, table in self.model.items():
            rows = Product.base.get(name, {})
            wanted[name] = table.loaded(
                {key: (value,) for key, value in rows.items()} if table.options.bag else rows
            )
            if table.options.bag:
                wanted[name].rows = {key: (value,) for key, value in rows.items()}
        return wanted

    def reload(self) -> None:
        self.a_base()
        self.brief.clear()
        self.store.reload()
        self.model = self.loaded()

    def fail_reload(self) -> None:
        self.a_base()
        Product.fails_at = self.random.choice(NAMES)
        with pytest.raises(StoreLoadError, match="half way"):
            self.store.reload()
        Product.fails_at = ""

    def write_during_reload(self) -> None:
        """Refused, merged, or done afterwards."""
        for name in NAMES:
            self.wait_for_ends(name)
        self.a_base()
        errors: list[BaseException] = []
        with self.reloading(errors):
            if self.store.during_reload == "merge":
                self.merge()
            elif self.store.during_reload == "refuse":
                with pytest.raises(StoreReloadingError):
                    self.store.plain.put("a", 0)
            self.send()
        wanted = self.loaded()
        try:
            for name, table in wanted.items():
                table.merge(self.model[name].changes)
        except TableFullError:
            assert isinstance(errors.pop(), StoreLoadError)
        else:
            self.model = wanted
        assert not errors, errors

    def merge(self) -> None:
        for table in self.model.values():
            table.changes.clear()
        for _ in range(self.random.randrange(8)):
            self.write(is_merged=True)
            self.record()
            self.compare("merge")

    def crash_during_reload(self) -> None:
        """The old tables stay until its successor has loaded."""
        for name in NAMES:
            self.wait_for_ends(name)
        errors: list[BaseException] = []
        with self.reloading(errors):
            self.send()
            self.crash(wait=False)
        assert all(isinstance(error, ActorExitError) for error in errors), errors
        if not errors:  # it had been done before the server looked up
            self.model = self.loaded()
        self.wait_for_server()
        if errors and self.has_file:  # then it may have been done all the same
            found = self.living(code.cells(self.store), time.monotonic())
            self.model = next(
                (each for each in (self.model, self.loaded()) if found["plain"] == each["plain"].rows),
                self.model,
            )

    @contextlib.contextmanager
    def reloading(self, errors: list[BaseException]) -> Iterator[None]:
        for table in self.model.values():
            table.changes.clear()

        def reload() -> None:
            try:
                self.store.reload()
            except BaseException as error:  # noqa: BLE001 - for the test
                errors.append(error)

        Product.loading.clear()
        Product.go_on.clear()
        thread = threading.Thread(target=reload, daemon=True)
        thread.start()
        try:
            assert Product.loading.wait(20)
            yield
        finally:
            Product.go_on.set()
            thread.join(20)
        assert not thread.is_alive()

    def crash(self, *, wait: bool = True) -> None:
        self.killed: Any = pointer_of(self.store).server
        self.killed.kill()
        if wait:
            self.wait_for_server()

    def wait_for_server(self) -> None:
        until(lambda: pointer_of(self.store).server is not self.killed, "there is another server")
        pointer_of(self.store).server.call(("size", 0))  # it has loaded
        if not self.has_file:
            self.brief.clear()
            self.model = self.loaded()
        for table in self.model.values() if self.has_file else ():
            table.restored()

    def kill_worker(self) -> None:
        pid = self.random.choice(self.pool.statistics().slots).pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- the model -----------------------------------------------------------------------

    def modelled(self, writes: list[Any], *, fails: bool = False) -> bool:
        """Do them in the model, or none; return whether they fail."""
        self.written += writes
        before = {name: self.model[name].copy() for name, *_ in writes}
        try:
            for name, operation, arguments in writes:
                getattr(self.model[name], operation)(*arguments)
        except TableFullError:
            fails = True
        if fails:
            self.model |= before
        return fails

    def wait_for_ends(self, name: str) -> None:
        """Have the rows of a table that end soon be over: which of them is, is a matter of time."""
        for table, key in [each for each in self.brief if each[0] == name]:
            time.sleep(max(0.0, self.brief.pop((table, key)) - time.monotonic()))
            self.model[table].delete(key)

    def compare(self, step: str) -> None:
        """The driver has what the model has."""
        # Not by reads, which count as uses.
        cells = self.living(code.cells(self.store), time.monotonic())
        for name, table in self.model.items():
            brief = {key for where, key in self.brief if where == name}
            found = {key: value for key, value in cells[name].items() if key not in brief}
            wanted = {key: value for key, value in table.rows.items() if key not in brief}
            assert found == wanted, (step, name, list(self.written))

    # -- what workers see ------------------------------------------------------------------

    def record(self) -> None:
        self.history.append(code.cells(self.store))

    def record_room(self, before: State) -> None:
        """A row that makes room goes as a change of its own."""
        after = {name: dict(rows) for name, rows in code.cells(self.store).items()}
        self.history.append(
            {name: [(key, cell) for key, cell in rows if key in after[name]] for name, rows in before.items()}
        )

    def send(self) -> None:
        self.sent.append((len(self.history) - 1, self.pool.submit(code.look, [self.store])))

    def settle(self) -> None:
        """Look at what the batches have seen."""
        self.record()
        self.pool.wait(*(job for _, job in self.sent))
        for sent_at, job in self.sent:
            if isinstance(job.error, WorkerCrashError):
                continue
            assert job.error is None, job.error
            assert job.results is not None
            self.check_seen(job.results[0], sent_at)
        self.sent.clear()
        del self.history[:-1]

    def check_seen(self, saw: Any, sent_at: int) -> None:
        if saw is None:
            self.unseen += 1
            return
        self.seen += 1
        before, after, cells, visible = saw
        for name in NAMES:
            self.check_visible(name, before, after, cells[name], dict(visible[name]))
        wanted = self.living(cells, after)
        known = [self.living(state, after) for state in self.history[sent_at:]]
        assert wanted in known, (
            [name for name in NAMES if wanted[name] != known[-1][name]],
            sent_at,
            len(known),
        )

    def check_visible(
        self, name: str, before: float, after: float, cells: Any, visible: dict[Any, Any]
    ) -> None:
        """Readers see the rows that are not over."""
        ends = self.model[name].options.is_bounded
        for key, cell in cells:
            value, deadline = cell if ends else (cell, float("inf"))
            if deadline > after:
                assert visible[key] == value
            elif deadline <= before:
                assert key not in visible
        if self.model[name].options.ordered:
            assert list(visible) == sorted(visible)

    def living(self, state: State, now: float) -> dict[str, dict[Any, Any]]:
        """The values of the rows that are not over. A file moves deadlines by rounding them."""
        living = {}
        for name, rows in state.items():
            ends = self.model[name].options.is_bounded
            living[name] = {key: cell[0] if ends else cell for key, cell in rows if not ends or cell[1] > now}
        return living


@pytest.fixture
def pool() -> Iterator[Asker]:
    with asking(workers=2, calls=answer) as asker:
        yield asker


def walk(pool: Asker, store: type[Product], path: Path, seed: int, steps: int) -> None:
    if store.__name__.endswith("File"):
        store.backing = SQLite(path / f"{seed}.db")
    Product.base, Product.fails_at = {}, ""
    Product.go_on.set()
    supervisor = StoreSupervisor.start([store], max_restarts=10_000)
    try:
        made = Walk(pool, store, seed)
        for _ in range(steps):
            made.step()
        made.settle()
        assert made.seen > steps / 5
        assert made.unseen < made.seen / 10
    finally:
        supervisor.stop()
        retire(store)
        store.backing = None


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_a_batch_sees_what_was_written_before_it(pool: Asker, store: type[Product], tmp_path: Path) -> None:
    """Whole transactions of it, in tables of every kind, through reloads, crashes and kills."""
    walk(pool, store, tmp_path, STORES.index(store), 150)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 110))
@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_the_same_for_longer(pool: Asker, store: type[Product], tmp_path: Path, seed: int) -> None:
    """With other seeds."""
    walk(pool, store, tmp_path, seed, 1500)
