"""Batches of one key, one after the other."""

from __future__ import annotations

from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slither_actors.core import SerialQueue

Entry = tuple[str, int]


def _key(entry: Entry) -> tuple[str] | None:
    return (entry[0],) if entry[0] else None


def test_an_entry_whose_key_is_at_work_is_passed_over() -> None:
    """It starts when that is done, behind those that were free before."""
    queue: SerialQueue[Entry] = SerialQueue(_key)
    queue.extend([("a", 1), ("a", 2), ("b", 3)])
    assert [queue.popleft(), queue.popleft()] == [("a", 1), ("b", 3)]
    assert not queue
    assert len(queue) == 1
    queue.finish(("a", 1))
    assert queue.popleft() == ("a", 2)


def test_entries_without_a_key_may_always_start() -> None:
    """They block nobody."""
    queue: SerialQueue[Entry] = SerialQueue(_key)
    queue.extend([("", 1), ("", 2)])
    assert [queue.popleft(), queue.popleft()] == [("", 1), ("", 2)]
    queue.finish(("", 1))
    assert len(queue) == 0


def test_a_cleared_queue_remembers_what_is_at_work() -> None:
    """What waited is gone, and its key is free, unless it is at work."""
    queue: SerialQueue[Entry] = SerialQueue(_key)
    queue.extend([("a", 1), ("a", 2), ("b", 3)])
    queue.popleft()
    queue.clear()
    queue.extend([("a", 4), ("b", 5)])
    assert list(queue) == [("b", 5), ("a", 4)]
    assert queue.popleft() == ("b", 5)
    assert not queue


class SerialMachine(RuleBasedStateMachine):
    """Against a list that is searched from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: SerialQueue[Entry] = SerialQueue(_key)
        self.waiting: deque[Entry] = deque()
        self.running: list[Entry] = []
        self.started: list[Entry] = []
        self.number = 0

    @rule(keys=st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=6))
    def add(self, keys: list[str]) -> None:
        for key in keys:
            self.number += 1
            self.waiting.append((key, self.number))
        self.queue.extend(list(self.waiting)[len(self.waiting) - len(keys) :])

    @precondition(lambda self: bool(self.queue))
    @rule()
    def start(self) -> None:
        entry = self.queue.popleft()
        self.waiting.remove(entry)
        self.running.append(entry)
        self.started.append(entry)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        entry = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.queue.finish(entry)

    @invariant()
    def one_of_a_key_runs_and_whoever_may_start_can(self) -> None:
        keys = [key for key, _ in self.running if key]
        assert len(keys) == len(set(keys))
        assert bool(self.queue) == any(not key or key not in keys for key, _ in self.waiting)
        assert len(self.queue) == len(self.waiting) == len(list(self.queue))

    @invariant()
    def the_order_within_a_key_is_kept(self) -> None:
        for key in "abc":
            numbers = [number for its, number in self.started if its == key]
            assert numbers == sorted(numbers)


TestSerialMachine = SerialMachine.TestCase
