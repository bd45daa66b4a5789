"""The producer's buffer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.core import Buffer
from slither_actors.core._buffer import Keep
from slither_actors.errors import OptionError


def drain(buffer: Buffer) -> list[Any]:
    taken: list[Any] = []
    while buffer.length:
        events, infos = buffer.take(buffer.length)
        taken += [*events, *infos]
    return taken


def test_a_full_buffer_drops_the_oldest_by_default() -> None:
    """``keep="last"`` is a ring."""
    buffer = Buffer(3)
    assert buffer.store([1, 2]) == 0
    assert buffer.store([3, 4]) == 1
    assert drain(buffer) == [2, 3, 4]


def test_a_full_buffer_can_drop_the_newest() -> None:
    """``keep="first"`` refuses what does not fit."""
    buffer = Buffer(3, "first")
    buffer.store([1, 2])
    assert buffer.store([3, 4]) == 1
    assert drain(buffer) == [1, 2, 3]


@pytest.mark.parametrize(("keep", "kept"), [("first", [0, 10, 11]), ("last", [12, 13, 14])])
def test_one_list_larger_than_the_buffer_keeps_one_end(keep: Keep, kept: list[int]) -> None:
    """Dropping goes event by event and not list by list."""
    buffer = Buffer(3, keep)
    buffer.store([0])
    assert buffer.store(range(10, 15)) == 3
    assert drain(buffer) == kept


@pytest.mark.parametrize("keep", ["first", "last"])
def test_a_buffer_of_size_zero_keeps_nothing(keep: Keep) -> None:
    """It is valid: events without demand are then dropped."""
    buffer = Buffer(0, keep)
    assert buffer.store([1, 2]) == 2
    assert buffer.take(5) == ((), ())
    assert not buffer.store_info("now")


def test_no_size_is_no_limit() -> None:
    """A producer-consumer never drops what it made."""
    buffer = Buffer(None)
    for start in range(0, 100_000, 1000):
        assert buffer.store(range(start, start + 1000)) == 0
    assert drain(buffer) == list(range(100_000))


def test_a_buffer_that_blocks_keeps_all_and_says_when_it_is_full() -> None:
    """Its owner takes nothing in then; what one callback emits is kept whole."""
    buffer = Buffer(3, "block")
    assert buffer.store([1, 2]) == 0
    assert not buffer.is_full
    assert buffer.store([3, 4]) == 0
    assert buffer.is_full
    buffer.take(2)
    assert not buffer.is_full
    assert buffer.statistics().peak == 4


@pytest.mark.parametrize("keep", ["first", "last", "error"])
def test_others_are_never_full(keep: Keep) -> None:
    """They drop, or end the stage."""
    buffer = Buffer(1, keep)
    buffer.store([1])
    assert not buffer.is_full


def test_to_block_it_takes_a_size() -> None:
    """It would never be full without; of size 0 it is with the first event."""
    with pytest.raises(OptionError, match="buffer_size"):
        Buffer(None, "block")
    buffer = Buffer(0, "block")
    assert not buffer.is_full
    buffer.store([1])
    assert buffer.is_full


@pytest.mark.parametrize("size", [-1, 1.5, True, "big"])
def test_a_wrong_size_is_refused(size: Any) -> None:
    """At the start and not when it overflows."""
    with pytest.raises(OptionError, match="buffer_size"):
        Buffer(size)


def test_a_wrong_end_is_refused() -> None:
    """The error names the two ends."""
    with pytest.raises(OptionError, match="'first', 'last'"):
        Buffer(1, "middle")  # type: ignore[arg-type]


def test_an_info_is_due_after_the_events_before_it() -> None:
    """And it stops a take, so that it is delivered in its place."""
    buffer = Buffer(10)
    buffer.store([1, 2])
    assert buffer.store_info("a")
    assert buffer.store_info("b")
    buffer.store([3])
    assert buffer.take(1) == ([1], ())
    assert buffer.take(5) == ([2], ["a", "b"])
    assert buffer.take(5) == ([3], ())


def test_an_info_is_free_when_there_is_nothing_before_it() -> None:
    """The caller delivers it at once."""
    assert not Buffer(10).store_info("now")


def test_an_info_is_free_when_the_event_before_it_is_dropped() -> None:
    """It does not wait for events that will never go."""
    buffer = Buffer(2)
    buffer.store([1])
    buffer.store_info("a")
    buffer.store([2])
    assert buffer.store([3]) == 1
    assert buffer.released() == ["a"]
    assert buffer.released() == []
    assert drain(buffer) == [2, 3]


def test_a_list_that_is_taken_whole_is_not_copied() -> None:
    """What was buffered as one list and is wanted as one costs nothing."""
    events = [1, 2, 3]
    buffer = Buffer(10)
    buffer.store(events)
    assert buffer.take(3)[0] is events


def test_small_lists_are_joined() -> None:
    """A consumer that asks for many gets one list and not many."""
    buffer = Buffer(10)
    for event in range(5):
        buffer.store([event])
    assert buffer.take(4) == ([0, 1, 2, 3], ())


class BufferMachine(RuleBasedStateMachine):
    """Against a plain list of events and infos, dropped one by one."""

    @initialize(size=st.none() | st.integers(0, 12), keep=st.sampled_from(["first", "last", "block"]))
    def make(self, size: int | None, keep: Keep) -> None:
        size = 5 if keep == "block" and size is None else size
        self.buffer = Buffer(size, keep)
        self.model: list[tuple[str, int]] = []
        self.number = 0
        self.discarded = 0
        self.peak = 0

    def events(self) -> int:
        return sum(kind == "event" for kind, _ in self.model)

    def pop_infos(self) -> list[int]:
        infos = []
        while self.model and self.model[0][0] == "info":
            infos.append(self.model.pop(0)[1])
        return infos

    @rule(count=st.integers(0, 20), as_range=st.booleans())
    def store(self, count: int, as_range: bool) -> None:
        events = range(self.number, self.number + count)
        self.number += count
        dropped, released = 0, []
        for event in events:
            if (
                self.buffer.size is not None
                and self.events() == self.buffer.size
                and self.buffer.keep != "block"
            ):
                dropped += 1
                if self.buffer.keep == "first" or not self.buffer.size:
                    continue
                self.model.pop(0)
                released += self.pop_infos()
            self.model.append(("event", event))
        assert self.buffer.store(events if as_range else list(events)) == dropped
        assert self.buffer.released() == released
        self.discarded += dropped
        self.peak = max(self.peak, self.events())

    @rule()
    def store_info(self) -> None:
        self.number += 1
        assert self.buffer.store_info(self.number) == bool(self.model)
        if self.model:
            self.model.append(("info", self.number))

    @rule(count=st.integers(0, 25))
    def take(self, count: int) -> None:
        expected: list[int] = []
        infos: list[int] = []
        while self.model and len(expected) < count and not infos:
            expected.append(self.model.pop(0)[1])
            infos = self.pop_infos()
        events, got_infos = self.buffer.take(count)
        assert (list(events), list(got_infos)) == (expected, infos)

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        numbers = self.buffer.statistics()
        assert len(self.buffer) == self.buffer.length == numbers.length == self.events()
        assert (numbers.discarded, numbers.peak) == (self.discarded, self.peak)
        assert self.buffer.is_full == (numbers.keep == "block" and self.events() >= max(1, numbers.size or 0))


TestBufferMachine = BufferMachine.TestCase
