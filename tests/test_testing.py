"""The conformance tests for executors find what is wrong with one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import pytest

from slither_actors import Application
from slither_actors.dispatch import Batch, Executor
from slither_actors.testing import ExecutorContract

TESTS = [name for name in dir(ExecutorContract) if name.startswith("test_")]


@pytest.fixture(autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={}) as running:
        yield running


class Good(Executor):
    """A thread for each batch."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def submit(self, batch: Batch) -> None:
        threading.Thread(target=self.answer, args=(batch,), daemon=True).start()

    def answer(self, batch: Batch) -> None:
        try:
            batch.succeed(self.function(batch.payloads))
        except BaseException as error:  # noqa: BLE001 - whatever it is
            batch.fail(error)


class Backwards(Good):
    def answer(self, batch: Batch) -> None:
        try:
            batch.succeed(self.function(batch.payloads)[::-1])
        except BaseException as error:  # noqa: BLE001 - whatever it is
            batch.fail(error)


class Twice(Good):
    def answer(self, batch: Batch) -> None:
        super().answer(batch)
        super().answer(batch)


class Padding(Good):
    """Makes the number of results right."""

    def answer(self, batch: Batch) -> None:
        try:
            batch.succeed([*(self.function(batch.payloads) or ()), *batch.payloads][: batch.size])
        except BaseException as error:  # noqa: BLE001 - whatever it is
            batch.fail(error)


class OnlyExceptions(Good):
    """Forgets those that are no `Exception`."""

    def answer(self, batch: Batch) -> None:
        try:
            batch.succeed(self.function(batch.payloads))
        except Exception as error:  # noqa: BLE001 - that is what is wrong
            batch.fail(error)
        except BaseException:  # noqa: BLE001, S110 - and this
            pass


class Timeless(Good):
    """Says that it keeps the time, and does not."""

    keeps_time = True


class Deaf(Good):
    """Has two threads and does not take back what waits for them."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self.threads = futures.ThreadPoolExecutor(2)

    def submit(self, batch: Batch) -> None:
        self.threads.submit(self.answer, batch)


class Once(Good):
    """Cannot be used again."""

    closed = False

    def close(self) -> None:
        self.closed = True

    def open(self) -> None:
        if self.closed:
            raise RuntimeError("closed")


class Leaking(Good):
    """A thread for each run that nobody ends."""

    ends: list[threading.Event] = []

    def open(self) -> None:
        self.ends.append(threading.Event())
        threading.Thread(target=self.ends[-1].wait, daemon=True).start()


def failures(kind: Callable[[Any], Executor], names: list[str]) -> list[str]:
    class Contract(ExecutorContract):
        parallel = 2 if kind is Deaf else None
        seconds = 2.0

        def make_executor(self, function: Any) -> Executor:
            return kind(function)

    found = []
    for name in names:
        try:
            getattr(Contract(), name)()
        except AssertionError as error:
            found += [name] * bool(str(error))
    return found


def test_a_good_executor_passes() -> None:
    """All of it, but that it has no limit: what waits there is nothing."""
    names = [name for name in TESTS if "what_waits" not in name]
    assert len(names) == 10
    assert failures(Good, names) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Backwards, "test_results_come_in_the_order_of_the_payloads"),
        (Twice, "test_many_batches_at_one_time_are_each_answered_once"),
        (Padding, "test_another_number_of_results_fails_the_batch"),
        (OnlyExceptions, "test_an_exception_is_its_batch_s"),
        (Timeless, "test_a_batch_past_its_timeout_fails"),
        (Deaf, "test_what_waits_is_taken_back_when_its_run_is_left"),
        (Leaking, "test_nothing_is_left_behind"),
    ],
)
def test_a_bad_one_fails_the_test_that_is_for_it(kind: Any, name: str) -> None:
    """And the test says what is wrong."""
    try:
        assert failures(kind, [name]) == [name]
    finally:
        for end in Leaking.ends:
            end.set()


def test_one_that_cannot_be_used_again_fails() -> None:
    """With the error of the second run."""
    with pytest.raises(Exception, match="closed"):
        failures(Once, ["test_it_serves_one_run_after_the_other"])


def test_an_author_who_does_not_say_how_to_make_one_is_told() -> None:
    """The one method that has to be there."""
    with pytest.raises(NotImplementedError, match="how one is made"):
        ExecutorContract().test_results_come_in_the_order_of_the_payloads()


def test_pytest_is_not_needed_to_import_it() -> None:
    """Only to run it."""
    code = "import sys; import slither_actors.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
