"""What a failed batch does: halt, skip, retry, route."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors import Item, Retry, Route, dispatch
from slither_actors.dispatch import Batch, InlineExecutor
from slither_actors.errors import BatchError, DispatchError, ResultError
from tests.dispatch.manual import Manual, double, in_thread, payloads, statistics

pytestmark = pytest.mark.usefixtures("application")


def failing(*bad: int) -> InlineExecutor:
    """Fails every batch that has one of these numbers."""

    def function(batch: list[int]) -> list[int]:
        for value in batch:
            if value in bad:
                raise ValueError(value)
        return [2 * value for value in batch]

    return InlineExecutor(function)


# -- halt -----------------------------------------------------------------------


def test_a_failure_ends_the_run_with_what_precedes_it() -> None:
    """The error has the reason, and exactly the results of the batches before."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run(range(10), executor=failing(5), batch_size=2)
    error = caught.value
    assert isinstance(error.reason, ValueError)
    assert error.__cause__ is error.reason
    assert error.batch == "batch 2 of dispatch"
    assert payloads(error.partial_results) == [0, 2, 4, 6]
    assert "batch 2 of dispatch: ValueError: 5" in str(error)


def test_a_failure_waits_for_its_turn() -> None:
    """Batches before the failed one go on and count; those behind are taken back, finished or not."""
    with Manual() as manual, in_thread(dispatch.run, range(20), executor=manual, batch_size=2) as result:
        batches = manual.take(8)
        double(batches[6])
        batches[3].fail(ValueError("no"))
        assert statistics(batches[0]).window.running == 6
        taken_back = {manual.cancelled.get().ref for _ in range(3)}
        assert taken_back == {4, 5, 7}
        assert not result.done()
        for batch in batches[:3]:
            double(batch)
        with pytest.raises(DispatchError) as caught:
            result.result()
    assert payloads(caught.value.partial_results) == [0, 2, 4, 6, 8, 10]
    assert manual.submitted.empty()


def test_the_first_failure_in_input_order_is_the_one_that_is_told() -> None:
    """Although a later one was noticed before."""
    with Manual() as manual, in_thread(dispatch.run, range(6), executor=manual, batch_size=2) as result:
        one, two, three = manual.take(3)
        three.fail(ValueError("three"))
        two.fail(ValueError("two"))
        double(one)
        with pytest.raises(DispatchError) as caught:
            result.result()
    assert str(caught.value.reason) == "two"
    assert payloads(caught.value.partial_results) == [0, 2]


def test_without_an_order_a_failure_ends_the_run_at_once() -> None:
    """The partial results are what had come by then."""
    with (
        Manual() as manual,
        in_thread(dispatch.run, range(6), executor=manual, batch_size=2, ordering="as_completed") as result,
    ):
        one, two, three = manual.take(3)
        double(three)
        two.fail(ValueError("two"))
        with pytest.raises(DispatchError) as caught:
            result.result()
        assert manual.cancelled.get() is one
    assert payloads(caught.value.partial_results) == [8, 10]


def test_a_halted_run_counts_every_item_once() -> None:
    """Those that failed, those that were not done and those that were done too late are all failed."""
    stream = dispatch.stream(range(20), executor=(manual := Manual()), batch_size=2, max_in_flight=4)
    with in_thread(lambda: [*stream]) as result, manual:
        one, two, three, _four = manual.take(4)
        double(one)
        _five = manual.next()
        double(three)
        two.fail(ValueError("no"))
        with pytest.raises(DispatchError):
            result.result()
    seen = stream.statistics()["dispatch"]
    assert (seen.emitted, seen.failed, seen.items_in) == (2, 8, 10)


# -- skip -----------------------------------------------------------------------


def test_a_skipped_batch_comes_back_marked_and_in_its_place() -> None:
    """Its items have their payload, the error, and the mark."""
    found = dispatch.run(range(6), executor=failing(2), batch_size=2, on_error="skip")
    assert payloads(found) == [0, 2, 2, 3, 8, 10]
    assert [item.meta.get("skipped", False) for item in found] == [False, False, True, True, False, False]
    assert isinstance(found[2].meta["error"], ValueError)


