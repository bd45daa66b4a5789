"""A slow input does not wait for a full batch."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import FixedBatch, InlineExecutor, KeyPartition, WeightedBatch
from tests.dispatch.manual import SECONDS, Manual, in_thread, payloads, statistics

pytestmark = pytest.mark.usefixtures("application")

inline = InlineExecutor(lambda batch: batch)
SOON = 0.02
NEVER = 3600.0


class Fed:
    """An input that the test feeds. None ends it."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Any]:
        while (value := self.queue.get(timeout=SECONDS)) is not None:
            yield value


OPTIONS: list[dict[str, Any]] = [
    {"batch_size": 100, "batch_timeout": SOON},
    {"strategy": FixedBatch(100, batch_timeout=SOON)},
    {"strategy": WeightedBatch(max_weight=1000, weight=lambda item: 1, batch_timeout=SOON)},
    {"strategy": KeyPartition(key=lambda item: item.payload % 2, batch_timeout=SOON)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["option", "fixed", "weighted", "by key"])
def test_an_item_comes_out_although_no_other_follows(options: Any) -> None:
    """Its batch goes when it has waited long enough."""
    fed = Fed()
    with dispatch.stream(fed, executor=inline, **options) as stream:
        for value in range(1, 4):
            fed.queue.put(value)
            assert next(stream).payload == value
        fed.queue.put(None)
        assert list(stream) == []


@pytest.mark.parametrize("batch_timeout", [None, NEVER])
def test_without_a_timeout_or_before_it_a_batch_waits_until_it_is_full(batch_timeout: Any) -> None:
    """Or for the end of the input."""
    fed = Fed()
    options = {"batch_size": 3, "batch_timeout": batch_timeout}
    with Manual() as manual, in_thread(dispatch.run, fed, executor=manual, **options) as result:
        for value in (1, 2, 3, 4):
            fed.queue.put(value)
        first = manual.next()
        assert first.payloads == [1, 2, 3]
        first.succeed([1, 2, 3])
        fed.queue.put(None)
        last = manual.next()
        assert last.payloads == [4]
        last.succeed([4])
        assert payloads(result.result(SECONDS)) == [1, 2, 3, 4]


def test_while_there_is_no_room_a_batch_is_filled_further() -> None:
    """What cannot start anyway goes later, and fuller; nothing is read beyond the window."""
    fed = Fed()
    options = {"batch_size": 3, "batch_timeout": SOON, "max_in_flight": 2}
    with Manual() as manual, in_thread(dispatch.run, fed, executor=manual, **options) as result:
        fed.queue.put(1)
        one = manual.next()
        fed.queue.put(2)
        two = manual.next()
        assert (one.payloads, two.payloads) == ([1], [2])
        for value in range(3, 12):
            fed.queue.put(value)
        # Six were asked for when nothing was there, and four of them come behind what runs.
        while statistics(one).items_in < 6:
            pass
        seen = statistics(one)
        assert (seen.window.running, seen.items_in) == (2, 6)
        one.succeed([1])
        assert manual.next().payloads == [3, 4, 5]
        manual.close()
        fed.queue.put(None)
        with pytest.raises(Exception, match="the test is over"):
            result.result(SECONDS)


def test_no_timer_runs_while_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a timeout that full batches never meet there is at most one, and without one there is none."""
    from slither_actors.dispatch import DispatchRunner

    set_timers: list[float] = []
    run_after = DispatchRunner.run_after

    def noted(self: Any, seconds: float, *args: Any) -> Any:
        set_timers.append(seconds)
        return run_after(self, seconds, *args)

    monkeypatch.setattr(DispatchRunner, "run_after", noted)
    dispatch.run(range(1000), executor=inline, batch_size=10, timeout=None)
    assert set_timers == []
    dispatch.run(range(1000), executor=inline, batch_size=10, batch_timeout=NEVER, timeout=None)
    assert set_timers == []
    dispatch.run(iter(range(1005)), executor=inline, batch_size=10, batch_timeout=NEVER, timeout=None)
    assert len(set_timers) <= 1


def test_no_timer_runs_while_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is late looks again when another one is done, and does not spin until then."""
    from slither_actors.dispatch import DispatchRunner

    fed = Fed()
    options: Any = {"batch_size": 3, "batch_timeout": 1e-6, "max_in_flight": 1, "timeout": None}
    with Manual() as manual, in_thread(dispatch.run, fed, executor=manual, **options) as result:
        fed.queue.put(1)
        one = manual.next()
        fed.queue.put(2)
        while statistics(one).pending < 1:
            pass
        set_timers: list[float] = []
        run_after = DispatchRunner.run_after
        monkeypatch.setattr(
            DispatchRunner,
            "run_after",
            lambda self, seconds, *args: (set_timers.append(seconds), run_after(self, seconds, *args))[1],
        )
        for _ in range(300):
            statistics(one)
        assert len(set_timers) <= 1
        one.succeed([1])
        two = manual.next()
        assert two.payloads == [2]
        fed.queue.put(None)
        two.succeed([2])
        assert payloads(result.result(SECONDS)) == [1, 2]
