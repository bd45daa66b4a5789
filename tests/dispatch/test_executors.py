"""Executors of one's own: from other threads, broken, late, slow."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from slither_actors import Retry, dispatch, telemetry
from slither_actors.dispatch import Batch, Executor, InlineExecutor, ThreadExecutor
from slither_actors.errors import BatchTimeoutError, DispatchError, ExecutorError
from tests.dispatch.manual import SECONDS, Manual, actor, double, in_thread, payloads

pytestmark = pytest.mark.usefixtures("application")


class OnThreads(Executor):
    """As in the documentation."""

    def __init__(self, function: Any, threads: ThreadPoolExecutor) -> None:
        self._function = function
        self._threads = threads

    def submit(self, batch: Batch) -> None:
        batch.handle = self._threads.submit(self._run, batch)

    def _run(self, batch: Batch) -> None:
        try:
            batch.succeed(self._function(batch.payloads))
        except BaseException as error:  # noqa: BLE001 - as documented
            batch.fail(error)

    def cancel(self, batch: Batch) -> None:
        batch.handle.cancel()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_answers_may_come_from_any_thread(threads: ThreadPoolExecutor) -> None:
    """In any order; failures too."""

    def function(batch: list[int]) -> list[int]:
        if batch[0] % 50 == 0:
            raise ValueError(batch[0])
        return [2 * value for value in batch]

    found = dispatch.run(range(500), executor=OnThreads(function, threads), batch_size=5, on_error="skip")
    expected = [n if n % 50 < 5 else 2 * n for n in range(500)]
    assert payloads(found) == expected


class Doubles(list[int]):
    """Its elements are not what is in the list."""

    def __iter__(self) -> Iterator[int]:
        return (2 * value for value in super().__iter__() if value)


@pytest.mark.parametrize("kind", [InlineExecutor, ThreadExecutor])
def test_results_in_a_list_of_another_class_are_what_it_yields(kind: Any) -> None:
    """That many are counted, and none is lost."""
    assert payloads(dispatch.run(range(1, 5), executor=kind(Doubles))) == [2, 4, 6, 8]
    with pytest.raises(DispatchError, match="returned 3 results for 4 payloads"):
        dispatch.run(range(4), executor=kind(Doubles))


@pytest.mark.parametrize("kind", [InlineExecutor, lambda function: ThreadExecutor(function, threads=1)])
def test_a_function_may_use_its_list_of_results_again(kind: Any) -> None:
    """The results of earlier batches, which nobody has looked at yet, stay what they were."""
    results: list[int] = []

    def again(batch: list[int]) -> list[int]:
        results[:] = batch
        return results

    assert payloads(dispatch.run(range(40), executor=kind(again), batch_size=4)) == list(range(40))


def test_a_run_may_be_left_while_batches_run(threads: ThreadPoolExecutor) -> None:
    """What has not begun is taken back through `cancel`; what runs answers nobody."""
    go, full = threading.Event(), threading.Barrier(4)

    def function(batch: list[int]) -> list[int]:
        full.wait(SECONDS)
        assert go.wait(SECONDS)
        return batch

    stream = dispatch.stream(range(10), executor=OnThreads(function, threads), batch_size=1)
    with in_thread(next, stream) as first:
        full.wait(SECONDS)
        stream.close()
        go.set()
        with pytest.raises(StopIteration):
            first.result()
    assert threads.submit(int, "7").result() == 7


class Raising(Executor):
    """Raises in `submit`, for every batch with an odd reference, before or after it has answered."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers

    def submit(self, batch: Batch) -> None:
        if batch.ref % 2 == 0 or self.answers:
            double(batch)
        if batch.ref % 2:
            raise ValueError(batch.ref)


def test_a_raise_in_submit_fails_the_batch() -> None:
    """The others are not touched."""
    found = dispatch.run(range(4), executor=Raising(answers=False), batch_size=1, on_error="skip")
    assert payloads(found) == [0, 1, 4, 3]
    assert isinstance(found[1].meta["error"], ValueError)
    with pytest.raises(DispatchError) as caught:
        dispatch.run(range(4), executor=Raising(answers=False), batch_size=1)
    assert str(caught.value.reason) == "1"