def test_thousands_of_failures_in_a_row_are_only_that() -> None:
    """No failure calls the next one: the stack stays flat, for raises in `submit` and for bad items."""

    class Broken(Manual):
        def submit(self, batch: Batch) -> None:
            raise ValueError(batch.ref)

    found = dispatch.run(range(5000), executor=Broken(), batch_size=1, max_in_flight=5000, on_error="skip")
    assert len(found) == 5000
    strategy = dispatch.WeightedBatch(max_weight=3, weight=lambda item: item.payload["no"])
    options: dict[str, Any] = {"strategy": strategy, "max_in_flight": 5000, "on_error": "skip"}
    found = dispatch.run(range(5000), executor=failing(), **options)
    assert all(item.meta["skipped"] for item in found)


# -- retry ----------------------------------------------------------------------


def flaky(failures: int) -> tuple[Callable[[list[int]], list[int]], list[int]]:
    """A function that fails so many times for every batch, and the first payload of each call."""
    calls: list[int] = []

    def function(batch: list[int]) -> list[int]:
        calls.append(batch[0])
        if calls.count(batch[0]) <= failures:
            raise ValueError(f"call {calls.count(batch[0])}")
        return batch

    return function, calls


def test_a_batch_is_tried_again_until_it_succeeds() -> None:
    """At most `max_attempts` times in all; the order of the results stays."""
    function, calls = flaky(2)
    options: dict[str, Any] = {"batch_size": 2, "on_error": Retry(max_attempts=3, backoff=0.001)}
    assert payloads(dispatch.run(range(4), executor=InlineExecutor(function), **options)) == [0, 1, 2, 3]
    assert sorted(calls) == [0, 0, 0, 2, 2, 2]


def test_attempts_that_are_used_up_end_in_the_next_policy() -> None:
    """And the error says which attempt it was."""
    function, calls = flaky(9)
    executor = InlineExecutor(function)
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=executor, on_error=Retry(max_attempts=3, backoff=0))
    assert caught.value.batch == "batch 0 of dispatch, attempt 3"
    assert str(caught.value.reason) == "call 3"
    assert calls == [1, 1, 1]
    policy = Retry(max_attempts=2, backoff=0, then="skip")
    (item,) = dispatch.run([2], executor=executor, on_error=policy)
    assert item.meta["skipped"]
    assert calls.count(2) == 2


def test_only_the_errors_that_are_named_are_tried_again() -> None:
    """Another one meets the next policy at once."""
    function, calls = flaky(9)
    with pytest.raises(DispatchError):
        dispatch.run([1], executor=InlineExecutor(function), on_error=Retry(retry_on=(OSError,), backoff=0))
    assert calls == [1]


def test_the_pause_before_an_attempt_grows() -> None:
    """The runner waits as the policy says, in between it does other things."""
    policy = Retry(max_attempts=3, backoff=0.05, jitter=0)
    moments: list[float] = []

    def function(batch: list[int]) -> list[int]:
        moments.append(time.monotonic())
        if len(moments) < 3:
            raise ValueError(len(moments))
        return batch

    dispatch.run([1], executor=InlineExecutor(function), on_error=policy)
    assert moments[1] - moments[0] >= 0.05
    assert moments[2] - moments[1] >= 0.1


def test_another_attempt_has_the_same_items() -> None:
    """With the ids that they had."""
    with (
        Manual() as manual,
        in_thread(dispatch.run, [1, 2], executor=manual, on_error=Retry(backoff=0)) as result,
    ):
        first = manual.next()
        ids = [item.id for item in first.items]
        first.fail(ValueError("no"))
        second = manual.next()
        assert [item.id for item in second.items] == ids
        double(second)
        assert [item.id for item in result.result()] == ids


def test_a_late_answer_to_an_old_attempt_is_dropped() -> None:
    """So is any second answer."""
    with (
        Manual() as manual,
        in_thread(dispatch.run, [1, 2], executor=manual, on_error=Retry(backoff=0)) as result,
    ):
        first = manual.next()
        first.fail(ValueError("no"))
        second = manual.next()
        first.succeed([-1, -1])
        double(second)
        second.succeed([-2, -2])
        second.fail(ValueError("late"))
        assert payloads(result.result()) == [2, 4]


