"""What the messages that a user sends do in their actor: one function for each kind.

A message is the pair of one of these and its argument. Their names, without
``_on_``, are what crash reports and traces call the kinds.
"""

from __future__ import annotations

from typing import Any

from pykka._envelope import Envelope

from slither_actors.actors._cell import end, handled_while_suspended
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._request import NO_REPLY, Failure, Request

__all__ = ["_on_call", "_on_cast", "_on_envelope", "_on_info", "_on_run", "_on_stop", "answer"]


@calls_out
def _on_call(server: Any, request: Request) -> None:
    if request.answered:
        return
    cell = request.cell
    cell.answering = request
    answer(request, server.handle_call(request.message, request))
    cell.answering = None


@calls_out
def _on_run(server: Any, request: Request) -> None:
    if request.answered:
        return
    cell = request.cell
    cell.answering = request
    function, argument = request.message
    answer(request, function(server, argument))
    cell.answering = None


def answer(request: Request, reply: Any) -> None:
    """Answer with what a handler has returned, or remember that the answer comes later."""
    if reply is NO_REPLY:
        cell = request.cell
        if not request.answered:
            if cell.deferred is None:
                cell.deferred = set()
            cell.deferred.add(request)
            if request.answered:
                cell.deferred.discard(request)
    elif isinstance(reply, Failure):
        request.fail(reply.error)
    else:
        request.reply(reply)


@calls_out
def _on_cast(server: Any, message: Any) -> None:
    server.handle_cast(message)


@calls_out
def _on_info(server: Any, message: Any) -> None:
    server._on_info(message)


def _on_envelope(actor: Any, envelope: Envelope[Any]) -> None:
    if envelope.reply_to is None:
        actor._on_envelope(envelope)
        return
    cell = actor._cell
    cell.answering = envelope
    actor._on_envelope(envelope)
    cell.answering = None


def _on_stop(actor: Any, reason: Any) -> None:
    end(actor._cell, reason)


handled_while_suspended.add(_on_stop)