def test_the_first_answer_counts() -> None:
    """Whatever comes after it: another answer, another kind of answer, a raise in `submit`."""
    assert payloads(dispatch.run(range(4), executor=Raising(answers=True), batch_size=1)) == [0, 2, 4, 6]

    class Twice(Executor):
        def submit(self, batch: Batch) -> None:
            double(batch)
            batch.succeed(["second"] * batch.size)
            batch.fail(ValueError("third"))

    assert payloads(dispatch.run(range(4), executor=Twice(), batch_size=1)) == [0, 2, 4, 6]


def test_the_runner_keeps_the_time_for_an_executor_that_does_not() -> None:
    """A batch without an answer fails when its timeout is over, and is cancelled."""
    with in_thread(
        dispatch.run, range(2), executor=(manual := Manual()), batch_size=1, timeout=0.05, on_error="skip"
    ) as result:
        one, two = manual.take(2)
        double(two)
        found = result.result(SECONDS)
        assert manual.cancelled.get(timeout=SECONDS) is one
    assert payloads(found) == [0, 2]
    error = found[0].meta["error"]
    assert isinstance(error, BatchTimeoutError)
    assert (error.batch, error.timeout) == ("batch 0 of dispatch", 0.05)


def test_each_attempt_has_the_time_for_itself() -> None:
    """And an answer in time stops the clock."""
    policy = Retry(max_attempts=2, backoff=0)
    with in_thread(dispatch.run, [1], executor=(manual := Manual()), timeout=0.05, on_error=policy) as result:
        manual.next()
        double(manual.next())
        assert payloads(result.result(SECONDS)) == [2]


def test_a_raise_in_cancel_is_logged_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """The other batches are cancelled all the same, and the run ends as it would."""

    class Sticky(Manual):
        def cancel(self, batch: Batch) -> None:
            super().cancel(batch)
            raise ValueError("no")

    with in_thread(dispatch.run, range(3), executor=(manual := Sticky()), batch_size=1) as result:
        one, *_ = manual.take(3)
        one.fail(LookupError("first"))
        with pytest.raises(DispatchError, match="first"):
            result.result(SECONDS)
        assert {manual.cancelled.get(timeout=SECONDS).ref for _ in range(2)} == {1, 2}
    assert "could not be cancelled" in caplog.text


def test_what_is_behind_is_taken_back_first() -> None:
    """Else a batch that waits might begin in the place of one that was cancelled before it."""
    stream = dispatch.stream(range(6), executor=(manual := Manual()), batch_size=1)
    with manual, in_thread(next, stream, None):
        manual.take(6)
        stream.close()
        assert [manual.cancelled.get(timeout=SECONDS).ref for _ in range(6)] == [5, 4, 3, 2, 1, 0]


class Throwing(Manual):
    """Raises what it is given, wherever it is told to."""

    def __init__(self, error: BaseException, *places: str) -> None:
        super().__init__()
        self.error = error
        self.places = places
        self.ends_what_runs = "take_back" in places

    def _raise_in(self, place: str) -> None:
        if place in self.places:
            raise self.error

    def submit(self, batch: Batch) -> None:
        super().submit(batch)
        self._raise_in("submit")

    def cancel(self, batch: Batch) -> None:
        super().cancel(batch)
        self._raise_in("cancel")

    def take_back(self, batch: Batch) -> None:
        double(batch)
        self._raise_in("take_back")

    def close(self) -> None:
        self._raise_in("close")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit("odd")], ids=repr
)
def test_a_submit_that_raises_no_exception_fails_its_batch(error: BaseException) -> None:
    """The error names executor and batch, and has what was raised as its cause. Nothing else ends."""
    with pytest.raises(
        DispatchError, match=f"batch 0 of dispatch: .*Throwing raised {type(error).__name__}"
    ) as caught:
        dispatch.run([1, 2], executor=Throwing(error, "submit"), batch_size=1)
    assert isinstance(caught.value.reason, ExecutorError)
    assert caught.value.reason.executor == "Throwing"
    assert caught.value.reason.__cause__ is error


