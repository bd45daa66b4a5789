"""Replicated tables: read in the workers, and true there."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors.bridge import CallRequest, answer
from slither_actors.errors import NotRunningError, PayloadError, StoreLoadError, WorkerCrashError
from slither_actors.pool import Job
from slither_actors.store import StoreSupervisor, retire
from slither_actors.store._store import pointer_of
from tests.pool.asking import Asker, asking, until
from tests.store import replica_code as code
from tests.store.replica_code import Every, Wide


class Calls:
    """Answers the calls of the workers, and counts them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, request: CallRequest) -> None:
        self.names.append(request.name)
        answer(request)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def pool(calls: Calls) -> Iterator[Asker]:
    """A pool of two, with both stores."""
    Every.base = {"a": 1, "b": 2, "bb": 3}
    Wide.size = 0
    supervisor = StoreSupervisor.start([Every, Wide], max_restarts=1000)
    try:
        with asking(workers=2, calls=calls) as asker:
            yield asker
    finally:
        supervisor.stop()
        retire(Every)
        retire(Wide)
        gc.collect()


def on_both(pool: Asker, function: Callable[..., Any]) -> dict[Any, Any]:
    """Run a function that returns pairs in both workers: what each returned, by what came first."""
    found: dict[Any, Any] = {}

    def ran() -> bool:
        jobs = [pool.submit(function, [None]) for _ in range(4)]
        pool.wait(*jobs)
        for job in jobs:
            assert job.error is None, job.error
            found[job.worker_pid] = job.results[0]  # type: ignore[index]
        return len(found) == 2

    until(ran, "both workers had a batch")
    return found


def test_reads_are_those_of_the_driver(pool: Asker, calls: Calls) -> None:
    """All of them, on all kinds of tables, and they cost one call in all."""
    Every.bag.put("a", 9)
    assert pool.run(code.reads, [None]) == code.reads([None])
    assert calls.names == ["replicate"]


def test_a_worker_sees_its_own_writes(pool: Asker) -> None:
    """Each of them, as soon as it is acknowledged, also before it has read anything from the driver's."""
    wanted = [1, 2, ("own", 5), (1, 2), None, [1, 2], (9, 9), 0]
    assert pool.run(code.own_writes, [None]) == [wanted]
    assert pool.run(code.look, [None])[0][1] == code.state()


def test_a_row_that_is_over_is_not_seen(pool: Asker) -> None:
    """By its deadline, without a word of the driver's."""
    pool.run(code.get_every, ["soon"])
    Every.ending.put("soon", 1, ttl=0.4)
    Every.ending.put("later", 2)
    seen = pool.run(code.get_every, ["soon", "later"])
    assert seen[0] == 1 or Every.ending.get("soon") is None
    assert seen[1] == 2
    until(lambda: Every.ending.get("soon") is None)
    assert pool.run(code.get_every, ["soon", "later"]) == [None, 2]


def test_what_makes_room_goes_in_the_workers_too(pool: Asker) -> None:
    """One by one, and in a bulk insert."""
    pool.run(code.look, [None])
    for number in range(12):
        Every.full.put(number, number)
    assert [each[1] for each in on_both(pool, code.look).values()] == [code.state()] * 2
    Every.full.bulk_insert(dict.fromkeys(range(9, 16), 0))
    assert [each[1] for each in on_both(pool, code.look).values()] == [code.state()] * 2


def test_a_failed_reload_changes_nothing(pool: Asker) -> None:
    """And one that succeeds everything."""
    pool.run(code.look, [None])
    before, Every.base = code.state(), 7
    with pytest.raises(StoreLoadError):
        Every.reload()
    assert pool.run(code.look, [None])[0][1] == before
    Every.base = {"c": 1}
    Every.reload()
    assert pool.run(code.look, [None])[0][1] == code.state() != before


def test_workers_read_on_while_the_server_is_dead(pool: Asker, calls: Calls) -> None:
    """What was published last, and then what its successor has loaded."""
    Every.rows.put("lost", 1)
    on_both(pool, code.look)
    server: Any = pointer_of(Every).server
    del calls.names[:]
    server.kill()
    found = pool.run(code.look, [None])[0][1]
    until(lambda: pointer_of(Every).server is not server and Every.rows.get("lost") is None)
    assert dict(found[0]).get("lost") in (1, None)
    assert dict(pool.run(code.look, [None])[0][1][0]) == Every.base


