"""`Slither.Dispatch`: batched fan-out, bounded and in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from slither_actors import Application, Context, DispatchError, InlineExecutor, Item, Retry, Route, dispatch
from slither_actors.dispatch import RunOptions, ThreadExecutor
from slither_actors.errors import OptionError, RemoteError
from tests.pipe import worker_code
from tests.slither import work
from tests.slither.reading import Reads, payloads

SECONDS = 20.0

inline = InlineExecutor(work.double)


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": 2}) as running:
        yield running


# -- run ---------------------------------------------------------------------------------


def test_run_returns_an_item_for_each_item() -> None:
    """`Slither.Dispatch.run/2`: with the result as its payload, and its id and metadata as they were."""
    items = [item.put_meta({"n": item.payload}) for item in Item.wrap_many([1, 2, 3])]
    results = dispatch.run(items, executor=work.double, batch_size=2)
    assert payloads(results) == [2, 4, 6]
    assert [(item.id, item.meta["n"]) for item in results] == [(item.id, item.payload) for item in items]


def test_run_takes_any_enumerable() -> None:
    """`Slither.Dispatch.run/2`: also what can be read only once; bare payloads are wrapped."""
    assert payloads(dispatch.run((number for number in range(5)), executor=inline)) == [0, 2, 4, 6, 8]


def test_batches_have_batch_size_items() -> None:
    """``:batch_size``: as many in each, the rest in the last one."""
    found = dispatch.run(range(5), executor=work.sizes, batch_size=2)
    assert payloads(found) == [(0, 2), (1, 2), (2, 2), (3, 2), (4, 1)]


def first_is_last(batches: int) -> ThreadExecutor:
    """An executor with whose threads the batch with the zero ends when all others have begun and ended."""
    ended = threading.Semaphore(0)

    def work(batch: Sequence[int]) -> list[int]:
        if 0 in batch:
            for _ in range(batches - 1):
                assert ended.acquire(timeout=SECONDS)
        else:
            ended.release()
        return list(batch)

    return ThreadExecutor(work, threads=2)


def test_results_keep_the_order_of_the_input() -> None:
    """``ordering: :preserve``: also where the first batch is done last."""
    assert payloads(dispatch.run(range(4), executor=first_is_last(4), batch_size=1)) == [0, 1, 2, 3]


def test_results_come_as_they_are_completed() -> None:
    """``ordering: :as_completed``: what is done comes first. Slither sorts the results of `run` again."""
    found = dispatch.run(range(4), executor=first_is_last(4), batch_size=1, ordering="as_completed")
    assert payloads(found) == [1, 2, 3, 0]


# -- backpressure ------------------------------------------------------------------------------


def test_no_more_than_max_in_flight_batches_run() -> None:
    """``:max_in_flight``: that many at one time, and when there is work, that many."""
    lock, running, most = threading.Lock(), 0, 0
    all_there = threading.Barrier(3)

    def measure(batch: Sequence[int]) -> list[int]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_there.wait(SECONDS)
        with lock:
            running -= 1
        return list(batch)

    dispatch.run(range(12), executor=ThreadExecutor(measure, threads=8), batch_size=1, max_in_flight=3)
    assert most == 3


def test_the_input_is_read_only_as_there_is_room() -> None:
    """Backpressure: an endless input is read no further than the batches that may run.

    Slither reads all of it before the first batch.
    """
    source = Reads()
    with dispatch.stream(source, executor=inline, batch_size=2, max_in_flight=2) as results:
        assert next(results).payload == 0
        assert source.read <= 16
        assert [next(results).payload for _ in range(20)] == [2 * number for number in range(1, 21)]
        assert source.read <= 40


def test_run_reads_its_input_while_batches_run() -> None:
    """Backpressure in `run`: nothing is read while every slot is taken. Slither reads all of it first."""
    source, first, seen = Reads(1000), threading.Event(), []

    def look(batch: Sequence[int]) -> list[int]:
        if not first.is_set():
            first.set()
            seen.append(source.read)
        return list(batch)

    dispatch.run(source, executor=ThreadExecutor(look, threads=1), batch_size=1, max_in_flight=1)
    assert source.read == 1000
    assert seen[0] <= 3


# -- stream ----------------------------------------------------------------------------------


def test_stream_begins_when_it_is_read() -> None:
    """`Slither.Dispatch.stream/2`: lazy; one that nobody reads does nothing."""
    source = Reads(3)
    stream = dispatch.stream(source, executor=inline)
    assert source.read == 0
    assert payloads(stream) == [0, 2, 4]


def test_stream_emits_as_batches_complete() -> None:
    """`Slither.Dispatch.stream/2`: the first results are there while a later batch still runs."""
    gate = threading.Event()

    def wait(batch: Sequence[int]) -> list[int]:
        assert 2 not in batch or gate.wait(SECONDS)
        return list(batch)

    executor = ThreadExecutor(wait, threads=2)
    with dispatch.stream(range(3), executor=executor, batch_size=1, max_in_flight=2) as results:
        assert [next(results).payload, next(results).payload] == [0, 1]
        gate.set()
        assert payloads(results) == [2]


def test_stream_takes_the_options_of_run() -> None:
    """`Slither.Dispatch.stream/2`: policies and strategies, too."""
    with dispatch.stream(
        [1, 7, 2], executor=InlineExecutor(work.reject_seven), batch_size=1, on_error="skip"
    ) as found:
        assert [(item.payload, bool(item.meta.get("skipped"))) for item in found] == [
            (1, False),
            (7, True),
            (2, False),
        ]


def test_a_stream_that_halts_has_yielded_what_was_complete() -> None:
    """`Slither.Dispatch.stream/2`: the error is raised where its results would come."""
    stream = dispatch.stream([1, 2, 7, 3], executor=InlineExecutor(work.reject_seven), batch_size=1)
    assert [next(stream).payload, next(stream).payload] == [1, 2]
    with pytest.raises(DispatchError) as caught:
        next(stream)
    assert isinstance(caught.value.reason, ValueError)


# -- call_batch -----------------------------------------------------------------------------


def test_call_batch_sends_one_batch_as_it_is() -> None:
    """`Slither.Dispatch.call_batch/2`: no strategy, whatever its size."""
    found = dispatch.call_batch(Item.wrap_many(range(100)), executor=work.sizes)
    assert payloads(found) == [(number, 100) for number in range(100)]


def test_call_batch_refuses_what_is_for_many_batches() -> None:
    """`Slither.Dispatch.call_batch/2`: a strategy would mean nothing there."""
    with pytest.raises(OptionError, match="'batch_size' has no meaning for one batch"):
        dispatch.call_batch([1], executor=inline, batch_size=2)


def test_call_batch_says_what_failed() -> None:
    """`Slither.Dispatch.call_batch/2`: an error with the reason."""
    with pytest.raises(DispatchError) as caught:
        dispatch.call_batch([7], executor=work.reject_seven)
    assert "seven" in str(caught.value.reason)


# -- options ----------------------------------------------------------------------------------


def test_the_defaults_are_those_of_slither() -> None:
    """The table of dispatch options, and ``config :slither, dispatch:``: 64, 8, preserve, halt, 30 s."""
    defaults = RunOptions(executor=inline)
    assert (defaults.batch_size, defaults.max_in_flight, defaults.ordering, defaults.timeout) == (
        64,
        8,
        "preserve",
        30.0,
    )
    assert type(defaults.on_error).__name__ == "Halt"
    assert attrs.fields_dict(RunOptions)["executor"].default is attrs.NOTHING


def test_the_executor_has_to_be_given() -> None:
    """``:executor``, required."""
    with pytest.raises(TypeError, match="executor"):
        dispatch.run([1])  # type: ignore[call-arg]


def test_a_wrong_option_is_an_error_before_anything_runs() -> None:
    """Options are checked, as by NimbleOptions there."""
    source = Reads(3)
    for options in ({"batch_size": 0}, {"ordering": "sorted"}, {"on_error": "ignore"}, {"batchsize": 3}):
        with pytest.raises(OptionError):
            dispatch.run(source, executor=inline, **options)
    assert source.read == 0


def test_the_context_is_made_or_given() -> None:
    """``:context``: the function has it; by default each run has a new one."""
    given = dispatch.run([1], executor=work.about_the_run, context=Context(session_id="mine"))
    assert given[0].payload[1] == "mine"
    made = [dispatch.run([1], executor=work.about_the_run)[0].payload[1] for _ in range(2)]
    assert made[0] != made[1]


# -- error policies -----------------------------------------------------------------------------


def test_skip_marks_the_items_of_a_failed_batch() -> None:
    """``on_error: :skip``: the run goes on, and failed items come back as they were, with the error."""
    results = dispatch.run([1, 7, 2, 3], executor=work.reject_seven, batch_size=2, on_error="skip")
    assert payloads(results) == [1, 7, 2, 3]
    assert [bool(item.meta.get("skipped")) for item in results] == [True, True, False, False]
    assert all("seven" in str(item.meta["error"]) for item in results[:2])


def test_halt_ends_the_run_with_what_was_complete() -> None:
    """``on_error: :halt``, the default: the reason, and the results up to the batch that failed."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1, 2, 7, 3], executor=work.reject_seven, batch_size=1, max_in_flight=1)
    assert isinstance(caught.value.reason, RemoteError)
    assert "ValueError: seven" in str(caught.value.reason)
    assert payloads(caught.value.partial_results) == [1, 2]


