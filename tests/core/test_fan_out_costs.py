"""What an event costs in a fan-out: the same with many consumers, and after many events.

Steps are counted and not seconds: the lines that run in the core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from slither_actors.core import (
    BroadcastFanOut,
    DemandFanOut,
    FanOut,
    PartitionFanOut,
    RoundRobinFanOut,
    WeightedFanOut,
)


def steps_of(function: Callable[[], object]) -> int:
    """Count the lines that `function` runs in the core, and of what it calls there."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal steps
        if "slither_actors/core" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return steps


def clock() -> Callable[[], float]:
    """A clock that goes on by itself."""
    times: Iterator[int] = iter(range(10**9))
    return lambda: float(next(times))


KINDS: dict[str, Callable[[int], FanOut[int]]] = {
    "demand": lambda count: DemandFanOut(max_demand=10),
    "round robin": lambda count: RoundRobinFanOut(),
    "round robin by three": lambda count: RoundRobinFanOut(chunk_size=3),
    "weighted": lambda count: WeightedFanOut(clock()),
    "partition": PartitionFanOut,
    "shared partition": lambda count: PartitionFanOut(2, max_consumers=None),
    "bounded partition": lambda count: PartitionFanOut(count, buffer_size=50),
}


def loaded(kind: str, count: int) -> FanOut[int]:
    """With so many consumers, which have all asked for ten."""
    fan_out = KINDS[kind](count)
    options = {"max_demand": 10, "min_demand": 5}
    partitions = 2 if kind == "shared partition" else count
    for key in range(count):
        fan_out.subscribe(key, {**options, "partition": key % partitions})
    for key in range(count):
        fan_out.ask(key, 10)
    return fan_out


def work(fan_out: FanOut[int], count: int, rounds: int, size: int) -> None:
    """Dispatch lists of `size` events and ask for as many again, on behalf of those that got them."""
    at = 0
    for _ in range(rounds):
        deliveries, _ = fan_out.dispatch([(at + step) % count for step in range(size)])
        at += size
        for key, share in deliveries:
            fan_out.ask(key, len(share))
        for reask in [decision for decision in fan_out.outbox if hasattr(decision, "count")]:
            fan_out.ask(None, reask.count)
        fan_out.outbox.clear()


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_an_event_costs_the_same_with_a_thousand_consumers(kind: str, size: int) -> None:
    """As with ten, but for the logarithm that a heap takes, which is not ours to count.

    The factor is for the deliveries: dealt out to more consumers, a list becomes more of them.
    """
    costs = []
    for count in (10, 1000):
        fan_out = loaded(kind, count)
        work(fan_out, count, 400, size)
        costs.append(steps_of(lambda f=fan_out, n=count: work(f, n, 400, size)))  # type: ignore[misc]
    few, many = costs
    assert many < 4 * few


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_costs_the_same_after_many(kind: str) -> None:
    """Nothing piles up."""
    fan_out = loaded(kind, 10)
    first = steps_of(lambda: work(fan_out, 10, 500, 5))
    work(fan_out, 10, 5000, 5)
    assert steps_of(lambda: work(fan_out, 10, 500, 5)) < 1.3 * first


def test_a_broadcast_costs_a_consumer_the_same_with_a_thousand_of_them() -> None:
    """Every one of them gets every list, so it is the cost of a delivery that must not grow."""
    costs = []
    for count in (10, 1000):
        fan_out: BroadcastFanOut[int] = BroadcastFanOut()
        for key in range(count):
            fan_out.subscribe(key)
        for key in range(count):
            fan_out.ask(key, 20)

        def rounds(fan_out: BroadcastFanOut[int] = fan_out, count: int = count) -> None:
            for _ in range(5):
                fan_out.dispatch(range(4))
                for key in range(count):
                    fan_out.ask(key, 4)

        costs.append(steps_of(rounds) / count)
    assert costs[1] < 1.5 * costs[0]
