"""What holds for a run however it is begun: by the four functions, and as a pipe that runs on.

Its stages know the run, in the driver and in workers; its views answer; it is told.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from slither_actors import (
    Application,
    InlineExecutor,
    Pipe,
    PipeError,
    Store,
    Table,
    arun_pipe,
    astream_pipe,
    router,
    run_pipe,
    stage,
    start_pipe,
    stream_pipe,
    telemetry,
    view,
    workers,
)
from slither_actors.bridge import SESSIONS
from slither_actors.errors import OptionError, PipeCancelledError, PipeTimeoutError
from slither_actors.pipe import RateLimit, RunHandle
from tests.pipe import worker_code as code
from tests.telemetry.test_events import keys_of as keys_in_text

Entry = Callable[..., list[Any]]
"""Runs a pipe over an input, with options; returns the payloads that came out, by whichever output."""


def _payloads(items: Iterable[Any]) -> list[Any]:
    return [item.payload for item in items]


def by_run(pipe: Any, items: Iterable[Any], **options: Any) -> list[Any]:
    return [payload for found in run_pipe(pipe, items, **options).values() for payload in _payloads(found)]


def by_stream(pipe: Any, items: Iterable[Any], **options: Any) -> list[Any]:
    return _payloads(stream_pipe(pipe, items, **options))


def by_outputs(pipe: Any, items: Iterable[Any], **options: Any) -> list[Any]:
    with stream_pipe(pipe, items, **options) as stream:
        return [payload for each in stream.outputs().values() for payload in _payloads(each)]


def by_arun(pipe: Any, items: Iterable[Any], **options: Any) -> list[Any]:
    found = asyncio.run(arun_pipe(pipe, items, **options))
    return [payload for each in found.values() for payload in _payloads(each)]


def by_astream(pipe: Any, items: Iterable[Any], **options: Any) -> list[Any]:
    async def read() -> list[Any]:
        async with astream_pipe(pipe, items, **options) as stream:
            return [item.payload async for item in stream]

    return asyncio.run(read())


def by_start(pipe: Any, items: Iterable[Any], **options: Any) -> list[Any]:
    found: list[Any] = []
    into = dict.fromkeys(pipe.definition.outputs, found.extend)
    running = start_pipe(pipe, into=into, restart="temporary", **options)
    running.push(items, 20)
    assert running.drain(20)
    return _payloads(found)


ENTRIES = [by_run, by_stream, by_outputs, by_arun, by_astream, by_start]

in_each_way = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)


class Prices(Store):
    rows = Table()

    def load(self, tables: Any) -> None:
        tables.rows.insert((number, 10 * number) for number in range(100))

    @view
    def price(self, number: int) -> Any:
        return self.rows.get(number)


class Knowing(Pipe):
    here = stage(lambda item, ctx: (ctx.pipe, ctx.stage, ctx.session_id, ctx.metadata["driver"]))
    there = workers(code.know, batch_size=1)


class Outer(Pipe):
    inner = stage(Knowing)


class Pricing(Pipe):
    stores = (Prices,)
    here = stage(lambda item, ctx: item.payload if ctx.views.price(item.payload) is not None else -1)
    there = workers(code.price, batch_size=1)


@pytest.fixture
def application() -> Iterator[Application]:
    """With workers, for those tests that name it; the others have that of the folder."""
    with Application(pools={"default": 1}) as running:
        yield running


# -- the context -----------------------------------------------------------------------------


@in_each_way
def test_a_worker_knows_the_run(entry: Entry) -> None:
    """The pipe, the stage (also within another pipe), the session and the caller's metadata."""
    given: dict[str, Any] = {"session_id": "mine", "metadata": {"driver": os.getpid(), "a": [1]}}
    assert entry(Knowing, [1], **given) == [("Knowing", "there", "mine", given["metadata"], True)]
    assert entry(Outer, [1], **given) == [("Outer", "inner.there", "mine", given["metadata"], True)]


@in_each_way
def test_views_answer_in_the_driver_and_in_workers(entry: Entry) -> None:
    """From the start of the run to its end, after which there is nothing left of its session."""
    assert entry(Pricing, [3, 4], session_id="mine") == [(3, 30, "mine"), (4, 40, "mine")]
    assert SESSIONS.all() == []


def test_views_answer_in_the_next_run_of_a_pipe_that_runs_on() -> None:
    """Each run has them under the same session, whatever ended the one before it."""
    found: list[Any] = []
    pipe = start_pipe(Pricing, session_id="mine", into=found.extend)
    for number in (5, 0, 6):
        pipe.push([number], 20)
        deadline = time.monotonic() + 20
        while not (
            pipe.status().restarts
            if number == 0
            else _payloads(found)[-1:] == [(number, 10 * number, "mine")]
        ):
            assert time.monotonic() < deadline
            time.sleep(0.002)
    [session] = SESSIONS.all()
    assert session.session_id == "mine"
    assert pipe.drain(20)
    assert _payloads(found) == [(5, 50, "mine"), (6, 60, "mine")]
    assert SESSIONS.all() == []


