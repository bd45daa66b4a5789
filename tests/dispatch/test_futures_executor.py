"""Executors of `concurrent.futures`: never shut down by us, and clear about what is wrong with them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.context import Context
from slither_actors.dispatch import FuturesExecutor, InlineExecutor
from slither_actors.errors import BatchTimeoutError, DispatchError, ExecutorError, OptionError, ResultError
from tests.dispatch.manual import SECONDS, in_thread, payloads

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def threads() -> Iterator[futures.ThreadPoolExecutor]:
    with futures.ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def processes() -> Iterator[futures.ProcessPoolExecutor]:
    with futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as pool:
        yield pool


def double(batch: list[int]) -> list[int]:
    return [2 * value for value in batch]


def session(batch: list[int], ctx: Context) -> list[Any]:
    return [(os.getpid(), ctx.session_id)] * len(batch)


def end_process(batch: list[int]) -> list[int]:
    os._exit(7)


@pytest.mark.parametrize("value", [None, 7, "threads", futures.ThreadPoolExecutor, InlineExecutor(double)])
def test_what_is_no_executor_is_refused(value: Any) -> None:
    """A class of them as well, and one of ours."""
    with pytest.raises(OptionError, match="is .*; allowed is a concurrent.futures.Executor") as caught:
        FuturesExecutor(value, double)
    assert (caught.value.option, caught.value.where) == ("executor", "FuturesExecutor")


def test_its_function_is_checked(threads: futures.ThreadPoolExecutor) -> None:
    """As everywhere."""
    with pytest.raises(OptionError, match="'function' is 'module:function'; allowed is a callable"):
        FuturesExecutor(threads, "module:function")  # type: ignore[arg-type]


def test_processes_get_the_function_the_payloads_and_the_context(
    processes: futures.ProcessPoolExecutor,
) -> None:
    """Without the stores, which live here."""
    context = Context(session_id="mine", stores={"local": threading.Lock()})
    found = dispatch.run(range(3), executor=FuturesExecutor(processes, session), context=context)
    [(pid, seen)] = {item.payload for item in found}
    assert seen == "mine"
    assert pid != os.getpid()


def test_threads_get_the_context_as_it_is(threads: futures.ThreadPoolExecutor) -> None:
    """By position or by name."""
    context = Context(stores={"local": threading.Lock()})
    for function in (lambda batch, context: [context], lambda batch, *, ctx: [ctx]):
        executor = FuturesExecutor(threads, function)
        [item] = dispatch.run([1], executor=executor, context=context)
        assert item.payload is context


def test_it_is_never_shut_down(threads: futures.ThreadPoolExecutor) -> None:
    """Not after a run, nor after one that halted."""
    executor = FuturesExecutor(threads, double)
    assert payloads(dispatch.run(range(10), executor=executor, batch_size=2)) == [2 * n for n in range(10)]
    with pytest.raises(DispatchError):
        dispatch.run(["a", None], executor=executor, batch_size=1)
    assert threads.submit(int, "7").result() == 7


def test_one_that_is_shut_down_fails_the_batch_and_says_so() -> None:
    """Not with a bare `RuntimeError`."""
    pool = futures.ThreadPoolExecutor(1)
    pool.shutdown()
    [item] = dispatch.run([1], executor=FuturesExecutor(pool, double), on_error="skip")
    error = item.meta["error"]
    assert isinstance(error, ExecutorError)
    assert str(error) == (
        "double on ThreadPoolExecutor takes no batches: "
        "RuntimeError: cannot schedule new futures after shutdown"
    )
    assert isinstance(error.__cause__, RuntimeError)


def test_one_that_breaks_fails_its_batches_and_says_so(processes: futures.ProcessPoolExecutor) -> None:
    """The one that broke it, and those that come after."""
    executor = FuturesExecutor(processes, end_process)
    found = dispatch.run([1, 2], executor=executor, batch_size=1, max_in_flight=1, on_error="skip")
    first, second = (item.meta["error"] for item in found)
    assert isinstance(first, ExecutorError)
    assert str(first).startswith("end_process on ProcessPoolExecutor broke: BrokenProcessPool: ")
    assert isinstance(first.__cause__, futures.BrokenExecutor)
    assert "takes no batches: BrokenProcessPool" in str(second)


def test_futures_that_somebody_else_cancels_fail_their_batches() -> None:
    """A shutdown with `cancel_futures`, say."""
    pool, begun, go = futures.ThreadPoolExecutor(1), threading.Event(), threading.Event()

    def function(batch: list[int]) -> list[int]:
        begun.set()
        assert go.wait(SECONDS)
        return batch

    executor = FuturesExecutor(pool, function)
    with in_thread(dispatch.run, [1, 2], executor=executor, batch_size=1, on_error="skip") as result:
        assert begun.wait(SECONDS)  # the first one waits no more, so who waits is the second
        while pool._work_queue.qsize() == 0:
            threading.Event().wait(0.002)
        pool.shutdown(wait=False, cancel_futures=True)
        go.set()
        found = result.result(SECONDS)
    assert found[0].payload == 1
    assert "cancelled batch 1 of dispatch" in str(found[1].meta["error"])


def test_a_batch_that_waits_is_cancelled_when_its_time_is_over(threads: futures.ThreadPoolExecutor) -> None:
    """It never begins."""
    go = threading.Event()
    ran: list[int] = []

    def function(batch: list[int]) -> list[int]:
        ran.append(batch[0])
        assert go.wait(SECONDS)
        return batch

    executor = FuturesExecutor(threads, function)
    found = dispatch.run(range(4), executor=executor, batch_size=1, timeout=0.2, on_error="skip")
    assert {type(item.meta["error"]) for item in found} == {BatchTimeoutError}
    go.set()
    threads.submit(int).result(SECONDS)
    assert sorted(ran) == [0, 1]


class Immediate:
    """An executor of a user's, by its methods only."""

    def __init__(self, future: Any = None) -> None:
        self.future = future

    def submit(self, function: Any, *args: Any) -> Any:
        if self.future is not None:
            return self.future
        future: futures.Future[Any] = futures.Future()
        future.set_result(function(*args))
        return future

    def shutdown(self) -> None:
        raise AssertionError("it is not ours to shut down")


def test_anything_that_submits_will_do() -> None:
    """Also where the future is done at once."""
    executor = FuturesExecutor(Immediate(), double)  # type: ignore[arg-type]
    assert payloads(dispatch.run(range(5), executor=executor, batch_size=2)) == [0, 2, 4, 6, 8]


def test_what_is_no_future_is_named() -> None:
    """In the batch's error."""
    executor = FuturesExecutor(Immediate(future=42), double)  # type: ignore[arg-type]
    with pytest.raises(DispatchError, match="double on Immediate returned 42 from submit; expected is"):
        dispatch.run([1], executor=executor)


def test_results_are_checked(threads: futures.ThreadPoolExecutor) -> None:
    """One for each payload."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=FuturesExecutor(threads, lambda batch: "ab"))
    assert isinstance(caught.value.reason, ResultError)