def test_a_submit_that_raises_no_exception_meets_the_policy() -> None:
    """As any failure: here the items are left out, marked."""
    items = dispatch.run(range(4), executor=Throwing(SystemExit(), "submit"), batch_size=1, on_error="skip")
    assert [item.meta["skipped"] for item in items] == [True] * 4


@pytest.mark.parametrize("place", ["cancel", "take_back", "close"])
def test_a_run_that_is_left_survives_an_executor_that_raises(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises and wherever; the log names executor and batch."""
    manual = Throwing(SystemExit(3), place)
    stream = dispatch.stream(range(2), executor=manual, batch_size=1, on_close="wait", close_timeout=1.0)
    with in_thread(next, stream, None):
        batches = manual.take(2)
        closer = threading.Thread(target=stream.close)
        closer.start()
        if place == "cancel":
            assert {manual.cancelled.get(timeout=SECONDS).ref for _ in range(2)} == {0, 1}
        for batch in batches if place != "take_back" else ():
            double(batch)
        closer.join(SECONDS)
    what = {"cancel": "cancelled", "take_back": "taken back", "close": "closed"}[place]
    assert f"could not be {what}" in caplog.text
    assert "Throwing" in caplog.text


@pytest.mark.parametrize("way", ["ends", "halts", "is left", "is killed"])
def test_close_is_called_once_for_each_open(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """However the run ends; a raise in it is logged."""
    closed: queue.SimpleQueue[str] = queue.SimpleQueue()

    class Closing(Manual):
        def close(self) -> None:
            closed.put(way)
            if way == "ends":
                raise ValueError("no")

    manual = Closing()
    stream = dispatch.stream([1], executor=manual)
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(next, stream, None)
        batch = manual.next()
        if way == "ends":
            double(batch)
        elif way == "halts":
            batch.fail(ValueError("no"))
        elif way == "is left":
            stream.close()
        else:
            actor("DispatchRunner").kill()
        futures.wait([result], SECONDS)
        stream.close()
    assert closed.get(timeout=SECONDS) == way
    assert closed.empty()
    assert ("could not be closed after dispatch" in caplog.text) is (way == "ends")


def test_open_is_called_before_the_first_batch_and_its_failure_is_the_runs() -> None:
    """The reason is what it raised."""

    class Unopened(Manual):
        def open(self) -> None:
            raise ConnectionError("no service")

    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=Unopened())
    assert isinstance(caught.value.reason, ConnectionError)
    with pytest.raises(DispatchError):
        next(dispatch.stream([1], executor=Unopened()))


def test_one_executor_serves_many_runs_at_one_time() -> None:
    """It holds nothing of a run."""
    executor = InlineExecutor(lambda batch: [2 * value for value in batch])
    with ThreadPoolExecutor(8) as threads:
        runs = [
            threads.submit(dispatch.run, range(n, n + 100), executor=executor, batch_size=3)
            for n in range(20)
        ]
        for n, each in enumerate(runs):
            assert payloads(each.result()) == [2 * value for value in range(n, n + 100)]


def test_every_attempt_is_told_once() -> None:
    """A start, and a stop or an exception, with Slither's keys."""
    told: list[tuple[str, int, int, int]] = []

    def note(event: str, sender: Any, measurements: Any, metadata: Any) -> None:
        name = event.rpartition(".")[2]
        told.append((name, metadata["batch_ref"], metadata["attempt"], metadata["batch_size"]))

    calls = iter([None, ValueError("no"), None])

    def function(batch: list[int]) -> list[int]:
        error = next(calls)
        if error:
            raise error
        return batch

    events = [
        telemetry.DISPATCH_BATCH_START,
        telemetry.DISPATCH_BATCH_STOP,
        telemetry.DISPATCH_BATCH_EXCEPTION,
    ]
    handle = telemetry.attach(events, note)
    try:
        options: dict[str, Any] = {"batch_size": 2, "max_in_flight": 1, "on_error": Retry(backoff=0)}
        dispatch.run(range(3), executor=InlineExecutor(function), **options)
    finally:
        handle.detach()
    assert told == [
        ("start", 0, 1, 2),
        ("stop", 0, 1, 2),
        ("start", 1, 1, 1),
        ("exception", 1, 1, 1),
        ("start", 1, 2, 1),
        ("stop", 1, 2, 1),
    ]
