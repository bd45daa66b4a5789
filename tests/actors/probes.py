"""Actors that do what a test tells them, and how a test waits for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from slither_actors.actors import Ref, Server

LONG = 20.0
"""Seconds that no test waits unless something is broken."""


class Log:
    """What actors noted, in order; `get` waits for the next entry."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.add = self._queue.put

    def get(self) -> Any:
        return self._queue.get(timeout=LONG)

    def take(self, count: int) -> list[Any]:
        return [self.get() for _ in range(count)]

    def empty(self) -> bool:
        return self._queue.empty()

    def rest(self) -> list[Any]:
        """What is there now."""
        found = []
        while not self._queue.empty():
            found.append(self._queue.get())
        return found


class Probe(Server):
    """Notes what arrives. A call or cast of a function runs it: ``ref.call(lambda probe: ...)``."""

    def init(
        self, log: Log | None = None, label: str = "", at_start: Callable[[Any], Any] | None = None
    ) -> None:
        self.log = Log() if log is None else log
        self.label = label
        if at_start is not None:
            at_start(self)

    def handle_call(self, request: Any, sender: Any) -> Any:
        self.sender = sender
        return request(self) if callable(request) else request

    def handle_cast(self, message: Any) -> None:
        if callable(message):
            message(self)
        else:
            self.log.add(message)

    def handle_info(self, message: Any) -> None:
        self.log.add(message)

    def terminate(self, reason: Any) -> None:
        self.log.add(("terminate", self.label, reason))


class Quiet(Probe):
    """A probe that notes nothing at its end."""

    def terminate(self, reason: Any) -> None:
        pass


class Trapper(Quiet):
    """Gets exit signals as messages."""

    trap_exit = True


class Gate:
    """Holds a handler until it is opened, and says when one has arrived."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._open = threading.Event()

    def __call__(self, _: Any = None) -> None:
        self.arrived.set()
        assert self._open.wait(LONG)

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        assert self.arrived.wait(LONG)


def crash(_: Any = None) -> None:
    """Raise, in whoever runs it."""
    raise ZeroDivisionError("on purpose")


def settle(ref: Ref) -> None:
    """Return when the actor has handled what it had been sent."""
    ref.call(None, LONG)


def in_thread(function: Callable[[], Any]) -> Callable[[], Any]:
    """Run `function` in a thread; what is returned waits for it and returns or raises its result."""
    outcome: list[Any] = []

    def body() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            outcome.append((None, error))

    thread = threading.Thread(target=body)
    thread.start()

    def join() -> Any:
        thread.join(LONG)
        assert outcome, "the thread still runs"
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return join
