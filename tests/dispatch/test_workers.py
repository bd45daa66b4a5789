"""Runs over worker processes that nothing happens to."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from slither_actors import Context, Retry, Route, dispatch
from slither_actors.actors import Server
from slither_actors.dispatch import FunctionExecutor, InlineExecutor
from slither_actors.errors import (
    DispatchError,
    PayloadError,
    RemoteError,
    ResultError,
    TargetError,
)
from tests.dispatch import work
from tests.dispatch.manual import SECONDS, payloads

pytestmark = pytest.mark.usefixtures("workers")

EITHER = pytest.mark.parametrize("make", [FunctionExecutor, InlineExecutor])


@pytest.mark.parametrize("executor", [work.increment, "tests.dispatch.work:increment"])
@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_a_function_or_its_name_is_an_executor(executor: Any, ordering: Any) -> None:
    """Results are complete, and in order if wanted."""
    found = payloads(dispatch.run(range(1000), executor=executor, batch_size=7, ordering=ordering))
    if ordering == "as_completed":
        found = sorted(found)
    assert found == list(range(1, 1001))


def test_a_coroutine_function_by_its_name_is_refused_in_the_worker() -> None:
    """With the executor that takes it."""
    with pytest.raises(DispatchError, match="AsyncExecutor runs coroutines") as caught:
        dispatch.run([1], executor="tests.dispatch.work:asynchronous")
    assert isinstance(caught.value.reason, TargetError)


def test_the_function_gets_the_runs_context() -> None:
    """As a value: what crosses to the worker is what the caller gave."""
    context = Context(metadata={"key": "value"})
    assert payloads(dispatch.run([1], executor=work.stages, context=context)) == [(1, "value")]


@EITHER
@pytest.mark.parametrize("function", [work.fail_on_seven, work.leave_on_seven, work.too_few])
@pytest.mark.parametrize("policy", ["skip", "halt", Route(lambda item, error: item.put_route("bad"))])
@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
def test_policies_do_the_same_in_a_worker_and_inline(
    make: Any, function: Any, policy: Any, ordering: Any
) -> None:
    """The same items come out, with the same marks and routes; and the same error is raised."""
    options = {"batch_size": 5, "max_in_flight": 1, "on_error": policy, "ordering": ordering}
    bad = range(5, 10) if function is not work.too_few else range(20)
    if policy == "halt":
        with pytest.raises(DispatchError) as caught:
            dispatch.run(range(20), executor=make(function), **options)
        assert payloads(caught.value.partial_results) == list(range(bad[0]))
        assert caught.value.batch == f"batch {bad[0] // 5} of dispatch"
        return
    found = dispatch.run(range(20), executor=make(function), **options)
    assert payloads(found) == list(range(20))
    marked = [item.payload for item in found if item.meta.get("skipped") or item.route == "bad"]
    assert marked == list(bad)


@EITHER
@pytest.mark.parametrize(("kind", "attempts"), [(ValueError, 3), (Exception, 3), (LookupError, 1)], ids=str)
def test_retries_look_at_the_original_class(make: Any, kind: Any, attempts: int) -> None:
    """An error from a worker counts as what it was there."""
    policy = Retry(max_attempts=3, backoff=0, retry_on=(kind,))
    stream = dispatch.stream([7], executor=make(work.fail_on_seven), on_error=policy)
    with pytest.raises(DispatchError):
        next(stream)
    assert stream.statistics()["dispatch"].retries == attempts - 1


def test_an_error_in_a_worker_has_its_remote_traceback() -> None:
    """And its original as the cause."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([7], executor=work.fail_on_seven)
    reason = caught.value.reason
    assert isinstance(reason, RemoteError)
    assert 'raise ValueError("seven")' in reason.traceback_text
    assert isinstance(reason.__cause__, ValueError)


