"""A pool: batches go out, results come back, each exactly once."""

from __future__ import annotations

import os
import select
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.actors import whereis
from slither_actors.context import Context
from slither_actors.errors import (
    OptionError,
    PayloadError,
    PoolStoppedError,
    ResultError,
    StartError,
    TargetError,
)
from slither_actors.pool import Pool, Target
from tests.pool import work
from tests.pool.asking import asking, exists, is_alive, pid_of, until


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_batch_comes_back_with_its_results(method: str) -> None:
    """The function gets the list of payloads; its results come back in their order."""
    with asking(start_method=method) as asker:
        assert asker.run(work.increment, [1, 2, 3]) == [2, 3, 4]
        assert asker.run("tests.pool.work:increment", [5]) == [6]
        assert asker.run(work.increment, []) == []


def test_the_batches_run_in_other_processes() -> None:
    """Each slot has a process of its own, which is none of ours."""
    with asking(workers=3) as asker:
        jobs = [asker.submit(work.sleep, [0.05]) for _ in range(3)]
        asker.wait(*jobs)
        found = {pid for job in jobs for pid in job.results or ()}
        assert len(found) == 3
        assert os.getpid() not in found
        assert {job.worker_pid for job in jobs} == found
        assert {job.slot for job in jobs} == {0, 1, 2}


def test_more_batches_than_workers_wait_in_line() -> None:
    """A queue in front of the workers; a thousand batches come back, each with its own results."""
    with asking(workers=2) as asker:
        jobs = [asker.submit(work.increment, [n, n + 1]) for n in range(1000)]
        asker.wait(*jobs)
        assert [job.results for job in jobs] == [[n + 1, n + 2] for n in range(1000)]
        assert asker.statistics().batches == 1000


@pytest.mark.parametrize("size", [100_000, 1_000_000, 30_000_000])
def test_large_payloads_and_results(size: int) -> None:
    """More than a socket holds goes both ways."""
    with asking() as asker:
        data = os.urandom(1000) * (size // 1000)
        assert asker.run(work.echo, [data, data]) == [data, data]


def test_two_large_batches_cross() -> None:
    """A worker that sends a large result while the next large batch is on its way does not block."""
    with asking() as asker:
        asker.run(work.increment, [1])  # from now on a second batch is put into the pipe
        data = bytes(5_000_000)
        jobs = [asker.submit(work.echo, [data]) for _ in range(6)]
        asker.wait(*jobs)
        assert all(job.results == [data] for job in jobs)


def test_the_first_ready_worker_is_enough() -> None:
    """`start` returns with one worker ready; the others join when they are."""
    with asking(workers=2) as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))


# -- contexts ------------------------------------------------------------------------


def test_a_function_that_asks_for_it_gets_the_context() -> None:
    """With a parameter `ctx` it gets the run's context, without the stores."""
    context = Context(pipe="P", stage="s", metadata={"k": 1}, stores={"S": threading.Lock()})
    with asking() as asker:
        expected: tuple[object, ...] = (context.session_id, "P", "s", {"k": 1}, {})
        assert asker.run(work.with_context, [0, 0], context=context) == [expected, expected]
        assert asker.run(work.session, [0], context=context) == [context.session_id]
        assert asker.run(work.session, [0]) == [None]


def test_a_context_that_a_worker_cannot_read_is_the_business_of_who_asks_for_it() -> None:
    """It fails the batches of functions that take it, with the reason; the worker and the others go on."""
    context = Context(metadata={"k": work.OnlyInDriver()})
    with asking() as asker:
        [pid] = asker.run(work.pids, [0], context=context)
        with pytest.raises(PayloadError, match="the context cannot be unpickled in the worker: .*only here"):
            asker.run(work.with_context, [0], context=context)
        assert asker.run(work.pids, [0], context=context) == [pid]


