"""Which slot a session's batches go to, and when its state is lost.

It decides, and performs nothing. A strict session is bound to one slot with
its first batch, and what its batches leave in the worker of that slot (a model,
an index) is the session's state. So a session is

* new: bound to no slot, or to one whose worker has seen none of its batches;
  the end of a worker costs it nothing;
* settled: a worker has seen one of its batches. The end of that worker loses
  the session: none of its batches runs anywhere again, until it is ended;
* unknown: the pool has no word of it. It was started anew under a run, or the
  session was ended. That is a loss too, and never a fresh start in silence.

A session that its caller named is kept when no run uses it, since the next run
wants the state; one that a run made for itself goes with the run.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable

import attrs

__all__ = ["Affinity", "SessionLoss", "SessionOverflow", "Sessions"]


class Affinity(enum.Enum):
    """What a session's batches have in common."""

    HINT = "hint"
    """They go to the session's slot if it is idle, else to any."""
    STRICT_QUEUE = "strict_queue"
    """They wait for the session's slot."""
    STRICT_FAIL_FAST = "strict_fail_fast"
    """They fail if the session's slot is busy."""


@attrs.frozen
class SessionLoss:
    """The state of a session is gone."""

    pid: int
    """The worker that held it, 0 if that is not known."""

    cause: str
    """Why that worker is gone, a sentence without a full stop."""


@attrs.frozen
class SessionOverflow:
    """The session was not taken: too many are open."""

    limit: int


_UNKNOWN = SessionLoss(0, "the pool was started anew, or the session was ended while a run used it")


@attrs.define
class _Session:
    kept: bool
    runs: int = 0
    slot: int | None = None
    pid: int = 0
    seen: int = 0
    """Batches that the worker was sent and that did not come back untouched."""
    loss: SessionLoss | None = None


@attrs.define
class Sessions:
    """The strict sessions of one pool. Not thread-safe: the pool is the only caller."""

    limit: int
    """The most that are open at one time."""

    lost: int = attrs.field(default=0, init=False)
    """How many have been lost."""

    _sessions: dict[str, _Session] = attrs.field(factory=dict, init=False)
    _refused: Counter[str] = attrs.field(factory=Counter, init=False)
    """Runs of sessions that were not taken."""
    _load: Counter[int] = attrs.field(factory=Counter, init=False)
    """Sessions per slot, without lost ones."""

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._sessions)

    def enter(self, name: str, *, kept: bool, loss: SessionLoss | None = None) -> None:
        """A run begins to use the session.

        Args:
            name: the session.
            kept: whether it outlives its runs.
            loss: what is known to have become of its state, if this pool never saw it.
        """
        session = self._sessions.get(name)
        if session is None:
            if len(self._sessions) >= self.limit:
                self._refused[name] += 1
                return
            session = self._sessions[name] = _Session(kept)
            if loss is not None:
                self._lose(session, loss)
        session.runs += 1
        session.kept = session.kept or kept

    def leave(self, name: str) -> None:
        """A run has ended."""
        if name in self._refused:
            self._refused[name] -= 1
            if self._refused[name] <= 0:
                del self._refused[name]
            return
        session = self._sessions.get(name)
        if session is not None:
            session.runs = max(0, session.runs - 1)
            if not session.runs and not session.kept:
                self.end(name)

    def end(self, name: str) -> bool:
        """Forget the session. Returns whether it was known."""
        session = self._sessions.pop(name, None)
        if session is None:
            return False
        if session.slot is not None and session.loss is None:
            self._load[session.slot] -= 1
        return True

    def place(self, name: str) -> int | SessionLoss | SessionOverflow | None:
        """The slot that the session is bound to, None if it is to be bound, or why it can run nowhere."""
        session = self._sessions.get(name)
        if session is None:
            return SessionOverflow(self.limit) if name in self._refused else _UNKNOWN
        return session.loss or session.slot

    def choose(self, slots: Iterable[int]) -> int:
        """The slot with the fewest sessions; of equal ones the first."""
        return min(slots, key=lambda slot: self._load[slot])

    def bind(self, name: str, slot: int) -> None:
        """The session's batches go to the slot from now on."""
        session = self._sessions[name]
        if session.loss is not None or session.seen:
            msg = f"session {name!r} cannot move: it has state in slot {session.slot}"
            raise RuntimeError(msg)
        if session.slot is not None:
            self._load[session.slot] -= 1
        session.slot = slot
        self._load[slot] += 1

    def sent(self, name: str, pid: int) -> None:
        """A batch was sent to the worker of the session's slot."""
        session = self._sessions.get(name)
        if session is not None:
            session.pid = pid
            session.seen += 1

    def returned(self, name: str) -> None:
        """A batch came back as it was: the worker had not begun it."""
        session = self._sessions.get(name)
        if session is not None:
            session.seen -= 1

    def worker_ended(self, slot: int, cause: str, *, pid: int | None = None) -> list[str]:
        """The worker of the slot is gone; return the sessions that are lost with it.

        With `pid` only those that this worker knew: the slot may have another one by now.
        """
        found = []
        for name, session in self._sessions.items():
            if session.slot != slot or session.loss is not None or session.seen <= 0:
                continue
            if pid is None or session.pid == pid:
                self._lose(session, SessionLoss(session.pid, cause))
                found.append(name)
        return found

    def slot_closed(self, slot: int) -> list[str]:
        """The slot is no more; return the sessions that were bound to it and may be bound elsewhere."""
        found = []
        for name, session in self._sessions.items():
            if session.slot == slot and session.loss is None:
                self._load[slot] -= 1
                session.slot = None
                found.append(name)
        return found

    def _lose(self, session: _Session, loss: SessionLoss) -> None:
        if session.slot is not None:
            self._load[session.slot] -= 1
        session.loss = loss
        self.lost += 1
