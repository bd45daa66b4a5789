"""The words that runs have for a pool about their sessions, and what a pool does by default."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import attrs

from slither_actors.actors import Ref
from slither_actors.core import Affinity, SessionLoss

if TYPE_CHECKING:
    from slither_actors.pool._pool import Pool

__all__ = ["MAX_SESSIONS", "SessionUse", "default_affinity", "end_session_in", "set_default_affinity"]

MAX_SESSIONS: Final = 10_000
"""Strict sessions that a pool holds at most. A session costs some hundred bytes, and the user's state."""

_STARTED_ANEW = SessionLoss(0, "the pool that held it was started anew")

_defaults: weakref.WeakKeyDictionary[Ref, Affinity] = weakref.WeakKeyDictionary()


def set_default_affinity(pool: Ref, affinity: Affinity) -> None:
    """A pool says what it was told, before anybody can find it."""
    _defaults[pool] = affinity


def default_affinity(pool: Ref) -> Affinity:
    """What the sessions of a pool have where a run does not say."""
    return _defaults.get(pool, Affinity.HINT)


class _Homes:
    """Which pool holds the state of a named session: one that is started anew cannot know. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: OrderedDict[tuple[str, str], int] = OrderedDict()

    def move_in(self, pool: str, session: str, ref: Ref) -> bool:
        """Note where a session is at home. False if it was elsewhere, and is lost."""
        with self._lock:
            known = self._pools.setdefault((pool, session), ref.id)
            if len(self._pools) > MAX_SESSIONS:
                self._pools.popitem(last=False)
            return known == ref.id

    def move_out(self, pool: str, session: str) -> None:
        with self._lock:
            self._pools.pop((pool, session), None)


_homes = _Homes()


@attrs.define
class SessionUse:
    """One run's use of a strict session; `begin` before its first batch, `end` when the run ends."""

    pool: Ref
    pool_name: str
    session_id: str
    kept: bool
    """Whether the session outlives its runs: its caller gave it a name."""
    loss: SessionLoss | None = None

    def begin(self) -> None:
        """Tell the pool. From any thread."""
        if self.kept and not _homes.move_in(self.pool_name, self.session_id, self.pool):
            self.loss = _STARTED_ANEW
        self.pool.send(_enter, self)

    def end(self) -> None:
        """Tell the pool. From any thread."""
        self.pool.send(_leave, self.session_id)


def end_session_in(pool: Ref | None, pool_name: str, session_id: str) -> bool:
    """Forget a session; return whether it was known."""
    _homes.move_out(pool_name, session_id)
    return pool is not None and bool(pool.run(_end, session_id))


def _enter(pool: Pool, use: SessionUse) -> None:
    pool.placement.sessions.enter(use.session_id, kept=use.kept, loss=use.loss)


def _leave(pool: Pool, session_id: str) -> None:
    pool.placement.sessions.leave(session_id)


def _end(pool: Pool, session_id: str) -> Any:
    return pool.placement.end_session(session_id)
