"""Locks by key."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.core import LockQueue


def test_who_gives_up_waiting_is_passed_over() -> None:
    """A claim that leaves the queue never gets the lock."""
    locks: LockQueue[int] = LockQueue()
    assert locks.acquire("a", 1)
    assert not locks.acquire("a", 2)
    assert not locks.acquire("a", 3)
    assert locks.release(2) is None
    assert locks.release(1) == 3


def test_keys_do_not_wait_for_each_other() -> None:
    """Each key has a lock of its own."""
    locks: LockQueue[int] = LockQueue()
    assert locks.acquire("a", 1)
    assert locks.acquire("b", 2)


class LockQueueMachine(RuleBasedStateMachine):
    """Any order of claims and releases."""

    @initialize()
    def make(self) -> None:
        self.locks: LockQueue[int] = LockQueue()
        self.queues: dict[str, list[int]] = {"a": [], "b": []}
        self.claims = 0

    @rule(key=st.sampled_from("ab"))
    def acquire(self, key: str) -> None:
        self.claims += 1
        assert self.locks.acquire(key, self.claims) == (not self.queues[key])
        self.queues[key].append(self.claims)

    @precondition(lambda self: any(self.queues.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([key for key, queue in self.queues.items() if queue]))
        queue = self.queues[key]
        claim = data.draw(st.sampled_from(queue))
        held = queue[0] == claim
        queue.remove(claim)
        assert self.locks.release(claim) == (queue[0] if held and queue else None)
        assert self.locks.release(claim) is None

    @invariant()
    def the_first_claim_holds(self) -> None:
        for key, queue in self.queues.items():
            assert self.locks.holder(key) == (queue[0] if queue else None)
        assert self.locks.claims() == sorted(sum(self.queues.values(), []))
        assert len(self.locks) == sum(map(len, self.queues.values()))


TestLockQueueMachine = LockQueueMachine.TestCase
