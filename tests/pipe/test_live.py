"""`start_pipe`: pipes that run on, fed by pushes or a producer, restarted by policy."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors import (
    Consumer,
    InlineExecutor,
    Item,
    Pipe,
    Producer,
    Store,
    Table,
    router,
    stage,
    start_pipe,
    telemetry,
    workers,
)
from slither_actors.application._tree import drain
from slither_actors.errors import OptionError, PipeStoppedError, PushTimeoutError
from tests.pipe.ack_sources import ListSource


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


def until(true: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    deadline = time.monotonic() + 10
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found


def restarted(pipe: Any) -> bool:
    """Whether it runs again."""
    status = pipe.status()
    return status.restarts == 1 and status.state == "running"


class Inverse(Pipe):
    """Fails at zero."""

    split = router(odd=lambda item: item.payload % 2)
    divide = workers(InlineExecutor(lambda batch: [100 // each for each in batch]), batch_size=1)


class Same(Pipe):
    work = stage(lambda item: item.payload)


class Counting(Producer):
    """Counts as far as it is asked."""

    def init(self, end: int | None = None, fail_at: int | None = None) -> None:
        self.next = 0
        self.end = end
        self.fail_at = fail_at

    def handle_demand(self, demand: int) -> list[int]:
        found = list(range(self.next, self.next + demand))
        if self.end is not None:
            found = [each for each in found if each < self.end]
        if self.fail_at in found:
            raise OSError(self.fail_at)
        self.next += len(found)
        if self.next == self.end:
            self.complete()
        return found


class Taker(Consumer):
    """Takes what it gets; asks for nothing if it is told so."""

    def init(self, found: list[Any], *, manual: bool = False) -> None:
        self.found = found
        self.manual = manual

    def handle_subscribe(self, role: str, options: Any, source: Any) -> str | None:
        return "manual" if self.manual else None

    def handle_events(self, events: Any, source: Any) -> None:
        self.found += payloads(events)


class Gate:
    """A stage's function that waits until it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, item: Any) -> Any:
        self.open.wait(20)
        return item.payload


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.open.set()


# -- pushing -------------------------------------------------------------------------


def test_pushed_items_reach_the_destination_of_their_output() -> None:
    """In order, over many pushes."""
    odd: list[Any] = []
    even: list[Any] = []
    pipe = start_pipe(Inverse, into={"odd": odd.extend, "default": even.extend})
    for number in range(1, 6):
        assert pipe.push([number]) == 1
    assert pipe.drain(10)
    assert (payloads(odd), payloads(even)) == ([1, 3, 5], [50, 25])


def test_drain_finishes_what_was_pushed_and_ends() -> None:
    """Whatever the restart policy."""
    found: list[Any] = []
    pipe = start_pipe(Same, into=found.extend)
    assert pipe.push(range(5000)) == 5000
    assert pipe.drain(10)
    assert payloads(found) == list(range(5000))
    status = pipe.status()
    assert (status.state, status.why, status.items_in, status.lost) == ("stopped", "was drained", 5000, 0)
    assert status.outputs == {"default": 5000}


def test_a_push_waits_for_demand(gate: Gate) -> None:
    """And reads its input no further than there is room."""

    class P(Pipe):
        work = stage(gate)

    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(20_000):
            read.append(number)
            yield number

    pipe = start_pipe(P)
    thread = threading.Thread(target=pipe.push, args=(numbers(),))
    thread.start()
    until(lambda: pipe.status().waiting)
    assert 1000 <= len(read) <= 5000
    gate.open.set()
    thread.join(20)
    assert len(read) == 20_000
    assert pipe.drain(10)


def test_a_slow_input_of_a_push_is_passed_on_as_it_comes() -> None:
    """An item does not wait for the next one."""
    found: list[Any] = []

    def numbers() -> Iterator[int]:
        for number in range(3):
            until(lambda number=number: len(found) == number)
            yield number

    pipe = start_pipe(Same, into=found.extend)
    assert pipe.push(numbers(), timeout=10) == 3
    assert pipe.drain(10)


def test_a_push_that_waits_too_long_says_how_many_were_taken(gate: Gate) -> None:
    """Those are on their way; the others are the caller's."""

    class P(Pipe):
        work = stage(gate)

    pipe = start_pipe(P)
    with pytest.raises(PushTimeoutError, match="slower than the push") as info:
        pipe.push(range(100_000), timeout=0.05)
    assert info.value.pushed >= 1000
    gate.open.set()
    assert pipe.drain(10)
    assert pipe.status().items_in == info.value.pushed


