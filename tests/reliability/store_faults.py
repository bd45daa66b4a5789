"""The programs of `test_store_faults`: writers that are killed, loads that fail, names, memory."""

from __future__ import annotations

import gc
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from slither_actors.actors import Down, Registry, RegistryRef, Supervisor, whereis, zombies
from slither_actors.errors import ActorExitError, CallTimeoutError, StoreError, StoreLoadError
from slither_actors.store import (
    LoadTables,
    SQLite,
    Store,
    StoreServer,
    StoreSupervisor,
    Table,
    Transaction,
    retire,
)
from tests import leaks
from tests.actors.probes import Gate, Probe, Quiet, settle

WIDTH = 8
KEYS = list(range(WIDTH))
MEGABYTE = 2**20
LONG = 20.0


# -- X43: the writer crashes ---------------------------------------------------------------------------


class Pair(Store):
    """Two tables whose rows all have the same number, which only ever grows."""

    left: Table[int, int] = Table()
    right: Table[int, int] = Table(ordered=True)
    latest: ClassVar[int] = 0
    fault: ClassVar[str] = ""
    entered: ClassVar[threading.Event]
    go_on: ClassVar[threading.Event]
    write_timeout = LONG

    @classmethod
    def next(cls) -> int:
        Pair.latest += 1
        return Pair.latest

    @classmethod
    def pause(cls) -> None:
        """Be in the middle, until the test has seen it."""
        Pair.entered.set()
        assert Pair.go_on.wait(LONG)

    def load(self, tables: LoadTables) -> None:
        number, fault = self.next(), Pair.fault
        Pair.fault = ""
        tables.left.insert(dict.fromkeys(KEYS, number))
        if fault == "raise":
            raise OSError("the feed broke off")
        if fault == "exit":
            raise SystemExit(3)
        if fault == "pause":
            self.pause()
        tables.right.insert(dict.fromkeys(KEYS, number))


class Merging(Pair):
    during_reload = "merge"


def change(tx: Transaction, fault: str) -> int:
    """Give all rows the next number; with a fault in the middle of it."""
    number = Pair.next()
    for table in (tx.left, tx.right):
        for key in KEYS:
            table.put(key, number)
            if key == WIDTH // 2 and table.name == "right":
                if fault == "raise":
                    raise LookupError(number)
                if fault == "exit":
                    raise SystemExit(3)
                if fault == "pause":
                    Pair.pause()
    return number


class Readers:
    """Threads that look at the tables all the time, and note what must not be seen."""

    def __init__(self, store: type[Pair], count: int = 3) -> None:
        self.wrong: list[Any] = []
        self.reads = 0
        self._store, self._stopped = store, threading.Event()
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        seen = 0
        while not self._stopped.is_set() and not self.wrong:
            try:
                first = self._store.left.get_many(KEYS)
                other = [value for _, value in self._store.right.range()]
                again = self._store.left.get_many(KEYS)
            except BaseException as error:  # noqa: BLE001 - a reader gets no error at all
                self.wrong.append(error)
                return
            if len({*first}) != 1 or len({*other}) != 1 or len(other) != WIDTH or None in first:
                self.wrong.append(("a mix in a table", first, other))
            elif first == again and first != other:
                self.wrong.append(("a mix of tables", first, other))
            elif first[0] < seen:
                self.wrong.append(("back in time", seen, first))
            seen = again[0] or 0
            self.reads += 1

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()
        assert not self.wrong, self.wrong[0]
        assert self.reads > 100


def expect(call: Callable[[], object], *errors: type[BaseException]) -> BaseException | None:
    """Return the error, which is one of these."""
    try:
        call()
    except errors as error:
        return error
    return None


def in_thread(call: Callable[[], object], *errors: type[BaseException]) -> tuple[threading.Thread, list[Any]]:
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(expect(call, *errors)), daemon=True)
    thread.start()
    return thread, outcome


def writers_crash(kind: Literal["memory", "file", "merge"], rounds: int, seed: int) -> None:
    """The server dies, or its functions raise, in the middle of transactions and reloads."""
    chance = random.Random(seed)
    store: type[Pair] = Merging if kind == "merge" else Pair
    threads = threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the names alone
    with tempfile.TemporaryDirectory() as folder:
        store.backing = SQLite(Path(folder) / "pair.db") if kind == "file" else None
        specs = [StoreServer.child_spec(store, id="store", shutdown=0)]
        supervisor: Any = Supervisor.start(specs, max_restarts=10**6, max_seconds=1)
        readers = Readers(store)
        for _ in range(rounds):
            deed = chance.choice(["raise", "exit", "pause", "fine"])
            Pair.entered, Pair.go_on = threading.Event(), threading.Event()
            if chance.random() < 0.5:
                crash_in_a_transaction(store, supervisor, deed, chance)
            else:
                crash_in_a_reload(store, supervisor, deed, chance)
            # Whatever has happened, it can be written to again: the successor is there, or about to be.
            number = write_again(store)
            assert store.left.get(0) == store.right.get(0) == number
        readers.stop()
        supervisor.stop()
        retire(store)
    settled(threads, descriptors)


def settled(threads: int, descriptors: int) -> None:
    """No thread of the test's, zombie or descriptor is left."""
    deadline = time.monotonic() + LONG
    while zombies() or len(os.listdir("/proc/self/fd")) > descriptors + 1:  # noqa: PTH208
        assert time.monotonic() < deadline
        time.sleep(0.01)
    mine = [thread for thread in leaks.threads() if not thread.is_infrastructure]
    assert len(mine) <= threads, mine