def test_halt_starts_no_more_batches() -> None:
    """``on_error: :halt``: what comes behind the failed batch is not even read."""
    source = Reads(1000)
    with pytest.raises(DispatchError):
        dispatch.run(source, executor=InlineExecutor(work.reject_seven), batch_size=1, max_in_flight=1)
    assert source.read < 20


def test_retry_runs_a_failed_batch_again(tmp_path: Path) -> None:
    """``on_error: {:retry, opts}``: there are attempts, with pauses. In Slither 0.1.0 it halts."""
    marks = [str(tmp_path / name) for name in "abc"]
    policy = Retry(max_attempts=2, backoff=0.001)
    results = dispatch.run(marks, executor=worker_code.fail_once, batch_size=1, on_error=policy)
    assert payloads(results) == ["a", "b", "c"]


def test_retry_ends_in_another_policy() -> None:
    """``on_error: {:retry, opts}``: when its attempts are used up; halt, if nothing else is said."""
    policy = Retry(max_attempts=2, backoff=0.001, then="skip")
    (item,) = dispatch.run([7], executor=work.reject_seven, on_error=policy)
    assert item.meta["skipped"]
    with pytest.raises(DispatchError):
        dispatch.run([7], executor=work.reject_seven, on_error=Retry(max_attempts=2, backoff=0.001))


