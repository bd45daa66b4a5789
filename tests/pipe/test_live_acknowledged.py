"""A pipe that runs on over a source that delivers again: what is not done comes again, over all its runs."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Many, Pipe, Store, Table, router, stage, start_pipe, telemetry, workers
from slither_actors.actors import Ref
from slither_actors.actors._life import live_cells, zombie_cells
from slither_actors.contrib.sqlite import SqliteQueue
from slither_actors.dispatch import ThreadExecutor
from slither_actors.dispatch._source import _Input
from slither_actors.dispatch._stream import stages_of
from slither_actors.errors import OptionError
from slither_actors.pipe import AckSource, Delivery, _ack_keeper
from tests.pipe.ack_sources import MemoryQueue
from tests.pipe.test_live import Gate, Taker, payloads, until


class Same(Pipe):
    work = stage(lambda item: item.payload)


class Inverse(Pipe):
    """Halts at zero."""

    @stage
    def divide(item: Any) -> Any:  # noqa: N805
        return 100 // item.payload


class Halves(Pipe):
    split = router(odd=lambda item: item.payload % 2 == 1)


OFTEN = {"max_restarts": 1000, "max_seconds": 1.0}


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.open.set()


# -- when an element is done -----------------------------------------------------------


def test_an_element_is_done_when_its_function_has_returned(gate: Gate) -> None:
    """Not before."""
    queue = MemoryQueue([1])
    began = threading.Event()

    def into(items: Any) -> None:
        began.set()
        gate.open.wait(10)

    pipe = start_pipe(Same, source=queue, into=into)
    assert began.wait(10)
    time.sleep(0.05)
    assert not queue.done
    gate.open.set()
    queue.wait_until(lambda: queue.done == {0: 1})
    assert pipe.drain(10)
    assert (queue.runs, queue.closed) == (1, 1)


def test_an_element_whose_output_nobody_wants_is_done() -> None:
    """As one that a table has."""

    class Kept(Store):
        numbers = Table()

    class Pairs(Pipe):
        pair = stage(lambda item: (item.payload, -item.payload))
        split = router(odd=lambda item: item.payload[0] % 2 == 1)
        stores = [Kept]

    queue = MemoryQueue(range(10))
    pipe = start_pipe(Pairs, source=queue, into={"odd": Kept.numbers})
    queue.wait_until(lambda: queue.done.total() == 10)
    assert sorted(Kept.numbers.items()) == [(number, -number) for number in range(1, 10, 2)]
    assert pipe.drain(10)


def test_an_element_is_done_when_a_consumer_stage_has_taken_it() -> None:
    """And the pipe is drained then, and not earlier."""
    found: list[Any] = []
    consumer = Taker.start(found, manual=True)
    queue = MemoryQueue(range(10))
    pipe = start_pipe(Same, source=queue, into=consumer)
    until(lambda: pipe.status().items_in == 10)
    assert not pipe.drain(0.2)
    assert not queue.done
    other = Taker.start(found)
    other.run(_subscribe, pipe.producer())
    assert pipe.drain(10)
    assert found == list(range(10))
    assert queue.done.total() == 10
    assert pipe.status().outputs == {"default": 10}
    for ref in (consumer, other):
        ref.stop()


def _subscribe(taker: Any, producer: Ref) -> None:
    from slither_actors.stages import async_subscribe

    async_subscribe(taker.ref, to=producer, cancel="temporary")


def test_what_no_consumer_took_from_a_run_that_halted_comes_again_once() -> None:
    """It is not kept beside."""
    found: list[Any] = []
    consumer = Taker.start(found, manual=True)
    queue = MemoryQueue([1, 2, 4])
    pipe = start_pipe(Inverse, source=queue, into=consumer, **OFTEN)
    until(lambda: pipe.status().items_in == 3)
    time.sleep(0.05)
    pipe._life.run.kill()  # type: ignore[union-attr]
    queue.wait_until(lambda: queue.runs == 2)
    other = Taker.start(found)
    other.run(_subscribe, pipe.producer())
    queue.wait_until(lambda: queue.done.total() == 3)
    assert sorted(found) == [25, 50, 100]
    assert pipe.drain(10)
    for ref in (consumer, other):
        ref.stop()


def test_the_producer_of_an_output_that_is_killed_is_started_anew() -> None:
    """With a run, which has what waited there back."""
    found: list[Any] = []
    consumer = Taker.start(found)
    queue = MemoryQueue(range(5))
    pipe = start_pipe(Same, source=queue, into=consumer, **OFTEN)
    queue.wait_until(lambda: queue.done.total() == 5)
    pipe.producer().kill()
    queue.wait_until(lambda: queue.runs == 2)
    assert "output 'default' has ended" in pipe.status().last_error
    queue.put(range(5, 10))
    queue.wait_until(lambda: queue.done.total() == 10)
    assert found == list(range(10))
    assert pipe.drain(10)
    consumer.stop()


# -- runs that end early ---------------------------------------------------------------


def test_what_was_in_a_run_that_halted_is_read_again_by_the_next_one() -> None:
    """Only the element at fault has failed; none is lost, and none is told as such."""
    lost: list[Any] = []
    found: list[Any] = []
    queue = MemoryQueue([*range(1, 50), 0, *range(50, 100)], gives_up=True)
    with telemetry.attach("slither.pipe.lost", lambda *event: lost.append(event)):
        pipe = start_pipe(Inverse, source=queue, into=found.extend)
        queue.wait_until(lambda: len(queue.done) == 99)
        assert pipe.drain(10)
    assert {token for token, _ in queue.failed} == {49}
    assert isinstance(queue.failed[0][1], ZeroDivisionError)
    assert set(payloads(found)) == {100 // number for number in range(1, 100)}
    status = pipe.status()
    assert (status.lost, lost) == (0, [])
    assert status.given_back >= len(queue.given_back) > 0
    assert status.restarts == 1


def test_what_a_function_raised_for_has_failed() -> None:
    """The rest of the run comes back."""
    queue = MemoryQueue(["bad"])

    def into(items: Any) -> None:
        raise ValueError("no good")

    pipe = start_pipe(Same, source=queue, into=into, max_restarts=1)
    until(lambda: pipe.status().state == "stopped")
    assert [str(error) for _, error in queue.failed] == ["no good", "no good"]
    assert pipe.stop(10)
    assert (len(queue.waiting), queue.out) == (1, {})


@pytest.mark.parametrize("killed", ["run", "source", "work", "reader", "input"])
def test_an_actor_of_the_run_that_is_killed_loses_nothing(killed: str) -> None:
    """Whichever it is."""

    class Slow(Pipe):
        @stage
        def work(item: Any) -> Any:  # noqa: N805
            time.sleep(0.0001)
            return item.payload

    found: Counter[Any] = Counter()
    queue = MemoryQueue(range(1000))
    pipe = start_pipe(
        Slow, source=queue, into=lambda items: found.update(payloads(items)), name="victim", **OFTEN
    )
    until(lambda: found)
    actors_of(pipe)[killed].kill()
    queue.wait_until(lambda: len(queue.done) == 1000)
    assert pipe.drain(10)
    assert found.keys() == set(range(1000))
    assert queue.out == {}
    status = pipe.status()
    if killed != "input":  # which is dead when its handler has returned
        assert status.record is not None
        assert status.items_in > status.record.items_in  # those of the first run, too


def actors_of(pipe: Any) -> dict[str, Ref]:
    """Those of the present run, by name."""
    run = pipe._life.run
    found: dict[str, Ref] = {"run": run, **dict(run.run(stages_of))}
    inputs = [cell.ref for cell in live_cells() if cell.ref.actor_class is _Input]
    return {**found, "input": inputs[0]} if inputs else found


def test_stop_gives_back_what_is_not_finished(gate: Gate) -> None:
    """It has let go of the source when it returns; another pipe may go on with it."""

    class Waiting(Pipe):
        wait = stage(gate)

    queue = MemoryQueue(range(10))
    pipe = start_pipe(Waiting, source=queue)
    until(lambda: pipe.status().items_in == 10)
    threading.Timer(0.1, gate.open.set).start()
    assert pipe.stop(10)
    assert (queue.out, queue.closed) == ({}, 1)
    assert len(queue.waiting) + len(queue.done) == 10
    assert pipe.status().lost == 0
    again = start_pipe(Same, source=queue)
    queue.wait_until(lambda: len(queue.done) == 10)
    assert again.drain(10)


def test_drain_waits_for_acknowledgements_and_reads_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly they are taken, within its time; the run itself may be over before."""
    monkeypatch.setattr(_ack_keeper, "_CLOSE_SECONDS", 0.05)

    class Slow(MemoryQueue):
        def acknowledge(self, acks: Any) -> None:
            time.sleep(0.3)
            super().acknowledge(acks)

    queue = Slow(range(10))
    queue.ack_seconds = 10.0
    pipe = start_pipe(Same, source=queue)
    until(lambda: pipe.status().items_in == 10)
    threading.Timer(0.05, queue.put, [range(10, 20)]).start()
    assert not pipe.drain(0.1)
    assert not queue.done
    assert pipe.drain(10)
    assert set(range(10)) <= queue.done.keys()
    assert queue.out == {}
    assert queue.closed == 1


