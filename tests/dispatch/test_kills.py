"""Parts of the machinery are killed while a run goes on: the caller is told, promptly, or notices nothing."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, Retry, dispatch
from slither_actors.actors import SHUTDOWN, whereis
from slither_actors.dispatch import Batch, InlineExecutor
from slither_actors.errors import (
    BatchTimeoutError,
    DispatchError,
    ExitPendingError,
    NotRunningError,
    PoolStoppedError,
    WorkerCrashError,
)
from slither_actors.pool import STATISTICS
from tests.dispatch import work
from tests.dispatch.manual import SECONDS, Manual, actor, double, in_thread, payloads, statistics, wait

inline = InlineExecutor(lambda batch: batch)


# -- workers and pools ---------------------------------------------------------------


def test_a_killed_worker_costs_its_batch() -> None:
    """The others come out in order; the error says which batch, which attempt and which signal."""
    with Application(pools={"default": 2}):
        found = dispatch.run(range(40), executor=work.die_on_seven, batch_size=2, on_error="skip")
    assert payloads(found) == list(range(40))
    skipped = [item for item in found if item.meta.get("skipped")]
    assert payloads(skipped) == [6, 7]
    error = skipped[0].meta["error"]
    assert isinstance(error, WorkerCrashError)
    assert (error.batch, error.attempt, error.signal) == ("batch 3 of dispatch", 1, signal.SIGKILL)


def test_a_batch_whose_worker_was_killed_may_be_tried_again(tmp_path: Path) -> None:
    """In another worker; nothing is lost and nothing comes twice."""
    data = [(n, str(tmp_path / "died") if n == 7 else "") for n in range(40)]
    with Application(pools={"default": 2}):
        stream = dispatch.stream(data, executor=work.die_once, batch_size=2, on_error=Retry(backoff=0))
        assert payloads(stream) == list(range(40))
        assert stream.statistics()["dispatch"].retries == 1


def test_a_batch_past_its_timeout_costs_its_worker_and_nothing_else() -> None:
    """The rest of the run goes on in the other worker and in the one that replaces it."""
    with Application(pools={"default": 2}):
        data = [0.0, 0.0, 30.0, 0.0, 0.0, 0.0]
        found = dispatch.run(data, executor=work.sleep, batch_size=1, timeout=0.3, on_error="skip")
    assert [item.meta.get("skipped", False) for item in found] == [False, False, True, False, False, False]
    assert isinstance(found[2].meta["error"], BatchTimeoutError)


def begun(name: Path) -> None:
    while not Path(f"{name}.begun").exists():
        threading.Event().wait(0.005)


def test_a_killed_pool_fails_what_ran_and_keeps_what_waited(tmp_path: Path) -> None:
    """The batches in its queue are run by the pool that replaces it."""
    names = [tmp_path / str(n) for n in range(6)]
    for name in names[2:]:
        name.touch()
    with (
        Application(pools={"default": 2}) as application,
        in_thread(
            dispatch.run, map(str, names), executor=work.wait_for_file, batch_size=1, on_error="skip"
        ) as result,
    ):
        begun(names[0])
        begun(names[1])
        application.pool().kill()
        found = result.result(SECONDS)
    errors = [item.meta.get("error") for item in found]
    assert [type(error) for error in errors[:2]] == [PoolStoppedError, PoolStoppedError]
    assert errors[2:] == [None] * 4
    assert len({item.payload for item in found[2:]} - {os.getpid()}) >= 1


def test_what_a_killed_pool_ran_is_retried_under_the_policy(tmp_path: Path) -> None:
    """In the pool that replaces it."""
    name = tmp_path / "go"
    with (
        Application(pools={"default": 1}) as application,
        in_thread(
            dispatch.run, [str(name)], executor=work.wait_for_file, on_error=Retry(backoff=0)
        ) as result,
    ):
        begun(name)
        application.pool().kill()
        name.touch()
        (item,) = result.result(SECONDS)
    assert isinstance(item.payload, int)


def test_a_stopped_application_ends_the_run(tmp_path: Path) -> None:
    """With the reason, and what was complete."""
    name = tmp_path / "never"
    application = Application(pools={"default": 1}).start()
    try:
        with in_thread(
            dispatch.run, [str(name)], executor=work.wait_for_file, batch_size=1, timeout=None
        ) as result:
            begun(name)
            application.stop()
            with pytest.raises(DispatchError) as caught:
                result.result(SECONDS)
    finally:
        application.stop()
    assert isinstance(caught.value.reason, NotRunningError)


# -- the actors of a run -------------------------------------------------------------


def results_are_in(batch: Batch) -> None:
    """What was answered so far has reached the last actor of the run."""
    statistics(batch)
    actor("Reader").run(lambda *_: None)


def started(manual: Manual) -> None:
    """Two batches are done and four run."""
    batches = manual.take(4)
    double(batches[0])
    double(batches[1])
    manual.take(2)
    results_are_in(batches[0])


KINDS = ["DispatchRunner", "Reader", "ItemSource", "RunSupervisor", "_Input"]


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["run", "stream"])
def test_whichever_actor_of_a_run_is_killed_the_caller_is_told(kind: str, way: str) -> None:
    """At once, with what was complete; nothing else of the run is left."""
    function: Any = dispatch.run if way == "run" else lambda *a, **k: [*dispatch.stream(*a, **k)]
    source = iter(range(100))
    options = {"batch_size": 1, "max_in_flight": 4}
    with in_thread(function, source, executor=(manual := Manual()), **options) as result:
        started(manual)
        actor(kind).kill()
        with pytest.raises(DispatchError) as caught:
            result.result(SECONDS / 2)
    assert isinstance(caught.value.reason, NotRunningError)
    assert payloads(caught.value.partial_results) == ([0, 2] if way == "run" else [])


@pytest.mark.usefixtures("application")
def test_a_killed_runner_takes_its_batches_back() -> None:
    """Nobody waits for them any more."""
    with in_thread(dispatch.run, range(3), executor=(manual := Manual()), batch_size=1) as result:
        manual.take(3)
        actor("DispatchRunner").kill()
        with pytest.raises(DispatchError):
            result.result(SECONDS)
        assert {manual.cancelled.get(timeout=SECONDS).ref for _ in range(3)} == {0, 1, 2}


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_pipe_supervisor_that_ends_ends_its_runs(how: str) -> None:
    """The callers are told; the next run is under the one that replaces it."""
    supervisor: Any = whereis("slither.pipes")
    with in_thread(dispatch.run, range(9), executor=(manual := Manual()), batch_size=1) as result:
        first = manual.next()
        double(first)
        results_are_in(first)
        supervisor.kill() if how == "kill" else supervisor.stop(SHUTDOWN, block=False)
        with pytest.raises(DispatchError) as caught:
            result.result(SECONDS / 2)
    assert isinstance(caught.value.reason, NotRunningError)
    assert payloads(caught.value.partial_results) == [0]
    supervisor.join(SECONDS)
    while whereis("slither.pipes") is None:
        threading.Event().wait(0.005)
    assert payloads(dispatch.run(range(9), executor=inline)) == list(range(9))


# -- runs inside of runs ---------------------------------------------------------------


@pytest.mark.usefixtures("application")
def test_a_closed_run_ends_the_run_that_it_reads() -> None:
    """Although its source waits for an item that does not come."""
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    inner = dispatch.stream(endless(), executor=(manual := Manual()), batch_size=1, max_in_flight=2)
    outer = dispatch.stream(inner, executor=inline, batch_size=1)
    with in_thread(next, outer) as first, manual:
        double(manual.next())
        assert first.result().payload == 0
        with in_thread(outer.close) as closing:
            closing.result(SECONDS / 4)
        wait(closed)
        assert list(inner) == []


@pytest.mark.usefixtures("application")
def test_a_closed_run_ends_the_run_that_one_of_its_batches_waits_for() -> None:
    """The batch's function gets an error instead of waiting for ever."""
    seen: list[BaseException] = []

    def nested(batch: list[int]) -> list[int]:
        try:
            return payloads(dispatch.run(batch, executor=manual))
        except BaseException as error:
            seen.append(error)
            raise

    stream = dispatch.stream(range(5), executor=InlineExecutor(nested), batch_size=1)
    with Manual() as manual, ThreadPoolExecutor(2) as threads:
        first = threads.submit(next, stream, None)
        manual.next()
        threads.submit(stream.close).result(SECONDS / 4)
        assert first.result(SECONDS) is None
    assert seen
    assert {type(error) for error in seen} <= {NotRunningError, ExitPendingError}


@pytest.mark.usefixtures("application")
def test_a_run_that_was_read_in_part_by_another_may_be_read_on() -> None:
    """Only a wait ends with the run that waits."""
    inner = dispatch.stream(range(100), executor=inline, batch_size=10)
    first = dispatch.run(itertools.islice(inner, 25), executor=inline, batch_size=5)
    assert payloads(first) == list(range(25))
    assert payloads(inner) == list(range(25, 100))


# -- what is left ----------------------------------------------------------------------


def test_a_stream_that_is_left_gives_its_place_in_the_pool_back(tmp_path: Path) -> None:
    """What had not begun never does; the batch that runs may end."""
    names = [tmp_path / str(n) for n in range(6)]
    with Application(pools={"default": 1}) as application:
        stream = dispatch.stream(map(str, names), executor=work.wait_for_file, batch_size=1)
        with in_thread(next, stream, None) as first:
            begun(names[0])
            stream.close()
            assert first.result(SECONDS) is None
        pool = application.pool()
        assert pool.call(STATISTICS).queued == 0
        names[0].touch()
        assert payloads(dispatch.run([1], executor=work.increment)) == [2]
        assert not any(Path(f"{name}.begun").exists() for name in names[1:])
