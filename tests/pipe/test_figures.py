"""The figures of a run's stages: how many items took which route, and how long each stage was at work."""

from __future__ import annotations

import time
from typing import Any

import pytest

from slither_actors import (
    InlineExecutor,
    Many,
    Pipe,
    Route,
    RouteTo,
    router,
    run_pipe,
    stage,
    start_pipe,
    stream_pipe,
    telemetry,
    workers,
)
from slither_actors.dispatch import ThreadExecutor


class Desk(Pipe):
    """Two routes lead to one stage, one to an output, and one is the code's."""

    outputs = ("spam", "late")
    sort = router(
        spam=lambda item: item.payload % 5 == 0,
        big=lambda item: item.payload > 15,
        odd=lambda item: item.payload % 2,
    )

    look = stage(
        lambda item: RouteTo("late", item.payload) if item.payload == 19 else item.payload,
        after=["big", "odd"],
    )
    save = stage(lambda item: item.payload, after=["sort", "look"])


def test_each_route_is_counted() -> None:
    """By its own name, also where two lead to one stage, and the items that took none are not among them."""
    out = run_pipe(Desk, range(20))
    sort, look = out.statistics["sort"], out.statistics["look"]
    assert sort.routes == {"spam": 4, "big": 4, "odd": 6}
    assert (sort.routed, sort.emitted) == (14, 6)
    assert look.routes == {"late": 1}
    assert out.statistics["save"].routes == {}
    assert out.record.stages["sort"].routes == sort.routes


def test_an_item_that_is_routed_to_default_has_a_route_too() -> None:
    """It leaves at once, past the stages below."""

    class P(Pipe):
        first = stage(lambda item: RouteTo("default", 1) if item.payload else 0)
        second = stage(lambda item: item.payload)

    assert run_pipe(P, range(3)).statistics["first"].routes == {"default": 2}


def test_the_routes_of_many_are_counted_by_item() -> None:
    """One item that becomes several is several."""

    class P(Pipe):
        outputs = ("a", "b")

        split = stage(
            lambda item: Many([item.spawn(number).put_route("ab"[number % 2]) for number in range(5)])
        )

    assert run_pipe(P, range(2)).statistics["split"].routes == {"a": 6, "b": 4}


def test_the_routes_of_a_policy_are_counted() -> None:
    """Of stages in the driver and of batches alike: to an output, to a stage, and on."""

    def away(item: Any, error: Any) -> Any:
        return item.put_route({0: "broken", 1: "mend"}.get(item.payload, "default"))

    def fail(batch: list[int]) -> Any:
        raise ValueError(batch)

    class P(Pipe):
        outputs = ("broken", "mend")
        on_error = {"*": Route(away)}
        one = stage(lambda item: 1 // (item.payload - 3) if item.payload == 3 else item.payload)
        work = workers(InlineExecutor(fail), batch_size=2)
        again = stage(lambda item: item.payload, after="mend")
        end = stage(lambda item: item.payload, after=["work", "again"])

    out = run_pipe(P, range(4))
    assert out.statistics["one"].routes == {}  # its policy let the item go on
    assert out.statistics["one"].emitted == 4
    work = out.statistics["work"]
    assert work.routes == {"broken": 1, "mend": 1, "default": 2}
    assert work.routed == 4
    assert out.record.stages["work"].routes == work.routes


def test_the_counts_of_a_nested_pipe_have_its_own_names() -> None:
    """A route is called what the stage calls it, wherever it leads."""

    class Check(Pipe):
        check = router(negative=lambda item: item.payload < 0)

    class P(Pipe):
        clean = stage(Check)
        mend = stage(lambda item: -item.payload, after="negative")
        end = stage(lambda item: item.payload, after=["clean", "mend"])

    assert run_pipe(P, [1, -2, -3]).statistics["clean.check"].routes == {"negative": 2}


def test_a_run_under_way_tells_its_routes() -> None:
    """A stream's record, and the status of a pipe that runs on."""
    with stream_pipe(Desk, range(20)) as stream:
        list(stream)
        assert stream.record().stages["sort"].routes == {"spam": 4, "big": 4, "odd": 6}
    pipe = start_pipe(Desk)
    pipe.push(range(20))
    while sum(pipe.status().outputs.values()) < 20:
        time.sleep(0.001)
    record = pipe.status().record
    assert record is not None
    assert record.stages["sort"].routes == {"spam": 4, "big": 4, "odd": 6}
    pipe.stop()


def test_a_record_prints_the_routes() -> None:
    """Behind their sum."""
    line = str(run_pipe(Desk, range(20)).record).splitlines()[1]
    assert line.startswith("  sort: 20 in, 6 on, 14 routed (spam 4, big 4, odd 6), 0 skipped, 0.")


# -- time ----------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", [InlineExecutor, ThreadExecutor])
def test_other_executors_are_measured_from_outside(executor: Any) -> None:
    """From when they have a batch to its answer."""

    def nap(batch: list[float]) -> list[float]:
        time.sleep(sum(batch))
        return batch

    class P(Pipe):
        work = workers(executor(nap), batch_size=2)

    assert 0.08 <= run_pipe(P, [0.02] * 4).record.stages["work"].busy < 5


def test_the_end_of_a_stage_tells_its_time_at_work() -> None:
    """Beside its counts, of every kind."""
    found = {}
    with telemetry.attach(
        "slither.pipe.stage.stop", lambda _, __, what, about: found.update({about["stage"]: what})
    ):

        class P(Pipe):
            one = stage(lambda item: time.sleep(0.02))
            two = workers(InlineExecutor(lambda batch: [time.sleep(0.02)] * len(batch)))

        run_pipe(P, [1])
    assert all(0.02 <= found[name]["busy"] < found[name]["duration"] for name in ("one", "two"))
