"""`Slither.Store`, its `Server`, `Pointer` and `Supervisor`: one writer, and readers that never wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from slither_actors import Application, Pipe, Store, Table, run_pipe, stage, view
from slither_actors.actors import Down, Server, SupervisorRef, current_actors, whereis
from slither_actors.errors import NotRunningError, RowNotFoundError, StoreLoadError
from slither_actors.pipe import STORES
from slither_actors.store import ANY, BagTable, LoadTables, OrderedTable, Prefix

SECONDS = 20.0


class FeatureStore(Store):
    """One table of each kind. What a load does is the test's to say."""

    features: Table[str, Any] = Table()
    user_index: Table[str, Any] = Table(ordered=True)
    tags: Table[str, Any] = Table(bag=True)

    rows: ClassVar[dict[str, Any]] = {"a": 1, "b": 2}
    before_end: ClassVar[Callable[[], object]] = staticmethod(lambda: None)
    loaded_by: ClassVar[list[Any]] = []

    def load(self, tables: LoadTables) -> None:
        type(self).loaded_by.append(next(iter(current_actors())).ref)
        for key, value in self.rows.items():
            tables.features.put(key, value)
        type(self).before_end()
        tables.user_index.insert({"loaded": len(self.rows)})

    @view
    def lookup(self, key: str) -> Any:
        return self.features.get(key)


class LateStore(Store):
    """Not among the application's."""

    rows: Table[str, str] = Table()

    def load(self, tables: LoadTables) -> None:
        tables.rows.put("is", "here")


class UnlistedStore(Store):
    """Started by nobody."""

    rows: Table[str, str] = Table()


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application(stores=[FeatureStore], pools={}) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_loaded(application: Application) -> Iterator[None]:
    yield
    FeatureStore.rows = {"a": 1, "b": 2}
    FeatureStore.before_end = staticmethod(lambda: None)
    FeatureStore.reload()
    FeatureStore.loaded_by.clear()


FEATURES, INDEX, TAGS = FeatureStore.features, FeatureStore.user_index, FeatureStore.tags

# -- Slither.Store: tables, views, load -----------------------------------------------------


def test_a_store_declares_sets_ordered_sets_and_bags() -> None:
    """`Slither.Store.tables/0`: a name and a kind for each table."""
    assert (type(FEATURES), type(INDEX), type(TAGS)) == (Table, OrderedTable, BagTable)
    assert (FEATURES.name, INDEX.name, TAGS.name) == ("features", "user_index", "tags")


def test_an_ordered_set_is_read_in_the_order_of_its_keys() -> None:
    """`Slither.Store.tables/0`, ``type: :ordered_set``: whatever order the rows were written in."""
    INDEX.bulk_insert([("c", 3), ("a", 1), ("b", 2)])
    assert [key for key in INDEX if key != "loaded"] == ["a", "b", "c"]


def test_a_store_may_have_several_tables() -> None:
    """`Slither.Store.tables/0`: each is a key space of its own."""
    FEATURES.put("key", "in features")
    INDEX.put("key", "in index")
    assert (FEATURES.get("key"), INDEX.get("key")) == ("in features", "in index")


def test_load_fills_the_tables_at_the_start() -> None:
    """`Slither.Store.load/1`: it is given the tables, by name, and what it inserts is there to read."""
    assert FEATURES.snapshot() == {"a": 1, "b": 2}


def test_load_runs_in_the_process_that_owns_the_tables() -> None:
    """`Slither.Store.load/1`: the store's server runs it, not the caller of a reload."""
    FeatureStore.loaded_by.clear()
    FeatureStore.reload()
    (loader,) = FeatureStore.loaded_by
    assert loader == server()


def test_the_stores_of_the_application_run_from_its_start() -> None:
    """``config :slither, stores:``: those that are listed are started, and no others."""
    assert FEATURES.size() == 2
    with pytest.raises(NotRunningError, match="UnlistedStore"):
        UnlistedStore.rows.get("is")


# -- Slither.Store.Server: reads --------------------------------------------------------------


def test_get_returns_the_value_or_none() -> None:
    """`Slither.Store.Server.get/3`: the value under a key, nothing where there is none."""
    assert FEATURES.get("a") == 1
    assert FEATURES.get("no such key") is None


