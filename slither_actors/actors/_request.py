"""A call on its way: the message, who waits, and the one answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from slither_actors.actors import _runtime
from slither_actors.actors._cell import zombie_cells
from slither_actors.actors._interrupts import waits
from slither_actors.actors._scheduler import lock_timeout
from slither_actors.config import Rule
from slither_actors.errors import ActorExitError

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["NO_REPLY", "Failure", "Request", "raise_anew"]


class _NoReply:
    """The type of `NO_REPLY`."""

    def __repr__(self) -> str:
        return "NO_REPLY"


NO_REPLY = _NoReply()
"""Returned by ``handle_call``: the answer comes later, through the sender. OTP: gen_server, ``noreply``."""


_EXCEPTION = Rule("allowed is an exception", lambda value: isinstance(value, BaseException))


@attrs.frozen
class Failure:
    """Returned by ``handle_call``: the caller gets `error` raised, the server lives on.

    This is the path for failures that are expected. A raise in a callback is a crash.
    In OTP a server replies ``{error, Reason}``.
    """

    error: BaseException

    def __attrs_post_init__(self) -> None:
        """Check what is raised at the caller, who could not say where it comes from."""
        _EXCEPTION.check("error", self.error, "Failure")


class Request:
    """What a server is asked, and the handle by which it answers: the `sender` of ``handle_call``.

    The first of `reply` and `fail` counts, from any thread. Later ones, and
    all after the caller stopped waiting, are dropped.
    """

    __slots__ = ("_claim", "_error", "_lock", "_value", "answered", "cell", "message")

    def __init__(self, message: Any, cell: Cell) -> None:
        self.message = message
        self.cell = cell
        self.answered = False
        """Whether the answer is there, or nobody waits for it any more."""
        self._claim = threading.Lock().acquire
        """``_claim(False)`` is true once: for who may give the answer."""
        self._lock: threading.Lock | None = None
        self._value: Any = None
        self._error: BaseException | None = None

    def reply(self, value: Any = None) -> None:
        """Answer the call with `value`. Never raises; an actor that was abandoned answers nobody.

        OTP: gen_server, ``reply/2``.
        """
        if zombie_cells and _runtime.is_fenced():
            return
        if self._claim(False):
            self._value = value
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Answer the call with an exception that is raised at the caller. The server lives on.

        Raises:
            TypeError: it is no exception.
        """
        if not isinstance(error, BaseException):
            msg = f"a call fails with an exception, which is raised at the caller, not with {error!r:.200}"
            raise TypeError(msg)
        if not (zombie_cells and _runtime.is_fenced()):
            self.settle(error)

    def reject(self, reason: Any) -> None:
        """The server ended before it answered."""
        self.settle(ActorExitError(self.cell.describe(), reason))

    def settle(self, error: BaseException) -> None:
        """Answer with an exception of the library's own."""
        if self._claim(False):
            self._error = error
            self._wake()

    def _wake(self) -> None:
        # `answered` is written before the lock is looked at; `expect` does it the other way round.
        self.answered = True
        if self._lock is not None:
            self._lock.release()
        if self.cell.deferred:
            self.cell.deferred.discard(self)

    def expect(self) -> None:
        """Prepare to `wait`. Called once, by the caller, before the request can be answered elsewhere."""
        lock = threading.Lock()
        lock.acquire()
        self._lock = lock

    @waits
    def wait(self, timeout: float | None) -> bool:
        """Wait for the answer in this thread; False after `timeout` seconds without one."""
        if self.answered or self._lock is None:
            return self.answered
        if self._lock.acquire(timeout=lock_timeout(timeout)):
            return True
        return not self._cancel()

    def _cancel(self) -> bool:
        if not self._claim(False):
            # The answer is being written by another thread at this moment.
            assert self._lock is not None
            self._lock.acquire()
            return False
        self.answered = True
        if self.cell.deferred:
            self.cell.deferred.discard(self)
        return True

    def result(self) -> Any:
        """Return or raise the answer, once there is one."""
        if self._error is not None:
            raise_anew(self._error)
        return self._value

    def take(self) -> Any:
        """As `result`, for the caller that waited: an error is let go of and is not there a second time."""
        error, self._error = self._error, None
        if error is None:
            return self._value
        try:
            raise_anew(error)
        finally:
            # In a cycle with its own frames it would keep those of the caller until the collector runs.
            del error


def raise_anew(error: BaseException) -> NoReturn:
    """Raise an error that a server may give to many callers, without the frames of those before."""
    below = frames = _TRACEBACK.__get__(error)
    while frames is not None:
        if frames.tb_frame.f_code is raise_anew.__code__:
            below = frames.tb_next
        frames = frames.tb_next
    try:
        raise BaseException.with_traceback(error, below)
    finally:
        del error, below, frames


_TRACEBACK: Any = BaseException.__dict__["__traceback__"]