def test_a_function_says_in_whatever_form_that_it_takes_the_context() -> None:
    """By its signature, which may be that of what it wraps, or be its own affair."""
    context = Context(pipe="P")
    with asking() as asker:
        for function in (work.pipe_by_keyword, work.pipe_by_position, work.pipe_wrapped, work.PipeCaller()):
            assert asker.run(function, [0], context=context) == ["P"], function


def test_many_contexts_and_targets_come_and_go() -> None:
    """The worker's tables have a fixed size; what was written over is sent again."""
    with asking() as asker:
        contexts = [Context() for _ in range(200)]
        for context in [*contexts, *reversed(contexts)]:
            assert asker.run(work.session, [0], context=context) == [context.session_id]


def test_metadata_that_cannot_be_pickled_is_named() -> None:
    """The error leads to the entry."""
    with asking() as asker, pytest.raises(PayloadError, match=r"context\.metadata\['k'\]: cannot pickle"):
        asker.run(work.session, [0], context=Context(metadata={"k": threading.Lock()}))


# -- what a function may return ---------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (work.one_too_few, "tests.pool.work:one_too_few returned 2 results for 3 payloads"),
        (work.a_dict, "tests.pool.work:a_dict returned a dict; one result per payload, in a list, is wanted"),
        (work.a_string, "returned a str"),
        (work.nothing, "returned None"),
    ],
)
def test_anything_but_one_result_per_payload_is_an_error(function: object, message: str) -> None:
    """The error says what the function returned; the worker goes on."""
    with asking() as asker:
        with pytest.raises(ResultError, match=message):
            asker.run(function, [1, 2, 3])  # type: ignore[arg-type]
        assert asker.run(work.generate, [1, 2]) == [2, 3], "an iterable is taken as a list"
        assert asker.statistics().restarts == 0


# -- targets -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:f", r"a worker cannot import no_such_module:f: ModuleNotFoundError.*searched from"),
        ("tests.pool.work:no_such", "has no attribute 'no_such'"),
        ("tests.pool.work:DEEDS", "tests.pool.work:DEEDS is a dict, not a function"),
        ("tests.pool.broken_module:f", "cannot import tests.pool.broken_module:f: ZeroDivisionError"),
    ],
)
def test_a_function_that_cannot_be_imported_is_named(target: str, message: str) -> None:
    """The batch fails with the target's name and why, and the worker is reused."""
    with asking() as asker:
        for _ in range(2):
            with pytest.raises(TargetError, match=message):
                asker.run(target, [1])
        assert asker.run(work.increment, [1]) == [2]
        assert asker.statistics().restarts == 0


@pytest.mark.parametrize("spec", ["f", "a:b:c", "", ":f", "a/b.py:f", 7])
def test_a_target_of_the_wrong_form_is_refused_at_once(spec: object) -> None:
    """Long before it reaches a worker."""
    with pytest.raises(OptionError, match='allowed are a callable and "module:function"'):
        Target(spec)  # type: ignore[arg-type]


def test_a_lambda_travels_with_cloudpickle() -> None:
    """Lambdas and closures run in workers where the extra is installed."""
    pytest.importorskip("cloudpickle")
    offset = 10
    with asking() as asker:
        assert asker.run(lambda batch: [value + offset for value in batch], [1, 2]) == [11, 12]


def test_a_lambda_without_cloudpickle_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the function and the extra."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with asking() as asker, pytest.raises(PayloadError, match=r"pip install slither-actors\[cloudpickle\]"):
        asker.run(lambda batch: batch, [1])


# -- pickles (X04, X05, X06) ---------------------------------------------------------------


def test_a_payload_that_cannot_be_pickled_is_named() -> None:
    """The error has the batch, the item and the attribute."""
    with asking() as asker:
        with pytest.raises(
            PayloadError, match=r"batch 7: payload\[1\]\.lock: cannot pickle '_thread\.lock' object"
        ):
            asker.run(work.echo, [1, work.Handle(), 3], description="batch 7")
        assert asker.run(work.increment, [1]) == [2]


