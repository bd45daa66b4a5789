"""Answering a worker: `answer` takes each call that the pool hands over.

A look-up in a table is answered at once, in the pool's thread. Everything that
may take its time (a view, a write, a copy of a table) runs in a task of its
own, so a slow one holds up nobody but its caller.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any

from slither_actors import telemetry
from slither_actors.actors._runtime import current_cell
from slither_actors.bridge._callers import run_aside
from slither_actors.bridge._running import RUNNING, CallRequest, RunningCall, RunningCalls
from slither_actors.bridge._sessions import SESSIONS, Sessions
from slither_actors.bridge._tables import TableAccess, tables_of
from slither_actors.bridge._view import View
from slither_actors.errors import SlitherError, ViewError, safe_text

__all__ = ["answer", "call_view"]

_START, _STOP = telemetry.BRIDGE_VIEW_START, telemetry.BRIDGE_VIEW_STOP
_EXCEPTION = telemetry.BRIDGE_VIEW_EXCEPTION


def answer(request: CallRequest, *, sessions: Sessions = SESSIONS, running: RunningCalls = RUNNING) -> None:
    """Answer a worker's call: now, or later from a task. Any thread; never waits, never raises.

    The call ``"view"`` has ``(session, name, arguments)`` and the view's keywords, the
    call ``"table"`` has ``(store, table, operation, arguments)``, the call
    ``"replicate"`` has ``(store, fresh)``.
    """
    try:
        if request.name == "view":
            _answer_view(request, sessions, running)
        elif request.name == "table":
            _answer_table(request)
        elif request.name == "replicate":
            run_aside(partial(_follow, request, tables_of(request.args[0]), *request.args[1:]))
        else:
            msg = f"a worker called {request.name!r}; known are 'view', 'table' and 'replicate'"
            raise SlitherError(msg)
    except Exception as error:  # noqa: BLE001 - whatever it is, the worker waits for an answer
        request.fail(error)


def call_view(
    view: View, session_id: str | None, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Run a view in this thread, inside its telemetry span.

    Raises:
        ViewError: the view raised; the original is its cause.
    """
    try:
        if not (_START.receivers or _STOP.receivers or _EXCEPTION.receivers):
            return view.call(arguments, keywords)
        with telemetry.span(
            _START, _STOP, _EXCEPTION, view.sender, {"view": view.name, "session_id": session_id}
        ):
            return view.call(arguments, keywords)
    except ViewError:
        raise
    except Exception as error:
        problem = f"raised {type(error).__name__}: {safe_text(error)}"
        raise view.error(problem, traceback.format_exc()) from error


# -- views ---------------------------------------------------------------------


def _answer_view(request: CallRequest, sessions: Sessions, running: RunningCalls) -> None:
    session_id, name, arguments = request.args
    view = sessions.find(session_id, name)
    call = running.begin(request, view, session_id, time.monotonic())
    run_aside(_ViewCall(call, running, arguments))


class _ViewCall:
    """One view call in its task."""

    __slots__ = ("_arguments", "_call", "_running")

    def __init__(self, call: RunningCall, running: RunningCalls, arguments: tuple[Any, ...]) -> None:
        self._call = call
        self._running = running
        self._arguments = arguments

    def __call__(self) -> None:
        call, running = self._call, self._running
        request, view = call.request, call.view
        call.cell = current_cell()
        try:
            value = call_view(view, call.session_id, self._arguments, request.kwargs)
        except BaseException as error:  # noqa: BLE001 - also a SystemExit of the user's is an answer
            if running.take(call):
                request.fail(_as_view_error(view, error))
            else:
                running.late(call)
            return
        if running.take(call):
            _reply(request, value, view.result_name)
        else:
            running.late(call)


def _as_view_error(view: View, error: BaseException) -> ViewError:
    if isinstance(error, ViewError):
        return error
    problem = f"raised {type(error).__name__}: {safe_text(error)}"
    return view.error(problem, "".join(traceback.format_exception(error)))


# -- tables --------------------------------------------------------------------


def _answer_table(request: CallRequest) -> None:
    store, table, operation, arguments = request.args
    access = tables_of(store)
    if access.is_immediate(operation):
        request.reply(access.perform(table, operation, arguments))
        return
    run_aside(_TableCall(request, access, table, operation, arguments))


class _TableCall:
    """One write, or one copy of a table, in its task."""

    __slots__ = ("_access", "_arguments", "_operation", "_request", "_table")

    def __init__(
        self,
        request: CallRequest,
        access: TableAccess,
        table: str,
        operation: str,
        arguments: tuple[Any, ...],
    ) -> None:
        self._request = request
        self._access = access
        self._table = table
        self._operation = operation
        self._arguments = arguments

    def __call__(self) -> None:
        try:
            value = self._access.perform(self._table, self._operation, self._arguments)
        except BaseException as error:  # noqa: BLE001 - the worker waits for an answer
            self._request.fail(error)
        else:
            _reply(self._request, value)


def _follow(request: CallRequest, access: TableAccess, fresh: bool) -> None:
    try:
        following, snapshot = access.follow(fresh=fresh)
    except BaseException as error:  # noqa: BLE001 - the worker waits for an answer
        request.fail(error)
    else:
        request.follow(following, snapshot)


def _reply(request: CallRequest, value: Any, what: str = "") -> None:
    try:
        request.reply(value, what)
    except Exception as error:  # noqa: BLE001 - a result that cannot be pickled
        request.fail(error)
