"""Readiness of file descriptors, as messages to the actor that watches them.

Each watch is one-shot: after its message was delivered the descriptor is
silent until the actor has read until it would block and calls `rearm`. So a
busy descriptor cannot flood a mailbox, and no thread but the actor's ever
reads it. On Linux the edge-triggered epoll gives this without a system call
per message; elsewhere the `selectors` module with a registration per message.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["Poller"]

Handler = Callable[[Any, int], object]
Ready = tuple[int, bool, bool]
"""A descriptor, whether it is readable, whether it is writable."""


class Poller:
    """The set of watched descriptors of one scheduler.

    Every method may be called from any thread. Between `wait` and `deliver` the
    caller makes itself the one that will run the messages.
    """

    def __init__(self) -> None:
        self.watching = 0
        """Number of watched descriptors; nobody polls while it is zero."""
        self._readers: dict[int, tuple[Cell, Handler]] = {}
        self._writers: dict[int, tuple[Cell, Handler]] = {}
        self._lock = threading.Lock()
        self._backend: _Epoll | _Selector | None = None
        self._wake_read = -1
        self._wake_write = -1

    def watch(self, fd: int, cell: Cell, handler: Handler) -> None:
        """Send ``handler(actor, fd)`` as a message whenever `fd` becomes readable or ends."""
        with self._lock:
            backend = self._open()
            self._readers[fd] = (cell, handler)
            self.watching += 1
            backend.add(fd)

    def watch_write(self, fd: int, cell: Cell, handler: Handler) -> None:
        """Send ``handler(actor, fd)`` once, when `fd` becomes writable. It is watched for reading too."""
        with self._lock:
            self._writers[fd] = (cell, handler)
            self._open().want_write(fd, True)

    def rearm(self, fd: int) -> None:
        """Listen again, after the descriptor was read until it would block."""
        backend = self._backend
        if backend is not None and fd in self._readers:
            backend.rearm(fd)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`; call it before the descriptor is closed."""
        with self._lock:
            if self._readers.pop(fd, None) is not None:
                self.watching -= 1
                if self._backend is not None:
                    self._backend.remove(fd)
            self._writers.pop(fd, None)

    def wait(self, timeout: float | None) -> list[Ready]:
        """Wait for readiness; None waits until there is some or `wake` is called."""
        backend = self._backend
        return [] if backend is None else backend.poll(timeout)

    def deliver(self, events: list[Ready]) -> None:
        """Put the messages of what `wait` returned."""
        for fd, readable, writable in events:
            if fd == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 65536)
                self._rearm_wake()
                continue
            if writable and (entry := self._writers.pop(fd, None)) is not None:
                self._want_write(fd, False)
                entry[0].put((entry[1], fd))
            if readable and (entry := self._readers.get(fd)) is not None:
                entry[0].put((entry[1], fd))

    def _rearm_wake(self) -> None:
        if self._backend is not None:
            self._backend.rearm(self._wake_read)

    def _want_write(self, fd: int, wanted: bool) -> None:
        if self._backend is not None:
            self._backend.want_write(fd, wanted)

    def wake(self) -> None:
        """Make a `poll` that waits return."""
        if self._wake_write >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_write, b"\0\0\0\0\0\0\0\1")

    def _open(self) -> _Epoll | _Selector:
        if self._backend is None:
            backend = _Epoll() if hasattr(select, "epoll") else _Selector()
            if hasattr(os, "eventfd"):
                self._wake_read = self._wake_write = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            else:
                self._wake_read, self._wake_write = os.pipe()
                os.set_blocking(self._wake_read, False)
                os.set_blocking(self._wake_write, False)
            backend.add(self._wake_read)
            self._backend = backend
        return self._backend


class _Epoll:
    """Edge-triggered: an event per arrival, no re-registration."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._read = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
        self._readable = select.EPOLLIN | select.EPOLLHUP | select.EPOLLRDHUP | select.EPOLLERR
        self._writable = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR

    def add(self, fd: int) -> None:
        self._epoll.register(fd, self._read)

    def remove(self, fd: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(fd)

    def rearm(self, fd: int) -> None:
        """Nothing to do: the next arrival is another edge."""

    def want_write(self, fd: int, wanted: bool) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._epoll.modify(fd, self._read | select.EPOLLOUT if wanted else self._read)

    def poll(self, timeout: float | None) -> list[Ready]:
        try:
            events = self._epoll.poll(timeout)
        except InterruptedError:
            return []
        return [(fd, bool(mask & self._readable), bool(mask & self._writable)) for fd, mask in events]


class _Selector:
    """Level-triggered with a registration per event: kqueue, poll or select."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._mask: dict[int, int] = {}
        self._lock = threading.Lock()

    def add(self, fd: int) -> None:
        self._set(fd, selectors.EVENT_READ)

    def remove(self, fd: int) -> None:
        self._set(fd, 0)
        self._mask.pop(fd, None)

    def rearm(self, fd: int) -> None:
        self._set(fd, self._mask.get(fd, 0) | selectors.EVENT_READ)

    def want_write(self, fd: int, wanted: bool) -> None:
        mask = self._mask.get(fd, 0)
        self._set(fd, mask | selectors.EVENT_WRITE if wanted else mask & ~selectors.EVENT_WRITE)

    def poll(self, timeout: float | None) -> list[Ready]:
        ready = []
        for key, mask in self._selector.select(timeout):
            fd = key.fd
            readable, writable = bool(mask & selectors.EVENT_READ), bool(mask & selectors.EVENT_WRITE)
            if readable:
                self._set(fd, self._mask.get(fd, 0) & ~selectors.EVENT_READ)
            ready.append((fd, readable, writable))
        return ready

    def _set(self, fd: int, mask: int) -> None:
        with self._lock:
            self._mask[fd] = mask
            known = fd in self._selector.get_map()
            if mask and known:
                self._selector.modify(fd, mask)
            elif mask:
                self._selector.register(fd, mask)
            elif known:
                self._selector.unregister(fd)