# -- telemetry -------------------------------------------------------------------------------


class Every(Pipe):
    function = stage(lambda item: 12 // item.payload)
    batch = workers(InlineExecutor(list), batch_size=2)
    route = router(big=lambda item: item.payload > 5)


@pytest.fixture
def told() -> Iterator[list[Any]]:
    found: list[Any] = []
    with telemetry.attach("slither.pipe.*", lambda *event: found.append(event)):
        yield found


STARTED = {"pipe", "session_id", "input_count"}
STAGE = {"pipe", "stage", "type"}
COUNTS = {"duration", "busy", "items_in", "emitted", "routed", "skipped", "failed", "retries"}
"""What every kind of stage measures."""


def keys_of(told: list[Any]) -> dict[str, tuple[set[str], set[str]]]:
    """Each event's measurements and metadata, of one that was told more than once what all have."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for event, sender, measurements, metadata in told:
        assert sender is Every
        what, about = found.setdefault(
            event.removeprefix("slither.pipe."), (set(measurements), set(metadata))
        )
        what &= set(measurements)
        about &= set(metadata)
    return found


@in_each_way
def test_a_run_and_its_stages_are_told(entry: Entry, told: list[Any]) -> None:
    """With the same keys whatever began it."""
    assert sorted(entry(Every, [1, 2, 3], session_id="mine")) == [4, 6, 12]
    found = keys_of(told)
    assert found["run.start"] == ({"system_time"}, STARTED)
    assert found["run.stop"] == ({"duration"}, STARTED)
    assert found["stage.start"] == ({"system_time"}, STAGE)
    assert found["stage.stop"][0] >= COUNTS
    assert found["stage.stop"][1] == STAGE
    assert sorted(found) == ["run.start", "run.stop", "stage.start", "stage.stop"]
    (about,) = [metadata for event, _, _, metadata in told if event == "slither.pipe.run.stop"]
    assert about == {"pipe": "Every", "session_id": "mine", "input_count": 3}
    assert [event for event, *_ in told].count("slither.pipe.stage.stop") == 3


@in_each_way
def test_a_run_that_halts_is_told(entry: Entry, told: list[Any]) -> None:
    """With what it halted for; of a pipe that runs on, what is lost besides."""
    if entry is by_start:
        entry(Every, [0])
    else:
        with pytest.raises(PipeError):
            entry(Every, [0])
    found = keys_of(told)
    assert found["run.exception"] == ({"duration"}, {*STARTED, "kind", "reason"})
    assert found["stage.exception"][0] >= COUNTS
    assert found["stage.exception"][1] == {*STAGE, "kind", "reason"}
    assert "run.stop" not in found
    if entry is by_start:
        assert found["lost"] == ({"count"}, {"pipe", "name", "reason", "exact"})
    else:
        assert "lost" not in found
    for event, (measurements, metadata) in found.items():
        assert measurements | metadata >= keys_in_text(f"slither.pipe.{event}")


# -- options ---------------------------------------------------------------------------------


with_an_end = pytest.mark.parametrize("entry", ENTRIES[:-1], ids=lambda entry: entry.__name__)


class Same(Pipe):
    work = stage(lambda item: item.payload)


def endless() -> Iterator[int]:
    """Not as fast as it can be read: what was collected has to be handed over, too."""
    for number in itertools.count():
        time.sleep(0.001)
        yield number


@with_an_end
def test_each_of_them_has_a_deadline(entry: Entry) -> None:
    """And says how far it was."""
    with pytest.raises(PipeTimeoutError, match=r"was not done after 0.1 s: \d+ items were read") as caught:
        entry(Same, endless(), timeout=0.1)
    assert caught.value.partial_results.record.ended == "timeout"


@with_an_end
def test_each_of_them_can_be_cancelled(entry: Entry) -> None:
    """From another thread, which sees how far it is."""
    handle = RunHandle()

    def numbers() -> Iterator[int]:
        yield from range(5)
        threading.Timer(0, handle.cancel, ["enough"]).start()
        yield from endless()

    with pytest.raises(PipeCancelledError, match="enough"):
        entry(Same, numbers(), handle=handle)
    assert handle.record().ended == "cancelled"


@with_an_end
def test_each_of_them_tells_its_progress(entry: Entry) -> None:
    """Up to the end."""
    told: list[Any] = []
    assert len(entry(Same, range(300), progress=told.append)) == 300
    assert (told[-1].done, told[-1].total, told[-1].finished) == (300, 300, True)


@with_an_end
def test_each_of_them_keeps_to_a_rate(entry: Entry) -> None:
    """Of what is taken in."""
    began = time.monotonic()
    assert len(entry(Same, range(30), rate_limit=RateLimit(10, 0.05))) == 30
    assert time.monotonic() - began >= 0.1


@in_each_way
def test_a_wrong_option_is_named(entry: Entry) -> None:
    """With what is near."""
    with pytest.raises(OptionError, match="'metadat' is unknown; did you mean 'metadata'"):
        entry(Same, [], metadat={})
