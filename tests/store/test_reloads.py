"""What happens to the writes that come while a store is reloaded, and to a reload that goes wrong."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from slither_actors import telemetry
from slither_actors.actors import Ref
from slither_actors.errors import (
    ActorExitError,
    OptionError,
    StartError,
    StoreLoadError,
    StoreReloadingError,
)
from slither_actors.store import LoadTables, Store, StoreServer, Table
from slither_actors.store._store import pointer_of
from tests.store.conftest import Start


class Gated(Store):
    """Each load puts its number, and waits for the test."""

    rows: Table[Any, Any] = Table()
    other: Table[Any, Any] = Table()
    loads: ClassVar[int] = 0
    loading: ClassVar[threading.Event]
    go_on: ClassVar[threading.Event]
    fail: ClassVar[BaseException | None] = None

    def load(self, tables: LoadTables) -> None:
        Gated.loads += 1
        tables.rows.insert({"load": Gated.loads, "loaded": 1})
        Gated.loading.set()
        assert Gated.go_on.wait(20)
        fail, Gated.fail = Gated.fail, None
        if fail is not None:
            raise fail
        tables.other.put("load", Gated.loads)


class Refusing(Gated):
    during_reload = "refuse"


class Merging(Gated):
    during_reload = "merge"


BESIDE = pytest.mark.parametrize("store", [Refusing, Merging])


@pytest.fixture(autouse=True)
def reset() -> Iterator[None]:
    Gated.loads, Gated.fail = 0, None
    Gated.loading, Gated.go_on = threading.Event(), threading.Event()
    Gated.go_on.set()
    yield
    Gated.go_on.set()


class Reloading:
    """A reload in a thread, stopped inside `load`."""

    def __init__(self, store: type[Store]) -> None:
        Gated.loading.clear()
        Gated.go_on.clear()
        self.error: Exception | None = None
        self.thread = in_thread(self._run, store)
        assert Gated.loading.wait(20)

    def _run(self, store: type[Store]) -> None:
        try:
            store.reload()
        except (ActorExitError, StoreLoadError) as error:
            self.error = error

    def finish(self) -> None:
        Gated.go_on.set()
        join(self.thread)
        if self.error is not None:
            raise self.error


def in_thread(function: Callable[..., Any], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def join(thread: threading.Thread) -> None:
    thread.join(20)
    assert not thread.is_alive()


def server(supervisor: Ref, store: type[Store]) -> Any:
    found: Any = supervisor
    return found.child(pointer_of(store).key)


# -- refuse --------------------------------------------------------------------------


def test_a_store_may_refuse_writes_during_a_reload(start: Start) -> None:
    """At once, of every kind; reads go on, and writes again after it."""
    start(Refusing)
    reloading = Reloading(Refusing)
    writes: list[Callable[[], object]] = [
        lambda: Refusing.rows.put("x", 1),
        lambda: Refusing.rows.bulk_insert({"x": 1}),
        lambda: Refusing.transact(lambda tx: tx.rows.put("x", 1)),
    ]
    for write in writes:
        with pytest.raises(StoreReloadingError, match="store Refusing is being reloaded"):
            write()
    assert Refusing.rows.snapshot() == {"load": 1, "loaded": 1}
    reloading.finish()
    Refusing.rows.put("y", 2)
    assert Refusing.rows.snapshot() == {"load": 2, "loaded": 1, "y": 2}


# -- merge ---------------------------------------------------------------------------


def test_a_store_may_merge_writes_into_what_is_loaded(start: Start) -> None:
    """Readers see them at once, and again in the new tables; what was written before the reload is gone."""
    start(Merging)
    Merging.rows.put("before", 1)
    reloading = Reloading(Merging)
    Merging.rows.put("during", 1)
    Merging.rows.increment("load", 100)
    Merging.rows.delete("loaded")
    Merging.transact(lambda tx: (tx.other.put("a", 1), tx.other.put("b", 2)))
    assert Merging.rows.snapshot() == {"load": 101, "before": 1, "during": 1}
    reloading.finish()
    assert Merging.rows.snapshot() == {"load": 101, "during": 1}
    assert Merging.other.snapshot() == {"load": 2, "a": 1, "b": 2}


def test_a_clear_is_merged_as_well(start: Start) -> None:
    """It empties the new table, and what is put after it stays."""
    start(Merging)
    reloading = Reloading(Merging)
    Merging.rows.put("early", 1)
    Merging.rows.clear()
    Merging.rows.bulk_insert({"late": 1, "later": 2})
    reloading.finish()
    assert Merging.rows.snapshot() == {"late": 1, "later": 2}
    assert Merging.other.snapshot() == {"load": 2}


@pytest.mark.parametrize("evict", ["oldest", "lru", "refuse"])
def test_merged_rows_do_not_go_past_the_limit(start: Start, evict: str) -> None:
    """The oldest of all make room, or the reload fails and the writes stay."""

    class Limited(Gated):
        during_reload = "merge"
        rows: Table[Any, Any] = Table(max_rows=3, evict=evict)

    start(Limited)
    Limited.rows.clear()
    reloading = Reloading(Limited)
    Limited.rows.put("a", 1)
    Limited.rows.put("b", 1)
    if evict == "refuse":
        with pytest.raises(StoreLoadError, match=r"Limited.rows is full: max_rows=3"):
            reloading.finish()
        assert Limited.rows.snapshot() == {"a": 1, "b": 1}
    else:
        reloading.finish()
        assert Limited.rows.snapshot() == {"loaded": 1, "a": 1, "b": 1}


def test_a_failed_reload_keeps_the_writes_that_were_to_be_merged(start: Start) -> None:
    """They are in the old tables, which stay."""
    start(Merging)
    reloading = Reloading(Merging)
    Merging.rows.put("during", 1)
    Gated.fail = OSError("disk")
    with pytest.raises(StoreLoadError, match="store Merging did not load: OSError: disk"):
        reloading.finish()
    assert Merging.rows.snapshot() == {"load": 1, "loaded": 1, "during": 1}
    Merging.rows.put("after", 1)
    Merging.reload()
    assert Merging.rows.snapshot() == {"load": 3, "loaded": 1}


# -- both that load beside the server -------------------------------------------------


@BESIDE
def test_a_second_reload_loads_again(start: Start, store: type[Gated]) -> None:
    """It came after the first had begun to read its source, so it must not share that one's result."""
    start(store)
    first = Reloading(store)
    second = in_thread(store.reload)
    while not reload_waits(store):
        second.join(0.001)
    first.finish()
    join(second)
    assert store.rows.get("load") == 3