def test_items_that_left_another_pipe_are_inputs_like_any_other() -> None:
    """With their ids, and bound for no output yet."""
    first: list[Any] = []
    second: list[Any] = []
    pipe = start_pipe(Inverse, name="first", into={"odd": first.extend})
    other = start_pipe(Same, name="second", into=second.extend)
    pipe.push([7])
    until(lambda: first)
    other.push(first)
    assert other.drain(10)
    assert [(item.id, item.payload, item.route) for item in second] == [(first[0].id, 7, "default")]
    pipe.stop(10)


def test_a_push_into_a_stopped_pipe_is_an_error() -> None:
    """Which says why."""
    pipe = start_pipe(Same)
    assert pipe.stop(10)
    with pytest.raises(PipeStoppedError, match="'Same' has stopped; it took 0 items"):
        pipe.push([1])


def test_stopping_ends_the_pushes_that_wait(gate: Gate) -> None:
    """They know how many of their items were taken."""
    errors: list[PipeStoppedError] = []

    class P(Pipe):
        work = stage(gate)

    pipe = start_pipe(P)

    def push() -> None:
        try:
            pipe.push(itertools.count())
        except PipeStoppedError as error:
            errors.append(error)

    thread = threading.Thread(target=push)
    thread.start()
    until(lambda: pipe.status().waiting)
    gate.open.set()
    pipe.stop(10)
    thread.join(10)
    assert errors[0].pushed >= 1000


# -- pausing ----------------------------------------------------------------------------


def test_a_paused_pipe_takes_nothing_until_it_is_resumed() -> None:
    """What it had goes on its way."""
    found: list[Any] = []
    pipe = start_pipe(Same, into=found.extend)
    pipe.push([1])
    until(lambda: found)
    pipe.pause()
    assert pipe.status().state == "paused"
    with pytest.raises(PushTimeoutError, match=r"it is paused: call resume\(\)"):
        pipe.push([2], timeout=0.02)
    pipe.resume()
    pipe.push([3])
    assert pipe.drain(10)
    assert payloads(found) == [1, 3]


def test_a_paused_pipe_asks_its_producer_for_nothing() -> None:
    """And goes on where it was."""
    found: list[Any] = []
    pipe = start_pipe(Same, source=Counting, into=found.extend)
    until(lambda: len(found) > 5000)
    pipe.pause()
    until(lambda: pipe.status().in_flight == 0)
    time.sleep(0.05)
    stopped_at = len(found)
    time.sleep(0.05)
    assert len(found) == stopped_at
    pipe.resume()
    until(lambda: len(found) > stopped_at)
    pipe.stop(10)
    assert payloads(found) == list(range(len(found)))


# -- producers ----------------------------------------------------------------------------


def test_a_producer_that_runs_feeds_a_pipe() -> None:
    """Its end is that of the pipe, if that is not permanent."""
    found: list[Any] = []
    pipe = start_pipe(Same, source=Counting.start(3000), into=found.extend, restart="transient")
    assert pipe.ref.join(10)
    assert payloads(found) == list(range(3000))
    assert pipe.status().state == "stopped"


def test_a_pipe_with_a_producer_is_drained() -> None:
    """Everything that it took comes out, and no more is taken."""
    found: list[Any] = []
    pipe = start_pipe(Same, source=Counting, into=found.extend)
    until(lambda: found)
    assert pipe.drain(10)
    assert payloads(found) == list(range(len(found)))
    assert pipe.status().lost == 0


def test_a_producer_that_fails_is_restarted_with_the_run() -> None:
    """By the policy of its spec, until the pipe gives up."""
    found: list[Any] = []
    spec = Counting.child_spec(None, 5000)
    pipe = start_pipe(Same, source=spec, into=found.extend, max_restarts=4)
    assert pipe.ref.join(10)
    assert pipe.status().why.startswith("gave up")
    assert payloads(found).count(0) >= 2


def test_nobody_pushes_into_a_pipe_with_a_producer() -> None:
    """The error says so."""
    pipe = start_pipe(Same, source=Counting)
    with pytest.raises(OptionError, match="'source' feeds this pipe"):
        pipe.push([1])
    pipe.stop(10)


# -- restarts ------------------------------------------------------------------------------


def test_a_run_that_halts_is_restarted_and_its_items_are_told_as_lost() -> None:
    """By a signal, and in the status."""
    told: list[Any] = []
    found: list[Any] = []
    with telemetry.attach("slither.pipe.lost", lambda *args: told.append(args[2:])):
        pipe = start_pipe(Inverse, name="mine", into=found.extend)
        pipe.push([2, 4])
        until(lambda: len(found) == 2)
        pipe.push([0])
        until(lambda: restarted(pipe))
        pipe.push([10, 20])
        assert pipe.drain(10)
    assert payloads(found) == [50, 25, 10, 5]
    status = pipe.status()
    assert (status.items_in, status.lost, sum(status.outputs.values())) == (5, 1, 4)
    assert "ZeroDivisionError" in status.last_error
    [(measured, about)] = told
    assert measured["count"] == 1
    assert (about["pipe"], about["name"], about["exact"]) == ("Inverse", "mine", True)
    assert "ZeroDivisionError" in about["reason"]


