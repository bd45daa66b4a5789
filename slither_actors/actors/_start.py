"""The start of a server: `init` has run, or there is no server and an error says why."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _runtime
from slither_actors.actors._actor import bind
from slither_actors.actors._cell import Cell
from slither_actors.actors._ignore import Ignore
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._names import take_name
from slither_actors.actors._reasons import NORMAL, Crash, without_frames
from slither_actors.actors._request import Request
from slither_actors.errors import ActorError, ActorExitError, NotRunningError, StartError

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref
    from slither_actors.actors._server import Server

__all__ = ["start"]


@calls_out
def start(
    cls: type[Server], args: tuple[Any, ...], kwargs: dict[str, Any], *, name: object, linked: bool
) -> Ref:
    """Start a server of the class and return its ref; see `Server.start` and `Server.start_link`."""
    server = cls.__new__(cls)
    try:
        cell = bind(server, linked=linked)
    except RecursionError as error:  # a supervisor takes it for what it is: a start that failed
        raise StartError(cls.__name__, Crash.of(error)) from error
    cell.ref = cls.ref_class(cell)
    cell.acquire(False)
    server.__init__()  # type: ignore[misc]
    if name is not None:
        take_name(name, cell)
    cell.admit()
    if cell.parent is not None:
        cell.link(cell.parent)
    failed = _begin_there(cell, args, kwargs) if cls.own_thread else _begin_here(cell, args, kwargs)
    if failed is None:
        return cell.ref
    pending = None if cell.parent is None else cell.parent.pending_exit()
    try:
        if pending is not None:
            raise pending from failed  # the starter is to end, and the child had to for that
        raise failed from failed.__cause__
    finally:
        # In a cycle with its own frames it would keep those of the caller until the collector runs.
        del failed


def _begin_here(cell: Cell, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseException | None:
    """Run `init` in the starter's thread, which has to wait for it anyway."""
    error: BaseException | None = None
    parent = cell.parent
    if parent is not None:
        before, parent.wake = parent.wake, partial(_end_with, parent, cell)
        if parent.doom is not None:
            _end_with(parent, cell)
    try:
        with _runtime.inline(cell, Request(None, cell)):
            try:
                cell.actor._begin(args, kwargs)  # type: ignore[attr-defined]
            except BaseException as raised:  # noqa: BLE001 - the start failed, whatever it is
                error = raised
            failed = _start_failed(cell, error)
    finally:
        if parent is not None:
            parent.wake = before
    # What `init` continues with, or a signal that came meanwhile, runs in the scheduler: the start is over.
    cell.release()
    return _runtime.interrupt(error) or failed


def _end_with(parent: Cell, cell: Cell) -> None:
    """Have the end that comes to the parent reach the child that starts in its thread, and its waits.

    The link does that only once the parent is dead, which it cannot be before `init` has returned.
    """
    error = parent.pending_exit()
    if error is not None:
        cell.signal_ahead(parent.ref, error.reason)


def _start_failed(cell: Cell, error: BaseException | None) -> BaseException | None:
    """End a cell whose `init` raised or stopped, and return what the starter has to raise."""
    if error is None and cell.ending is None:
        return None
    if isinstance(error, Ignore):
        reason: Any = NORMAL
    elif cell.doom is not None and cell.obeys(error):
        reason = cell.doom[0]
    elif error is not None:
        reason = error.reason if isinstance(error, StartError) else Crash.of(error)
    else:
        reason = cell.ending[0] if cell.ending else NORMAL
    if error is not None:
        without_frames(error)
    if cell.parent is not None:
        # The starter gets the error; it must not get an exit signal on top of it.
        cell.unlink(cell.parent)
    cell.die(reason)
    if isinstance(error, Ignore):
        return error
    failed = StartError(cell.describe(), reason)
    failed.__cause__ = error
    return failed


def _begin_there(cell: Cell, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseException | None:
    """Run `init` in the actor's own thread and wait for it."""
    failed: BaseException | None
    request = Request((args, kwargs), cell)
    request.expect()
    caller = None
    try:
        caller = _runtime.wait_for(request)
        _runtime.hand_over(request)
    except ActorError as error:  # the starter must not wait: it is to end itself, say
        if caller is not None:
            caller.waiting_on = None
        failed = _start_failed(cell, error)
        cell.release()
        return failed
    try:
        cell.put((_begin, request))
        cell.release()
        request.wait(None)
        failed = request.take()
    except NotRunningError as error:  # no thread could be started
        return _start_failed(cell, error)
    except ActorExitError as error:  # it was killed before or while it ran `init`
        return StartError(cell.describe(), error.reason)
    finally:
        if caller is not None:
            caller.waiting_on = None
    return failed


def _begin(server: Server, request: Request) -> None:
    args, kwargs = request.message
    server._cell.answering = request
    error: BaseException | None = None
    try:
        server._begin(args, kwargs)
    except BaseException as raised:  # noqa: BLE001 - the start failed, whatever it is
        error = raised
    server._cell.answering = None
    request.reply(_start_failed(server._cell, error))
