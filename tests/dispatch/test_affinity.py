"""A session's batches go to one worker, and its loss is told."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, Context, InlineExecutor, Pipe, Retry, dispatch, run_pipe, workers
from slither_actors.errors import (
    BatchTimeoutError,
    DispatchError,
    OptionError,
    SessionBusyError,
    SessionLostError,
    WorkerCrashError,
)
from slither_actors.pool import STATISTICS, PoolOptions
from tests.dispatch import work
from tests.dispatch.manual import actor, in_thread, payloads
from tests.pool.asking import until

STRICT: dict[str, Any] = {"executor": work.remember, "affinity": "strict_queue", "batch_size": 1}
SKIP: dict[str, Any] = {**STRICT, "on_error": "skip"}


def test_a_strict_session_stays_in_its_worker() -> None:
    """All batches of all its runs, although other workers are idle; so each finds what the last one left."""
    context = Context(session_id="model")
    with Application(pools={"default": 3}):
        one = payloads(dispatch.run(range(10), context=context, **STRICT))
        two = payloads(dispatch.run(range(10), context=context, **STRICT))
        assert len({pid for pid, _ in one + two}) == 1
        assert [count for _, count in one + two] == list(range(1, 21))
        assert dispatch.end_session(context)
        assert not dispatch.end_session("model")


def test_strict_sessions_are_spread_over_the_workers() -> None:
    """A new one goes where there are fewest."""
    with Application(pools={"default": 2}):
        until(lambda: all(slot.state == "idle" for slot in actor("Pool").call(STATISTICS).slots))
        pids = []
        for number in range(4):
            [(pid, _)] = payloads(dispatch.run([1], context=Context(session_id=f"spread {number}"), **STRICT))
            pids.append(pid)
            assert actor("Pool").call(STATISTICS).sessions == number + 1
        assert [pids.count(pid) for pid in set(pids)] == [2, 2]
        for number in range(4):
            dispatch.end_session(f"spread {number}")
        assert actor("Pool").call(STATISTICS).sessions == 0


def test_a_session_that_a_run_made_ends_with_it() -> None:
    """However the run ends, so the table does not grow."""
    with Application(pools={"default": 1}):
        dispatch.run(range(3), **STRICT)
        with pytest.raises(DispatchError):
            dispatch.run(["die"], **STRICT)
        with dispatch.stream(range(1000), **STRICT) as stream:
            next(stream)
        until(lambda: actor("Pool").call(STATISTICS).sessions == 0)


def test_a_lost_session_says_so_until_it_is_ended() -> None:
    """With the worker and what killed it; a batch never finds empty state in silence, nor another run."""
    context = Context(session_id="lost")
    with Application(pools={"default": 2}):
        [(pid, _)] = payloads(dispatch.run([1], context=context, **STRICT))
        found = dispatch.run(["die", 1, 2, 3], context=context, **SKIP)
        errors = [item.meta["error"] for item in found]
        assert [type(error) for error in errors] == [WorkerCrashError, *[SessionLostError] * 3]
        assert errors[1].pid == pid
        assert "killed by signal 9" in errors[1].cause
        assert "dispatch.end_session('lost', pool='default')" in str(errors[1])
        with pytest.raises(DispatchError) as caught:
            dispatch.run([1], context=context, **STRICT)
        assert isinstance(caught.value.reason, SessionLostError)
        assert payloads(dispatch.run([1], context=Context(session_id="other"), **STRICT))[0][1] == 1
        assert actor("Pool").call(STATISTICS).sessions_lost == 1
        dispatch.end_session(context)
        [(_, count)] = payloads(dispatch.run([1], context=context, **STRICT))
        assert count == 1
        dispatch.end_session(context)
        dispatch.end_session("other")


def test_a_worker_killed_between_two_batches_loses_the_session() -> None:
    """As its state is gone all the same; a session that had sent nothing there has lost nothing."""
    context = Context(session_id="between")
    with Application(pools={"default": 1}):
        [(pid, _)] = payloads(dispatch.run([1], context=context, **STRICT))
        os.kill(pid, signal.SIGKILL)
        until(lambda: actor("Pool").call(STATISTICS).sessions_lost == 1)
        with pytest.raises(DispatchError, match="is lost with worker"):
            dispatch.run([1], context=context, **STRICT)
        assert len(dispatch.run([1], **STRICT)) == 1
        dispatch.end_session(context)


def test_a_timeout_loses_the_session_too_and_a_retry_does_not_hide_it() -> None:
    """The second attempt would have run without what the first batches left."""
    with Application(pools={"default": 1}):
        policy = Retry(max_attempts=5, backoff=0, then="skip")
        found = dispatch.run([1, "hang", 2], timeout=0.3, **{**STRICT, "on_error": policy})
        errors = [item.meta.get("error") for item in found]
        assert errors[0] is None
        assert all(isinstance(error, SessionLostError) for error in errors[1:])
        assert "batch 1 of dispatch ran longer than 0.3 s" in errors[1].cause
        found = dispatch.run(["hang"], timeout=0.3, **SKIP)
        assert isinstance(found[0].meta["error"], BatchTimeoutError)


def test_a_pool_that_was_started_anew_has_lost_its_sessions() -> None:
    """Those that a run uses now, and those that a later run names."""
    context = Context(session_id="anew")
    with Application(pools={"default": 1}):
        pool = actor("Pool")
        dispatch.run([1], context=context, **STRICT)
        pool.kill()
        pool.join(10)
        until(lambda: dispatch.run([1], executor=work.increment) is not None)
        with pytest.raises(DispatchError, match="the pool that held it was started anew"):
            dispatch.run([1], context=context, **STRICT)
        dispatch.end_session(context)
        assert len(dispatch.run([1], context=context, **STRICT)) == 1
        dispatch.end_session(context)


def test_batches_of_a_strict_session_wait_for_their_worker(tmp_path: Path) -> None:
    """While others go to the idle one, and do not overtake for ever."""
    gate = str(tmp_path / "gate")
    context = Context(session_id="waits")
    with Application(pools={"default": 2}):
        options: dict[str, Any] = {"context": context, "affinity": "strict_queue", "batch_size": 1}
        with in_thread(dispatch.run, [gate], executor=work.gated, **options) as first:
            until(Path(f"{gate}.begun").exists)
            with in_thread(dispatch.run, [1, 2], executor=work.remember, **options) as second:
                until(lambda: actor("Pool").call(STATISTICS).queued == 2)
                others = payloads(dispatch.run(range(4), executor=work.remember, batch_size=1))
                assert not second.done()
                Path(gate).touch()
                [pid] = payloads(first.result(20))
                assert {found for found, _ in payloads(second.result(20))} == {pid}
                assert pid not in {found for found, _ in others}
        dispatch.end_session(context)


def test_a_session_whose_worker_is_busy_may_fail_at_once(tmp_path: Path) -> None:
    """The error says which slot; nothing of the batch ran. A `Retry` waits for its turn."""
    gate = str(tmp_path / "gate")
    options: dict[str, Any] = {
        "context": Context(session_id="busy"), "affinity": "strict_fail_fast", "batch_size": 1
    }  # fmt: skip
    with Application(pools={"default": 2}):
        with in_thread(dispatch.run, [gate], executor=work.gated, **options) as first:
            until(Path(f"{gate}.begun").exists)
            with pytest.raises(DispatchError) as caught:
                dispatch.run([1], executor=work.remember, **options)
            assert isinstance(caught.value.reason, SessionBusyError)
            assert caught.value.reason.slot in (0, 1)
            policy = Retry(max_attempts=1000, backoff=0.02, max_backoff=0.02, retry_on=SessionBusyError)
            with in_thread(dispatch.run, [1], executor=work.remember, on_error=policy, **options) as second:
                Path(gate).touch()
                [pid] = payloads(first.result(20))
                assert payloads(second.result(20))[0][0] == pid
        dispatch.end_session("busy")


def test_a_hint_prefers_the_worker_of_the_session() -> None:
    """If it is idle; and is no reason to wait."""
    with Application(pools={"default": 3}):
        context = Context(session_id="hinted")
        options: dict[str, Any] = {"executor": work.remember, "context": context, "batch_size": 1}
        one_by_one = [payloads(dispatch.run([1], **options))[0][0] for _ in range(10)]
        assert len(set(one_by_one)) == 1
        assert actor("Pool").call(STATISTICS).sessions == 0
        os.kill(one_by_one[0], signal.SIGKILL)
        assert len(dispatch.run(range(10), **options)) == 10


def test_a_pool_may_have_strict_sessions_by_default() -> None:
    """A run may say otherwise."""
    with Application(pools={"default": {"workers": 2, "affinity": "strict_queue"}}):
        found = payloads(dispatch.run(range(20), executor=work.remember, batch_size=1))
        assert len({pid for pid, _ in found}) == 1
        assert [count for _, count in found] == list(range(1, 21))
        dispatch.run(range(20), executor=work.remember, affinity="hint")


def test_the_stages_of_a_pipe_share_the_session() -> None:
    """And the runs that are given its name."""

    class Two(Pipe):
        one = workers(work.remember, batch_size=1, affinity="strict_queue")
        two = workers(work.remember, batch_size=1, affinity="strict_queue")

    with Application(pools={"default": 2}):
        [item] = run_pipe(Two, [1], session_id="piped")["default"]
        assert item.payload[1] == 2
        [item] = run_pipe(Two, [1], session_id="piped")["default"]
        assert item.payload[1] == 4
        dispatch.end_session("piped")
        run_pipe(Two, [1, 2, 3])
        until(lambda: actor("Pool").call(STATISTICS).sessions == 0)


@pytest.mark.parametrize("value", ["strict", 1, True])
def test_a_wrong_affinity_is_refused(value: Any) -> None:
    """By runs and by pools."""
    allowed = "allowed are 'hint', 'strict_queue', 'strict_fail_fast'"
    with pytest.raises(OptionError, match=f"option 'affinity' is .*{allowed}"):
        dispatch.run([1], executor=InlineExecutor(work.increment), affinity=value)
    with pytest.raises(OptionError, match=f"option 'affinity' is .*{allowed}"):
        PoolOptions(affinity=value)