def test_bad_payloads_do_not_use_anything_up() -> None:
    """100 bad batches, raising or exiting when pickled, and then 100 good ones: 100 results."""
    with asking(workers=2) as asker:
        bad = [
            asker.submit(work.echo, [work.RaisesWhenPickled(("error", "exit")[n % 2])]) for n in range(100)
        ]
        good = [asker.submit(work.increment, [n]) for n in range(100)]
        asker.wait(*bad, *good)
        assert all(isinstance(job.error, PayloadError) and not job.started for job in bad)
        assert "payload[0]: pickling RaisesWhenPickled raised builtins.SystemExit: 9" in str(bad[1].error)
        assert [job.results for job in good] == [[n + 1] for n in range(100)]


def test_a_result_that_cannot_be_pickled_is_named() -> None:
    """The error leads from the result to the attribute; the worker is reused."""
    with asking() as asker:
        with pytest.raises(PayloadError, match=r"result\[2\]\.lock: cannot pickle '_thread\.lock' object"):
            asker.run(work.a_lock_in_the_third, [1, 2, 3])
        assert asker.run(work.increment, [1]) == [2]
        assert asker.statistics().restarts == 0


@pytest.mark.parametrize("kind", ["error", "exit"])
def test_a_result_that_explodes_in_the_driver_costs_its_batch(kind: str) -> None:
    """An error or an exit while the driver unpickles fails the batch, and not the driver."""
    with asking() as asker:
        with pytest.raises(PayloadError, match="the results cannot be unpickled in the driver"):
            asker.run(work.bombs, [kind])
        assert asker.run(work.increment, [1]) == [2]


@pytest.mark.parametrize("kind", ["error", "exit"])
def test_a_payload_that_explodes_in_the_worker_costs_its_batch(kind: str) -> None:
    """An error or an exit while the worker unpickles fails the batch; the worker is reused."""
    with asking() as asker:
        bomb = work.RaisesWhenUnpickled(kind, in_driver=False)
        with pytest.raises(PayloadError, match="the payloads cannot be unpickled in the worker"):
            asker.run(work.echo, [bomb])
        assert asker.run(work.increment, [1]) == [2]
        assert asker.statistics().restarts == 0


# -- cancelling -------------------------------------------------------------------------------


def test_a_queued_batch_can_be_cancelled(tmp_path: Path) -> None:
    """It comes back marked and has not run; the one that runs goes on."""
    with asking() as asker:
        running = asker.submit(work.wait_for_file, [str(tmp_path / "go")])
        queued = asker.submit(work.increment, [1])
        asker.cancel(queued)
        asker.wait(queued)
        assert queued.cancelled
        assert not queued.started
        asker.cancel(running)
        (tmp_path / "go").touch()
        asker.wait(running)
        assert running.error is None
        assert not running.cancelled


def test_a_running_batch_can_be_killed() -> None:
    """With `kill` its worker ends; the next batch finds another."""
    with asking() as asker:
        job = asker.submit(work.do, ["sleep"])
        until(lambda: asker.statistics().running)
        asker.cancel(job, kill=True)
        asker.wait(job)
        assert job.cancelled
        assert asker.run(work.increment, [1]) == [2]
        assert asker.statistics().crashes == 0


def test_cancelling_what_is_back_does_nothing() -> None:
    """A late cancel is ignored."""
    with asking() as asker:
        job = asker.submit(work.increment, [1])
        asker.wait(job)
        asker.cancel(job, kill=True)
        assert asker.run(work.increment, [1]) == [2]
        assert not job.cancelled


# -- the pipe ------------------------------------------------------------------------------------


