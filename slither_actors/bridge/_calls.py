"""Answering a worker: `answer` takes each call that the pool hands over.

A look-up in a table is answered at once, in the pool's thread. Everything that
may take its time (a view, a write, a copy of a table) runs in a task of its
own, so a slow one holds up nobody but its caller.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from slither_actors import telemetry
from slither_actors.actors import Server
from slither_actors.bridge._running import RUNNING, CallRequest, RunningCall, RunningCalls
from slither_actors.bridge._sessions import SESSIONS, Sessions
from slither_actors.bridge._tables import TableAccess, tables_of
from slither_actors.bridge._view import View
from slither_actors.errors import SlitherError, ViewError

__all__ = ["answer", "call_view"]


def answer(request: CallRequest, *, sessions: Sessions = SESSIONS, running: RunningCalls = RUNNING) -> None:
    """Answer a worker's call: now, or later from a task. Any thread; never waits, never raises.

    The call ``"view"`` has the view's name and then what the view is given, the
    call ``"table"`` has ``(store, table, operation, arguments)``, the call
    ``"replicate"`` has ``(store, fresh)``.
    """
    try:
        if request.name == "view":
            _answer_view(request, sessions, running)
        elif request.name == "table":
            _answer_table(request)
        elif request.name == "replicate":
            _run_aside(partial(_follow, request, tables_of(request.args[0]), *request.args[1:]))
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
    events = (telemetry.BRIDGE_VIEW_START, telemetry.BRIDGE_VIEW_STOP, telemetry.BRIDGE_VIEW_EXCEPTION)
    try:
        with telemetry.span(*events, view.sender, {"view": view.name, "session_id": session_id}):
            return view.call(arguments, keywords)
    except ViewError:
        raise
    except Exception as error:
        problem = f"raised {type(error).__name__}: {error}"
        raise ViewError(view.name, problem, traceback_text=traceback.format_exc()) from error


# -- views ---------------------------------------------------------------------


def _answer_view(request: CallRequest, sessions: Sessions, running: RunningCalls) -> None:
    view = sessions.find(request.session_id, request.args[0])
    call = running.begin(request, view, time.monotonic())
    _run_aside(_ViewCall(call, running))


class _ViewCall:
    """One view call in its task."""

    __slots__ = ("_call", "_running")

    def __init__(self, call: RunningCall, running: RunningCalls) -> None:
        self._call = call
        self._running = running

    def __call__(self) -> None:
        request, view = self._call.request, self._call.view
        try:
            value = call_view(view, request.session_id, request.args[1:], request.kwargs)
        except BaseException as error:  # noqa: BLE001 - also a SystemExit of the user's is an answer
            if self._running.take(self._call):
                request.fail(_as_view_error(view, error))
            return
        if self._running.take(self._call):
            _reply(request, value)


def _as_view_error(view: View, error: BaseException) -> ViewError:
    if isinstance(error, ViewError):
        return error
    problem = f"raised {type(error).__name__}: {error}"
    return ViewError(view.name, problem, traceback_text="".join(traceback.format_exception(error)))


# -- tables --------------------------------------------------------------------


def _answer_table(request: CallRequest) -> None:
    store, table, operation, arguments = request.args
    access = tables_of(store)
    if access.is_immediate(operation):
        request.reply(access.perform(table, operation, arguments))
        return
    _run_aside(_TableCall(request, access, table, operation, arguments))


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


def _reply(request: CallRequest, value: Any) -> None:
    try:
        request.reply(value)
    except Exception as error:  # noqa: BLE001 - a result that cannot be pickled
        request.fail(error)


# -- tasks ---------------------------------------------------------------------


class BridgeTask(Server):
    """Runs one call of a worker and ends."""


def _run_aside(call: Callable[[], None]) -> None:
    BridgeTask.start().send(_run, call)


def _run(task: BridgeTask, call: Callable[[], None]) -> None:
    call()
    task.stop()