# -- route ----------------------------------------------------------------------


def test_a_route_policy_makes_the_item_that_goes_on() -> None:
    """It gets each item of the batch and the error; what it returns keeps the batch's place."""

    def mend(item: Item, error: BaseException) -> Item:
        return item.update_payload((item.payload, str(error))).put_route("failed")

    found = dispatch.run(range(4), executor=failing(1), batch_size=2, on_error=Route(mend))
    assert payloads(found) == [(0, "1"), (1, "1"), 4, 6]
    assert [item.route for item in found] == ["failed", "failed", "default", "default"]


@pytest.mark.parametrize(
    ("function", "kind"), [(lambda item, error: item.nothing, AttributeError), (lambda *_: "x", TypeError)]
)
def test_a_route_function_that_fails_halts_the_run(function: Any, kind: type[Exception]) -> None:
    """There is no policy for a policy: the reason is its failure, caused by the batch's."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run(range(6), executor=failing(3), batch_size=2, on_error=Route(function))
    assert isinstance(caught.value.reason, kind)
    assert isinstance(caught.value.reason.__cause__, ValueError)
    assert payloads(caught.value.partial_results) == [0, 2]


# -- what counts as a failure ------------------------------------------------------


@pytest.mark.parametrize(
    "returned",
    [None, 7, "ab", b"ab", {1, 2}, {1: 1, 2: 2}, [1], (1, 2, 3), iter([1])],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("by_hand", [False, True], ids=["inline", "custom"])
def test_anything_but_one_result_per_payload_is_a_failure(returned: Any, by_hand: bool) -> None:
    """Whoever says so, a function or an executor; the error names it."""
    if by_hand:
        executor: Any = type("Bad", (Manual,), {"submit": lambda _, batch: batch.succeed(returned)})()
    else:
        executor = InlineExecutor(lambda batch: returned)
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1, 2], executor=executor)
    assert isinstance(caught.value.reason, ResultError)


@pytest.mark.parametrize("results", [(4, 5), iter([4, 5]), range(4, 6)], ids=lambda v: type(v).__name__)
def test_results_may_be_any_sequence_or_iterator(results: Any) -> None:
    """A list is made of them."""
    assert payloads(dispatch.run([1, 2], executor=InlineExecutor(lambda batch: results))) == [4, 5]


def test_an_answer_that_is_no_error_is_made_one() -> None:
    """So that what is raised can be raised."""
    executor = type("Bad", (Manual,), {"submit": lambda _, batch: batch.fail("broken")})()
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=executor)
    assert isinstance(caught.value.reason, BatchError)
    assert "broken" in str(caught.value.reason)


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), KeyboardInterrupt()], ids=repr)
def test_whatever_a_function_raises_is_its_batchs_failure(error: BaseException) -> None:
    """As in a worker: the run goes on."""

    def function(batch: list[int]) -> list[int]:
        if batch == [1]:
            raise error
        return batch

    found = dispatch.run(range(3), executor=InlineExecutor(function), batch_size=1, on_error="skip")
    assert [item.meta.get("error") for item in found] == [None, error, None]


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Nothing of it can be set."""

    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize("where", ["function", "route"])
def test_an_error_that_is_false_and_frozen_is_the_one_that_halts(where: str) -> None:
    """Not another in its place, and it has its dead letter."""

    def fail(_: object, error: object = None) -> Any:
        raise FrozenError

    dead: list[Any] = []
    way: dict[str, Any] = (
        {"executor": InlineExecutor(fail)}
        if where == "function"
        else {"executor": failing(1), "on_error": Route(fail)}
    )
    with pytest.raises(DispatchError) as raised:
        dispatch.run([1], dead_letters=dead.append, **way)
    assert type(raised.value.reason) is FrozenError
    assert [type(letter.error) for letter in dead] == [FrozenError]