def test_a_batch_behind_a_slow_one_goes_to_an_idle_worker(tmp_path: Path) -> None:
    """Work put into the pipe of a worker that turns out slow is taken back when another has nothing to do."""
    with asking(workers=2) as asker:
        gates = [tmp_path / "a", tmp_path / "b"]
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        while not all((slot.seconds_per_batch or 1) < 0.01 for slot in asker.statistics().slots):
            asker.wait(*[asker.submit(work.increment, [1]) for _ in range(2)])
        slow = [asker.submit(work.wait_for_file, [str(gate)]) for gate in gates]
        quick = [asker.submit(work.increment, [n]) for n in range(2)]
        until(lambda: len(exists(gates[0])) + len(exists(gates[1])) == 2)
        assert not any(job.returned for job in quick)
        gates[0].touch()
        asker.wait(slow[0], *quick)
        assert not slow[1].returned
        assert [job.results for job in quick] == [[1], [2]]
        assert asker.statistics().stolen == 1
        gates[1].touch()
        asker.wait(slow[1])


# -- start -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", [work.set_up, "tests.pool.work:set_up"])
def test_the_init_hook_runs_before_the_first_batch(hook: object) -> None:
    """Once per worker, with the worker as its argument if it takes one."""
    with asking(init=hook) as asker:
        assert asker.run(work.known_state, [0]) == [{"slot": 0, "pool": "tests"}]
    with asking(init=work.set_up_alone) as asker:
        assert asker.run(work.known_state, [0]) == [{"alone": True}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "pool 'tests': option 'workers' is 0"),
        ({"start_method": "fork"}, "option 'start_method' is 'fork'; allowed are 'forkserver', 'spawn'"),
        ({"wokers": 2}, "did you mean 'workers'"),
        ({"init": "nonsense"}, 'allowed are a callable and "module:function"'),
    ],
)
def test_a_wrong_option_fails_the_start(options: dict[str, object], message: str) -> None:
    """The error names the pool, the option and what is allowed."""
    with pytest.raises(StartError, match="Pool.* did not start") as caught:
        Pool.start("tests", **options)
    assert isinstance(caught.value.__cause__, OptionError)
    assert message in str(caught.value.__cause__)


# -- stop -------------------------------------------------------------------------------------------


def test_a_stopped_pool_refuses_what_it_holds(tmp_path: Path) -> None:
    """What runs and what is queued comes back with an error, and the workers are gone."""
    with asking() as asker:
        gate = tmp_path / "never"
        running = asker.submit(work.wait_for_file, [str(gate)])
        queued = asker.submit(work.increment, [1])
        until(lambda: exists(gate))
        asker.pool.stop()
        asker.wait(running, queued)
        assert isinstance(running.error, PoolStoppedError)
        assert running.started
        assert isinstance(queued.error, PoolStoppedError)
        assert not queued.started
        assert not is_alive(pid_of(exists(gate)[0]))


def test_a_stopped_pool_refuses_what_comes() -> None:
    """A batch for a dead pool comes back at once."""
    with asking() as asker:
        asker.pool.stop()
        job = asker.submit(work.increment, [1])
        asker.wait(job)
        assert isinstance(job.error, PoolStoppedError)


def test_a_killed_pool_leaves_nothing(tmp_path: Path) -> None:
    """Without `terminate` as well: the workers end, the batches come back, the descriptors are closed."""
    with asking(workers=2) as asker:
        gate = tmp_path / "never"
        jobs = [asker.submit(work.wait_for_file, [str(gate)]) for _ in range(3)]
        until(lambda: len(exists(gate)) == 2)
        asker.pool.kill()
        asker.wait(*jobs)
        assert all(isinstance(job.error, PoolStoppedError) for job in jobs)
        assert [job.started for job in jobs] == [True, True, False]
        assert not any(is_alive(pid_of(path)) for path in exists(gate))


