"""Slots: a death costs what had begun and nothing else, and no worker is started in a hurry for ever."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core._slot import (
    DEPTH,
    TRANSITIONS,
    UNLIMITED,
    Slot,
    SlotEvent,
    SlotState,
    backoff,
)


def ready_slot(limit: int = UNLIMITED) -> Slot:
    slot = Slot(0, limit)
    slot.start()
    slot.ready()
    return slot


def test_a_death_costs_the_batch_that_had_begun() -> None:
    """The second batch, which waited in the pipe, is given back."""
    slot = ready_slot()
    slot.assign(1)
    slot.assign(2)
    death = slot.die(1)
    assert (death.lost, death.given_back, death.delay) == (1, (2,), 0.0)


def test_a_death_between_two_batches_costs_none() -> None:
    """A worker that ends after its answer and before the next batch loses nothing."""
    slot = ready_slot()
    slot.assign(1)
    slot.assign(2)
    assert slot.finish(1) == 2
    death = slot.die(None)
    assert (death.lost, death.given_back) == (None, (2,))


def test_workers_that_do_nothing_are_started_ever_more_slowly() -> None:
    """The pause doubles from 0.05 s up to 5 s while workers end before they are of use."""
    slot = Slot(0)
    delays = []
    for _ in range(10):
        slot.start()
        delays.append(slot.die(None).delay)
    assert delays == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    slot.start()
    slot.ready()
    slot.assign(1)
    slot.finish(1)
    assert slot.die(None).delay == 0.0


def test_a_worker_that_is_ready_and_then_does_nothing_failed() -> None:
    """Being ready is not enough: it has to have run a batch, or to have lived for a while."""
    slot = ready_slot()
    assert slot.die(None).delay > 0
    slot.start()
    slot.ready()
    assert slot.die(None, useful=True).delay == 0.0


def test_a_worker_that_is_killed_before_it_worked_failed() -> None:
    """One that takes too long to start, or breaks its connection, counts."""
    slot = Slot(0)
    slot.start()
    slot.doom()
    assert slot.die(None).delay > 0


def test_workers_that_others_kill_are_replaced_soon() -> None:
    """Who kills them at random does not make the pool give up; what kills each of them does in the end."""
    slot = Slot(0)
    delays = []
    for _ in range(40):
        slot.start()
        death = slot.die(None, killed=True)
        delays.append(death.delay)
    assert delays[:15] == [0.05] * 15
    assert delays == sorted(delays)
    assert slot.failed_starts == 5
    slot.start()
    slot.ready()
    slot.assign(1)
    slot.finish(1)
    assert slot.die(None, killed=True).delay == 0.0
    slot.start()
    assert slot.die(None, killed=True).delay == 0.05
    assert slot.failed_starts == 0


def test_a_worker_that_is_killed_for_its_batch_did_not_fail() -> None:
    """After a timeout the next worker starts at once."""
    slot = ready_slot()
    slot.assign(1)
    slot.doom()
    assert slot.die(1).delay == 0.0


def test_a_stopped_slot_starts_nothing() -> None:
    """After `stop` the death of the worker is the end."""
    slot = ready_slot()
    slot.stop()
    slot.die(None)
    assert slot.state is SlotState.STOPPED
    with pytest.raises(RuntimeError, match="slot 0 is stopped: start is not possible"):
        slot.start()


def test_an_answer_out_of_turn_is_refused() -> None:
    """A worker answers its batches in order; anything else means that it is out of step."""
    slot = ready_slot()
    slot.assign(1)
    slot.assign(2)
    with pytest.raises(ValueError, match="not 2"):
        slot.finish(2)


def test_backoff_never_overflows() -> None:
    """Any number of failures gives the longest pause."""
    assert backoff(10**6) == 5.0


def test_a_worker_retires_with_the_last_batch_that_it_may_run() -> None:
    """It gets no further one, and is done when it has ended that."""
    slot = ready_slot(limit=2)
    slot.assign(1)
    slot.finish(1)
    slot.assign(2)
    assert (slot.state, slot.room, slot.is_done) == (SlotState.RETIRING, 0, False)
    slot.finish(2)
    assert slot.is_done
    assert slot.die(None).delay == 0.0
    slot.start()
    slot.ready()
    assert slot.room == DEPTH, "the next worker may run as many"


def test_a_batch_that_was_taken_back_does_not_count() -> None:
    """The limit is of batches that the worker ran."""
    slot = ready_slot(limit=3)
    slot.assign(1)
    slot.assign(2)
    slot.withdraw(2)
    slot.finish(1)
    slot.assign(3)
    assert slot.state is SlotState.BUSY


def test_a_successor_counts_on() -> None:
    """The place has one tally, and the one who left starts no worker any more."""
    slot = ready_slot(limit=1)
    slot.assign(1)
    successor = slot.successor()
    successor.start()
    slot.finish(1)
    slot.die(None)
    assert slot.state is SlotState.STOPPED
    assert (successor.number, successor.limit) == (0, 1)
    assert (successor.batches, successor.workers) == (1, 2)


def test_a_worker_that_retires_may_be_kept() -> None:
    """As long as it may still be given a batch; then it is as if it never was to leave."""
    slot = ready_slot(limit=2)
    slot.leave()
    slot.retire()
    assert slot.keep()
    assert slot.state is SlotState.IDLE
    slot.assign(1)
    slot.assign(2)
    assert not slot.keep(), "it has used up what it may"
    slot.die(1)
    assert slot.state is SlotState.WAITING


class SlotMachine(RuleBasedStateMachine):
    """Any order of events; a model counts what has to come back."""

    def __init__(self) -> None:
        super().__init__()
        self.next_ref = 1
        self.held: list[int] = []
        self.given = 0
        self.ended = 0
        self.workers = 0

    @initialize(limit=st.sampled_from([1, 2, 3, UNLIMITED]))
    def make(self, limit: int) -> None:
        self.slot = Slot(3, limit)

    @precondition(lambda self: self.slot.state is SlotState.WAITING)
    @rule()
    def start(self) -> None:
        self.slot.start()
        self.given = 0
        self.workers += 1

    @precondition(lambda self: self.slot.state is SlotState.STARTING)
    @rule()
    def ready(self) -> None:
        self.slot.ready()

    @precondition(lambda self: self.slot.room > 0)
    @rule()
    def assign(self) -> None:
        self.slot.assign(self.next_ref)
        self.held.append(self.next_ref)
        self.next_ref += 1
        self.given += 1
        assert self.given <= self.slot.limit
        assert (self.slot.state is SlotState.RETIRING) == (self.given == self.slot.limit)

    @precondition(lambda self: self.held)
    @rule()
    def finish(self) -> None:
        following = self.slot.finish(self.held.pop(0))
        self.ended += 1
        assert following == (self.held[0] if self.held else None)

    @precondition(lambda self: len(self.held) == DEPTH)
    @rule()
    def withdraw(self) -> None:
        self.slot.withdraw(self.held.pop())
        self.given -= 1

    @precondition(lambda self: (self.slot.state, SlotEvent.RETIRE) in TRANSITIONS)
    @rule()
    def retire(self) -> None:
        self.slot.retire()
        assert self.slot.is_done == (not self.held)

    @precondition(lambda self: (self.slot.state, SlotEvent.KEEP) in TRANSITIONS)
    @rule()
    def keep(self) -> None:
        assert self.slot.keep() == (self.given < self.slot.limit)

    @rule()
    def hand_over(self) -> None:
        self.slot.successor()

    @precondition(lambda self: (self.slot.state, SlotEvent.DOOM) in TRANSITIONS)
    @rule()
    def doom(self) -> None:
        self.slot.doom()

    @precondition(lambda self: (self.slot.state, SlotEvent.DIE) in TRANSITIONS)
    @rule(begun=st.sampled_from(["first", "none", "unknown"]), useful=st.booleans(), killed=st.booleans())
    def die(self, begun: str, useful: bool, killed: bool) -> None:
        ref = {"first": self.held[0] if self.held else None, "none": None, "unknown": 10**9}[begun]
        death = self.slot.die(ref, useful=useful, killed=killed)
        came_back = ([] if death.lost is None else [death.lost]) + list(death.given_back)
        assert came_back == self.held
        assert death.lost in (None, ref)
        assert 0 <= death.delay <= 5.0
        self.held = []
        self.ended += death.lost is not None

    @precondition(lambda self: (self.slot.state, SlotEvent.STOP) in TRANSITIONS)
    @rule()
    def stop(self) -> None:
        self.slot.stop()

    @invariant()
    def holds_what_it_was_given(self) -> None:
        assert list(self.slot.outstanding) == self.held
        assert len(self.held) <= DEPTH

    @invariant()
    def busy_means_holding(self) -> None:
        if self.slot.state is SlotState.BUSY:
            assert self.held
        elif self.slot.state not in (SlotState.STOPPING, SlotState.RETIRING):
            assert not self.held

    @invariant()
    def counts_everything(self) -> None:
        assert (self.slot.batches, self.slot.workers) == (self.ended, self.workers)

    @invariant()
    def only_the_living_have_room(self) -> None:
        assert self.slot.room == 0 or self.slot.is_live


TestSlotMachine = SlotMachine.TestCase
