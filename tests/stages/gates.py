"""Coroutines that wait until the test lets them go on."""

from __future__ import annotations

import asyncio
import threading

from slither_actors.stages._loop import shared
from tests.stages.probes import SECONDS


class Gate:
    """Where coroutines wait; opened by the test, for all or for one of a name."""

    def __init__(self) -> None:
        self.waiting: dict[object, asyncio.Future[None]] = {}
        self._changed = threading.Condition()
        self.is_open = False
        self.cancelled: list[object] = []

    async def wait(self, name: object = None) -> None:
        if self.is_open:
            return
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            self.waiting[name] = future
            self._changed.notify_all()
        try:
            await future
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            with self._changed:
                del self.waiting[name]
                self._changed.notify_all()

    def await_waiting(self, *names: object) -> None:
        """Wait until exactly these are here."""
        with self._changed:
            assert self._changed.wait_for(lambda: set(self.waiting) == set(names), SECONDS), self.waiting

    def open(self, *names: object) -> None:
        """Let some go on; without names, all, also those that come later."""
        if not names:
            self.is_open = True
        for name in names or tuple(self.waiting):
            future = self.waiting[name]
            shared.call(lambda future=future: future.done() or future.set_result(None))
