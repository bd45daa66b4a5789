"""An event loop in a thread of its own, for the batches of one executor."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from slither_actors.errors import ExecutorError

__all__ = ["LoopThread"]

logger = logging.getLogger("slither_actors.dispatch")

_LAST_WORDS: Final = 1.0
"""Seconds for what was cancelled to end, before the loop is closed without it."""

_AT_EXIT: Final = 0.5
"""Seconds that the end of the program waits for one that is closing, so that ``finally`` blocks run."""

_ASYNCIO: Final = str(Path(asyncio.__file__).parent)

_open: weakref.WeakSet[LoopThread] = weakref.WeakSet()


class LoopThread:
    """Runs until `stop`, then cancels what is left, closes async generators and the loop. A daemon."""

    def __init__(self, name: str) -> None:
        """Start the thread.

        Raises:
            ExecutorError: that is not possible.
        """
        self._name = name
        self._stopped = False
        try:
            self._loop = asyncio.new_event_loop()
        except OSError as error:
            raise ExecutorError(name, f"has no event loop: {error}") from error
        self._thread = threading.Thread(target=self._run, name=f"slither-executor {name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._loop.close()
            raise ExecutorError(name, f"has no thread for its event loop: {error}") from error
        _open.add(self)

    def call(self, function: Callable[..., object], *args: Any) -> bool:
        """Have ``function(*args)`` called in the loop, from any thread. False if the loop has ended."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            return False
        return True

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> None:
        """As `asyncio.loop.call_later`; in the loop only."""
        self._loop.call_later(seconds, function, *args)

    def stop(self) -> None:
        """End the loop and what runs in it; returns at once."""
        self._stopped = True
        self.call(self._loop.stop)

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout)

    @property
    def place(self) -> str:
        """Where the thread is, for an error."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        if frame is None:
            return "about to end"
        return f"at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        while not self._stopped:
            self._step(loop.run_forever)
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                self._step(lambda: loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS)))
            self._tell_of_the_rest({task for task in left if not task.done()})
            self._step(lambda: loop.run_until_complete(_shut_down(loop)))
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            _open.discard(self)

    def _step(self, run: Callable[[], object]) -> None:
        try:
            run()
        except BaseException:  # a task of the user's raised SystemExit, say: the other batches go on
            logger.exception("the event loop of %s was left by an exception, and goes on", self._name)

    def _tell_of_the_rest(self, left: set[asyncio.Task[Any]]) -> None:
        for task in left:
            # Told of here; asyncio need not say so again when it finds it.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        if left:
            logger.warning(
                "%s: %d coroutines did not end when they were cancelled, "
                "and were dropped with the event loop: %s",
                self._name, len(left), ", ".join(sorted(place_of(task) for task in left)),
            )  # fmt: skip


async def _shut_down(loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(loop.shutdown_asyncgens(), _LAST_WORDS)
    executor = getattr(loop, "_default_executor", None)
    if executor is not None:
        # Without waiting: what was given to `asyncio.to_thread` may be stuck.
        executor.shutdown(wait=False, cancel_futures=True)


def place_of(task: asyncio.Task[Any]) -> str:
    """Where a coroutine waits, for an error: the innermost line that is not asyncio's."""
    place = "about to end"
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_ASYNCIO):
            place = f"at {code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
        awaited = getattr(awaited, "cr_await", None)
    return place


def _end_all() -> None:
    for one in list(_open):
        if one._stopped:
            one.join(_AT_EXIT)


atexit.register(_end_all)