def test_a_store_that_has_stopped_is_not_read(pool: Asker) -> None:
    """A worker that has its rows gets the error that others get."""
    assert pool.run(code.look, [None])
    retire(Every)
    with pytest.raises(Exception, match="store Every is not running") as caught:
        pool.run(code.look, [None])
    assert isinstance(caught.value.__cause__, NotRunningError)


# -- snapshots -----------------------------------------------------------------------


def replicas(store: Any = Wide) -> Any:
    return store.statistics().replicas


def test_a_large_snapshot_is_made_once_for_all_workers(pool: Asker) -> None:
    """It is in memory that they share, for some seconds; a reload makes another."""
    Wide.size = 50_000
    Wide.reload()
    assert replicas().workers == 0
    on_both(pool, code.memory)
    assert (replicas().workers, replicas().snapshots) == (2, 1)
    assert replicas().shared_bytes == replicas().snapshot_bytes > 500_000
    pointer_of(Wide).feed.forget_snapshot()  # type: ignore[union-attr]
    assert replicas().shared_bytes == 0
    Wide.reload()
    on_both(pool, code.memory)
    assert (replicas().workers, replicas().snapshots) == (2, 2)


def test_a_new_worker_gets_a_snapshot(pool: Asker) -> None:
    """One that died is not counted any more, and its successor has what is written."""
    Wide.rows.put(1, "one")
    pids = on_both(pool, code.memory)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: {slot.pid for slot in pool.statistics().slots}.isdisjoint({*pids, None}))
    assert replicas().workers == 0
    assert pool.run(code.get, [1]) == ["one"]
    assert replicas().workers == 1


def test_a_first_read_does_not_wait_for_a_reload(pool: Asker) -> None:
    """It gets what readers see at that moment, and afterwards what was loaded."""
    Wide.rows.put(1, "before")
    Wide.go_on.clear()
    reload = threading.Thread(target=Wide.reload, daemon=True)
    reload.start()
    try:
        assert pool.run(code.get, [1]) == ["before"]
        assert reload.is_alive()
    finally:
        Wide.go_on.set()
        reload.join(20)
    assert pool.run(code.get, [1]) == [None]


def test_a_first_read_while_others_write(pool: Asker) -> None:
    """Where they leave no time for a copy it is made in the server, between two writes."""
    Wide.size = 5_000
    Wide.reload()
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            Wide.rows.put(number % 5_000, number)

    writers = [threading.Thread(target=write, daemon=True) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for number in range(20):
            Wide.rows.put("mine", number)
            assert pool.run(code.get, ["mine"]) == [number]
            Wide.rows.bulk_insert(dict.fromkeys(range(11_000), -1) if number % 5 == 0 else {})
    finally:
        over.set()
        for writer in writers:
            writer.join(20)
    assert pool.run(code.get, list(range(5_000))) == Wide.rows.get_many(range(5_000))


def test_who_is_far_behind_gets_a_snapshot(pool: Asker) -> None:
    """The log is bounded: it never has more than a snapshot would."""
    pool.run(code.get, [1])
    for number in range(3000):
        Wide.rows.put(number, f"{number:01000}")
        assert replicas().log_bytes < 2_000_000
    assert pool.run(code.get, [0, 2999]) == [f"{0:01000}", f"{2999:01000}"]
    assert replicas().snapshots == 2


def test_many_rows_at_once_are_a_snapshot(pool: Asker) -> None:
    """Few of them are told of."""
    pool.run(code.get, [1])
    Wide.rows.bulk_insert({number: number for number in range(100)})
    assert pool.run(code.get, [99]) == [99]
    assert replicas().snapshots == 1
    Wide.rows.bulk_insert({number: -number for number in range(50_000)})
    assert pool.run(code.get, [99]) == [-99]
    assert replicas().snapshots == 2


def test_a_small_change_is_told_of(pool: Asker, calls: Calls) -> None:
    """Also of a large table: no call, no snapshot."""
    Wide.size = 20_000
    Wide.reload()
    pool.run(code.get, [1])
    used = len(calls.names)
    for number in range(100):
        Wide.rows.put(7, number)
        got = {tuple(each) for each in (pool.run(code.get, [7, 8]),)}
        assert got == {(number, "row 8")}
    assert len(calls.names) - used <= 1  # that of the other worker
    assert replicas().snapshots == 1


def test_without_workers_that_follow_nothing_is_logged(pool: Asker) -> None:
    """A store that no worker reads, or no worker that lives, pays nothing."""
    feed: Any = pointer_of(Wide).feed
    Wide.rows.put(1, 1)
    assert not feed.is_on
    pids = on_both(pool, code.memory)
    assert feed.is_on
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: replicas().workers == 0)
    feed.forget_snapshot()
    for number in range(300):
        Wide.rows.put(1, number)
    assert not feed.is_on
    assert pool.run(code.get, [1]) == [299]