def test_a_push_that_waits_goes_on_with_the_next_run() -> None:
    """None of what it has not handed over is lost, and each item is counted."""
    pipe = start_pipe(Inverse)
    numbers = [*range(2, 6002, 2), 0, *range(2, 6002, 2)]
    assert pipe.push(numbers, timeout=20) == len(numbers)
    assert pipe.drain(10)
    status = pipe.status()
    assert (status.restarts, status.items_in) == (1, len(numbers))
    assert sum(status.outputs.values()) + status.lost == len(numbers)


def test_a_killed_stage_restarts_the_run() -> None:
    """As a failure does."""
    found: list[Any] = []
    pipe = start_pipe(Same, into=found.extend)
    pipe.push([1])
    until(lambda: found)
    run: Any = pipe.ref.child("run")  # type: ignore[attr-defined]
    next(info.ref for info in run.which_children() if info.id == "work").kill()
    until(lambda: restarted(pipe))
    pipe.push([2])
    assert pipe.drain(10)
    assert payloads(found) == [1, 2]


@pytest.mark.parametrize("part", ["source", "work", "reader", "run"])
def test_whatever_is_killed_is_no_regular_end(part: str) -> None:
    """A transient pipe begins its next run, knows what the one before did, and has told how that ended."""
    ended: list[Any] = []
    found: list[Any] = []
    with telemetry.attach("slither.pipe.run.*", lambda event, *_: ended.append(event.rpartition(".")[2])):
        pipe = start_pipe(Same, restart="transient", into=found.extend)
        pipe.push([1])
        until(lambda: found)
        run: Any = pipe.ref.child("run")  # type: ignore[attr-defined]
        (run if part == "run" else next(i.ref for i in run.which_children() if i.id == part)).kill()
        until(lambda: restarted(pipe))
        pipe.push([2])
        assert pipe.drain(10)
    status = pipe.status()
    assert payloads(found) == [1, 2]
    assert (status.items_in, status.outputs, status.lost) == (2, {"default": 2}, 0)
    assert "ended from outside (killed)" in status.last_error
    assert ended == ["start", "exception", "start", "stop"]


def test_what_a_killed_run_had_taken_is_counted_as_lost(gate: Gate) -> None:
    """And told, when its stages are at their end."""

    class P(Pipe):
        work = stage(gate)

    told: list[Any] = []
    with telemetry.attach("slither.pipe.lost", lambda *args: told.append(args[2]["count"])):
        pipe = start_pipe(P)
        pipe.push(range(5))
        until(lambda: pipe.status().in_flight == 5)
        pipe.ref.child("run").kill()  # type: ignore[attr-defined]
        gate.open.set()
        until(lambda: told)
        pipe.push([6])
        assert pipe.drain(10)
    status = pipe.status()
    assert (status.items_in, status.lost + sum(status.outputs.values()), sum(told)) == (6, 6, status.lost)


def test_a_transient_pipe_restarts_a_run_that_halts() -> None:
    """Its end is no regular one."""
    pipe = start_pipe(Inverse, restart="transient")
    pipe.push([0])
    until(lambda: restarted(pipe))
    assert pipe.drain(10)


def test_a_temporary_pipe_is_not_restarted() -> None:
    """Its end is told to who pushes."""
    pipe = start_pipe(Inverse, restart="temporary")
    pipe.push([0])
    assert pipe.ref.join(10)
    with pytest.raises(PipeStoppedError):
        pipe.push([1])
    assert (pipe.status().state, pipe.status().restarts, pipe.status().lost) == ("stopped", 0, 1)


def test_a_pipe_that_halts_too_often_gives_up_alone() -> None:
    """Others run on, and can be started."""
    other = start_pipe(Same)
    pipe = start_pipe(Inverse, max_restarts=1, max_seconds=60)
    pipe.push([0])
    until(lambda: restarted(pipe))
    pipe.push([0])
    assert pipe.ref.join(10)
    assert pipe.status().why.startswith("gave up: child ")
    other.push([1])
    assert other.drain(10)


# -- destinations ---------------------------------------------------------------------------


class Squares(Store):
    rows = Table()


def test_a_table_gets_pairs() -> None:
    """Of key and value."""

    class P(Pipe):
        stores = (Squares,)
        work = stage(lambda item: (item.payload, item.payload**2))

    pipe = start_pipe(P, into=Squares.rows)
    pipe.push(range(4))
    assert pipe.drain(10)
    assert [Squares.rows.get(key) for key in range(4)] == [0, 1, 4, 9]


