"""`Slither.Pipe.Runner` and `Slither.Pipe.Supervisor`: pipes that run, once or on and on."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Application,
    Fail,
    Item,
    Pipe,
    PipeError,
    Skip,
    router,
    run_pipe,
    stage,
    start_pipe,
    stream_pipe,
    telemetry,
    workers,
)
from slither_actors.actors import whereis
from slither_actors.pipe import PipeSupervisor
from tests.slither import work
from tests.slither.reading import Reads, in_outputs, payloads

SECONDS = 20.0


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": 1}) as running:
        yield running


class Increment(Pipe):
    """One stage in the driver."""

    increment = stage(lambda item: item.payload + 1)


# -- Slither.Pipe.Runner.run/3 -------------------------------------------------------------------


def test_the_input_may_be_payloads_or_items() -> None:
    """`Slither.Pipe.Runner.run/3`: raw payloads are wrapped, items stay what they are."""
    item = Item.wrap(1)
    outputs = run_pipe(Increment, [item, 5])["default"]
    assert payloads(outputs) == [2, 6]
    assert outputs[0].id == item.id


def test_run_returns_every_output() -> None:
    """`Slither.Pipe.Runner.run/3`: a mapping of output to items, with those that got none."""

    class Classify(Pipe):
        classify = router(accept=lambda item: item.payload > 0.8, review=lambda item: item.payload > 0.4)

    outputs = run_pipe(Classify, [0.9])
    assert {name: len(items) for name, items in outputs.items()} == {"accept": 1, "review": 0, "default": 0}
    assert all(isinstance(item, Item) for item in outputs["accept"])


def test_outputs_are_in_the_order_of_the_input() -> None:
    """`Slither.Pipe`: "ordered output", through workers and a router."""

    class Ordered(Pipe):
        double = workers(work.double, batch_size=3)
        split = router(even=lambda item: item.payload % 4 == 0)

    outputs = in_outputs(run_pipe(Ordered, range(100)))
    assert outputs["even"] == list(range(0, 200, 4))
    assert outputs["default"] == list(range(2, 200, 4))


def test_an_empty_input_makes_empty_outputs() -> None:
    """`Slither.Pipe.Runner.run/3`: it is a run as others."""
    assert in_outputs(run_pipe(Increment, [])) == {"default": []}


def test_a_session_may_be_given() -> None:
    """`Slither.Pipe.Runner.run/3`, ``session_id:`` and ``metadata:``: stages and workers have them."""

    class Telling(Pipe):
        tell = workers(work.about_the_run)

    (item,) = run_pipe(Telling, [1], session_id="my_session_123", metadata={"batch_id": "batch_42"})[
        "default"
    ]
    assert item.payload[1:] == ("my_session_123", "Telling", "tell", {"batch_id": "batch_42"})


def test_a_session_is_made_where_none_is_given() -> None:
    """`Slither.Pipe.Runner.run/3`: unique to the run."""

    class Session(Pipe):
        tell = stage(lambda item, ctx: ctx.session_id)

    sessions = {payloads(run_pipe(Session, [1])["default"])[0] for _ in range(3)}
    assert len(sessions) == 3


def test_stages_run_side_by_side() -> None:
    """`Slither.Pipe.Runner`, step 3: in Slither one stage ends before the next begins; here they overlap.

    An input whose end depends on the last stage comes to an end.
    """
    seen = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        assert seen.wait(SECONDS), "the last stage has the first item before the input ends"
        yield 2

    class Overlapping(Pipe):
        first = stage(lambda item: item.payload)

        @stage
        def last(item: Item) -> Any:
            seen.set()
            return item.payload

    assert in_outputs(run_pipe(Overlapping, source())) == {"default": [1, 2]}


def test_skip_drops_an_item_and_the_run_goes_on() -> None:
    """Pipe-level errors, ``:skip``."""

    class Skips(Pipe):
        on_error = "skip"
        divide = stage(lambda item: 10 // item.payload)

    assert in_outputs(run_pipe(Skips, [1, 0, 2])) == {"default": [10, 5]}


def test_halt_reports_what_had_come_out() -> None:
    """Pipe-level errors, ``:halt``: the reason, its stage, and the outputs so far.

    Slither's are empty then.
    """
    done = threading.Semaphore(0)

    def source() -> Iterator[int]:
        for number in (5, 2):
            yield number
            assert done.acquire(timeout=SECONDS)
        yield 0

    class Halts(Pipe):
        divide = stage(lambda item: 10 // item.payload)
        split = router(small=lambda item: done.release() or item.payload < 3)

    with pytest.raises(PipeError) as caught:
        run_pipe(Halts, source())
    assert isinstance(caught.value.reason, ZeroDivisionError)
    assert (caught.value.pipe, caught.value.stage) == ("Halts", "divide")
    assert in_outputs(caught.value.partial_results) == {"small": [2], "default": [5]}


def test_items_that_stages_drop_are_counted() -> None:
    """`Slither.Pipe.Runner`: here a run has a record, so nothing is dropped in silence."""

    class Drops(Pipe):
        drop = stage(lambda item: Skip("odd") if item.payload % 2 else item.payload)

    record = run_pipe(Drops, range(10)).record
    assert (record.items_in, record.skipped, dict(record.outputs)) == (10, 5, {"default": 5})


# -- Slither.Pipe.Runner.stream/3 ----------------------------------------------------------------


def test_stream_is_lazy() -> None:
    """`Slither.Pipe.Runner.stream/3`: results as they come, the input read as they are taken.

    Slither 0.1.0 delegates to `run`: it would never return from this input.
    """
    source = Reads()
    with stream_pipe(Increment, source) as stream:
        assert source.read == 0
        assert [next(stream).payload for _ in range(3)] == [1, 2, 3]
        assert source.read < 20_000


def test_stream_has_a_stream_for_each_output() -> None:
    """`Slither.Pipe.Runner.stream/3`: a mapping of output to a stream of its items."""

    class Split(Pipe):
        split = router(odd=lambda item: item.payload % 2)

    with stream_pipe(Split, range(10)) as stream:
        outputs = stream.outputs()
        assert set(outputs) == {"odd", "default"}
        assert payloads(outputs["odd"]) == [1, 3, 5, 7, 9]
        assert payloads(outputs["default"]) == [0, 2, 4, 6, 8]


def test_a_stream_tells_the_output_of_each_item() -> None:
    """`Slither.Pipe.Runner.stream/3`: read as one stream, in the order in which items come out."""

    class Split(Pipe):
        split = router(odd=lambda item: item.payload % 2)

    with stream_pipe(Split, range(3)) as stream:
        assert sorted((item.payload, item.route) for item in stream) == [
            (0, "default"),
            (1, "odd"),
            (2, "default"),
        ]


def test_a_slow_reader_slows_the_input() -> None:
    """Backpressure through all stages: an endless input, workers, and a reader that stops."""

    class Doubling(Pipe):
        increment = stage(lambda item: item.payload + 1)
        double = workers(work.double, batch_size=4, max_in_flight=2)

    source = Reads()
    with stream_pipe(Doubling, source) as stream:
        assert [next(stream).payload for _ in range(10)] == [2 * number for number in range(1, 11)]
        assert source.read < 20_000


# -- Slither.Pipe.Supervisor -----------------------------------------------------------------------


def test_long_lived_pipes_are_under_the_pipe_supervisor() -> None:
    """`Slither.Pipe.Supervisor`: a dynamic one; pipes are started under it, and are fed."""
    found: list[Any] = []
    pipe = start_pipe(Increment, name="ever on", into=lambda items: found.extend(payloads(items)))
    supervisor = whereis("slither.pipes")
    assert supervisor is not None
    assert supervisor.actor_class is PipeSupervisor
    assert pipe.ref in [info.ref for info in supervisor.which_children()]  # type: ignore[attr-defined]
    pipe.push([1, 2])
    pipe.push([3])
    assert pipe.drain(SECONDS)
    assert found == [2, 3, 4]


def test_a_long_lived_pipe_is_restarted() -> None:
    """`Slither.Pipe.Supervisor`: one that halts goes on with what comes next; what it had is told as lost."""
    found: list[Any] = []
    lost = threading.Event()
    with telemetry.attach("slither.pipe.lost", lambda *_: lost.set()):
        pipe = start_pipe(Increment, into=lambda items: found.extend(payloads(items)))
        pipe.push(["text"])
        assert lost.wait(SECONDS)
    pipe.push([2])
    assert pipe.drain(SECONDS)
    assert found == [3]
    assert (pipe.status().restarts, pipe.status().lost) == (1, 1)


# -- items on their way ----------------------------------------------------------------------------


def test_ids_and_metadata_go_through_all_stages() -> None:
    """`Slither.Item`: "a stable ID for ordering and error attribution, metadata for tracing"."""

    class Through(Pipe):
        increment = stage(lambda item: item.payload + 1)
        double = workers(work.double, batch_size=2)
        split = router(high=lambda item: item.payload > 4)

    items = [item.put_meta({"trace": item.payload}) for item in Item.wrap_many([1, 2, 3])]
    outputs = run_pipe(Through, items)
    found = sorted([*outputs["high"], *outputs["default"]], key=lambda item: item.id)
    assert [(item.id, item.meta["trace"], item.payload) for item in found] == [
        (item.id, item.payload, 2 * (item.payload + 1)) for item in items
    ]


def test_an_error_names_the_item() -> None:
    """`Slither.Item`: the id says which one failed."""

    class Failing(Pipe):
        check = stage(lambda item: Fail("invalid_input"))

    item = Item.wrap(1)
    with pytest.raises(PipeError, match=rf"item {item.id} of Failing.check failed: invalid_input"):
        run_pipe(Failing, [item])


def test_payloads_cross_to_workers_as_they_are() -> None:
    """Type encoding, which is JSON there: what pickle takes comes as what it was."""

    class Back(Pipe):
        back = workers(work.double)

    payload = [(1, "x"), {2: {3}}, b"bytes", None]
    assert payloads(run_pipe(Back, [payload])["default"]) == [2 * payload]