def test_fetch_raises_on_a_miss() -> None:
    """`Slither.Store.Server.get!/3`: as `get`, with an error that names table and key."""
    assert FEATURES.fetch("a") == 1
    with pytest.raises(RowNotFoundError, match="FeatureStore.features has no row 'no such key'"):
        FEATURES.fetch("no such key")


def test_match_finds_rows_by_a_pattern() -> None:
    """`Slither.Store.Server.match/3`: a beginning of the key and holes, as in Slither's example."""
    FEATURES.bulk_insert({"prefix_1": 1, "prefix_2": 2, "other": 3})
    assert sorted(FEATURES.match(Prefix("prefix_"), ANY)) == [("prefix_1", 1), ("prefix_2", 2)]
    assert FEATURES.match(ANY, 3) == [("other", 3)]


def test_select_filters_and_projects() -> None:
    """`Slither.Store.Server.select/3`: the rows that a condition holds for, in the form that is asked for."""
    FEATURES.bulk_insert({"c": 30, "d": 40})
    found = FEATURES.select(lambda key, value: value >= 30, project=lambda key, value: (key, value // 10))
    assert sorted(found) == [("c", 3), ("d", 4)]


def test_fold_reduces_all_rows() -> None:
    """`Slither.Store.Server.fold/4`: a function over the rows, with a first value."""
    assert FEATURES.fold(lambda total, key, value: total + value, 10) == 13


def test_size_counts_the_rows() -> None:
    """`Slither.Store.Server.size/2`."""
    FEATURES.put("c", 3)
    assert FEATURES.size() == 3


def test_reads_pass_by_the_process_that_writes() -> None:
    """`Slither.Store.Server`, reads: any thread reads, at once, while the owner is busy with a write."""
    busy, done = threading.Event(), threading.Event()

    def slow(value: Any) -> str:
        busy.set()
        assert done.wait(SECONDS)
        return "written"

    with ThreadPoolExecutor(1) as threads:
        write = threads.submit(FEATURES.update, "a", slow)
        assert busy.wait(SECONDS)
        assert (FEATURES.get("a"), FEATURES.size()) == (1, 2)
        assert not write.done()
        done.set()
        assert write.result(SECONDS) == "written"


# -- Slither.Store.Server: writes -------------------------------------------------------------


def test_put_sets_a_row() -> None:
    """`Slither.Store.Server.put/4`: a new one, or another value for one that is there."""
    FEATURES.put("new_key", "value")
    FEATURES.put("a", 100)
    assert (FEATURES.get("new_key"), FEATURES.get("a")) == ("value", 100)


def test_update_applies_a_function() -> None:
    """`Slither.Store.Server.update/4`: to the value that is there."""
    FEATURES.put("counter", 1)
    assert FEATURES.update("counter", lambda count: count + 1) == 2
    assert FEATURES.get("counter") == 2


def test_delete_removes_a_row() -> None:
    """`Slither.Store.Server.delete/3`."""
    FEATURES.delete("a")
    assert FEATURES.get("a") is None
    assert FEATURES.size() == 1


def test_bulk_insert_sets_many_rows() -> None:
    """`Slither.Store.Server.bulk_insert/3`: pairs of key and value, in one call."""
    FEATURES.bulk_insert([(f"k{number}", number) for number in range(100)])
    assert FEATURES.get("k99") == 99
    assert FEATURES.size() == 102


def test_writes_come_one_after_the_other() -> None:
    """`Slither.Store.Server`, writes: updates of one row by many threads lose nothing."""
    FEATURES.put("counter", 0)

    def count() -> None:
        for _ in range(200):
            FEATURES.update("counter", lambda value: value + 1)

    with ThreadPoolExecutor(4) as threads:
        for counting in [threads.submit(count) for _ in range(4)]:
            counting.result(SECONDS)
    assert FEATURES.get("counter") == 800


def test_a_writer_reads_what_it_wrote() -> None:
    """`Slither.Store.Server.put/4`: when it returns, every reader sees the row."""
    for number in range(50):
        FEATURES.put("seen", number)
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(FEATURES.get, "seen").result(SECONDS) == number


# -- Slither.Store.Server.reload/1 and Slither.Store.Pointer ------------------------------------


def test_a_reload_swaps_in_what_was_loaded_afresh() -> None:
    """`Slither.Store.Server.reload/1`: the new tables have what `load` inserts now, and nothing else."""
    FEATURES.put("written", 1)
    FeatureStore.rows = {"b": 20, "c": 30}
    FeatureStore.reload()
    assert FEATURES.snapshot() == {"b": 20, "c": 30}


def test_readers_see_the_old_tables_until_all_is_loaded() -> None:
    """`Slither.Store.Pointer`: never a table that is half loaded. Slither publishes them empty."""
    loading, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        loading.set()
        assert go_on.wait(SECONDS)

    FeatureStore.rows = {"a": 10, "b": 20, "c": 30}
    FeatureStore.before_end = staticmethod(wait)
    with ThreadPoolExecutor(1) as threads:
        reload = threads.submit(FeatureStore.reload)
        assert loading.wait(SECONDS)
        assert FEATURES.snapshot() == {"a": 1, "b": 2}
        assert INDEX.snapshot() == {"loaded": 2}
        go_on.set()
        reload.result(SECONDS)
    assert FEATURES.snapshot() == {"a": 10, "b": 20, "c": 30}
    assert INDEX.snapshot() == {"loaded": 3}


def test_a_reload_that_fails_leaves_the_old_tables() -> None:
    """`Slither.Store.Server.reload/1`: the caller gets the error, readers and writers go on as before.

    Slither leaves readers with tables that are gone.
    """

    def fail() -> None:
        raise ConnectionError("no database")

    FeatureStore.rows = {"c": 3}
    FeatureStore.before_end = staticmethod(fail)
    with pytest.raises(StoreLoadError, match="store FeatureStore did not load: ConnectionError: no database"):
        FeatureStore.reload()
    assert FEATURES.snapshot() == {"a": 1, "b": 2}
    FEATURES.put("d", 4)
    assert FEATURES.get("d") == 4


def test_a_read_that_has_begun_ends_on_the_old_table() -> None:
    """`Slither.Store.Pointer`: a reload takes no table from under a reader, however long that reads."""
    rows = FEATURES.items()
    first = next(rows)
    FeatureStore.rows = {"c": 3}
    FeatureStore.reload()
    FeatureStore.reload()
    assert dict([first, *rows]) == {"a": 1, "b": 2}
    assert dict(FEATURES.items()) == {"c": 3}


# -- Slither.Store.Supervisor -----------------------------------------------------------------


def supervisor() -> SupervisorRef:
    found = whereis(STORES)
    assert isinstance(found, SupervisorRef)
    return found


def server() -> Any:
    """The server of `FeatureStore`."""
    (found,) = [info.ref for info in supervisor().which_children() if str(info.id).endswith("FeatureStore")]
    return found


class Watcher(Server):
    """Waits for the end of an actor."""

    def init(self, ref: Any, over: threading.Event) -> None:
        self.over = over
        self.monitor(ref)

    def handle_info(self, message: Any) -> None:
        assert isinstance(message, Down)
        self.over.set()


def test_there_is_a_server_per_store_under_one_supervisor() -> None:
    """`Slither.Store.Supervisor`: it has a child for each store of the configuration."""
    assert [info.ref.actor_class.__name__ for info in supervisor().which_children()].count("StoreServer") >= 1
    assert server().is_alive()


def test_a_server_that_dies_is_started_again() -> None:
    """`Slither.Store.Supervisor`: it loads again; meanwhile readers have the last tables."""
    dead, over = server(), threading.Event()
    FEATURES.put("written", 1)
    watcher = Watcher.start(dead, over)
    dead.kill()
    assert over.wait(SECONDS)
    watcher.stop()
    assert FEATURES.get("a") == 1
    FEATURES.put("after", 1)  # waits for the new server
    assert server() != dead
    assert FEATURES.snapshot() == {"a": 1, "b": 2, "after": 1}


def test_a_run_starts_the_stores_of_its_pipe() -> None:
    """`Slither.Pipe.Runner`, session model, step 1: a store that does not run yet is started for the run."""

    class Reading(Pipe):
        stores = [LateStore]
        read = stage(lambda item: LateStore.rows.get(item.payload))

    assert [item.payload for item in run_pipe(Reading, ["is"])["default"]] == ["here"]