@pytest.mark.parametrize("name", ["no_such_module_anywhere:function", "tests.dispatch.work:no_such_function"])
def test_a_function_that_cannot_be_imported_is_named(name: str) -> None:
    """By the worker that tried."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=name)
    assert isinstance(caught.value.reason, TargetError)
    assert name in str(caught.value.reason)


@pytest.mark.parametrize(
    "on_error", ["skip", Retry(max_attempts=3, backoff=0, then="skip")], ids=["skip", "retry"]
)
def test_a_function_that_cannot_be_imported_halts_under_any_policy(on_error: Any) -> None:
    """It is a mistake in the program: to skip every batch would pass it over in silence."""
    with pytest.raises(DispatchError, match="no_such_module_anywhere"):
        dispatch.run([1, 2], executor="no_such_module_anywhere:function", batch_size=1, on_error=on_error)


def test_a_payload_that_cannot_be_pickled_names_the_attribute() -> None:
    """Its batch fails and no other."""
    found = dispatch.run(
        [1, {"deep": [threading.Lock()]}, 3], executor=work.increment, batch_size=1, on_error="skip"
    )
    assert payloads(found)[::2] == [2, 4]
    error = found[1].meta["error"]
    assert isinstance(error, PayloadError)
    assert "batch 1 of dispatch: payload[0]['deep'][0]: cannot pickle '_thread.lock' object" in str(error)


def test_a_result_that_cannot_be_pickled_names_the_attribute() -> None:
    """As seen in the worker."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=work.locks)
    assert isinstance(caught.value.reason, PayloadError)
    assert "result[0]['lock']: cannot pickle" in str(caught.value.reason)


def test_a_wrong_number_of_results_is_told_with_both_numbers() -> None:
    """And the function."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1, 2, 3], executor=work.too_few)
    assert isinstance(caught.value.reason, ResultError)
    assert "tests.dispatch.work:too_few returned 2 results for 3 payloads" in str(caught.value.reason)


def test_call_batch_runs_one_batch_in_a_worker() -> None:
    """Its failure is a DispatchError, too."""
    assert payloads(dispatch.call_batch([1, 2], executor=work.increment)) == [2, 3]
    with pytest.raises(DispatchError):
        dispatch.call_batch([7], executor=work.fail_on_seven)


def test_runs_from_many_threads_at_one_time() -> None:
    """Each gets its own results."""
    with ThreadPoolExecutor(6) as threads:
        runs = [
            threads.submit(dispatch.run, range(n, n + 200), executor=work.increment, batch_size=9)
            for n in range(12)
        ]
        for n, each in enumerate(runs):
            assert payloads(each.result(SECONDS)) == list(range(n + 1, n + 201))


class Caller(Server):
    """Calls a function and replies with what it returns or raises."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        try:
            return request()
        except Exception as error:  # noqa: BLE001 - it is what the test wants to see
            return error


def in_actor(function: Any) -> Any:
    """What the function returns or raises, called in an actor."""
    caller = Caller.start()
    try:
        return caller.call(function, SECONDS)
    finally:
        caller.stop()


def test_a_run_in_an_actor() -> None:
    """The actor waits, the others go on: run, stream and call_batch."""

    def all_three() -> Any:
        stream = dispatch.stream(range(50), executor=work.increment, batch_size=3)
        return (
            payloads(dispatch.run(range(50), executor=work.increment, batch_size=3)),
            payloads(stream),
            payloads(dispatch.call_batch(range(50), executor=work.increment)),
        )

    assert in_actor(all_three) == (list(range(1, 51)),) * 3


def test_a_failed_run_in_an_actor() -> None:
    """It raises there, and the actor may go on."""
    error = in_actor(lambda: dispatch.run([7], executor=work.fail_on_seven))
    assert isinstance(error, DispatchError)


def test_a_run_in_a_batch_of_another_run() -> None:
    """A function that runs in the driver may dispatch by itself."""

    def nested(batch: list[int]) -> list[Any]:
        return [payloads(dispatch.run(range(n), executor=work.increment, batch_size=2)) for n in batch]

    found = payloads(dispatch.run(range(5), executor=InlineExecutor(nested), batch_size=2))
    assert found == [list(range(1, n + 1)) for n in range(5)]


def test_a_run_over_a_run() -> None:
    """A stream is an input like any other."""
    first = dispatch.stream(range(300), executor=work.increment, batch_size=8)
    second = dispatch.stream(first, executor=work.increment, batch_size=5)
    third = dispatch.run(second, executor=InlineExecutor(work.increment), batch_size=3)
    assert payloads(third) == list(range(3, 303))
