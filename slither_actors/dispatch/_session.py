"""A run's session in the pool that it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slither_actors.context import Context
from slither_actors.core import Affinity
from slither_actors.dispatch._default import find_pool
from slither_actors.pool._sessions import SessionUse, default_affinity, end_session_in

if TYPE_CHECKING:
    from slither_actors.dispatch._options import DispatchOptions

__all__ = ["RunSession", "end_session", "session_of"]


class RunSession:
    """What one runner has with its pool; for a hint, and without a pool, nothing."""

    __slots__ = ("_use", "affinity")

    def __init__(self, affinity: Affinity | None, use: SessionUse | None) -> None:
        self.affinity = affinity
        """For the batches; None is a hint."""
        self._use = use

    def leave(self) -> None:
        """The run ends. Idempotent."""
        use, self._use = self._use, None
        if use is not None:
            use.end()


_NONE = RunSession(None, None)


def session_of(executor: Any, options: DispatchOptions, context: Context) -> RunSession:
    """Enter the run's session, if it is to be strict. The executor is open.

    A session whose context the caller gave outlives the run: see `end_session`.
    """
    name = getattr(executor, "pool", None)
    pool = find_pool(name) if isinstance(name, str) else None
    if pool is None:
        return _NONE
    affinity = default_affinity(pool) if options.affinity is None else Affinity(options.affinity)
    if affinity is Affinity.HINT:
        return _NONE
    use = SessionUse(pool, str(name), context.session_id, kept=options.context is not None)
    use.begin()
    return RunSession(affinity, use)


def end_session(session: str | Context, *, pool: str = "default") -> bool:
    """Say that a strict session is over, so that its name may be used for a new one.

    A run that makes its own session ends it by itself. One that is given a
    ``context`` or a ``session_id`` leaves it open, for the runs to come: end it
    here. A session that was lost stays lost until then. What its batches left
    in the worker is yours, and stays.

    Returns:
        Whether the pool knew it.
    """
    name = session.session_id if isinstance(session, Context) else session
    return end_session_in(find_pool(pool), pool, name)
