"""Where a session's batches go, and when its state is lost."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from slither_actors.core import SessionLoss, SessionOverflow, Sessions


def test_a_session_is_bound_once() -> None:
    """To one slot, until it ends."""
    sessions = Sessions(10)
    sessions.enter("a", kept=False)
    assert sessions.place("a") is None
    sessions.bind("a", 3)
    assert sessions.place("a") == 3
    sessions.leave("a")
    assert sessions.open == 0


def test_a_worker_takes_only_the_sessions_that_it_has_seen() -> None:
    """One whose batch came back untouched has lost nothing."""
    sessions = Sessions(10)
    for name in ("seen", "untouched", "elsewhere"):
        sessions.enter(name, kept=True)
        sessions.bind(name, 1 if name == "elsewhere" else 0)
        sessions.sent(name, 77)
    sessions.returned("untouched")
    assert sessions.worker_ended(0, "crash") == ["seen"]
    assert sessions.place("seen") == SessionLoss(77, "crash")
    assert sessions.place("untouched") == 0
    assert sessions.place("elsewhere") == 1
    assert sessions.worker_ended(0, "another") == []
    assert sessions.lost == 1


def test_a_session_with_state_does_not_move() -> None:
    """That would be a fresh start in silence."""
    sessions = Sessions(10)
    sessions.enter("a", kept=True)
    sessions.bind("a", 0)
    sessions.bind("a", 1)
    sessions.sent("a", 5)
    with pytest.raises(RuntimeError, match="has state in slot 1"):
        sessions.bind("a", 2)


def test_a_slot_that_closes_lets_new_sessions_go() -> None:
    """They are bound elsewhere."""
    sessions = Sessions(10)
    sessions.enter("a", kept=True)
    sessions.bind("a", 0)
    assert sessions.slot_closed(0) == ["a"]
    assert sessions.place("a") is None
    assert sessions.choose([0, 1]) == 0


def test_no_more_than_the_limit_are_open() -> None:
    """The runs of one too many are told so, until they end."""
    sessions = Sessions(1)
    sessions.enter("a", kept=False)
    sessions.enter("b", kept=False)
    assert sessions.place("b") == SessionOverflow(1)
    sessions.leave("b")
    sessions.leave("a")
    sessions.enter("b", kept=False)
    assert sessions.place("b") is None


def test_what_nobody_entered_is_lost() -> None:
    """The pool was started anew under a run."""
    found = Sessions(1).place("a")
    assert isinstance(found, SessionLoss)
    assert "started anew" in found.cause


SLOTS = st.integers(0, 2)
NAMES = st.sampled_from("abcde")


class SessionMachine(RuleBasedStateMachine):
    """Runs that come and go, batches, and workers that end; the model keeps what each worker has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions = Sessions(4)
        self.runs: dict[str, int] = {}
        self.kept: set[str] = set()
        self.state: dict[str, tuple[int, int]] = {}
        """Session to the slot and worker that hold its state."""
        self.gone: set[str] = set()
        self.workers = [100, 200, 300]

    @rule(name=NAMES, kept=st.booleans())
    def enter(self, name: str, kept: bool) -> None:
        if name not in self.runs and len(self.runs) == 4:
            return
        self.sessions.enter(name, kept=kept)
        self.runs[name] = self.runs.get(name, 0) + 1
        if kept:
            self.kept.add(name)

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        if self.runs.get(name, 0) > 0:
            self.sessions.leave(name)
            self.runs[name] -= 1
            if not self.runs[name] and name not in self.kept:
                self._forget(name)

    @rule(name=NAMES)
    def end(self, name: str) -> None:
        assert self.sessions.end(name) == (name in self.runs)
        self._forget(name)

    def _forget(self, name: str) -> None:
        self.runs.pop(name, None)
        self.kept.discard(name)
        self.state.pop(name, None)
        self.gone.discard(name)

    @rule(name=NAMES, untouched=st.booleans())
    def batch(self, name: str, untouched: bool) -> None:
        """Send a batch; it goes to the worker that holds the state, or nowhere."""
        slot = self.sessions.place(name)
        if name not in self.runs or name in self.gone:
            assert isinstance(slot, SessionLoss)
            return
        if slot is None:
            slot = self.sessions.choose(range(3))
            self.sessions.bind(name, slot)
        assert isinstance(slot, int)
        if name in self.state:
            assert self.state[name] == (slot, self.workers[slot])
        self.sessions.sent(name, self.workers[slot])
        if untouched:
            self.sessions.returned(name)
        else:
            self.state[name] = (slot, self.workers[slot])

    @rule(slot=SLOTS, closes=st.booleans())
    def worker_ends(self, slot: int, closes: bool) -> None:
        lost = set(self.sessions.worker_ended(slot, "crash"))
        held = {name for name, (where, _) in self.state.items() if where == slot}
        assert lost == held
        for name in held:
            del self.state[name]
            self.gone.add(name)
        if closes:
            self.sessions.slot_closed(slot)
        self.workers[slot] += 1

    @invariant()
    def it_knows_what_is_open(self) -> None:
        assert self.sessions.open == len(self.runs)

    @invariant()
    def the_load_is_that_of_the_bound_sessions(self) -> None:
        placed = [self.sessions.place(name) for name in self.runs]
        for slot in range(3):
            assert self.sessions._load[slot] == placed.count(slot)


TestSessions = SessionMachine.TestCase
TestSessions.settings = settings(deadline=None)
