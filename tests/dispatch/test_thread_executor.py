"""Threads of the driver: shared, started when needed, given up when stuck."""

from __future__ import annotations

import contextvars
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.actors import KILLED
from slither_actors.context import Context
from slither_actors.dispatch import ThreadExecutor
from slither_actors.errors import (
    BatchTimeoutError,
    DispatchError,
    ExecutorError,
    NotRunningError,
    OptionError,
    ResultError,
)
from tests.dispatch.manual import SECONDS, actor, in_thread, payloads

pytestmark = pytest.mark.usefixtures("application")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does without telling anybody."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def crew_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("slither-executor")]


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("module:function", "is 'module:function'; allowed is a callable"),
        (None, "is None; allowed is a callable"),
        (lambda: [], r"allowed are \(payloads\) and \(payloads, ctx\)"),
        (lambda one, two, three: [], r"allowed are \(payloads\) and \(payloads, ctx\)"),
    ],
)
def test_what_is_no_batch_function_is_refused(function: Any, problem: str) -> None:
    """When the executor is made."""
    with pytest.raises(OptionError, match=problem) as caught:
        ThreadExecutor(function)
    assert (caught.value.option, caught.value.where) == ("function", "ThreadExecutor")


def test_a_coroutine_function_is_refused_with_the_executor_that_takes_it() -> None:
    """It would give a coroutine for each batch; for a callable object as well."""

    async def function(batch: list[Any]) -> list[Any]:
        return batch

    class Callable:
        async def __call__(self, batch: list[Any]) -> list[Any]:
            return batch

    for wrong in (function, Callable()):
        with pytest.raises(OptionError, match="AsyncExecutor runs coroutine functions"):
            ThreadExecutor(wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"give AsyncExecutor\(function\)"):
        dispatch.run([1], executor=function)


@pytest.mark.parametrize(
    ("option", "value"),
    [("threads", 0), ("threads", True), ("threads", 2.5), ("max_abandoned", -1), ("max_abandoned", "all")],
)
def test_a_wrong_number_is_refused(option: str, value: Any) -> None:
    """By its name, with what is allowed."""
    with pytest.raises(OptionError, match=rf"ThreadExecutor.*'{option}' is .*; allowed is an integer"):
        ThreadExecutor(list, **{option: value})


def test_batches_run_at_one_time_on_as_many_threads_as_told() -> None:
    """And on no more."""
    all_there, lock = threading.Barrier(3), threading.Lock()
    now = most = 0

    def function(batch: list[int]) -> list[int]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        all_there.wait(SECONDS)
        with lock:
            now -= 1
        return batch

    executor = ThreadExecutor(function, threads=3)
    assert payloads(dispatch.run(range(12), executor=executor, batch_size=1)) == list(range(12))
    assert most == 3


def test_threads_start_with_the_work_and_end_with_the_last_run() -> None:
    """Idle ones are used before another is started."""
    executor = ThreadExecutor(lambda batch: batch, threads=8)
    assert not crew_threads()
    with dispatch.stream(range(100), executor=executor, batch_size=1, max_in_flight=1) as stream:
        next(stream)
        statistics = executor.statistics()
        assert (statistics.runs, 1 <= statistics.threads <= 2) == (1, True)
        assert len(crew_threads()) == statistics.threads
    until(lambda: not crew_threads())
    assert executor.statistics().runs == executor.statistics().threads == 0


def test_a_function_may_ask_for_the_context_and_return_any_iterable() -> None:
    """What a generator raises is the batch's failure, too."""

    def function(batch: list[int], ctx: Context) -> Any:
        assert ctx.session_id == "mine"
        return (10 // value for value in batch)

    found = dispatch.run(
        [1, 5, 0, 2],
        executor=ThreadExecutor(function),
        batch_size=1,
        on_error="skip",
        context=Context(session_id="mine"),
    )
    assert payloads(found) == [10, 2, 0, 5]
    assert isinstance(found[2].meta["error"], ZeroDivisionError)
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=ThreadExecutor(lambda batch: batch * 2))
    assert isinstance(caught.value.reason, ResultError)


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_a_batch_sees_the_context_variables_of_whoever_made_the_run() -> None:
    """As a copy: what it sets is nobody else's."""

    def function(batch: list[int]) -> list[str]:
        seen = variable.get()
        variable.set("changed by a batch")
        return [seen] * len(batch)

    executor = ThreadExecutor(function, threads=1)
    for value in ("one", "two"):
        token = variable.set(value)
        assert payloads(dispatch.run(range(3), executor=executor, batch_size=1)) == [value] * 3
        variable.reset(token)
    assert variable.get() == "unset"


