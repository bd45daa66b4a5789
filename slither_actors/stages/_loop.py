"""The event loop of the stages: one thread that runs the coroutines of all of them.

One is enough, for a coroutine waits and does not compute, and waiting costs
nothing; a coroutine that blocks holds the others up, as in any asyncio program.
The thread is started on first use and ends after the last actor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from slither_actors.actors import _runtime
from slither_actors.errors import ForkedRuntimeError, NotRunningError

__all__ = ["LoopThread", "UserLoop", "shared"]

logger = logging.getLogger("slither_actors.stages")

_LAST_WORDS = 0.1
"""Seconds for the coroutines that are left at the exit of the program: those that were abandoned."""

_STUCK_SECONDS = 0.5
"""Seconds for the thread to end: one that a coroutine blocks will not."""


class LoopThread:
    """An event loop and its thread. Usable from any thread."""

    is_ours = True
    """Whether one may wait for what runs there."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Reentrant, because the collector may run a finalizer that uses actors at any place.
        self._lock = threading.RLock()
        self._closed = False
        self._forked = False

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Have ``function(*args)`` called in the loop's thread, in the order of these requests.

        Raises:
            NotRunningError: the program is at its end.
            ForkedRuntimeError: this is a child made by ``os.fork``.
        """
        loop = self.loop if self.loop is not None and not self._forked else self._start()
        try:
            loop.call_soon_threadsafe(function, *args)
        except RuntimeError as error:
            msg = "the event loop of the stages has stopped: the program is at its end"
            raise NotRunningError(msg) from error

    @property
    def is_here(self) -> bool:
        """Whether the code that asks runs in the loop's thread."""
        return self._thread is threading.current_thread()

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._forked:
                msg = "the event loop of the stages is not in this process, which was made by os.fork"
                raise ForkedRuntimeError(msg)
            if self._closed:
                msg = "no coroutine can be started: the program is at its end"
                raise NotRunningError(msg)
            if self.loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=self._run, args=(loop,), name="slither-stages-loop", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError as error:
                    loop.close()
                    msg = "no thread can be started for the event loop of the stages"
                    raise NotRunningError(msg) from error
                self._thread, self.loop = thread, loop
            return self.loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while not self._closed:
            try:
                loop.run_forever()
            except BaseException:  # a callback of a library's raised SystemExit, say
                logger.exception("the event loop of the stages was left by an exception, and goes on")
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS))
        for task in left:
            # Abandoned and told of as such: asyncio need not say so again when it finds it.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def close(self, timeout: float) -> None:
        """End the thread, and wait up to `timeout` seconds for that."""
        with self._lock:
            self._closed = True
            loop, thread = self.loop, self._thread
        if loop is not None and thread is not None and not self._forked:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(min(timeout, _STUCK_SECONDS))

    def after_fork_in_child(self) -> None:
        """The thread is gone, and another may have held the lock. The loop is the parent's."""
        self._lock = threading.RLock()
        self._forked = self.loop is not None


class UserLoop:
    """An event loop of the program's, which may end, and whose thread may wait for the stage that uses it."""

    is_ours = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """As `LoopThread.call`; raises `NotRunningError` if the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError as error:
            msg = f"the event loop is closed: {self._loop!r}"
            raise NotRunningError(msg) from error

    @property
    def is_here(self) -> bool:
        """Whether the code that asks runs in the loop."""
        return asyncio._get_running_loop() is self._loop


shared = LoopThread()
"""Runs the coroutines of all stages."""

_runtime.closers.append(shared.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared.after_fork_in_child)
