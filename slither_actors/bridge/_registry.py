"""`ViewRegistry`: which session may call which views, for as long as its owner lives."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import attrs

from slither_actors.actors import Crash, Down, Monitor, Ref, Server, Timer
from slither_actors.bridge._running import RUNNING, Arm, RunningCalls
from slither_actors.bridge._sessions import SESSIONS, Session, Sessions, by_name
from slither_actors.bridge._view import View
from slither_actors.errors import ActorExitError

_SWEEP = "sweep"

__all__ = ["ViewRegistry", "ViewRegistryStatistics", "register", "unregister"]


@attrs.frozen(kw_only=True)
class ViewRegistryStatistics:
    """What the bridge held at one moment. Returned by `ViewRegistry.statistics`."""

    sessions: int
    """Sessions that are registered."""

    views: int
    """Views of all sessions together."""

    global_views: int
    """Views that every session has."""

    running: int
    """Calls from workers that are not answered yet."""

    timed_out: int
    """Calls that took longer than their view allows, since the process began."""

    overdue: int = 0
    """Those of them whose views have not returned yet."""


class ViewRegistry(Server):
    """The one writer of `Sessions`, and the clock of the calls that run.

    Its state is in the `Sessions` and `RunningCalls` that it is given (the
    process's own by default) and survives it: after a restart it watches the
    owners again, and those that died meanwhile are found dead.
    """

    def init(self, sessions: Sessions = SESSIONS, running: RunningCalls = RUNNING) -> None:
        """Take over the sessions and calls that are there."""
        self._sessions = sessions
        self._running = running
        self._monitors: dict[str, Monitor] = {}
        for session in sessions.all():
            self._monitors[session.session_id] = self.monitor(session.owner)
        self._timer: Timer | None = None
        self._due = math.inf
        sessions.serve(self.ref)
        running.serve(self.ref)
        self._sweep()

    def handle_call(self, request: Any, sender: object) -> bool:
        """Add a session (a `Session`) or remove one (its id); return whether it was there before."""
        if isinstance(request, Session):
            return self._register(request)
        return self._unregister(request)

    def handle_info(self, message: Any) -> None:
        """An owner died, or the first running call may be out of time."""
        if isinstance(message, Down):
            ended = [key for key, monitor in self._monitors.items() if monitor is message.monitor]
            for session_id in ended:
                self._unregister(session_id)
        elif isinstance(message, Arm):
            self._arm(message.deadline)
        elif message is _SWEEP:
            self._sweep()
        else:
            super().handle_info(message)

    def terminate(self, reason: Any) -> None:
        """The application stops: a view that is stuck does not keep the program."""
        if not isinstance(reason, Crash):
            self._running.abandon()

    def _register(self, session: Session) -> bool:
        known = self._unregister(session.session_id)
        # The entry first: a crash after it leaves a session that the next registry watches.
        self._sessions.put(session)
        self._monitors[session.session_id] = self.monitor(session.owner)
        return known

    def _unregister(self, session_id: str) -> bool:
        monitor = self._monitors.pop(session_id, None)
        if monitor is not None:
            monitor.cancel()
        known = self._sessions.remove(session_id)
        if known:
            self._running.end_session(session_id)
        return known

    def _sweep(self) -> None:
        self._due = math.inf
        deadline = self._running.sweep(time.monotonic())
        if deadline is not None:
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        """Sweep at `deadline`, with one timer: an earlier one that is set stays."""
        if deadline >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = deadline
        self._timer = self.send_after(max(0.0, deadline - time.monotonic()), _SWEEP)

    @staticmethod
    def statistics(sessions: Sessions = SESSIONS, running: RunningCalls = RUNNING) -> ViewRegistryStatistics:
        """What the bridge holds at the moment. Any thread."""
        held = sessions.all()
        return ViewRegistryStatistics(
            sessions=len(held),
            views=sum(len(session.views) for session in held),
            global_views=len(sessions.global_views),
            running=running.count,
            timed_out=running.timed_out,
            overdue=running.overdue,
        )


def register(
    session_id: str,
    views: Iterable[View],
    owner: Ref,
    *,
    sessions: Sessions = SESSIONS,
    timeout: float = 5.0,
) -> None:
    """Let the workers of a session call `views`, until `unregister` or the end of `owner`.

    Again with the same id replaces the session. Waits for a registry that is
    just being restarted.

    Raises:
        ViewError: two stores declare a view of the same name.
        NotRunningError: no registry runs.
    """
    session = Session(session_id=session_id, views=by_name(views), owner=owner)
    _change(sessions, session, timeout)


def unregister(session_id: str, *, sessions: Sessions = SESSIONS, timeout: float = 5.0) -> bool:
    """Take a session's views away; return whether it had any.

    Raises:
        NotRunningError: no registry runs.
    """
    return _change(sessions, session_id, timeout)


def _change(sessions: Sessions, request: Session | str, timeout: float) -> bool:
    """Have the registry perform a change, or its successor: doing it twice does no harm."""
    deadline = time.monotonic() + timeout
    server: Ref | None = None
    while True:
        left = max(0.0, deadline - time.monotonic())
        server = sessions.server(after=server, timeout=left)
        try:
            known: bool = server.call(request, timeout)
        except ActorExitError:
            continue
        return known
