"""The application: its tree, its start and stop, and what survives the death of its parts."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

from slither_actors import Application, InlineExecutor, Pipe, PipeError, run_pipe, stage, stream_pipe, workers
from slither_actors.actors import KILLED, Supervisor, SupervisorRef, whereis
from slither_actors.bridge import SESSIONS
from slither_actors.dispatch._default import PIPES, pool_name
from slither_actors.errors import (
    NotRunningError,
    OptionError,
    PoolError,
    StoreLoadError,
    WorkerStartError,
)
from slither_actors.pipe import STORES
from tests import application_code as code


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


class Inline(Pipe):
    work = stage(lambda item: item.payload + 1)


def tree(ref: Any, depth: Any = 0) -> Any:
    """The tree below a supervisor, in the order of the start."""
    lines = []
    for info in reversed(ref.which_children()):
        lines.append("  " * depth + info.ref.actor_class.__name__)
        if isinstance(info.ref, SupervisorRef):
            lines += tree(info.ref, depth + 1)
    return lines


# -- the tree ---------------------------------------------------------------------


def test_the_tree_is_the_documented_one() -> None:
    """In this order: each part finds those in front of it."""
    with Application(stores=[code.Rates], pools={"default": 1, "other": {"workers": 1}}) as application:
        assert tree(application.root) == [
            "LoaderSupervisor",
            "ViewRegistry",
            "StoreSupervisor",
            "  StoreServer",
            "PoolSupervisor",
            "  Pool",
            "  Pool",
            "PipeSupervisor",
        ]
        assert application.running
        assert application.pool("other").is_alive()


def test_nothing_is_left_after_the_stop() -> None:
    """No actor, no name, no table; the leak check of the suite sees to processes and descriptors."""
    with Application(stores=[code.Rates], pools={"default": 1}) as application:
        assert code.Rates.rates.get("a") == 10
        root = application.root
    assert not application.running
    assert not root.is_alive()
    assert [whereis(name) for name in ("slither", STORES, PIPES, pool_name("default"))] == [None] * 4
    with pytest.raises(NotRunningError):
        code.Rates.rates.get("a")
    with pytest.raises(NotRunningError):
        _ = application.root


def test_an_application_can_be_started_again() -> None:
    """With everything anew."""
    application = Application(stores=[code.Rates], pools={})
    for _ in range(2):
        with application:
            assert code.Rates.rates.get("a") == 10
            code.Rates.rates.put("a", 11)


def test_an_application_without_pools_has_none() -> None:
    """An empty mapping is not the default; a run that needs one says so."""
    with Application(pools={}):
        assert payloads(run_pipe(Inline, [1])["default"]) == [2]
        with pytest.raises(PipeError, match="there is no pool 'default'") as caught:
            run_pipe(code.Doubling, [1])
    assert isinstance(caught.value.reason, PoolError)
    assert caught.value.stage == "work"


# -- wrong options ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stores": code.Rates}, "'stores' is .*Rates.*; allowed is a list"),
        ({"stores": [Inline]}, "'stores' has .*Inline"),
        ({"stores": [code.Rates, code.Rates]}, "'stores' has Rates twice"),
        ({"pools": 2}, "'pools' is 2; allowed is a mapping"),
        ({"pools": {"default": 0}}, "pool 'default': option 'workers' is 0"),
        ({"pools": {"default": "two"}}, "'pools' has 'two' for 'default'"),
        ({"pools": {"default": {"worker": 2}}}, "'worker' is unknown; did you mean 'workers'"),
        ({"pools": {1: 2}}, "'pools' has the name 1"),
    ],
    ids=str,
)
def test_a_wrong_option_is_an_error_before_anything_starts(options: Any, message: Any) -> None:
    """It names the option and what it allows."""
    with pytest.raises(OptionError, match=message):
        Application(**options)


# -- starts that fail ------------------------------------------------------------------


def test_a_store_that_does_not_load_fails_the_start() -> None:
    """With its own error; what had started is stopped, tables included."""
    with pytest.raises(StoreLoadError, match="Unloadable did not load: LookupError: no source"):
        Application(stores=[code.Rates, code.Unloadable], pools={"default": 1}).start()
    assert whereis("slither") is None
    assert whereis(STORES) is None
    with pytest.raises(NotRunningError):
        code.Rates.rates.get("a")
    with Application(pools={}):
        pass


def test_a_failed_start_says_what_in_the_users_code_failed() -> None:
    """By the causes of its error, which are no circle: who follows them comes to an end."""
    with pytest.raises(StoreLoadError) as caught:
        Application(stores=[code.Unloadable], pools={}).start()
    cause = caught.value.__cause__
    assert isinstance(cause, LookupError)
    assert cause.__cause__ is None
    assert 'in load\n    raise LookupError("no source")' in caught.value.__notes__[0]


def test_a_pool_that_cannot_start_a_worker_fails_the_start() -> None:
    """With the worker's reason."""
    with pytest.raises(WorkerStartError, match="no graphics card"):
        Application(
            stores=[code.Rates], pools={"default": {"workers": 1, "init": code.fail_to_start}}
        ).start()
    assert whereis("slither") is None
    with pytest.raises(NotRunningError):
        code.Rates.rates.get("a")


