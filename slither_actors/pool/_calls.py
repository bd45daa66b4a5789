"""Calls back: what a worker asks the driver while its batch runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.actors._call import send_inline
from slither_actors.errors import NotRunningError, PayloadError
from slither_actors.pool import _wire as wire
from slither_actors.pool._payloads import ErrorRecord, dumps, loads

if TYPE_CHECKING:
    from slither_actors.actors import Ref
    from slither_actors.pool._news import Following, SealedBytes

__all__ = ["AnswerCalls", "CallAnswer", "CallRequest", "take_call"]


@attrs.define
class CallAnswer:
    """An answer on its way to the worker that asked."""

    slot: int
    pid: int
    """The worker that asked; its successor must not get the answer."""

    ref: int
    kind: int
    body: bytes
    follows: tuple[Following, SealedBytes] | None = None
    """What the worker is to be told from now on, and what it has to know before."""


class CallRequest:
    """One call back. Answer it once, with `reply` or `fail`, now or later, from any thread.

    An answer to a worker that has died is dropped.
    """

    __slots__ = ("_claim", "_pid", "_pool", "_ref", "_send", "_slot", "args", "kwargs", "name", "session_id")

    def __init__(
        self,
        session_id: str | None,
        *,
        pool: Ref,
        send: Callable[[Any, CallAnswer], object],
        worker: tuple[int, int, int],
    ) -> None:
        self.name = ""
        """What kind of call it is, such as ``"view"``."""
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.session_id = session_id
        """The session of the batch that asks, None for a batch without a context."""
        self._pool = pool
        self._send = send
        self._slot, self._pid, self._ref = worker
        self._claim = threading.Lock().acquire

    def reply(self, value: Any = None, what: str = "") -> None:
        """Return a value to the worker. One that cannot be pickled fails the call; `what` it is, in words."""
        try:
            body = dumps(value, what or f"answer to {self.name}")
        except PayloadError as error:
            self.fail(error)
            return
        self._answer(wire.REPLY, body)

    def fail(self, error: BaseException) -> None:
        """Raise an exception in the worker: itself if it can cross, else a `RemoteError`."""
        self._answer(wire.REPLY_FAILED, ErrorRecord.of(error).dumps())

    def follow(self, following: Following, snapshot: SealedBytes) -> None:
        """Send the worker a snapshot, and news from then on, and then None as the value."""
        self._answer(wire.REPLY, dumps(None, "answer"), (following, snapshot))

    def _answer(self, kind: int, body: bytes, follows: tuple[Following, SealedBytes] | None = None) -> None:
        if self._claim(False):
            # At once where the pool is idle or asks itself: the worker waits.
            answer = CallAnswer(self._slot, self._pid, self._ref, kind, body, follows)
            send_inline(self._pool, self._send, answer)


AnswerCalls = Callable[[CallRequest], object]
"""Answers a call back. It runs in the pool and must not block: it answers at once or hands the request on."""


def take_call(request: CallRequest, body: bytes | bytearray, answer: AnswerCalls | None) -> None:
    """Read the call of a worker and have it answered; whatever goes wrong is the worker's answer."""
    try:
        request.name, request.args, request.kwargs = loads(body, "the arguments of a call back", "driver")
        if answer is None:
            request.fail(NotRunningError("nobody answers calls from the workers of this pool"))
        else:
            answer(request)
    except BaseException as error:  # noqa: BLE001 - it is the asking batch's; the pool goes on
        request.fail(error)
