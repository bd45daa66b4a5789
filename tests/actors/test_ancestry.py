"""The line of an actor: who started it, who started that one, and what is kept of those who have ended."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from slither_actors.actors import Ref, Server, Supervisor
from slither_actors.actors._ancestry import ancestors, depth
from slither_actors.actors._cell import Cell
from slither_actors.actors._runtime import scheduler
from tests.actors.probes import LONG, Log, Quiet


class Generation(Server):
    """Starts the next one with a link and ends, `number` times."""

    def init(self, number: int, log: Log) -> None:
        self.number, self.log = number, log
        self.continue_with()

    def handle_continue(self, value: Any) -> None:
        self.log.add(weakref.ref(self._cell))
        if self.number:
            Generation.start_link(self.number - 1, self.log)
            self.stop("normal")

    def handle_cast(self, function: Any) -> None:
        function(self)


def last_of(number: int) -> tuple[Ref, list[Cell]]:
    """The last of so many generations, and the cells that are left of all of them."""
    log = Log()
    Generation.start(number, log)
    cells = log.take(number + 1)
    last = cells[-1]()
    assert last is not None
    for above in ancestors(last):
        assert above.ref.join(LONG)
    gc.collect()
    return last.ref, [cell for cell in (each() for each in cells) if cell is not None]


def test_who_starts_its_successor_and_ends_is_not_kept() -> None:
    """Of a thousand generations the last one and its parent are left."""
    last, left = last_of(1000)
    assert last.is_alive()
    assert len(left) <= 3
    assert len(ancestors(last._cell)) <= 2


def test_the_crash_report_of_a_late_generation_is_short(caplog: pytest.LogCaptureFixture) -> None:
    """It names who is left of the line."""
    last, _ = last_of(300)
    last.cast(lambda _: 1 / 0)
    assert last.join(LONG)
    line = next(line for line in caplog.text.splitlines() if line.startswith("ancestors: "))
    assert line.count("Generation") <= 2


def test_a_supervisor_below_many_generations_reserves_no_thread_for_them() -> None:
    """Only who is alive waits for its children."""
    last, _ = last_of(200)
    before = scheduler.reserved
    log = Log()
    last.cast(lambda _: log.add(Supervisor.start_link([Quiet.child_spec()])))
    assert depth(log.get()._cell) == 1
    assert scheduler.reserved <= max(before, 4)


def below(ref: Ref) -> Ref:
    """Start an actor below another."""
    child: Ref = ref.call(lambda _: Quiet.start_link(), LONG)
    return child


def end(ref: Ref) -> None:
    """With the reason that who is linked survives."""
    ref.stop()
    assert ref.join(LONG)


def test_a_live_ancestor_stays_above_the_dead() -> None:
    """Its parent has ended, and theirs; who is alive further up is still in the line."""
    root = Quiet.start()
    line = [root]
    for _ in range(3):
        line.append(below(line[-1]))
    for ref in line[1:3]:
        end(ref)
    young = below(line[3])
    assert [cell.ref for cell in ancestors(young._cell)] == [line[3], line[2], root]
    assert depth(young._cell) == 2


def test_lives_that_overlap_are_not_kept_either() -> None:
    """Each one ends when its grandchild has started: the dead are never next to whoever starts."""
    refs = [Quiet.start()]
    for _ in range(200):
        refs.append(below(refs[-1]))
        if len(refs) > 3:
            end(refs[-4])
    assert len(ancestors(refs[-1]._cell)) <= 5


def test_a_parent_that_has_ended_stays_the_parent() -> None:
    """Its exit signal is one from the parent, whatever its own line was."""
    grandparent = Quiet.start()
    parent = below(grandparent)
    child = below(parent)
    end(grandparent)
    end(parent)
    below(child)
    assert child._cell.parent is parent._cell
    assert child._cell.is_parent(parent)


def test_a_report_lists_so_many_ancestors_at_most(caplog: pytest.LogCaptureFixture) -> None:
    """And says how many more there are."""
    refs = [Quiet.start()]
    for _ in range(40):
        refs.append(below(refs[-1]))
    refs[-1].cast(lambda _: 1 / 0)
    assert refs[-1].join(LONG)
    line = next(line for line in caplog.text.splitlines() if line.startswith("ancestors: "))
    assert line.count("Quiet") == 32
    assert line.endswith(", and 8 more")
