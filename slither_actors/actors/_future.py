"""The future of a Pykka ask, for callers that may be actors themselves, or run an event loop."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

import pykka

from slither_actors.actors import _runtime
from slither_actors.actors._interrupts import waits
from slither_actors.config import any_seconds_or_none

__all__ = ["Future"]

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

T = TypeVar("T")

_PATIENCE = 0.1
"""Seconds that whoever ends an actor waits for the lock of the future in which that one waits."""


class Future(pykka.ThreadingFuture[T]):
    """A `pykka.ThreadingFuture` for actors: `get` hands the run queue over, and ends with the actor.

    The hook of a future made by ``map``, ``join`` and the like runs once, and
    a second `get` waits for it no longer than its own timeout. ``await`` does
    not block an asyncio event loop.
    """

    _hook_lock: threading.RLock

    cell: Cell | None = None
    """Who is asked, if it is known."""

    @property
    def answered(self) -> bool:
        """Whether the result is there."""
        return self._result is not None

    @waits
    def get(self, *, timeout: float | None = None) -> Any:
        """Return or raise the result; see `pykka.Future.get`.

        Raises:
            OptionError: `timeout` is no number; one below 0 is none to wait for, as in Pykka.
            ExitPendingError: the caller is an actor that is to end.
        """
        if timeout is not None:
            timeout = min(any_seconds_or_none.check("timeout", timeout, "Future.get"), threading.TIMEOUT_MAX)
        if self._get_hook is not None:
            return self._get_by_hook(timeout)
        if self._result is None and _runtime.current_cell() is not None:
            deadline = None if timeout is None else time.monotonic() + timeout
            with _runtime.interruptible(self._wake) as refuse:
                _runtime.hand_over(self)
                self._wait(deadline)
                if self._result is None:
                    refuse()
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        elif self._result is None:
            _runtime.blocking()  # in a plain thread it refuses the child of a fork
        return super().get(timeout=timeout)

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """See `pykka.Future.set_get_hook`."""
        self._hook_lock = threading.RLock()
        super().set_get_hook(func)

    def _get_by_hook(self, timeout: float | None) -> Any:
        # Pykka runs the hook under its condition's lock, so that a second `get` waits past its timeout.
        deadline = None if timeout is None else time.monotonic() + timeout
        _runtime.blocking()
        if not self._hook_lock.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            msg = f"{timeout} seconds"
            raise pykka.Timeout(msg)
        try:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            # Without a hook that is due this returns what it gave the first time.
            return pykka.Future.get(self, timeout=left)
        finally:
            self._hook_lock.release()

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait without blocking the event loop; outside of one as in Pykka."""
        asyncio = sys.modules.get("asyncio")
        loop = None if asyncio is None else asyncio._get_running_loop()
        if loop is None:
            return (yield from super().__await__())
        return (yield from loop.run_in_executor(None, self.get).__await__())

    def _wait(self, deadline: float | None) -> None:
        """Wait for a result, or until it is time or the actor is to end."""
        cell = _runtime.current_cell()
        assert cell is not None
        with self._condition:
            while self._result is None and cell.pending_exit() is None:
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or not self._condition.wait(left):
                    return

    def _wake(self) -> None:
        # Held for a moment only, as a rule: nothing may hold up who ends the actor.
        if self._condition.acquire(timeout=_PATIENCE):
            self._condition.notify_all()
            self._condition.release()