def test_a_paused_pipe_reads_nothing_and_goes_on_where_it_was() -> None:
    """Also what came while it was being paused waits."""
    found: list[Any] = []
    queue = MemoryQueue([])
    pipe = start_pipe(Same, source=queue, into=found.extend)
    queue.wait_until(lambda: queue.runs == 1)
    pipe.pause()
    queue.put(range(100))
    time.sleep(0.1)
    assert found == []
    assert len(queue.waiting) >= 99
    assert pipe.status().state == "paused"
    pipe.resume()
    queue.wait_until(lambda: len(queue.done) == 100)
    assert payloads(found) == list(range(100))
    assert queue.runs == 1
    pipe.pause()
    queue.put([100])
    assert pipe.stop(10)
    assert [token for token, _ in queue.waiting] == [100]


def test_a_run_reads_when_the_one_before_it_has_let_go_of_the_source() -> None:
    """However long that takes."""

    class Slow(MemoryQueue):
        def close(self) -> None:
            time.sleep(0.2)
            super().close()

    queue = Slow(range(100))
    pipe = start_pipe(Same, source=queue, **OFTEN)
    for run in range(1, 4):
        queue.wait_until(lambda run=run: queue.runs == run)
        if run < 3:
            pipe._life.run.kill()  # type: ignore[union-attr]
    queue.wait_until(lambda: len(queue.done) == 100)
    assert pipe.drain(10)
    assert queue.closed == queue.runs == 3