def test_route_hands_failed_items_to_a_function() -> None:
    """``on_error: {:route, fun}``: with the reason; what it returns takes the place of the item."""

    def compensate(item: Item, reason: BaseException) -> Item:
        return item.update_payload((item.payload, type(reason).__name__)).put_route("failed")

    results = dispatch.run([1, 7], executor=work.reject_seven, batch_size=1, on_error=Route(compensate))
    assert [(item.payload, item.route) for item in results] == [
        (1, "default"),
        ((7, "RemoteError"), "failed"),
    ]


# -- what it is for ----------------------------------------------------------------------------


def test_workers_share_no_state() -> None:
    """No "shared-thread state races": each worker counts in a global of its own and loses nothing."""
    results = payloads(dispatch.run(range(200), executor=work.count_here, batch_size=5))
    counts: dict[int, list[int]] = {}
    for pid, count in results:
        counts.setdefault(pid, []).append(count)
    for seen in counts.values():
        assert sorted(seen) == list(range(min(seen), min(seen) + len(seen)))
    assert sum(map(len, counts.values())) == 200


def test_a_session_keeps_its_worker() -> None:
    """Affinity, "run-scoped", of Python state: the runs of a session go to the same worker."""
    context = Context(session_id="sticky")
    options: dict[str, Any] = {"executor": work.about_the_run, "context": context, "affinity": "strict_queue"}
    pids = {item.payload[0] for _ in range(3) for item in dispatch.run(range(4), batch_size=1, **options)}
    assert len(pids) == 1
    assert dispatch.end_session(context)
