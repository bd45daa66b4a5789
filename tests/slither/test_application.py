"""`Slither.Application` and its configuration: what is started, and what stays up when a part of it dies."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

import threading
from typing import Any

import pytest

from slither_actors import Application, Context, Item, Pipe, dispatch, run_pipe, stage, telemetry
from slither_actors.actors import SupervisorRef, TaskSupervisorRef, whereis
from slither_actors.bridge import Views
from slither_actors.errors import OptionError, StoreLoadError
from slither_actors.store import Store, Table
from tests.slither import work
from tests.slither.reading import payloads
from tests.slither.work import FeatureStore

SECONDS = 20.0


class Broken(Store):
    """Its source is away."""

    rows: Table[str, str] = Table()

    def load(self, tables: Any) -> None:
        raise ConnectionError("no database")


class Parallel(Store):
    """Is loaded from several places at one time."""

    rows: Table[int, int] = Table()

    def load(self, tables: Any) -> None:
        loaders = whereis("slither.loaders")
        assert isinstance(loaders, TaskSupervisorRef)
        for loaded in loaders.async_stream_nolink(fetch, [1, 2, 3], max_concurrency=3):
            tables.rows.put(*loaded.get())


fetch_fails = threading.Event()
all_fetching = threading.Barrier(3)


def fetch(source: int) -> tuple[int, int]:
    """A row of one place, when the others are asked as well."""
    all_fetching.wait(SECONDS)
    if fetch_fails.is_set():
        raise ConnectionError(f"no place {source}")
    return source, 10 * source


class Doubling(Pipe):
    """One stage in the driver."""

    double = stage(lambda item: 2 * item.payload)


def children(root: SupervisorRef) -> dict[str, Any]:
    """The children of a supervisor by the names of their classes."""
    return {info.ref.actor_class.__name__: info.ref for info in root.which_children() if info.ref is not None}


def test_the_tree_is_that_of_slither() -> None:
    """Supervision tree: loaders, the registry of views, stores, pipes; and pools, Snakepit's there."""
    with Application(stores=[FeatureStore], pools={}) as application:
        found = children(application.root)
        assert set(found) == {
            "LoaderSupervisor",
            "ViewRegistry",
            "StoreSupervisor",
            "PoolSupervisor",
            "PipeSupervisor",
        }
        assert list(children(found["StoreSupervisor"])) == ["StoreServer"]


def test_a_load_may_have_tasks() -> None:
    """`Slither.LoaderSupervisor`: a supervisor of tasks for store loaders, at the start and in a reload."""
    with Application(stores=[Parallel], pools={}):
        assert Parallel.rows.snapshot() == {1: 10, 2: 20, 3: 30}
        fetch_fails.set()
        with pytest.raises(StoreLoadError, match="store Parallel did not load: ConnectionError: no place 1"):
            Parallel.reload()
        fetch_fails.clear()
        assert Parallel.rows.size() == 3


def test_what_dies_is_restarted_alone() -> None:
    """Supervision tree, ``one_for_one``: each part comes back, and the others are those that they were."""
    restarted = threading.Event()
    with Application(stores=[FeatureStore], pools={}) as application:
        before = children(application.root)
        with telemetry.attach("slither.supervisor.child.restart", lambda *_: restarted.set()):
            before["ViewRegistry"].kill()
            assert restarted.wait(SECONDS)
        assert payloads(run_pipe(Doubling, [1])["default"]) == [2]
        after = children(application.root)
        assert set(after) == set(before)
        assert {name for name in before if before[name] != after[name]} == {"ViewRegistry"}


def test_global_views_outlive_what_serves_them() -> None:
    """View scoping, ``:global``, "for the application lifetime": past restarts of its servers."""
    restarts = threading.Semaphore(0)
    with Application(stores=[FeatureStore], pools={}) as application:
        found = children(application.root)
        (server,) = children(found["StoreSupervisor"]).values()
        with telemetry.attach("slither.supervisor.child.restart", lambda *_: restarts.release()):
            for ref in (found["ViewRegistry"], server):
                ref.kill()
                assert restarts.acquire(timeout=SECONDS)
        assert Views("no session").version() == "global"


def test_a_run_is_under_the_pipe_supervisor() -> None:
    """`Slither.Pipe`: "one supervised flow"; a run has a supervisor of its own, for as long as it runs."""
    seen: list[int] = []

    with Application(pools={}) as application:
        supervisor = children(application.root)["PipeSupervisor"]

        class Looking(Pipe):
            @stage
            def look(item: Item) -> Any:
                seen.append(len(supervisor.which_children()))
                return item.payload

        run_pipe(Looking, [1])
        assert seen == [1]
        assert supervisor.which_children() == []


def test_a_store_that_does_not_load_fails_the_start() -> None:
    """`Slither.Store.load/1`: no program runs on tables that are not there; nothing is left behind."""
    with pytest.raises(StoreLoadError, match="store Broken did not load: ConnectionError: no database"):
        Application(stores=[FeatureStore, Broken], pools={}).start()


def test_a_pool_says_how_strict_sessions_are() -> None:
    """``config :snakepit, affinity: :strict_queue``: an option of the pool, or of the run."""
    with Application(pools={"default": {"workers": 2, "affinity": "strict_queue"}}):
        context = Context(session_id="sticky")
        found = dispatch.run(range(6), executor=work.about_the_run, batch_size=1, context=context)
        assert len({pid for pid, *_ in payloads(found)}) == 1
        dispatch.end_session(context)
    with pytest.raises(OptionError, match="affinity"):
        Application(pools={"default": {"affinity": "strict"}})


def test_a_wrong_configuration_is_an_error() -> None:
    """``config :slither``: an option that nobody knows is not passed over."""
    with pytest.raises(OptionError, match="'stores' has"):
        Application(stores=["MyApp.FeatureStore"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="dispatch"):
        Application(dispatch={"default_batch_size": 32})  # type: ignore[call-arg]
