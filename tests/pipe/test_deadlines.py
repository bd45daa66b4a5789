"""What ends a run from outside (its deadline, a handle), and what a run tells of itself."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from typing import Any

import pytest

from slither_actors import (
    Fail,
    InlineExecutor,
    Many,
    Pipe,
    Retry,
    Stage,
    arun_pipe,
    router,
    run_pipe,
    stage,
    stream_pipe,
    workers,
)
from slither_actors.errors import (
    NotRunningError,
    OptionError,
    PipeCancelledError,
    PipeError,
    PipeTimeoutError,
)
from slither_actors.pipe import RunHandle


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


class Same(Pipe):
    work = stage(lambda item: item.payload)


class Odd(Pipe):
    split = router(odd=lambda item: item.payload % 2)


def gated(gate: threading.Event, numbers: int = 3) -> Any:
    yield from range(numbers)
    gate.wait(20)


@pytest.fixture
def gate() -> Any:
    found = threading.Event()
    yield found
    found.set()


# -- the deadline ---------------------------------------------------------------


def test_a_run_ends_at_its_deadline_with_what_came_out(gate: threading.Event) -> None:
    """And says how far it was."""
    with pytest.raises(PipeTimeoutError) as info:
        run_pipe(Odd, gated(gate), timeout=0.1)
    assert {name: payloads(items) for name, items in info.value.partial_results.items()} == {
        "odd": [1],
        "default": [0, 2],
    }
    assert str(info.value) == (
        "pipe Odd was not done after 0.1 s: 3 items were read and 3 came out (odd 1, default 2)"
    )
    assert info.value.seconds == 0.1


def test_the_deadline_counts_an_endless_input() -> None:
    """It is no limit for a silence, but for the whole run."""
    with pytest.raises(PipeTimeoutError) as info:
        run_pipe(Same, itertools.count(), timeout=0.1)
    found = payloads(info.value.partial_results["default"])
    assert found == list(range(len(found)))


def test_a_stage_that_blocks_does_not_hold_up_the_deadline(gate: threading.Event) -> None:
    """The caller goes on, and the stage that is stuck is left to its supervisor."""

    class P(Pipe):
        work = stage(lambda item: gate.wait(20) if item.payload == 2 else item.payload)

    began = time.monotonic()
    with pytest.raises(PipeTimeoutError, match="1.000 items were read .* inside a handler, .*: work"):
        run_pipe(P, itertools.count(), timeout=0.1)
    assert time.monotonic() - began < 4
    gate.set()


def test_a_set_up_that_blocks_does_not_hold_up_the_deadline(gate: threading.Event) -> None:
    """A model that loads for ever, say."""

    class Slow(Stage):
        def init(self) -> None:
            gate.wait(20)

        def handle_item(self, item: Any, ctx: Any) -> None: ...

    class P(Pipe):
        work = stage(Slow)

    began = time.monotonic()
    with pytest.raises(PipeTimeoutError, match="0 items were read|0 of 1 items were read"):
        run_pipe(P, [1], timeout=0.1)
    assert time.monotonic() - began < 4
    gate.set()


def test_a_run_within_its_time_is_not_disturbed() -> None:
    """And leaves nothing behind that waits for the deadline."""
    assert payloads(run_pipe(Same, range(3), timeout=60)["default"]) == [0, 1, 2]


def test_a_stream_ends_at_its_deadline_behind_what_came(gate: threading.Event) -> None:
    """The error is raised where it is read."""
    found = []
    with stream_pipe(Same, gated(gate), timeout=0.1) as stream:
        with pytest.raises(PipeTimeoutError, match="3 items were read and 3 came out"):
            found.extend(stream)
        assert stream.record().ended == "timeout"
    assert payloads(found) == [0, 1, 2]


def test_arun_pipe_has_a_deadline_too(gate: threading.Event) -> None:
    """With the same error."""
    with pytest.raises(PipeTimeoutError) as info:
        asyncio.run(arun_pipe(Same, gated(gate), timeout=0.1))
    assert payloads(info.value.partial_results["default"]) == [0, 1, 2]


# -- cancelling -----------------------------------------------------------------------


def test_another_thread_cancels_a_run(gate: threading.Event) -> None:
    """It raises where it is waited for, with what came out."""
    handle = RunHandle()

    def numbers() -> Any:
        yield from range(3)
        threading.Timer(0.1, handle.cancel, ["no longer wanted"]).start()
        gate.wait(20)

    with pytest.raises(
        PipeCancelledError, match=r"pipe Same was cancelled \(no longer wanted\): 3 items"
    ) as info:
        run_pipe(Same, numbers(), handle=handle)
    assert payloads(info.value.partial_results["default"]) == [0, 1, 2]
    assert isinstance(info.value, PipeError)
    assert handle.cancelled
    assert handle.record().ended == "cancelled"


def test_a_run_whose_handle_was_cancelled_before_reads_nothing() -> None:
    """It ends when it starts."""
    handle = RunHandle()
    handle.cancel()
    read = []
    with pytest.raises(PipeCancelledError, match="0 items"):
        run_pipe(Same, (read.append(number) for number in range(9)), handle=handle)
    assert read == []


def test_a_stream_is_cancelled_by_its_handle(gate: threading.Event) -> None:
    """Where `close` from another thread ends it without an error."""
    handle = RunHandle()
    with stream_pipe(Same, gated(gate), handle=handle) as stream:
        next(stream)
        handle.cancel()
        with pytest.raises(PipeCancelledError):
            list(stream)


def test_cancelling_a_run_that_has_ended_does_nothing() -> None:
    """It has its results."""
    handle = RunHandle()
    out = run_pipe(Same, range(3), handle=handle)
    handle.cancel()
    assert len(out["default"]) == 3
    assert handle.record().ended == "finished"


def test_a_handle_looks_at_a_run_from_another_thread() -> None:
    """While that is under way."""
    handle = RunHandle()
    with pytest.raises(NotRunningError, match="no run has this handle"):
        handle.record()
    with stream_pipe(Same, itertools.count(), handle=handle) as stream:
        next(stream)
        record = handle.record()
    assert (record.ended, record.pipe) == ("running", "Same")
    assert record.items_out > 0


def test_a_handle_is_for_one_run() -> None:
    """It would not know which one to cancel."""
    handle = RunHandle()
    run_pipe(Same, [], handle=handle)
    with pytest.raises(OptionError, match="'handle' was given to a run before"):
        run_pipe(Same, [], handle=handle)


# -- progress ----------------------------------------------------------------------------


def test_progress_is_told_of_what_comes_out() -> None:
    """At the end at least, with the length of the input."""
    reports: list[Any] = []
    run_pipe(Odd, range(5000), progress=reports.append)
    assert (reports[-1].done, reports[-1].total, reports[-1].finished) == (5000, 5000, True)


# -- the record -----------------------------------------------------------------------------


def test_the_record_of_a_run_counts_every_outcome() -> None:
    """Of the run, and of each stage."""
    tried = []

    def work(item: Any) -> Any:
        if item.payload == 1 and not tried:
            tried.append(1)
            raise ConnectionError
        if item.payload == 2:
            return Fail("two")
        return Many([3, 30, 300]) if item.payload == 3 else item.payload

    class P(Pipe):
        work_on = stage(work, on_error=Retry(max_attempts=2, backoff=0.001, then="skip"))
        double = workers(InlineExecutor(lambda batch: [2 * each for each in batch]), batch_size=2)
        split = router(large=lambda item: item.payload > 10)

    record = run_pipe(P, range(5)).record
    assert (record.pipe, record.ended, record.items_in, record.input_count) == ("P", "finished", 5, 5)
    assert record.outputs == {"large": 2, "default": 4}
    assert (record.items_out, record.skipped, record.routed, record.failed) == (6, 1, 2, 1)
    assert (record.retried, record.unfinished, record.errors) == (2, 0, {"ItemError": 1})
    assert [(name, each.items_in, each.emitted) for name, each in record.stages.items()] == [
        ("work_on", 5, 6),
        ("double", 6, 6),
        ("split", 6, 4),
    ]


def test_the_record_has_the_time_of_each_stage() -> None:
    """In its handlers, and from its start to its end."""

    class P(Pipe):
        slow = stage(lambda item: time.sleep(0.02))
        quick = stage(lambda item: item.payload)

    record = run_pipe(P, range(3)).record
    slow, quick = record.stages["slow"], record.stages["quick"]
    assert slow.busy >= 0.06 > quick.busy
    assert record.seconds >= 0.06
    assert slow.seconds is not None
    assert slow.seconds >= 0.06


def test_the_record_of_a_halted_run_says_what_was_lost() -> None:
    """Every item that went in is accounted for."""

    class P(Pipe):
        work = stage(lambda item: 10 // (5 - item.payload))

    with pytest.raises(PipeError) as info:
        run_pipe(P, range(10))
    record = info.value.partial_results.record
    assert (record.ended, record.items_in, record.items_out, record.unfinished) == ("halted", 10, 5, 5)
    assert record.stages["work"].held == 5


def test_a_record_prints_itself() -> None:
    """A line for the run, and one for each stage."""
    lines = str(run_pipe(Odd, range(5)).record).splitlines()
    assert lines[0].startswith("Odd finished after 0.")
    assert lines[0].endswith("5 of 5 items were read and 5 came out (odd 2, default 3)")
    assert lines[1].startswith("  split: 5 in, 3 on, 2 routed (odd 2), 0 skipped, 0.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "'timeout' is 0; allowed"),
        ({"timeout": "5"}, "'timeout' is '5'"),
        ({"progress": 5}, "'progress' is 5; allowed are True, a function, and None"),
        ({"handle": 5}, "'handle' is 5; allowed are a RunHandle, None"),
    ],
)
def test_a_wrong_option_is_an_error(options: Any, message: str) -> None:
    """Before anything starts."""
    with pytest.raises(OptionError, match=message):
        run_pipe(Same, [], **options)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(2), KeyboardInterrupt()])
def test_a_progress_function_that_raises_ends_nothing(error: BaseException) -> None:
    """It is called no more, and the run goes on, whatever it raised."""
    told: list[Any] = []

    def tell(progress: Any) -> None:
        told.append(progress)
        raise error

    assert len(run_pipe(Same, range(10), progress=tell)["default"]) == 10
    assert len(told) == 1


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_a_progress_function_that_blocks_does_not_hold_up_the_end(how: str, gate: threading.Event) -> None:
    """What had come out is in the error."""
    told = threading.Event()

    def tell(progress: Any) -> None:
        told.set()
        gate.wait(20)

    def numbers() -> Any:
        yield 1
        time.sleep(0.15)  # until a report is due
        yield from itertools.count(2)

    handle = RunHandle()
    began = time.monotonic()
    if how == "cancel":
        threading.Thread(target=lambda: (told.wait(10), handle.cancel("enough"))).start()
    expected = PipeTimeoutError if how == "timeout" else PipeCancelledError
    options: Any = {"timeout": 0.4} if how == "timeout" else {"handle": handle}
    with pytest.raises(expected) as info:
        run_pipe(Same, numbers(), progress=tell, **options)
    assert time.monotonic() - began < 5
    assert payloads(info.value.partial_results["default"])[:1] == [1]


def test_a_reason_to_cancel_may_be_anything() -> None:
    """None is no reason, and what has no text is told as what it is."""

    class Textless:
        def __str__(self) -> str:
            raise ValueError

    for reason, text in ((None, ""), (5, "5"), (Textless(), "<Textless, whose text raised ValueError>")):
        handle = RunHandle()
        handle.cancel(reason)
        assert handle.cancelled
        with pytest.raises(PipeCancelledError) as info:
            run_pipe(Same, [1], handle=handle)
        assert info.value.why == text


def test_a_deadline_of_infinity_is_none() -> None:
    """As None."""
    assert len(run_pipe(Same, [1], timeout=math.inf)["default"]) == 1


def test_a_run_whose_supervisor_was_killed_runs_no_more() -> None:
    """The record says so, and its time stands still."""
    handle = RunHandle()

    def numbers() -> Any:
        yield from range(2000)
        assert handle._run is not None
        run = handle._run[1].run
        assert run is not None
        run.kill()
        yield from itertools.count()

    with pytest.raises(PipeError, match="killed"):
        run_pipe(Same, numbers(), handle=handle)
    record = handle.record()
    assert record.ended == "halted"
    assert handle.record().seconds == record.seconds
