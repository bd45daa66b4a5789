"""The descriptors that a pool listens to: of each worker its socket, what it says and its end."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.actors._interrupts import waits
from slither_actors.pool._lane import Lane
from slither_actors.pool._process import WorkerProcess

if TYPE_CHECKING:
    from slither_actors.pool._pool import Pool

__all__ = ["Descriptors"]

Handler = Callable[[Any, int], object]

_LONGEST_WAIT = 3600.0
"""Seconds that one poll waits at most: the system takes milliseconds in an int. Then it waits again."""


class Descriptors:
    """Whose descriptor is which. The pool is the only caller, in its actor."""

    __slots__ = ("_pool", "answers", "ends", "sockets", "outputs")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.sockets: dict[int, Lane] = {}
        self.outputs: dict[int, Lane] = {}
        """Its standard output and error, and its log records."""
        self.ends: dict[int, Lane] = {}
        """Those become readable when the worker has ended."""
        self.answers: dict[int, Lane] = {}
        """Of workers that are not made yet: through these a fork server says that they are."""

    def open(self, lane: Lane, process: WorkerProcess, handlers: tuple[Handler, Handler, Handler]) -> None:
        """Listen to a fresh worker; the handlers are those of its socket, of what it says and of its end."""
        of_socket, of_output, of_end = handlers
        for fd, lanes in self._of(process):
            lanes[fd] = lane
            handler = of_socket if lanes is self.sockets else of_end if lanes is self.ends else of_output
            self._pool.watch(fd, handler)

    def close(self, process: WorkerProcess) -> None:
        """Listen to a worker no more; its descriptors may be closed now."""
        for fd, lanes in self._of(process):
            self._pool.unwatch(fd)
            lanes.pop(fd, None)

    def close_output(self, fd: int) -> None:
        """Nothing more comes from there."""
        self._pool.unwatch(fd)
        self.outputs.pop(fd, None)

    def close_all(self) -> None:
        """Listen to nobody."""
        for fd in (*self.sockets, *self.outputs, *self.ends, *self.answers):
            self._pool.unwatch(fd)

    def _of(self, process: WorkerProcess) -> tuple[tuple[int, dict[int, Lane]], ...]:
        assert process.sock is not None
        return (
            (process.sock.fileno(), self.sockets),
            *((fd, self.outputs) for fd in process.outputs.fds),
            (process.sentinel, self.ends),
        )

    @waits
    def serve(self, handle: Callable[[int], object], done: Callable[[], bool], timeout: float) -> bool:
        """Outside of the actor's loop: have `handle` read what is there until `done`.

        Returns:
            False if that has not come to be in `timeout` seconds, or cannot: no worker is left or to come.
        """
        deadline = time.monotonic() + timeout
        closed: set[int] = set()
        while not done():
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not (self.ends or self.answers):
                return False
            poll = select.poll()
            sockets = (fd for fd, lane in self.sockets.items() if not lane.line.closed)
            for fd in (*sockets, *(self.outputs.keys() - closed), *self.ends, *self.answers):
                poll.register(fd, select.POLLIN)
            for fd, events in poll.poll(min(remaining, _LONGEST_WAIT) * 1000):
                if not events & select.POLLIN:
                    closed.add(fd)  # an output that the worker has closed
                handle(fd)
        return True
