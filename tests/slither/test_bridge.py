"""`Slither.Bridge`, `Slither.Bridge.ViewRegistry`: what workers may call in the driver, and for how long."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Application,
    Context,
    Item,
    Pipe,
    PipeError,
    dispatch,
    run_pipe,
    stage,
    stream_pipe,
    workers,
)
from slither_actors.bridge import ViewRegistry, Views, register, unregister
from slither_actors.errors import OptionError
from slither_actors.store import Store, Table, view, views_of
from tests.slither import work
from tests.slither.reading import payloads
from tests.slither.work import FeatureStore


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Application]:
    with Application(stores=[FeatureStore], pools={"default": 1}) as running:
        yield running


def asking(function: Any) -> type[Pipe]:
    """A pipe with the store, whose workers run a function."""

    class Asking(Pipe):
        stores = [FeatureStore]
        ask = workers(function)

    return Asking


def answers(function: Any, keys: list[Any], **options: Any) -> list[Any]:
    return payloads(run_pipe(asking(function), keys, **options)["default"])


def sessions() -> int:
    return ViewRegistry.statistics().sessions


# -- views: how they are called -----------------------------------------------------------


def test_a_worker_calls_a_scalar_view_with_one_key() -> None:
    """`Slither.Store.views/0`, ``mode: :scalar``: it runs in the driver, on the store."""
    assert answers(work.look_up, ["a", "b", "none"]) == [1, 2, None]


def test_a_worker_calls_a_batch_view_with_many_keys_at_once() -> None:
    """`Slither.Store.views/0`, ``mode: :batch``: N keys in one call, N results in their order."""
    assert answers(work.look_up_together, ["b", "none", "a"]) == [2, None, 1]


def test_a_view_has_a_time() -> None:
    """`Slither.Store.views/0`, ``timeout_ms:``: a call that takes longer is an error in the worker."""
    assert answers(work.ask_slow, ["x"]) == ["ViewError"]


def test_a_view_sees_what_was_written() -> None:
    """`Slither.Store`: workers have the shared state itself, not a copy of the start."""
    FeatureStore.features.put("now", "written")
    assert answers(work.look_up, ["now"]) == ["written"]


def test_stages_in_the_driver_call_the_same_views() -> None:
    """`Slither.Bridge`: `ctx.views` is the same there, without a way to go."""

    class InTheDriver(Pipe):
        stores = [FeatureStore]

        @stage
        def ask(item: Item, ctx: Context) -> Any:
            return ctx.views.lookup_feature(key=item.payload)

    assert payloads(run_pipe(InTheDriver, ["a"])["default"]) == [1]


def test_a_worker_reads_and_writes_the_tables_by_the_same_lines() -> None:
    """`Slither.Store`: what the driver writes `Store.table.get(key)` for, a worker does, too."""
    assert payloads(dispatch.run(["a", "b"], executor=work.read_table)) == [1, 2]
    assert payloads(dispatch.run(["hits", "hits"], executor=work.write_table)) == [1, 2]
    assert FeatureStore.features.get("hits") == 2


# -- views: for how long ----------------------------------------------------------------------


def test_views_are_registered_for_the_time_of_a_run() -> None:
    """`Slither.Pipe.Runner`, steps 2 and 4: with its start, under its session, and gone with its end."""
    seen: list[int] = []

    class Looking(Pipe):
        stores = [FeatureStore]

        @stage
        def look(item: Item, ctx: Context) -> Any:
            seen.append(sessions())
            return ctx.views.lookup_feature("a")

    run_pipe(Looking, [1])
    assert seen == [1]
    assert sessions() == 0


def test_views_are_unregistered_when_the_run_fails() -> None:
    """`Slither.Pipe.Runner`, step 4: "even on error"."""

    class Failing(Pipe):
        stores = [FeatureStore]

        @stage
        def fail(item: Item) -> Any:
            raise ValueError("no")

    with pytest.raises(PipeError):
        run_pipe(Failing, [1])
    assert sessions() == 0


def test_views_are_unregistered_when_a_stream_is_left() -> None:
    """`Slither.Pipe.Runner`, step 4: a run that nobody reads to its end has ended, too."""
    with stream_pipe(asking(work.look_up), ["a"] * 1000) as stream:
        assert next(stream).payload == 1
        assert sessions() == 1
    assert sessions() == 0


def test_a_session_s_views_are_nobody_else_s() -> None:
    """View scoping, ``:session``: a run that has not named the store cannot call its views."""

    class Without(Pipe):
        ask = workers(work.look_up)

    assert payloads(run_pipe(Without, ["a"])["default"]) == ["ViewError"]


def test_session_is_the_scope_that_a_view_has_by_default() -> None:
    """View scoping, ``default_scope: :session``."""
    scopes = {view.name: view.options.scope for view in views_of(FeatureStore)}
    assert scopes == {
        "lookup_feature": "session",
        "lookup_features": "session",
        "slow": "session",
        "version": "global",
    }


def test_a_global_view_is_there_as_long_as_the_application() -> None:
    """View scoping, ``:global``: in runs that have not named the store, and outside of pipes."""
    assert payloads(dispatch.run(["x"], executor=work.ask_global)) == ["global"]
    assert Views("no session").version() == "global"


def test_a_scope_that_is_none_is_an_error() -> None:
    """View scoping: there are these two."""
    with pytest.raises(OptionError, match="'scope' is 'world'; allowed are 'session', 'global'"):
        view(scope="world")


# -- Slither.Bridge, Slither.Bridge.ViewRegistry -----------------------------------------------


class Extra(Store):
    """A store whose views are registered by hand."""

    rows: Table[str, int] = Table()

    @view
    def three(self) -> int:
        return 3


def test_views_can_be_registered_by_hand(application: Application) -> None:
    """`Slither.Bridge`: for a session of one's own, in a bare dispatch run."""
    ctx = Context(session_id="by hand", views=Views("by hand"))
    register("by hand", views_of(FeatureStore), owner=application.root)
    assert payloads(dispatch.run(["a"], executor=work.look_up, context=ctx)) == [1]
    assert unregister("by hand")
    assert payloads(dispatch.run(["a"], executor=work.look_up, context=ctx)) == ["ViewError"]


def test_the_registry_knows_the_views_of_each_session(application: Application) -> None:
    """`Slither.Bridge.ViewRegistry`: session to views; the global ones belong to none."""
    register("one", views_of(FeatureStore), owner=application.root)
    register("two", views_of(Extra), owner=application.root)
    found = ViewRegistry.statistics()
    unregister("one")
    unregister("two")
    assert (found.sessions, found.global_views) == (2, 1)
    assert ViewRegistry.statistics().sessions == 0


# -- sessions and workers ---------------------------------------------------------------------


def test_a_worker_knows_its_run() -> None:
    """`Slither.Context`: session, pipe, stage and metadata cross to the workers."""
    ((_, session, pipe, stage, metadata),) = answers(
        work.about_the_run, [1], session_id="my_session_123", metadata={"batch_id": "batch_42"}
    )
    assert (session, pipe, stage, metadata) == ("my_session_123", "Asking", "ask", {"batch_id": "batch_42"})


def test_each_run_has_a_session_of_its_own() -> None:
    """`Slither.Pipe.Runner`: made by the run, if none is given."""
    found = {answers(work.about_the_run, [1])[0][1] for _ in range(3)}
    assert len(found) == 3
    assert all(found)
