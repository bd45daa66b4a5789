"""The call: one request, one wait for its answer, or none where the server is idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _runtime
from slither_actors.actors._cell import Cell, zombie_cells
from slither_actors.actors._handlers import _on_call, answer
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._reasons import NOPROC, Crash
from slither_actors.actors._request import NO_REPLY, Failure, Request
from slither_actors.actors._runner import current_runner
from slither_actors.errors import ActorExitError, CallTimeoutError, ThreadLimitError

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref

__all__ = ["ask", "call_inline", "send_inline"]


def ask(
    ref: Ref,
    handler: Callable[[Any, Request], None],
    message: Any,
    timeout: float | None,
    *,
    system: bool = False,
) -> Any:
    """Send a request and wait for its answer; one of the system's is handled while suspended, too."""
    if zombie_cells:
        _runtime.refuse_zombie()
    cell = ref._cell
    if cell.dead:
        raise ActorExitError(str(ref), NOPROC)
    request = Request(message, cell)
    request.expect()
    caller = _runtime.wait_for(request)
    try:
        (cell.put_system if system else cell.put)((handler, request))
        if cell.dead:
            # An actor that was abandoned is stuck in its handler and rejects nothing any more.
            request.reject(cell.reason)
        return _wait(ref, request, timeout)
    finally:
        if caller is not None:
            caller.waiting_on = None


def _wait(ref: Ref, request: Request, timeout: float | None) -> Any:
    if not request.answered:
        try:
            _runtime.hand_over(request)
        except ThreadLimitError as error:
            request.settle(error)  # the server need not handle it any more
    if not request.wait(timeout):
        raise CallTimeoutError(str(ref), timeout or 0.0)
    return request.take()


@calls_out
def call_inline(ref: Ref, cell: Cell, message: Any, timeout: float | None) -> Any:
    """Run the call here and now: the server is idle and its token is ours."""
    request = cell.answering = Request(message, cell)
    cell.handled += 1
    interrupt, at_once = None, False
    frame = _runtime.inline(cell, request)
    try:
        reply = cell.actor.handle_call(message, request)  # type: ignore[attr-defined]
        if reply is NO_REPLY or isinstance(reply, Failure):
            answer(request, reply)
            reply = None  # a failure would be in a cycle with this frame, which its traceback will have
        elif request._claim(False):
            # As `reply`, without the way through the request.
            request.answered = at_once = True
        cell.answering = None
    except BaseException as error:  # noqa: BLE001 - a crash of the server, whatever it is
        cell.crash(error, (_on_call, request))
        interrupt = _runtime.interrupt(error) or _struck_at_the_end(cell)
    finally:
        if cell.ending is not None:
            cell.attend()
            interrupt = interrupt or _struck_at_the_end(cell)
        frame.leave()
        cell.release()
    if interrupt is not None:
        raise interrupt
    if at_once:
        return reply
    if request.answered:
        return request.take()
    request.expect()
    caller = _runtime.wait_for(request)
    try:
        return _wait(ref, request, timeout)
    finally:
        if caller is not None:
            caller.waiting_on = None


def send_inline(ref: Ref, function: Callable[[Any, Any], object], argument: Any) -> None:
    """Have the actor run ``function(actor, argument)``: here and now if it is idle, or runs here; else later.

    For the library's own short messages, of which the sender knows that none it sent before waits. Only a
    thread of the actor's own scheduler does it at once.
    """
    if zombie_cells and _runtime.is_fenced():
        return
    cell = ref._cell
    outer = current_runner()
    if outer is not None and outer.cell is not None and outer.runner.scheduler is cell.scheduler:
        if outer.cell is cell and not cell.attention:
            function(cell.actor, argument)
            return
        if outer.cell is not cell and cell.acquire(False):
            if not (cell.inbox or cell.attention or cell.dead):
                _run_here(cell, function, argument)
                return
            cell.release()
    cell.put((function, argument))


@calls_out
def _run_here(cell: Cell, function: Callable[[Any, Any], object], argument: Any) -> None:
    """Run one message: the actor is idle and its token is ours."""
    cell.handled += 1
    frame = _runtime.inline(cell, Request(None, cell))
    try:
        function(cell.actor, argument)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this actor only
        cell.crash(error, (function, argument))
    finally:
        if cell.attention:
            cell.attend()
        frame.leave()
        cell.release()


def _struck_at_the_end(cell: Cell) -> KeyboardInterrupt | None:
    """The user's Ctrl-C, if it struck in the `terminate` of an actor that ran in the main thread."""
    return _runtime.interrupt(cell.reason.exception) if isinstance(cell.reason, Crash) else None
