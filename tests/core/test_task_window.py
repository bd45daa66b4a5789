"""The decisions of a stream of tasks."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import Ordering, TaskWindow


def test_a_task_is_late_at_its_deadline() -> None:
    """The time of each task begins with its own start."""
    window: TaskWindow[str] = TaskWindow(3, timeout=5.0)
    window.start(0.0)
    window.start(1.0)
    assert window.next_deadline == 5.0
    assert window.late(4.9) == []
    assert window.late(5.0) == [0]
    assert window.late(6.0) == [0, 1]


def test_a_finished_task_is_not_late() -> None:
    """A result that waits for its turn has no deadline any more."""
    window: TaskWindow[str] = TaskWindow(2, timeout=5.0)
    window.start(0.0)
    window.start(0.0)
    assert window.finish(1, "b") == []
    assert window.late(9.0) == [0]
    assert window.finish(0, "late") == ["late", "b"]
    assert window.next_deadline is None


def test_without_a_timeout_nothing_is_late() -> None:
    """None waits as long as it takes."""
    window: TaskWindow[str] = TaskWindow(1)
    window.start(0.0)
    assert window.next_deadline is None
    assert window.late(1e9) == []


class TaskWindowMachine(RuleBasedStateMachine):
    """Any order of starts, results and time."""

    @initialize(
        limit=st.integers(1, 4),
        ordering=st.sampled_from(Ordering),
        timeout=st.one_of(st.none(), st.integers(1, 5)),
    )
    def make(self, limit: int, ordering: Ordering, timeout: float | None) -> None:
        self.window: TaskWindow[int] = TaskWindow(limit, ordering, timeout)
        self.now = 0.0
        self.started: dict[int, float] = {}
        self.released: list[int] = []
        self.finished: list[int] = []

    @rule(seconds=st.integers(0, 4))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.window.room > 0)
    @rule()
    def start(self) -> None:
        position = self.window.start(self.now)
        assert position == len(self.started) + len(self.finished)
        self.started[position] = self.now

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        position = data.draw(st.sampled_from(sorted(self.started)))
        del self.started[position]
        self.finished.append(position)
        self.released += self.window.finish(position, position)

    @invariant()
    def the_late_are_those_whose_time_is_over(self) -> None:
        timeout = self.window.timeout
        if timeout is None:
            assert self.window.late(self.now) == []
            assert self.window.next_deadline is None
        else:
            late = [p for p, start in self.started.items() if start + timeout <= self.now]
            assert self.window.late(self.now) == late
            first = min(self.started.values(), default=None)
            assert self.window.next_deadline == (None if first is None else first + timeout)

    @invariant()
    def the_limit_holds(self) -> None:
        held = len(self.finished) - len(self.released)
        assert self.window.room == self.window.max_concurrency - len(self.started) - held
        assert self.window.room >= 0
        assert self.window.is_empty == (not self.started and not held)
        assert {p for p in range(20) if self.window.runs(p)} == {p for p in self.started if p < 20}

    @invariant()
    def each_result_leaves_once_in_its_order(self) -> None:
        if self.window.ordering is Ordering.PRESERVE:
            assert self.released == list(range(len(self.released)))
        else:
            assert self.released == self.finished


TestTaskWindowMachine = TaskWindowMachine.TestCase