def test_a_batch_past_its_timeout_fails_and_its_thread_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """The error and the log say where it is stuck; it comes back when it returns."""
    go = threading.Event()

    def function(batch: list[int]) -> list[int]:
        if batch[0] == 0:
            assert go.wait(SECONDS)
        return batch

    executor = ThreadExecutor(function, threads=1)
    with caplog.at_level(logging.INFO, "slither_actors.dispatch"):
        found = dispatch.run(range(4), executor=executor, batch_size=1, timeout=0.1, on_error="skip")
        error = found[0].meta["error"]
        assert isinstance(error, BatchTimeoutError)
        assert "its thread cannot be killed" in error.__notes__[0]
        assert [item.meta for item in found[1:]] == [{}, {}, {}]
        assert (executor.statistics().abandoned, executor.statistics().timeouts) == (1, 1)
        assert "batch 0 of dispatch ran longer than 0.1 s" in caplog.text
        go.set()
        until(lambda: executor.statistics().abandoned == 0)
        until(lambda: "has ended now" in caplog.text)
    assert payloads(dispatch.run([5], executor=executor)) == [5]


def test_the_timeout_counts_from_when_a_batch_began() -> None:
    """One that waited long for its thread has all of it."""
    begin = threading.Semaphore(0)

    def function(batch: list[int]) -> list[int]:
        begin.acquire(timeout=0.06)
        return batch

    executor = ThreadExecutor(function, threads=1)
    found = dispatch.run(range(8), executor=executor, batch_size=1, max_in_flight=8, timeout=0.3)
    assert payloads(found) == list(range(8))


def test_when_no_thread_is_left_what_waits_fails_and_nothing_hangs() -> None:
    """Until a stuck one returns: then there is room again."""
    go = threading.Event()

    def function(batch: list[int]) -> list[int]:
        assert go.wait(SECONDS)
        return batch

    executor = ThreadExecutor(function, threads=2, max_abandoned=1)
    found = dispatch.run(range(6), executor=executor, batch_size=1, timeout=0.1, on_error="skip")
    errors = [type(item.meta["error"]) for item in found]
    assert errors.count(BatchTimeoutError) == 3
    assert errors.count(ExecutorError) == 3
    with pytest.raises(DispatchError, match=r"all its threads are stuck: 3 batches .* 1 can be replaced"):
        dispatch.run([1], executor=executor)
    go.set()
    until(lambda: executor.statistics().abandoned == 0)
    assert payloads(dispatch.run(range(4), executor=executor, batch_size=1)) == list(range(4))


def test_a_batch_of_a_run_that_was_left_keeps_its_thread_until_its_timeout() -> None:
    """Then the next run has one."""
    go, began = threading.Event(), threading.Event()

    def function(batch: list[int]) -> list[int]:
        if batch[0] == 0:
            began.set()
            assert go.wait(SECONDS)
        return batch

    executor = ThreadExecutor(function, threads=1)
    stream = dispatch.stream([0], executor=executor, timeout=0.3)
    with in_thread(next, stream, None):
        assert began.wait(SECONDS)
        stream.close()
        assert payloads(dispatch.run([5], executor=executor)) == [5]
        assert executor.statistics().abandoned == 1
        go.set()
    until(lambda: not crew_threads())


def test_a_thread_that_comes_back_is_not_one_too_many() -> None:
    """Its replacement stays, so it ends."""
    go = threading.Event()

    def function(batch: list[int]) -> list[int]:
        if batch[0] == 0:
            assert go.wait(SECONDS)
        return batch

    executor = ThreadExecutor(function, threads=1)
    options: dict[str, Any] = {"batch_size": 1, "timeout": 0.3, "on_error": "skip", "max_in_flight": 2}
    with dispatch.stream(range(5000), executor=executor, **options) as stream:
        assert next(stream).meta
        next(stream)
        go.set()
        until(lambda: executor.statistics().abandoned == 0)
        assert executor.statistics().threads == 1
        until(lambda: len(crew_threads()) == 1)


def test_a_timeout_that_comes_with_the_end_of_the_batch_costs_nothing() -> None:
    """The clock may ring while the thread takes the next batch."""
    executor = ThreadExecutor(list, threads=1)
    with dispatch.stream(range(100), executor=executor, batch_size=1) as stream:
        turn = _ended_turn(stream, executor)
        executor._crew._expire(turn)
        assert (executor.statistics().abandoned, executor.statistics().timeouts) == (0, 0)


def _ended_turn(stream: Any, executor: ThreadExecutor) -> Any:
    """A batch that has just ended, as the crew keeps it."""
    turns: list[Any] = []
    stays = executor._crew._stays

    def note(turn: Any) -> bool:
        goes_on = stays(turn)
        turns.append(turn)
        return goes_on

    executor._crew._stays = note  # type: ignore[method-assign]
    next(stream)
    until(lambda: bool(turns))
    return turns[0]