def test_workers_that_are_idle_do_not_make_writers_log_for_ever(pool: Asker) -> None:
    """Once all of them are too far behind, no more is logged until one reads again."""
    feed: Any = pointer_of(Wide).feed
    on_both(pool, code.memory)
    feed.forget_snapshot()
    for number in range(3000):
        Wide.rows.put(number, f"{number:01000}")
    assert not feed.is_on
    assert replicas().log_bytes == 0
    assert pool.run(code.get, [2999]) == [f"{2999:01000}"]
    Wide.rows.put(2999, "y")
    assert pool.run(code.get, [2999]) == ["y"]


# -- what cannot cross -----------------------------------------------------------------


def test_a_value_that_cannot_be_pickled(pool: Asker) -> None:
    """The write succeeds, the worker's read says which store it is, and when it is gone all is well."""
    assert pool.run(code.get, [1]) == [None]
    Wide.rows.put(1, threading.Lock())
    with pytest.raises(Exception, match=r"Wide.*lock") as caught:
        pool.run(code.get, [1])
    assert isinstance(caught.value.__cause__ or caught.value, PayloadError)
    Wide.rows.put(1, "fine")
    assert pool.run(code.get, [1]) == ["fine"]


@pytest.mark.parametrize("breaks", ["unpickled", "hashed"])
@pytest.mark.parametrize("first", [True, False])
def test_a_row_that_cannot_arrive(pool: Asker, breaks: str, first: bool) -> None:
    """Neither in a snapshot nor in a change does it end the worker; its read says why."""
    if first:
        pool.run(code.get, [1])
    Wide.rows.put(code.OnlyInDriver(os.getpid(), breaks=breaks), 1)
    with pytest.raises(Exception, match=f"store Wide cannot be unpickled in the worker.*{breaks} elsewhere"):
        pool.run(code.get, [1])
    Wide.rows.clear()
    Wide.rows.put(1, "fine")
    assert pool.run(code.get, [1]) == ["fine"]
    assert pool.statistics().crashes == 0


# -- threads, memory ---------------------------------------------------------------------


def test_a_thread_in_a_worker_never_sees_half_of_a_transaction(pool: Asker) -> None:
    """Nor anything that is older than what it saw before."""
    pool.resize(1)
    write(0)
    pool.run(code.start_reader, [None])
    for number in range(1, 100):
        write(number)
        if number == 50:
            Every.base = {"left": number, "right": number}
            Every.reload()
        pool.run(code.get_every, [None])  # whose read fetches what is stale
    assert pool.run(code.stop_reader, [None]) == [(99, 0)]


def write(number: int) -> None:
    with Every.transaction() as tx:
        for table in (tx.rows, tx.sorted):
            table.put("left", number)
            for between in range(300):
                table.put(f"m{between}", number)
            table.put("right", number)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_snapshots_leave_no_memory_behind(pool: Asker) -> None:
    """Neither pages nor descriptors, in the workers and in the driver."""
    pool.resize(1)
    Wide.size = 30_000
    here, there = [], []
    for _ in range(15):
        Wide.reload()
        there.append(pool.run(code.memory, [None])[0])
        here.append(len([*Path("/proc/self/fd").iterdir()]))
    assert replicas().snapshots == 15
    assert here[-1] <= here[3]
    assert there[-1][1] <= there[3][1]
    assert there[-1][0] < there[5][0] * 1.25


