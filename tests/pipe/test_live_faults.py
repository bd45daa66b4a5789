"""Pipes that run on, when things go wrong: kills, calls from their own stages, odd exceptions, pauses."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors import Consumer, Pipe, Producer, Store, Table, stage, start_pipe
from slither_actors.errors import ActorExitError, OptionError, PipeStoppedError, PushTimeoutError
from slither_actors.pipe import RunningPipe


def until(true: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    deadline = time.monotonic() + 10
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found


class Same(Pipe):
    work = stage(lambda item: item.payload)


class Numbers(Producer):
    def init(self) -> None:
        self.next = 0

    def handle_demand(self, demand: int) -> list[int]:
        self.next += demand
        return list(range(self.next - demand, self.next))


class Nobody(Consumer):
    def handle_events(self, events: Any, source: Any) -> None:
        pass


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    found = threading.Event()
    yield found
    found.set()


# -- kills ---------------------------------------------------------------------------


def run_of(pipe: RunningPipe) -> Any:
    return pipe.ref.child("run")  # type: ignore[attr-defined]


def test_a_run_whose_supervisor_is_killed_is_counted() -> None:
    """What came out of it stays in the figures, and what was in it is lost, not forgotten."""
    found: list[Any] = []
    pipe = start_pipe(Same, into=found.extend)
    pipe.push(range(100))
    until(lambda: len(found) == 100)
    run_of(pipe).kill()
    until(lambda: pipe.status().restarts == 1)
    pipe.push(range(50))
    assert pipe.drain(10)
    status = pipe.status()
    assert (status.items_in, status.outputs, status.lost) == (150, {"default": 150}, 0)
    assert "killed" in status.last_error


def test_what_a_killed_run_held_is_lost_and_counted(gate: threading.Event) -> None:
    """Also where one of its stages is inside a handler that does not return."""

    class P(Pipe):
        work = stage(lambda item: gate.wait(20) if item.payload == "wait" else item.payload)

    pipe = start_pipe(P)
    pipe.push([1, 2, 3])
    until(lambda: pipe.status().outputs["default"] == 3)
    pipe.push(["wait", 4])
    run_of(pipe).kill()
    until(lambda: pipe.status().restarts == 1)
    pipe.push([5])
    assert pipe.drain(10)
    status = pipe.status()
    assert (status.items_in, status.outputs["default"], status.lost) == (6, 4, 2)


def test_a_killed_reader_is_an_error_of_the_run() -> None:
    """The status says so, and a transient pipe goes on."""
    pipe = start_pipe(Same, restart="transient")
    pipe.push([1])
    until(lambda: pipe.status().outputs["default"])
    next(info.ref for info in run_of(pipe).which_children() if info.id == "reader").kill()
    until(lambda: pipe.status().restarts == 1)
    assert "killed" in pipe.status().last_error
    assert pipe.stop(10)


def test_pushes_from_many_threads_are_counted_whatever_is_killed() -> None:
    """Pushed is what came out and what was lost; nothing else, and nothing twice."""
    came = [0]
    pushed = [0]
    lock = threading.Lock()
    over = threading.Event()

    def into(items: Any) -> None:
        came[0] += len(items)  # one reader at a time

    pipe = start_pipe(Same, into=into, max_restarts=10**6)

    def push(seed: int) -> None:
        chance = random.Random(seed)
        while not over.is_set():
            numbers = range(chance.randint(1, 500))
            try:
                count = pipe.push(numbers, timeout=chance.choice([0, 0.001, 0.02]))
            except (PushTimeoutError, PipeStoppedError) as error:
                count = error.pushed
            with lock:
                pushed[0] += count

    threads = [threading.Thread(target=push, args=(seed,)) for seed in range(20)]
    for thread in threads:
        thread.start()
    chance = random.Random(1)
    for _ in range(25):
        time.sleep(chance.random() * 0.05)
        run = run_of(pipe)
        with contextlib.suppress(ActorExitError, AttributeError):  # it is between two runs
            actors = [run, *(info.ref for info in run.which_children() if info.ref is not None)]
            chance.choice(actors).kill()
    over.set()
    for thread in threads:
        thread.join(10)
    assert pipe.drain(10)
    status = pipe.status()
    assert pushed[0] == status.items_in == status.outputs["default"] + status.lost
    assert came[0] == status.outputs["default"]


# -- calls from within ---------------------------------------------------------------


def test_a_stage_that_pushes_into_its_own_pipe_is_told_when_there_is_no_room() -> None:
    """It would else wait for itself, for ever."""
    pipes: list[RunningPipe] = []

    class P(Pipe):
        work = stage(lambda item: pipes[0].push([1] * 3000))

    pipes.append(start_pipe(P, restart="temporary"))
    pipes[0].push([0])
    assert pipes[0].ref.join(10)
    assert "work: PushTimeoutError" in pipes[0].status().last_error
    assert "one of its own stages pushes" in pipes[0].status().last_error


@pytest.mark.parametrize("where", ["stage", "into"])
@pytest.mark.parametrize("how", ["drain", "stop"])
def test_a_pipe_may_be_ended_from_within(where: str, how: str) -> None:
    """Which does not wait: it would be for itself."""
    pipes: list[RunningPipe] = []
    returned: list[Any] = []

    def end(given: Any) -> Any:
        returned.append(getattr(pipes[0], how)())
        return given

    class P(Pipe):
        work = stage(lambda item: end(item.payload) if where == "stage" else item.payload)

    pipes.append(start_pipe(P, into=None if where == "stage" else end))
    pipes[0].push([1])
    assert pipes[0].ref.join(5)
    assert returned == [False]
    if how == "drain":
        assert pipes[0].status().outputs == {"default": 1}


def test_a_pipe_whose_results_are_pushed_into_another_one_is_stopped_at_once(gate: threading.Event) -> None:
    """Also while that one has no room: no actor is left behind."""

    class Stuck(Pipe):
        work = stage(lambda item: gate.wait(20))

    second = start_pipe(Stuck)
    first = start_pipe(Same, into=second.push)
    with pytest.raises(PushTimeoutError):
        first.push(range(100_000), timeout=0.3)
    began = time.monotonic()
    assert first.stop(10)
    assert time.monotonic() - began < 2
    gate.set()
    assert second.drain(10)


# -- odd ends ------------------------------------------------------------------------


def test_a_destination_that_raises_system_exit_has_failed() -> None:
    """As with any other exception: a transient pipe is restarted."""
    came: list[Any] = []

    def into(items: Any) -> None:
        if not came:
            came.append(items)
            raise SystemExit(3)

    pipe = start_pipe(Same, into=into, restart="transient")
    pipe.push([1])
    until(lambda: pipe.status().restarts == 1)
    assert pipe.status().last_error == "into['default']: SystemExit: 3"
    assert pipe.drain(10)


class Pairs(Store):
    rows = Table()


def test_a_table_that_gets_no_pairs_says_what_it_takes() -> None:
    """The error names the output, the item and what to do."""

    class P(Pipe):
        stores = (Pairs,)
        work = stage(lambda item: item.payload)

    pipe = start_pipe(P, into=Pairs.rows, restart="temporary")
    pipe.push([5])
    assert pipe.ref.join(10)
    error = pipe.status().last_error
    assert error.startswith("into['default']: TypeError: item ")
    assert "has the payload 5; a table takes pairs of key and value: have the last stage return" in error


def test_a_pause_does_not_undo_a_drain() -> None:
    """Whatever comes first."""
    pipe = start_pipe(Same, source=Numbers)
    until(lambda: pipe.status().items_in)
    pipe.drain(0)
    pipe.pause()
    assert pipe.ref.join(10)
    assert pipe.status().lost == 0


def test_pausing_and_resuming_in_two_threads_leaves_one_or_the_other() -> None:
    """The state that the status tells is the one that pushes find."""
    pipe = start_pipe(Same)

    def switch() -> None:
        for _ in range(300):
            pipe.pause()
            pipe.resume()

    threads = [threading.Thread(target=switch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert pipe.status().state == "running"
    assert pipe.push([1], timeout=5) == 1
    assert pipe.drain(10)


def test_what_has_ended_is_neither_source_nor_destination() -> None:
    """It is an error at once, and no row of restarts."""
    producer, consumer = Numbers.start(), Nobody.start()
    producer.stop()
    consumer.stop()
    with pytest.raises(OptionError, match="'source' is .* which has ended"):
        start_pipe(Same, source=producer)
    with pytest.raises(OptionError, match="'into' is .* for 'default', which has ended"):
        start_pipe(Same, into=consumer)
    with pytest.raises(
        OptionError, match="starting Same: option 'backoff' is 5; allowed are a Backoff, None"
    ):
        start_pipe(Same, backoff=5)


def test_a_wrong_timeout_ends_nothing() -> None:
    """The error names the pipe."""
    pipe = start_pipe(Same)
    with pytest.raises(OptionError, match="draining Same: option 'timeout' is -1"):
        pipe.drain(-1)
    with pytest.raises(OptionError, match="stopping Same: option 'timeout' is 'x'"):
        pipe.stop("x")  # type: ignore[arg-type]
    assert pipe.push([1], timeout=5) == 1
    assert pipe.drain(10)


# -- producers and consumers that end -------------------------------------------------


class Three(Producer):
    """Gives three numbers and ends."""

    def handle_demand(self, demand: int) -> list[int]:
        self.complete()
        return [1, 2, 3]


def test_what_a_producer_gave_before_its_end_is_not_lost() -> None:
    """A permanent pipe starts both again behind that, until it gives up."""
    found: list[Any] = []
    pipe = start_pipe(Same, source=Three, into=found.extend, max_restarts=2)
    assert pipe.ref.join(10)
    assert [item.payload for item in found] == [1, 2, 3] * 3
    assert (pipe.status().lost, pipe.status().why[:7]) == (0, "gave up")


def test_the_end_of_a_permanent_producer_is_that_of_a_transient_pipe() -> None:
    """Behind what it gave."""
    found: list[Any] = []
    pipe = start_pipe(Same, source=Three.child_spec(), into=found.extend, restart="transient")
    assert pipe.ref.join(10)
    assert [item.payload for item in found] == [1, 2, 3]
    assert (pipe.status().lost, pipe.status().restarts) == (0, 0)


class Slow(Consumer):
    def handle_subscribe(self, role: str, options: Any, source: Any) -> str | None:
        return "manual"  # and asks for nothing

    def handle_events(self, events: Any, source: Any) -> None:
        pass


def test_what_waits_for_a_consumer_is_in_flight_and_lost_with_a_stop() -> None:
    """It has not come to its destination."""
    consumer = Slow.start()
    pipe = start_pipe(Same, into=consumer)
    pipe.push(range(20))
    until(lambda: pipe.status().items_in == 20)
    assert (pipe.status().in_flight, pipe.status().outputs["default"]) == (20, 0)
    assert pipe.stop(10)
    consumer.stop()
    status = pipe.status()
    assert (status.in_flight, status.outputs["default"], status.lost) == (0, 0, 20)


def test_a_drain_does_not_wait_for_a_consumer_that_has_ended() -> None:
    """What it did not take is lost, and counted."""
    consumer = Slow.start()
    pipe = start_pipe(Same, into=consumer)
    pipe.push(range(20))
    until(lambda: pipe.status().in_flight == 20)
    assert not pipe.drain(0.05)
    consumer.stop()
    assert pipe.ref.join(10)
    assert pipe.status().lost == 20