@pytest.mark.parametrize(
    "end", [lambda pool: pool.kill(), lambda pool: pool.stop(block=False)], ids=["kill", "stop"]
)
def test_a_batch_that_a_worker_had_begun_is_never_said_not_to_have(end: Any, tmp_path: Path) -> None:
    """Whoever tries the others again runs nothing twice: also not the second one in a worker's pipe."""
    for attempt in range(5):
        log = tmp_path / f"begun{attempt}"
        with asking(workers=2) as asker:
            asker.run(work.increment, [1])
            jobs = [asker.submit(work.write_down, [(str(log), number)]) for number in range(2000)]
            enough = 400 * (attempt + 1)
            until(lambda log=log, enough=enough: log.exists() and log.stat().st_size > enough)
            end(asker.pool)
            asker.wait(*jobs)
        begun = {int(line) for line in log.read_text().split()}
        again = {number for number, job in enumerate(jobs) if job.error is not None and not job.started}
        assert not begun & again


def test_a_result_that_comes_while_the_pool_stops_is_not_a_second_outcome() -> None:
    """The batch was refused; what its worker had answered is dropped."""
    with asking() as asker:
        job = asker.submit(work.increment, [1])
        asker.pool.send(stop_when_answered)
        asker.wait(job)
        assert isinstance(job.error, PoolStoppedError)
        asker.pool.join(10)
        asker.nothing_more()


def stop_when_answered(pool: Pool, _: None) -> None:
    """In the pool: wait for the answer without reading it, and then end."""
    (lane,) = pool.staff.lanes
    assert lane.process is not None
    assert lane.process.sock is not None
    select.select([lane.process.sock], [], [], 10)
    pool.stop()


def test_stopping_does_not_wait_for_a_worker_that_hangs() -> None:
    """A batch that never returns is killed with its worker."""
    with asking() as asker:
        job = asker.submit(work.do, ["native loop"])
        until(lambda: asker.statistics().running)
    assert isinstance(job.error, PoolStoppedError)


def test_submitting_while_the_pool_stops(tmp_path: Path) -> None:
    """Every batch comes back, with results or an error, however it races with the end."""
    for _ in range(25):
        with asking() as asker:
            stopper = threading.Thread(target=asker.pool.stop)
            jobs = [asker.submit(work.increment, [1]) for _ in range(20)]
            stopper.start()
            jobs += [asker.submit(work.increment, [1]) for _ in range(20)]
            asker.wait(*jobs)
            stopper.join()
            assert all(job.results == [2] or isinstance(job.error, PoolStoppedError) for job in jobs)


# -- telling -----------------------------------------------------------------------------------------


def test_the_pool_tells_of_its_workers() -> None:
    """A start and an exit per worker, with pid, duration, exit status and cause."""
    heard: list[tuple[str, dict[str, object]]] = []

    def hear(event: str, _: object, __: object, metadata: dict[str, object]) -> None:
        heard.append((event, dict(metadata)))

    events = ["slither.pool.worker.start", "slither.pool.worker.exit"]
    with telemetry.attach(events, hear), asking() as asker:
        job = asker.submit(work.do, ["_exit(42)"])
        asker.wait(job)
        asker.run(work.increment, [1])
    kinds = [event.rpartition(".")[2] for event, _ in heard]
    assert kinds == ["start", "exit", "start", "exit"]
    assert heard[1][1]["exitcode"] == 42
    assert heard[1][1]["pid"] == job.worker_pid
    assert heard[3][1]["exitcode"] == 0
    assert [event[1]["postmortem"].batch for event in heard[1::2]] == [job.description, ""]  # type: ignore[attr-defined]


def test_statistics() -> None:
    """One record with a line per slot."""
    with asking(workers=2) as asker:
        asker.run(work.increment, [1])
        statistics = asker.statistics()
        assert statistics.pool == "tests"
        assert [slot.slot for slot in statistics.slots] == [0, 1]
        assert statistics.batches == sum(slot.batches for slot in statistics.slots) == 1
        assert statistics.queued == statistics.running == statistics.crashes == 0
        with pytest.raises(ValueError, match="does not know the request 'nonsense'"):
            asker.pool.call("nonsense")


def test_pools_have_names() -> None:
    """As any server, a pool can be registered."""
    pool = Pool.start("named", workers=1, name=("pool", "named"))
    assert whereis(("pool", "named")) is pool
    pool.stop()