# -- at random -----------------------------------------------------------------------------


class Storm:
    """Random writes in the driver, and batches that say what their worker saw."""

    def __init__(self, pool: Asker, seed: int) -> None:
        self.pool = pool
        self.random = random.Random(seed)
        self.history = [code.state()]
        self.sent: list[tuple[int, Job]] = []
        self.seen = 0

    def key(self) -> str:
        return self.random.choice("abcdefgh")

    def step(self) -> None:
        operation = self.random.choices(
            [
                self.put,
                self.delete,
                self.change,
                self.bulk,
                self.clear,
                self.transact,
                self.reload,
                self.crash,
            ],
            [40, 15, 10, 5, 2, 15, 2, 1],
        )[0]
        operation(getattr(Every, self.random.choice(code.REPLICATED)))
        self.history.append(code.state())

    def put(self, table: Any) -> None:
        table.put(self.key(), self.random.random())

    def delete(self, table: Any) -> None:
        self.random.choice([table.delete, table.take])(self.key())

    def change(self, table: Any) -> None:
        if table is Every.bag:
            table.update(self.key(), lambda values: values[1:])
        else:
            self.random.choice([table.increment, table.put_new])(self.key(), 1)

    def bulk(self, table: Any) -> None:
        table.bulk_insert([(self.key(), self.random.random()) for _ in range(self.random.choice([1, 5]))])

    def clear(self, table: Any) -> None:
        table.clear()

    def transact(self, _: Any) -> None:
        with Every.transaction() as tx:
            for _ in range(self.random.randrange(4)):
                table = getattr(tx, self.random.choice(code.REPLICATED[:-1]))
                table.put(self.key(), self.random.random())
            if self.random.random() < 0.3:
                tx.rows.delete(self.key())
            if self.random.random() < 0.1:
                tx.sorted.clear()

    def reload(self, _: Any) -> None:
        Every.base = {self.key(): self.random.random() for _ in range(4)} if self.random.random() < 0.8 else 7
        if Every.base == 7:
            with pytest.raises(StoreLoadError):
                Every.reload()
            Every.base = {}
        else:
            Every.reload()

    def crash(self, _: Any) -> None:
        server: Any = pointer_of(Every).server
        loads = Every.statistics().loads
        server.kill()
        until(lambda: Every.statistics().loads > loads)

    def send(self) -> None:
        self.sent.append((len(self.history) - 1, self.pool.submit(code.look, [None])))

    def kill(self) -> None:
        pid = self.random.choice(self.pool.statistics().slots).pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def check(self) -> None:
        """Each batch saw a state of the driver's, and none from before it was sent."""
        self.pool.wait(*(job for _, job in self.sent))
        for sent_at, job in self.sent:
            if isinstance(job.error, WorkerCrashError):
                continue
            assert job.error is None, job.error
            ((_, saw),) = job.results  # type: ignore[misc]
            assert any(self.same(saw, state) for state in self.history[sent_at:]), (sent_at, saw)
            self.seen += 1
        self.sent.clear()
        del self.history[:-1]

    @staticmethod
    def same(saw: Any, state: Any) -> bool:
        # What makes room is a change of its own, so the last table may be between two states.
        return bool(saw[:-1] == state[:-1])

    def settle(self) -> None:
        """With nothing under way both workers have exactly what the driver has."""
        self.check()
        assert [each[1] for each in on_both(self.pool, code.look).values()] == [code.state()] * 2


def storm(pool: Asker, seed: int, steps: int) -> None:
    made = Storm(pool, seed)
    for number in range(steps):
        made.step()
        if made.random.random() < 0.5:
            made.send()
        if made.random.random() < 0.02:
            made.kill()
        if number % 40 == 39:
            made.settle()
    made.settle()
    assert made.seen > steps / 5


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_sees_every_write_that_was_acknowledged_before_it_was_sent(pool: Asker, seed: int) -> None:
    """And nothing that is no state of the driver's, through kills, crashes and reloads."""
    storm(pool, seed, 400)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 130))
def test_the_same_for_longer(pool: Asker, seed: int) -> None:
    """With other seeds."""
    storm(pool, seed, 1500)