def reload_waits(store: type[Store]) -> bool:
    waiting: list[bool] = []
    pointer_of(store).server.send(lambda server, _: waiting.append(bool(server._reloads)))  # type: ignore[attr-defined]
    done = threading.Event()
    pointer_of(store).server.send(lambda *_: done.set())  # type: ignore[attr-defined]
    assert done.wait(20)
    return waiting[0]


@BESIDE
def test_a_server_that_is_killed_during_a_reload_leaves_the_old_tables(
    start: Start, store: type[Gated]
) -> None:
    """X43: what was being loaded is dropped; the caller learns of it, and the next server loads anew."""
    supervisor = start(store)
    reloading = Reloading(store)
    victim = server(supervisor, store)
    victim.kill()
    assert victim.join(20)
    assert store.rows.get("load") == 1
    with pytest.raises(ActorExitError):
        reloading.finish()
    store.rows.put("after", 1)  # waits for the successor
    assert store.rows.get("load") == 3
    assert store.other.get("load") == 3


@BESIDE
def test_a_crash_in_load_is_one_of_the_server(start: Start, store: type[Gated]) -> None:
    """As it is where the server loads itself: the caller learns the reason, readers keep their tables."""
    start(store)
    Gated.fail = SystemExit("half way")
    with pytest.raises(ActorExitError, match="half way"):
        store.reload()
    store.rows.put("after", 1)
    assert (store.rows.get("load"), store.other.get("load")) == (3, 3)


@BESIDE
def test_reloads_beside_the_server_are_told(start: Start, store: type[Gated]) -> None:
    """A start and a stop, or an exception, as of those inside it."""
    start(store)
    seen: list[str] = []
    with telemetry.attach("slither.store.reload.*", lambda name, *_: seen.append(name.rpartition(".")[2])):
        store.reload()
        Gated.fail = ValueError("bad row")
        with pytest.raises(StoreLoadError):
            store.reload()
    assert seen == ["start", "stop", "start", "exception"]


def test_an_unknown_way_is_refused_where_the_store_is_declared() -> None:
    """With what is allowed."""
    with pytest.raises(
        OptionError, match="'during_reload' is 'wait'; allowed are 'queue', 'refuse', 'merge'"
    ):
        type("Wrong", (Store,), {"during_reload": "wait"})


# -- load as a generator --------------------------------------------------------------


class Row:
    """A value whose number of living instances can be counted."""


def test_load_may_be_a_generator(start: Start) -> None:
    """Of rows for any table; it is read row by row, with no list of them in between."""
    alive: weakref.WeakSet[Row] = weakref.WeakSet()
    most = 0

    class Generated(Store):
        rows: Table[int, Any] = Table()
        last: Table[str, Any] = Table()

        def load(self, tables: LoadTables) -> Iterator[tuple[str, Any, Any]]:
            nonlocal most
            for number in range(1000):
                row = Row()
                alive.add(row)
                yield "last", "row", row  # each takes the place of the one before
                yield "rows", number, -number
                most = max(most, len(alive))

    start(Generated)
    assert len(Generated.rows) == 1000
    assert Generated.rows.get(999) == -999
    assert most <= 3


@pytest.mark.parametrize(
    ("row", "message"),
    [(("rows", 1), "load yielded .*expected"), (7, "load yielded 7"), (("rovs", 1, 2), "no table 'rovs'")],
)
def test_a_generator_that_yields_something_else_fails_the_load(row: Any, message: str) -> None:
    """With the row in the message."""

    class Generated(Store):
        rows: Table[int, Any] = Table()

        def load(self, tables: LoadTables) -> Iterator[Any]:
            yield row

    with pytest.raises(StartError) as caught:
        StoreServer.start(Generated)
    assert isinstance(caught.value.__cause__, StoreLoadError)
    with pytest.raises(StoreLoadError, match=message):
        raise caught.value.__cause__


def test_a_generator_that_raises_half_way_keeps_the_old_tables(start: Start) -> None:
    """What it has yielded before is seen by nobody."""

    class Generated(Store):
        rows: Table[int, Any] = Table()
        fails: ClassVar[bool] = False

        def load(self, tables: LoadTables) -> Iterator[Any]:
            yield "rows", 1, "old" if not self.fails else "new"
            if self.fails:
                msg = "half way"
                raise ValueError(msg)

    start(Generated)
    Generated.fails = True
    with pytest.raises(StoreLoadError, match="half way"):
        Generated.reload()
    assert Generated.rows.get(1) == "old"