def test_a_consumer_stage_gets_an_output_as_it_asks() -> None:
    """What waits for it when the pipe is drained is taken."""
    found: list[Any] = []
    consumer = Taker.start(found)
    pipe = start_pipe(Inverse, into={"odd": consumer})
    pipe.push(range(1, 10_001, 2))
    assert pipe.drain(10)
    until(lambda: len(found) == 5000)
    assert found == list(range(1, 10_001, 2))
    consumer.stop()


def test_a_consumer_that_asks_for_nothing_holds_the_pipe_up() -> None:
    """So memory is bounded."""
    consumer = Taker.start([], manual=True)
    pipe = start_pipe(Same, into=consumer)
    with pytest.raises(PushTimeoutError) as info:
        pipe.push(itertools.count(), timeout=0.2)
    assert info.value.pushed <= 10_000
    pipe.stop(10)
    consumer.stop()


def test_a_function_that_raises_restarts_the_run() -> None:
    """What it was given counts as lost."""
    found: list[Any] = []

    def into(items: Any) -> None:
        if payloads(items) == [1]:
            raise OSError("disk full")
        found.extend(items)

    pipe = start_pipe(Same, into=into)
    pipe.push([1])
    until(lambda: restarted(pipe))
    pipe.push([2])
    assert pipe.drain(10)
    assert payloads(found) == [2]
    assert (pipe.status().lost, pipe.status().last_error) == (1, "into['default']: OSError: disk full")


# -- names, ends, idleness --------------------------------------------------------------------


def test_a_name_is_for_one_pipe_that_runs() -> None:
    """Afterwards it is free."""
    pipe = start_pipe(Same, name="mine")
    with pytest.raises(OptionError, match="'name' is 'mine', which another pipe has"):
        start_pipe(Same, name="mine")
    pipe.stop(10)
    start_pipe(Same, name="mine").stop(10)


def test_the_end_of_the_application_stops_its_pipes(application: Any) -> None:
    """And whoever pushes then is told."""
    pipe = start_pipe(Same)
    application.stop()
    with pytest.raises(PipeStoppedError):
        pipe.push([1])
    assert not pipe.ref.is_alive()


def test_an_application_that_drains_has_its_pipes_finish() -> None:
    """What was pushed comes out, and no more is taken."""
    found: list[Any] = []

    def slowly(batch: Any) -> Any:
        time.sleep(0.01)
        return batch

    class P(Pipe):
        work = workers(InlineExecutor(slowly), batch_size=1)

    pipe = start_pipe(P, into=found.extend)
    pipe.push(range(20))
    drain(10, lambda: False)
    assert payloads(found) == list(range(20))
    assert pipe.status().why == "was drained"


def test_an_idle_pipe_uses_no_processor_time() -> None:
    """Nobody polls: neither its stages nor a push that waits."""
    pipe = start_pipe(Same)
    pipe.push([1])
    pipe.pause()
    ended: list[Any] = []

    def push() -> None:
        with pytest.raises(PipeStoppedError) as info:
            pipe.push([2])
        ended.append(info)

    thread = threading.Thread(target=push)
    thread.start()
    until(lambda: pipe.status().waiting)
    time.sleep(0.1)
    used = time.process_time()
    time.sleep(1)
    assert time.process_time() - used < 0.02
    pipe.stop(10)
    thread.join(10)
    assert ended


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "'name' is ''; allowed is a text"),
        ({"restart": "often"}, "'restart' is 'often'"),
        ({"source": [1]}, r"'source' is \[1\]; allowed are the ref of a producer"),
        ({"into": 5}, "'into' is 5 for 'odd'; allowed are a function of a list of items"),
        ({"into": {"od": print}}, "'into' has the output 'od'; did you mean 'odd'"),
        ({"restarts": 5}, "'restarts' is unknown; did you mean 'restart'"),
        ({"metadata": 5}, "'metadata' is 5; allowed is a mapping"),
        ({"timeout": 5}, "'timeout' is unknown"),
    ],
)
def test_a_wrong_option_is_an_error(options: Any, message: str) -> None:
    """Before anything starts."""
    with pytest.raises(OptionError, match=message):
        start_pipe(Inverse, **options)


@pytest.mark.parametrize("followed", [False, True])
def test_a_function_may_empty_the_list_that_it_gets(followed: bool) -> None:
    """Its items are counted, paid for and done all the same."""
    found: list[int] = []

    def take(items: list[Item]) -> None:
        while items:
            found.append(items.pop(0).payload)

    source = ListSource(range(3000)) if followed else None
    pipe = start_pipe(Same, source=source, into=take, restart="transient")
    if source is None:
        pipe.push(range(3000), timeout=20)
        assert pipe.drain(20)
    else:
        assert pipe.ref.join(20)
        source.wait_until_closed()
        assert (len(source.errors), source.read) == (3000, 3000)
    status = pipe.status()
    assert (found, status.outputs["default"], status.lost) == ([*range(3000)], 3000, 0)
