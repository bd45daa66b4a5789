"""Worker stages in a pipe: what goes wrong there is named, and costs what the policy says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import (
    Application,
    Item,
    Pipe,
    PipeError,
    Retry,
    Route,
    router,
    run_pipe,
    stage,
    stream_pipe,
    workers,
)
from slither_actors.errors import (
    BatchTimeoutError,
    PayloadError,
    ResultError,
    TargetError,
    WorkerCrashError,
)
from tests.pipe import worker_code as code


@pytest.fixture(autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": 2}) as running:
        yield running


def payloads(items: list[Item]) -> list[Any]:
    return [item.payload for item in items]


def pipe_of(function: Any, **options: Any) -> type[Pipe]:
    class ScorePipe(Pipe):
        outputs = ("bad",)
        prepare = stage(lambda item: item.payload)
        predict = workers(function, **options)
        after = stage(lambda item: item.payload)

    return ScorePipe


@pytest.mark.parametrize(
    ("function", "inputs", "error", "message"),
    [
        ("no_such_module:predict", [1], TargetError, "a worker cannot import no_such_module:predict"),
        ("tests.pipe.worker_code:predict", [1], TargetError, "has no attribute 'predict'"),
        (code.double, [code.Holder()], PayloadError, r"\.handle"),
        (code.unpicklable, [1], PayloadError, r"\.handle"),
        (code.too_few, [1, 2, 3], ResultError, "worker_code:too_few returned"),
    ],
    ids=["module", "attribute", "payload", "result", "number"],
)
def test_what_goes_wrong_with_workers_is_named(
    function: Any, inputs: list[Any], error: type[BaseException], message: str
) -> None:
    """The pipe, the stage, and what it was; the pool goes on."""
    with pytest.raises(PipeError, match=message) as caught:
        run_pipe(pipe_of(function), inputs)
    assert "pipe ScorePipe.predict halted" in str(caught.value)
    assert caught.value.stage == "predict"
    assert isinstance(caught.value.reason, error)
    assert payloads(run_pipe(pipe_of(code.double), [1, 2])["default"]) == [2, 4]


def test_a_worker_that_dies_costs_its_batch() -> None:
    """The others are there, in order, and the statistics say what was lost."""
    found = run_pipe(pipe_of(code.die_on_three, batch_size=1, on_error="skip"), range(20))
    assert payloads(found["default"]) == [n for n in range(20) if n != 3]
    statistics = found.statistics["predict"]
    assert statistics.skipped == 1
    assert statistics.errors == {"WorkerCrashError": 1}
    assert "batch 3 of ScorePipe.predict" in statistics.last_error


def test_what_a_worker_stage_skips_is_logged_once_by_the_original_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As a function stage does it."""
    found = run_pipe(pipe_of(code.divide, batch_size=2, on_error="skip"), [0, 1, 2, 4, 0, 0])
    assert payloads(found["default"]) == [50, 25]
    (record,) = [each for each in caplog.records if each.name == "slither_actors.pipe"]
    assert record.getMessage() == (
        "ScorePipe.predict skipped 4 failed items: ZeroDivisionError x 4; "
        "the last: batch 2 of ScorePipe.predict: ZeroDivisionError: integer division or modulo by zero"
    )


def test_a_dead_worker_halts_the_run_with_its_story() -> None:
    """Which batch, which exit status; what preceded it is out."""
    with pytest.raises(PipeError, match="batch 3 of ScorePipe.predict") as caught:
        run_pipe(pipe_of(code.die_on_three, batch_size=1), range(20))
    assert isinstance(caught.value.reason, WorkerCrashError)
    assert payloads(caught.value.partial_results["default"]) == [0, 1, 2]


def test_a_batch_past_its_timeout_costs_its_batch() -> None:
    """Its worker is killed; a route policy sees the reason."""
    seen: list[BaseException] = []

    def route(item: Item, error: BaseException) -> Item:
        seen.append(error)
        return item.put_route("bad")

    pipe = pipe_of(code.hang_on_three, batch_size=1, timeout=1.0, on_error=Route(route))
    found = run_pipe(pipe, range(8))
    assert payloads(found["default"]) == [0, 1, 2, 4, 5, 6, 7]
    assert payloads(found["bad"]) == [3]
    assert [type(error) for error in seen] == [BatchTimeoutError]