def test_a_second_application_is_refused() -> None:
    """The first one goes on."""
    with Application(pools={}) as first:
        with pytest.raises(NotRunningError, match="an application runs already"):
            Application(pools={}).start()
        assert first.running
        assert payloads(run_pipe(Inline, [1])["default"]) == [2]


# -- stores and views ---------------------------------------------------------------------


def test_workers_and_stages_call_the_views_of_a_run() -> None:
    """And see the tables; the session is gone with the run."""
    with Application(stores=[code.Rates], pools={"default": 1}):
        found = run_pipe(code.Asking, ["a", "b"])["default"]
        first, second = payloads(found)
        assert first[:2] == (10, 10)
        assert second[:2] == (None, None)
        assert first[3:] == second[3:] == (10, 10)
        assert SESSIONS.all() == []


def test_the_session_of_a_run_that_halts_is_gone() -> None:
    """However it ends."""

    class Breaking(Pipe):
        stores = (code.Rates,)
        work = stage(lambda item: 1 // 0)

    with Application(pools={}):
        with pytest.raises(PipeError):
            run_pipe(Breaking, [1])
        assert SESSIONS.all() == []


def test_a_store_that_the_application_does_not_know_is_started_on_demand() -> None:
    """Once, for this and later runs, until the application stops."""
    with Application(pools={"default": 1}) as application:
        assert payloads(run_pipe(code.Asking, ["a"])["default"])[0][0] == 10
        code.Rates.rates.put("a", 11)
        assert payloads(run_pipe(code.Asking, ["a"])["default"])[0][0] == 11
        assert [line.strip() for line in tree(application.root)].count("StoreServer") == 1
    with pytest.raises(NotRunningError):
        code.Rates.rates.get("a")


def test_a_store_on_demand_survives_the_death_of_its_supervisor() -> None:
    """As those do that the application was given."""
    with Application(pools={}):

        class P(Pipe):
            stores = (code.Rates,)
            work = stage(lambda item: item.payload)

        run_pipe(P, [1])
        kill_and_await(STORES)
        code.Rates.rates.put("a", 12)
        assert code.Rates.rates.get("a") == 12


def test_a_store_on_demand_that_does_not_load_fails_the_run() -> None:
    """With the store's error; the application goes on."""

    class P(Pipe):
        stores = (code.Unloadable,)
        work = stage(lambda item: item.payload)

    with Application(pools={}):
        with pytest.raises(PipeError, match="Unloadable did not load") as caught:
            run_pipe(P, [1])
        assert isinstance(caught.value.reason, StoreLoadError)
        assert payloads(run_pipe(Inline, [1])["default"]) == [2]


# -- stopping ---------------------------------------------------------------------------


def test_stopping_twice_and_from_two_threads_is_fine() -> None:
    """The second one waits for the first."""
    application = Application(pools={"default": 1}).start()
    threads = [threading.Thread(target=application.stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not application.running
    application.stop()


def test_a_stop_ends_running_pipes_promptly() -> None:
    """With an error, and with what had come out of a collected run."""
    begun = threading.Event()
    caught = []

    class P(Pipe):
        work = workers(InlineExecutor(lambda found: begun.set() or found), batch_size=10)

    def run() -> None:
        with pytest.raises(PipeError, match="ended from outside") as error:
            run_pipe(P, itertools.count())
        caught.append(error.value)

    application = Application(pools={}).start()
    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(10)
    began = time.monotonic()
    application.stop()
    thread.join(10)
    assert time.monotonic() - began < 2
    assert payloads(caught[0].partial_results["default"])[:3] in ([], [0, 1, 2])


def test_a_stop_from_inside_returns_at_once() -> None:
    """A stage cannot wait for its own end; the rest follows."""
    with Application(pools={}) as application:

        class P(Pipe):
            work = stage(lambda item: application.stop())

        began = time.monotonic()
        with pytest.raises(PipeError, match="ended from outside"):
            run_pipe(P, itertools.count())
        application.stop()
        assert time.monotonic() - began < 3
        assert not application.running
    with Application(pools={}):
        assert payloads(run_pipe(Inline, [1])["default"]) == [2]


def test_runs_that_start_while_the_application_stops_end_one_way_or_the_other() -> None:
    """Each has its results or an error; none hangs."""
    outcomes = []

    def run() -> None:
        for _ in range(50):
            try:
                outcomes.append(payloads(run_pipe(Inline, [1])["default"]))
            except (PipeError, NotRunningError) as error:
                outcomes.append(error)
                return

    for _ in range(20):
        application = Application(pools={}).start()
        # The default application may take the runs that come too late.
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        application.stop()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        default_application_stops()
    assert all(outcome == [2] for outcome in outcomes if isinstance(outcome, list))


def default_application_stops() -> None:
    from slither_actors.application import _application as application

    if application._current is not None:
        application._current.stop()


# -- the default application -----------------------------------------------------------------


def test_a_script_without_an_application_gets_one() -> None:
    """Its pool is started by the first run that needs one."""
    try:
        assert payloads(run_pipe(Inline, [1])["default"]) == [2]
        assert whereis(PIPES) is not None
        assert whereis(pool_name("default")) is None
        assert payloads(run_pipe(code.Doubling, [1, 2])["default"]) == [2, 4]
        assert whereis(pool_name("default")) is not None
    finally:
        default_application_stops()


def test_an_application_takes_the_place_of_the_default_one() -> None:
    """Which is stopped."""
    run_pipe(Inline, [1])
    default = whereis("slither")
    with Application(pools={}) as application:
        assert not default.is_alive()
        assert application.root.is_alive()


def test_an_application_does_not_end_runs_of_the_default_one() -> None:
    """They belong to somebody; it is refused until they have ended, and they go on."""
    stream = stream_pipe(Inline, itertools.count())
    try:
        assert next(stream).payload == 1
        with pytest.raises(NotRunningError, match="runs of the default application are going on"):
            Application(pools={}).start()
        assert next(stream).payload == 2
        stream.close()
        with Application(pools={}) as application:
            assert application.root.is_alive()
    finally:
        stream.close()
        default_application_stops()


def test_the_default_application_has_one_pool() -> None:
    """Another one has to be asked for."""

    class P(Pipe):
        work = workers(code.double, pool="graphics")

    try:
        with pytest.raises(
            PipeError, match="there is no pool 'graphics'; the default application has 'default'"
        ):
            run_pipe(P, [1])
    finally:
        default_application_stops()


# -- deaths -----------------------------------------------------------------------------------


def kill_and_await(name: Any) -> Any:
    """Kill the actor of that name and wait for its successor."""
    ref = whereis(name)
    ref.kill()
    deadline = time.monotonic() + 10
    while (again := whereis(name)) is None or again is ref:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return again


def child_name(kind: Any) -> Any:
    """Something to find a part of the tree by."""
    return {
        "LoaderSupervisor": "slither.loaders",
        "StoreSupervisor": STORES,
        "PoolSupervisor": "slither.pools",
        "Pool": pool_name("default"),
    }[kind]


@pytest.mark.parametrize("kind", ["LoaderSupervisor", "StoreSupervisor", "PoolSupervisor", "Pool"])
def test_a_run_survives_the_death_of_a_part_of_the_tree(kind: Any) -> None:
    """At most the batches that ran are lost, and by the policy."""
    with Application(stores=[code.Rates], pools={"default": 2}):
        with stream_pipe(code.Napping, range(150)) as stream:
            taken = payloads(itertools.islice(stream, 20))
            kill_and_await(child_name(kind))
            taken += payloads(stream)
        skipped = stream.finished["work"].skipped
        assert len(taken) + skipped == 150
        assert skipped <= (2 * 4 if "Pool" in kind else 0)
        assert taken == sorted(taken)
        assert payloads(run_pipe(code.Doubling, [1, 2])["default"]) == [2, 4]


def test_a_pool_supervisor_waits_for_the_pools_of_its_predecessor() -> None:
    """They end in their own time and hold the names; the restart does not fail over it."""
    with Application(pools={"default": 2}) as application:
        pools = [whereis(pool_name("default"))]
        for _ in range(3):
            pools.append(kill_and_await("slither.pools").which_children()[0].ref)
        assert len(set(pools)) == 4
        assert [pool.is_alive() for pool in pools] == [False, False, False, True]
        assert application.running


def test_a_run_survives_the_death_of_the_view_registry() -> None:
    """Its session is there again: workers go on calling its views."""
    with Application(stores=[code.Rates], pools={"default": 1}) as application:
        with stream_pipe(code.Asking, itertools.repeat("a", 60)) as stream:
            taken = payloads(itertools.islice(stream, 5))
            next(i.ref for i in application.root.which_children() if i.id == "ViewRegistry").kill()
            taken += payloads(stream)
        assert [each[0] for each in taken] == [10] * 60
        assert SESSIONS.all() == []


def test_a_run_survives_the_death_of_a_store_server() -> None:
    """Readers have the published tables, and a later write reaches the successor."""
    with Application(stores=[code.Rates], pools={"default": 1}):
        with stream_pipe(code.Asking, itertools.repeat("a", 60)) as stream:
            taken = payloads(itertools.islice(stream, 5))
            whereis(STORES).which_children()[0].ref.kill()
            taken += payloads(stream)
        assert [each[:2] for each in taken] == [(10, 10)] * 60
        code.Rates.rates.put("a", 11)
        assert code.Rates.rates.get("a") == 11


def test_the_death_of_the_pipe_supervisor_ends_the_runs() -> None:
    """Promptly, with an error; the next run works."""
    with Application(pools={"default": 1}):
        with stream_pipe(code.Napping, itertools.count()) as stream:
            next(stream)
            began = time.monotonic()
            kill_and_await(PIPES)
            with pytest.raises(PipeError, match="ended from outside"):
                list(stream)
            assert time.monotonic() - began < 5
        assert payloads(run_pipe(code.Doubling, [1])["default"]) == [2]


def test_a_tree_that_gives_up_ends_its_runs() -> None:
    """And can be replaced by another application."""
    application = Application(pools={}).start()
    with stream_pipe(Inline, itertools.count()) as stream:
        next(stream)
        application.root.kill()
        with pytest.raises(PipeError, match="ended from outside"):
            list(stream)
    assert not application.running
    with Application(pools={}):
        assert payloads(run_pipe(Inline, [1])["default"]) == [2]
    application.stop()


def test_every_part_of_the_tree_is_a_permanent_child() -> None:
    """So that the tests above have named them all."""
    with Application(pools={}) as application:
        parts = {info.id for info in application.root.which_children()}
        assert parts == {
            "LoaderSupervisor",
            "ViewRegistry",
            "StoreSupervisor",
            "PoolSupervisor",
            "PipeSupervisor",
        }
        assert issubclass(application.root.actor_class, Supervisor)
        assert application.root.exit_reason is None
    assert application.running is False
    assert KILLED == "killed"
