"""Sessions: why a batch cannot run in the worker of its own."""

from __future__ import annotations

from slither_actors.errors._batch import BatchError

__all__ = [
    "SessionBusyError",
    "SessionError",
    "SessionLimitError",
    "SessionLostError",
]


class SessionError(BatchError):
    """Base of the reasons for which a batch cannot run in the worker of its session."""

    def __init__(self, session_id: str, pool: str, problem: str) -> None:
        self.session_id = session_id
        self.pool = pool
        super().__init__(f"session {session_id!r} in pool {pool!r} {problem}")


class SessionBusyError(SessionError):
    """The worker of the session had no room, under ``affinity="strict_fail_fast"``. Nothing ran."""

    def __init__(self, session_id: str, pool: str, slot: int, problem: str) -> None:
        self.slot = slot
        super().__init__(
            session_id,
            pool,
            f"is busy: its worker (slot {slot}) {problem}; try again later, lower max_in_flight to 1, or use "
            "affinity='strict_queue' to wait",
        )


class SessionLostError(SessionError):
    """The worker that held the session's state is gone, and the state with it. Nothing ran."""

    def __init__(self, session_id: str, pool: str, pid: int, cause: str) -> None:
        self.pid = pid
        """The worker that held it; 0 where that is not known."""
        self.cause = cause
        worker = f"worker {pid}" if pid else "its worker"
        super().__init__(
            session_id,
            pool,
            f"is lost with {worker}: {cause}; build its state again in a new session, or end it with "
            f"dispatch.end_session({session_id!r}, pool={pool!r}) to use its name again",
        )


class SessionLimitError(SessionError):
    """A pool holds as many strict sessions as it may."""

    def __init__(self, session_id: str, pool: str, limit: int) -> None:
        self.limit = limit
        super().__init__(
            session_id,
            pool,
            f"cannot start: {limit} sessions are open there; end what is done with dispatch.end_session",
        )
