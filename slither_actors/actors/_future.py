"""The future of a Pykka ask, for callers that may be actors themselves, or run an event loop."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pykka

from slither_actors.actors import _runtime
from slither_actors.actors._interrupts import waits

__all__ = ["Future"]

T = TypeVar("T")


class Future(pykka.ThreadingFuture[T]):
    """A `pykka.ThreadingFuture` whose `get` hands the run queue over before it waits.

    The hook of a future made by ``map``, ``join`` and the like runs once, and
    a second `get` waits for it no longer than its own timeout. ``await`` does
    not block an asyncio event loop.
    """

    _hook_lock: threading.RLock

    @waits
    def get(self, *, timeout: float | None = None) -> Any:
        """Return or raise the result; see `pykka.Future.get`."""
        if self._get_hook is not None:
            return self._get_by_hook(timeout)
        if self._result is None:
            _runtime.blocking()
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