def test_retried_batches_keep_the_order(tmp_path: Path) -> None:
    """Each fails once, at its own time."""
    pipe = pipe_of(code.fail_once, batch_size=1, on_error=Retry(max_attempts=2, backoff=0.01))
    found = run_pipe(pipe, [str(tmp_path / f"{n:02}") for n in range(12)])
    assert payloads(found["default"]) == [f"{n:02}" for n in range(12)]
    assert found.statistics["predict"].retries == 12


def test_failed_items_of_a_routed_batch_leave_and_the_others_go_on() -> None:
    """A batch fails as a whole: its items are routed, those of the other batches are not."""
    pipe = pipe_of(code.divide, batch_size=2, on_error=Route(lambda item, error: item.put_route("bad")))
    found = run_pipe(pipe, [1, 2, 0, 4, 5, 10])
    assert payloads(found["default"]) == [100, 50, 20, 10]
    assert payloads(found["bad"]) == [0, 4]


def test_a_long_stream_through_two_worker_stages_keeps_the_order() -> None:
    """With both in flight at one time."""

    class P(Pipe):
        first = workers(code.double, batch_size=7, max_in_flight=3)
        second = workers(code.double, batch_size=16, max_in_flight=2)

    with stream_pipe(P, range(3000)) as stream:
        assert [item.payload for item in stream] == [4 * n for n in range(3000)]
    for name, limit in (("first", 3), ("second", 2)):
        window = stream.finished[name].window
        assert 1 <= window.peak <= limit


class Crashing(Pipe):
    outputs = ("broken",)
    work = workers(
        code.die_on_three, batch_size=2, on_error=Route(lambda item, error: item.put_route("broken"))
    )
    mend = stage(lambda item: -item.payload, after="broken")
    double = workers(code.double, batch_size=3, after=["work", "mend"])


def test_the_items_of_a_batch_whose_worker_died_may_go_on_in_a_branch() -> None:
    """In a pipe within a pipe as well; those of the other batches are not concerned."""

    class Outer(Pipe):
        sort = router(big=lambda item: item.payload >= 100)
        inner = stage(Crashing)
        join = workers(code.double, after=["inner", "big"], batch_size=4)

    outputs = run_pipe(Outer, [*range(20), 100])
    expected = [4 * (-number if number in (2, 3) else number) for number in range(20)]
    assert sorted(payloads(outputs["default"])) == sorted([*expected, 200])
    assert outputs.statistics["inner.work"].crashes == 1
    assert outputs.statistics["inner.mend"].items_in == 2
    with stream_pipe(Outer, range(10**9)) as stream:
        assert len([next(stream) for _ in range(500)]) == 500


# -- time ----------------------------------------------------------------------------------


def test_a_worker_stage_was_busy_as_long_as_its_batches_together() -> None:
    """Not as long as they waited for a worker: six batches of a tenth on two workers, all in flight."""

    class P(Pipe):
        work = workers(code.nap, batch_size=1, max_in_flight=6)

    record = run_pipe(P, [0.1] * 6).record
    work = record.stages["work"]
    assert work.seconds is not None
    assert work.busy >= 0.6
    assert work.busy <= 2 * work.seconds
    assert f"{work.busy:.2f} s of work" in str(record)


def test_a_batch_that_failed_counts_until_its_end() -> None:
    """Past its timeout, or with its worker; each attempt."""

    class P(Pipe):
        hang = workers(
            code.nap, batch_size=1, timeout=0.2, on_error=Retry(max_attempts=2, backoff=0, then="skip")
        )
        die = workers(code.nap_and_die, batch_size=1, on_error="skip")

    stages = run_pipe(P, [9.0, 0.15]).record.stages
    assert 0.55 <= stages["hang"].busy < 9
    assert 0.15 <= stages["die"].busy < 9