def test_a_source_of_a_run_that_was_killed_is_told_to_end() -> None:
    """Though nothing comes that would wake it."""
    queue = MemoryQueue([])
    pipe = start_pipe(Same, source=queue, **OFTEN)
    queue.wait_until(lambda: queue.runs == 1)
    old = actors_of(pipe)["input"]
    pipe._life.run.kill()  # type: ignore[union-attr]
    queue.wait_until(lambda: queue.runs == 2)
    until(lambda: not old.is_alive() and old._cell.id not in zombie_cells)
    assert pipe.drain(10)


def test_what_is_delivered_after_the_end_of_its_run_goes_back_at_once() -> None:
    """`deliveries` may block past it."""
    blocks, told = threading.Event(), threading.Event()
    acks: list[Any] = []

    class Late(AckSource):
        ack_seconds = 0.01

        def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
            blocks.set()
            stopping.wait(10)
            told.wait(10)
            yield Delivery("late", 7)

        def acknowledge(self, each: Any) -> None:
            acks.extend(each)

    pipe = start_pipe(Same, source=Late())
    assert blocks.wait(10)
    assert pipe.stop(10)
    told.set()
    until(lambda: acks)
    assert [(ack.token, ack.interrupted) for ack in acks] == [(7, True)]


# -- the end of the source -------------------------------------------------------------


def test_the_end_of_the_source_is_that_of_a_transient_pipe() -> None:
    """All is acknowledged by then."""
    queue = MemoryQueue(range(100), ends=True)
    pipe = start_pipe(Same, source=queue, restart="transient")
    assert pipe.ref.join(10)
    assert len(queue.done) == 100
    assert pipe.status().restarts == 0


def test_a_permanent_pipe_reads_on_after_the_end_of_its_source() -> None:
    """With the next run."""
    queue = MemoryQueue([1], ends=True)
    pipe = start_pipe(Same, source=queue, restart="permanent", **OFTEN)
    queue.wait_until(lambda: queue.runs >= 2)
    queue.put([2])
    queue.wait_until(lambda: len(queue.done) == 2)
    assert pipe.stop(10)


def test_nobody_pushes_into_a_pipe_with_a_source() -> None:
    """The error says why."""
    pipe = start_pipe(Same, source=MemoryQueue([]))
    with pytest.raises(OptionError, match="feeds this pipe"):
        pipe.push([1])
    assert pipe.stop(10)


def test_an_idle_pipe_over_a_source_is_drained_at_once() -> None:
    """Its input is told to end."""
    queue = MemoryQueue([])
    pipe = start_pipe(Same, source=queue)
    queue.wait_until(lambda: queue.runs == 1)
    began = time.monotonic()
    assert pipe.drain(10)
    assert time.monotonic() - began < 0.4


# -- chance ----------------------------------------------------------------------------


class Parts(Pipe):
    """One to many, batches, and two outputs."""

    both = stage(lambda item: Many([(item.payload, "a"), (item.payload, "b")]))
    note = workers(ThreadExecutor(lambda pairs: pairs), batch_size=7, batch_timeout=0.01)
    split = router(a=lambda item: item.payload[1] == "a")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_pipe_whose_actors_are_killed_at_random_loses_nothing(seed: int, tmp_path: Path) -> None:
    """Each element is done, with all its parts; none is left with a run that is gone."""
    chance = random.Random(seed)
    found: Counter[Any] = Counter()
    queue = SqliteQueue(tmp_path / "q.db", poll_seconds=0.01, retry_seconds=0.02, max_failures=1000)
    queue.put(range(1000))
    pipe = start_pipe(Parts, source=queue, into=lambda items: found.update(payloads(items)), **OFTEN)
    killed = 0
    deadline = time.monotonic() + 30
    while len(found) < 2000:
        assert time.monotonic() < deadline, (pipe.status(), queue.statistics())
        time.sleep(chance.uniform(0.0, 0.03))
        if pipe._life.run is not None and killed < 25:
            try:
                actors = actors_of(pipe)
            except Exception:  # noqa: BLE001, S112 - it ends just now
                continue
            actors[chance.choice(sorted(actors))].kill()
            killed += 1
    assert pipe.drain(10)
    assert found.keys() == {(number, part) for number in range(1000) for part in "ab"}
    left = queue.statistics()
    assert (left.waiting, left.delivered, left.dead) == (0, 0, 0)
    assert pipe.status().lost == 0
