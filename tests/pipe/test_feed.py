"""The feed of a pipe that runs on: what is handed to which run."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.core import RateLimit
from slither_actors.errors import PipeStoppedError, PushTimeoutError
from slither_actors.pipe._feed import Feed
from slither_actors.pipe._gate import Gate


class Source:
    """Stands for the ref of a run's source."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def send(self, function: Any, items: Any) -> None:
        self.got += items


def feed_of(source: Any, room: int, gate: Gate | None = None) -> Feed:
    feed = Feed("P", gate or Gate(None))
    feed.attach(source)
    feed.granted(source, room)
    return feed


def test_a_push_hands_over_what_is_wanted() -> None:
    """And the error says how much that was."""
    source = Source()
    feed = feed_of(source, 3)
    with pytest.raises(PushTimeoutError) as info:
        feed.push([1, 2, 3, 4], 0.01)
    assert (source.got, info.value.pushed) == ([1, 2, 3], 3)


def test_a_run_that_has_ended_is_handed_nothing() -> None:
    """Whatever it wanted: its items would be lost unseen."""
    source: Any = Source()
    feed = feed_of(source, 3)
    feed.push([1], 1)
    assert feed.detach(source) == 1
    with pytest.raises(PushTimeoutError):
        feed.push([2], 0.01)
    assert source.got == [1]


def test_demand_of_a_run_that_has_ended_does_not_count() -> None:
    """It may come late."""
    first: Any = Source()
    second: Any = Source()
    feed = feed_of(first, 3)
    feed.attach(second)
    feed.granted(first, 5)
    with pytest.raises(PushTimeoutError):
        feed.push([1], 0.01)
    feed.granted(second, 1)
    feed.push([1], 1)
    assert (first.got, second.got) == ([], [1])


def test_a_feed_that_is_held_hands_over_nothing() -> None:
    """Until it is let go."""
    source = Source()
    gate = Gate(None)
    feed = feed_of(source, 3, gate)
    gate.hold(True)
    with pytest.raises(PushTimeoutError, match="paused"):
        feed.push([1], 0.01)
    gate.hold(False)
    assert feed.push([1], 1) == 1


def test_what_another_push_has_used_up_of_a_limit_is_not_there() -> None:
    """Between the wait of a push and what it hands over others may come."""
    source = Source()
    feed = feed_of(source, 5, Gate(RateLimit(3, 60)))
    assert feed.push([1, 2], 1) == 2
    assert feed._send([3, 4, 5]) == 1
    assert source.got == [1, 2, 3]


def test_a_closed_feed_says_why() -> None:
    """The first word counts."""
    feed = feed_of(Source(), 3)
    feed.close("has stopped")
    feed.close("was killed")
    with pytest.raises(PipeStoppedError, match="has stopped"):
        feed.push([1], None)