def write_again(store: type[Pair]) -> int:
    deadline = time.monotonic() + LONG
    while True:
        try:
            number: int = store.transact(change, "")
        except ActorExitError:
            assert time.monotonic() < deadline
        else:
            return number


def abandon(supervisor: Any, chance: random.Random) -> None:
    """Have the server given up where it is, in a function of the user's, and replaced, soon or at once."""
    supervisor.terminate_child("store")
    time.sleep(chance.choice([0, 0.002]))
    supervisor.restart_child("store")


def crash_in_a_transaction(store: type[Pair], supervisor: Any, deed: str, chance: random.Random) -> None:
    before = store.left.get(0)
    if deed != "pause":
        error = expect(lambda: store.transact(change, deed), LookupError, SystemExit, ActorExitError)
        assert (error is None) == (deed == "fine"), error
        if deed == "raise":
            assert isinstance(error, LookupError)
            assert store.left.get(0) == before
        return
    thread, outcome = in_thread(lambda: store.transact(change, deed), ActorExitError, StoreError)
    assert Pair.entered.wait(LONG)
    assert store.left.get(0) == before
    abandon(supervisor, chance)
    number = store.left.get(0)
    Pair.go_on.set()
    thread.join(LONG)
    [error] = outcome
    # It says that it failed, and nobody sees anything of it, now or later.
    assert isinstance(error, (ActorExitError, StoreError)), error
    assert store.left.get(0) == number


def crash_in_a_reload(store: type[Pair], supervisor: Any, deed: str, chance: random.Random) -> None:
    before = store.left.get(0)
    Pair.fault = "" if deed == "fine" else deed
    if deed != "pause":
        error = expect(store.reload, StoreLoadError, SystemExit, ActorExitError)
        assert (error is None) == (deed == "fine"), error
        if deed == "raise":
            assert isinstance(error, StoreLoadError)
            assert "OSError: the feed broke off" in str(error)
            assert store.left.get(0) == store.right.get(0) == before
        return
    thread, outcome = in_thread(store.reload, ActorExitError, StoreError, CallTimeoutError)
    assert Pair.entered.wait(LONG)
    assert store.left.get(0) == store.right.get(0) == before
    abandon(supervisor, chance)
    number = store.left.get(0)
    Pair.go_on.set()
    thread.join(LONG)
    [error] = outcome
    assert isinstance(error, (ActorExitError, StoreError)), error
    assert store.left.get(0) == number


# -- X44: names --------------------------------------------------------------------------------------


def abandoned_holders(rounds: int) -> None:
    """Actors with a name and a key hang in a handler for ever and are given up: both are free at the DOWN."""
    registry = Registry.start(keys="unique")
    assert isinstance(registry, RegistryRef)
    found: list[Any] = []
    heir = Probe.start()
    for number in range(rounds):
        gate = Gate()
        tree: Any = Supervisor.start(
            [Quiet.child_spec(name="holder", id="holder", shutdown=0, restart="temporary")]
        )
        holder = whereis("holder")
        assert holder is not None
        registry.register_actor(holder, "holder")
        told = threading.Event()

        def watch(
            probe: Any, holder: Any = holder, told: threading.Event = told, number: int = number
        ) -> None:
            probe.handle_info = lambda message: (
                found.append((type(message), whereis("holder"), registry.whereis("holder"))),
                registry.register("holder", number),
                registry.unregister("holder"),
                told.set(),
            )
            probe.monitor(holder)

        heir.call(watch)
        holder.cast(lambda _, gate=gate: gate())
        gate.wait()
        tree.stop("shutdown")
        assert told.wait(LONG)
        again = Quiet.start(name="holder")
        registry.register_actor(again, "holder")
        again.kill()
        assert again.join(LONG)
        gate.open()
    assert found == [(Down, None, None)] * rounds
    settle(heir)
    heir.stop()
    assert registry.count() == 0
    deadline = time.monotonic() + LONG
    while zombies():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- X45: memory -------------------------------------------------------------------------------------


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class Heavy(Store):
    """Fails with a hundred megabytes in its frames."""

    rows: Table[Any, Any] = Table()
    fails: ClassVar[bool] = False

    def load(self, tables: LoadTables) -> None:
        if Heavy.fails:
            fail()


def fail(*_: Any) -> None:
    held = bytearray(100 * MEGABYTE)
    held[::4096] = b"x" * len(held[::4096])
    raise LookupError(len(held))


def crashes_keep_no_memory() -> None:
    """Of updates, transactions and reloads that fail, ten times, with the collector off."""
    gc.disable()
    supervisor = StoreSupervisor.start([Heavy])
    writes: list[Callable[[], object]] = [
        lambda: Heavy.rows.update("key", fail),
        lambda: Heavy.transact(fail),
        Heavy.reload,
    ]

    def all_fail() -> list[str]:
        errors = []
        for write in writes:
            Heavy.fails = True
            errors.append(type(expect(write, LookupError, StoreLoadError)).__name__)
            Heavy.fails = False
        return errors

    assert all_fail() == ["LookupError", "LookupError", "StoreLoadError"]
    before = rss()
    for _ in range(10):
        all_fail()
    assert rss() - before < 50 * MEGABYTE, (rss() - before) // MEGABYTE
    supervisor.stop()
    retire(Heavy)
