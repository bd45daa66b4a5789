"""What a run tells: its own start and end, and those of its stages."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    InlineExecutor,
    Pipe,
    PipeError,
    Stage,
    router,
    run_pipe,
    stage,
    stream_pipe,
    telemetry,
)
from slither_actors import workers as workers_of

Told = list[tuple[str, Any, dict[str, Any], dict[str, Any]]]


@pytest.fixture
def told() -> Iterator[Told]:
    found: Told = []
    with telemetry.attach("slither.pipe.*", lambda *event: found.append(event)):
        yield found


class Same(Stage):
    def handle_item(self, item: Any, ctx: Any) -> Any:
        return item.payload


class Every(Pipe):
    function = stage(lambda item: 12 // item.payload)
    cls = stage(Same)
    workers = workers_of(InlineExecutor(list), batch_size=2)
    route = router(big=lambda item: item.payload > 5)


def named(told: Told, name: str) -> list[tuple[Any, dict[str, Any], dict[str, Any]]]:
    return [event[1:] for event in told if event[0] == f"slither.pipe.{name}"]


def test_a_run_tells_its_start_and_its_end(told: Told) -> None:
    """Once each, with the pipe as the sender and the number of items that were read."""
    run_pipe(Every, [1, 2, 3], session_id="s")
    ((sender, measurements, metadata),) = named(told, "run.start")
    assert sender is Every
    assert set(measurements) == {"system_time"}
    assert metadata == {"pipe": "Every", "session_id": "s", "input_count": 3}
    ((sender, measurements, metadata),) = named(told, "run.stop")
    assert sender is Every
    assert measurements["duration"] > 0
    assert metadata == {"pipe": "Every", "session_id": "s", "input_count": 3}
    assert named(told, "run.exception") == []


def test_an_input_of_unknown_length_is_counted_at_the_end(told: Told) -> None:
    """At the start there is no number."""
    run_pipe(Every, iter([1, 2, 3]))
    assert named(told, "run.start")[0][2]["input_count"] is None
    assert named(told, "run.stop")[0][2]["input_count"] == 3


def test_a_halted_run_tells_the_reason(told: Told) -> None:
    """So does the stage that halted it; the others have ended in order."""
    with pytest.raises(PipeError) as caught:
        run_pipe(Every, [1, 0, 3])
    ((_, _, metadata),) = named(told, "run.exception")
    assert (metadata["kind"], metadata["reason"]) == ("error", caught.value.reason)
    assert named(told, "run.stop") == []
    ((_, measurements, metadata),) = named(told, "stage.exception")
    assert metadata["stage"] == "function"
    assert (metadata["kind"], metadata["reason"]) == ("error", caught.value.reason)
    assert measurements["failed"] == 2


def test_a_run_that_is_closed_has_just_ended(told: Told) -> None:
    """Nothing has failed."""
    with stream_pipe(Every, [1, 2, 3]) as stream:
        next(stream)
    assert len(named(told, "run.stop")) == 1
    assert named(told, "run.exception") == []


@pytest.mark.parametrize("part", ["source", "function", "reader", "run"])
def test_a_run_of_which_something_is_killed_has_failed(told: Told, part: str) -> None:
    """Whatever it was; it is told once, and the record says so."""
    with stream_pipe(Every, itertools.repeat(5)) as stream:
        next(stream)
        run: Any = stream._plan.link.run
        (run if part == "run" else next(i.ref for i in run.which_children() if i.id == part)).kill()
        with pytest.raises(PipeError, match="ended from outside"):
            for _ in stream:
                pass
    deadline = time.monotonic() + 10
    while not named(told, "run.exception"):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    ((_, measurements, metadata),) = named(told, "run.exception")
    assert measurements["duration"] > 0
    assert set(metadata) == {"pipe", "session_id", "input_count", "kind", "reason"}
    assert named(told, "run.stop") == []
    assert stream.record().ended == "halted"


def test_each_stage_tells_its_start_and_its_end(told: Told) -> None:
    """With its kind, and at the end with its counts."""
    run_pipe(Every, [1, 2, 3])
    kinds = {"function": "function", "cls": "class", "workers": "workers", "route": "router"}
    expected = [{"pipe": "Every", "stage": name, "type": kind} for name, kind in kinds.items()]
    assert [metadata for _, _, metadata in named(told, "stage.start")] == expected
    stops = {metadata["stage"]: measurements for _, measurements, metadata in named(told, "stage.stop")}
    assert sorted(stops) == sorted(kinds)
    assert [stops[name]["items_in"] for name in kinds] == [3, 3, 3, 3]
    assert (stops["route"]["routed"], stops["route"]["emitted"]) == (2, 1)