def test_two_batches_at_once_wake_one_thread_and_start_another() -> None:
    """One idle thread is not counted twice."""
    together = threading.Barrier(2)

    def function(batch: list[int]) -> list[int]:
        if batch[0]:
            together.wait(SECONDS)
        return batch

    executor = ThreadExecutor(function, threads=2)
    with dispatch.stream([0], executor=executor) as first:
        for number in range(20):
            if number == 0:
                next(first)
            found = dispatch.run([1, 2], executor=executor, batch_size=1)
            assert payloads(found) == [1, 2]


def test_what_waits_of_one_run_is_taken_back_while_another_goes_on() -> None:
    """Only the last run that ends clears all."""
    go, began = threading.Event(), threading.Event()
    ran: list[int] = []

    def function(batch: list[int]) -> list[int]:
        ran.append(batch[0])
        began.set()
        assert go.wait(SECONDS)
        return batch

    executor = ThreadExecutor(function, threads=1)
    left = dispatch.stream([1, 2, 3], executor=executor, batch_size=1)
    other = dispatch.stream([10, 11], executor=executor, batch_size=1)
    with in_thread(next, left, None), in_thread(list, other) as result:
        assert began.wait(SECONDS)
        until(lambda: executor.statistics().queued == 4)
        left.close()
        assert executor.statistics().queued <= 2
        go.set()
        assert payloads(result.result(SECONDS)) == [10, 11]
    assert {2, 3}.isdisjoint(ran)


def test_a_runner_that_is_killed_leaves_no_threads() -> None:
    """It closes the executor all the same, and once."""
    go, began = threading.Event(), threading.Event()

    def function(batch: list[int]) -> list[int]:
        began.set()
        assert go.wait(SECONDS)
        return batch

    executor = ThreadExecutor(function, threads=1)
    with in_thread(dispatch.run, range(9), executor=executor, batch_size=1) as result:
        assert began.wait(SECONDS)
        actor("DispatchRunner").exit(KILLED)
        with pytest.raises(Exception, match="killed"):
            result.result(SECONDS)
        until(lambda: executor.statistics().runs == 0)
        assert executor.statistics().queued == 0
        go.set()
    until(lambda: not crew_threads())


def test_without_a_run_it_takes_nothing() -> None:
    """A runner that was abandoned cannot start threads that nobody would end."""
    with pytest.raises(NotRunningError, match="no run uses it"):
        ThreadExecutor(list).submit(None)  # type: ignore[arg-type]


def test_a_system_without_threads_fails_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the run, and nothing waits."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("slither-executor"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(DispatchError, match="none can be started") as caught:
        dispatch.run([1], executor=ThreadExecutor(list))
    assert isinstance(caught.value.reason, ExecutorError)


def program(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_stuck_thread_does_not_hold_up_the_end_of_the_program() -> None:
    """As one of `concurrent.futures` would."""
    ended = program("""
        import threading
        from slither_actors import Application, dispatch
        with Application(pools={}):
            stuck = dispatch.ThreadExecutor(lambda batch: threading.Event().wait())
            [item] = dispatch.run([1], executor=stuck, timeout=0.1, on_error="skip")
            print(type(item.meta["error"]).__name__, flush=True)
    """)
    assert (ended.stdout, ended.returncode) == ("BatchTimeoutError\n", 0), ended.stderr


def test_a_forked_child_neither_hangs_nor_runs_batches() -> None:
    """Its threads are the parent's; the child may end as it likes."""
    ended = program("""
        import os, threading, warnings
        warnings.simplefilter("ignore")
        from slither_actors import Application, dispatch
        from slither_actors.errors import ForkedRuntimeError
        go = threading.Event()
        with Application(pools={}):
            executor = dispatch.ThreadExecutor(lambda batch: batch)
            stream = dispatch.stream(range(100), executor=executor, batch_size=1)
            next(stream)
            pid = os.fork()
            if pid == 0:
                try:
                    executor.open()
                except ForkedRuntimeError as error:
                    os.write(1, b"refused\\n")
                executor.close()
                os._exit(0)
            os.waitpid(pid, 0)
            print(len(list(stream)), flush=True)
    """)
    assert (ended.stdout, ended.returncode) == ("refused\n99\n", 0), ended.stderr


def test_the_processor_count_decides_by_default() -> None:
    """As for `ThreadPoolExecutor`."""
    gate = threading.Barrier(min(32, (os.cpu_count() or 1) + 4))

    def function(batch: list[int]) -> list[int]:
        gate.wait(SECONDS)
        return batch

    dispatch.run(range(gate.parties), executor=ThreadExecutor(function), batch_size=1, max_in_flight=64)
