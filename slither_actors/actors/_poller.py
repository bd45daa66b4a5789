"""Readiness of file descriptors, as messages to the actor that watches them.

Each watch is one-shot: after its message was delivered the descriptor is
silent until the actor has read until it would block and calls `rearm`. So a
busy descriptor cannot flood a mailbox, and no thread but the actor's ever
reads it. On Linux the edge-triggered epoll gives this without a system call
per message: what arrives meanwhile is noted and makes one message at the
`rearm`. Elsewhere the `selectors` module, with a registration per message.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell, Message

__all__ = ["Poller"]

Handler = Callable[[Any, int], object]
Ready = tuple[int, bool, bool]
"""A descriptor, whether it is readable, whether it is writable."""

if hasattr(select, "epoll"):
    _READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLRDHUP | select.EPOLLERR
    _WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR


class _Watch:
    """What one descriptor is watched for. Written under the poller's lock."""

    __slots__ = ("armed", "cell", "missed", "reader", "writer")

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.reader: Handler | None = None
        self.writer: Handler | None = None
        self.armed = True
        """Whether readiness makes a message; else it is noted as `missed`."""
        self.missed = False


class Poller:
    """The set of watched descriptors of one scheduler.

    Every method may be called from any thread. Between `wait` and `deliver` the
    caller makes itself the one that will run the messages.
    """

    def __init__(self) -> None:
        self._watches: dict[int, _Watch] = {}
        # Reentrant, because the collector may run a finalizer that uses actors at any place.
        self._lock = threading.RLock()
        self._backend: _Epoll | _Selector | None = None
        self._wake_read = -1
        self._wake_write = -1

    @property
    def watching(self) -> int:
        """Number of watched descriptors; nobody polls while it is zero."""
        return len(self._watches)

    def watch(self, fd: int, cell: Cell, handler: Handler) -> None:
        """Send ``handler(actor, fd)`` as a message whenever `fd` becomes readable or ends."""
        with self._lock:
            watch = self._watch(fd, cell)
            watch.reader = handler
            watch.armed = True
            self._open().set(fd, read=True, write=watch.writer is not None)

    def watch_write(self, fd: int, cell: Cell, handler: Handler) -> None:
        """Send ``handler(actor, fd)`` once, when `fd` becomes writable."""
        with self._lock:
            watch = self._watch(fd, cell)
            watch.writer = handler
            self._open().set(fd, read=watch.reader is not None and watch.armed, write=True)

    def _watch(self, fd: int, cell: Cell) -> _Watch:
        watch = self._watches.get(fd)
        if watch is not None and watch.cell is not cell:
            # Its descriptor was closed without `unwatch`, and the number is in use again.
            self.unwatch(fd, watch.cell)
            watch = None
        if watch is None:
            # Raises here, and leaves nothing behind, if `fd` is nothing that can be watched.
            self._open().set(fd, read=False, write=False)
            watch = self._watches[fd] = _Watch(cell)
        return watch

    def rearm(self, fd: int) -> None:
        """Listen again, after the descriptor was read until it would block."""
        with self._lock:
            watch = self._watches.get(fd)
            if watch is None or watch.reader is None or self._backend is None:
                return
            missed, watch.missed = watch.missed, False
            if not missed:
                watch.armed = True
                self._backend.rearm(fd, write=watch.writer is not None)
                return
        watch.cell.put((watch.reader, fd))

    def unwatch(self, fd: int, cell: Cell) -> None:
        """Forget `fd` if it is `cell` that watches it; call it before the descriptor is closed."""
        with self._lock:
            watch = self._watches.get(fd)
            if watch is not None and watch.cell is cell:
                del self._watches[fd]
                if self._backend is not None:
                    self._backend.remove(fd)

    def wait(self, timeout: float | None) -> list[Ready]:
        """Wait for readiness; None waits until there is some or `wake` is called."""
        backend = self._backend
        if backend is None:
            return []
        events = backend.poll(timeout)
        if timeout == 0:
            # A wake-up is for the thread that waits in here, not for one that passes by.
            events = [event for event in events if event[0] != self._wake_read]
        return events

    def deliver(self, events: list[Ready]) -> None:
        """Put the messages of what `wait` returned."""
        messages: list[tuple[Cell, Message]] = []
        with self._lock:
            for fd, readable, writable in events:
                if fd == self._wake_read:
                    self._drain()
                elif (watch := self._watches.get(fd)) is not None:
                    messages += self._messages(fd, watch, readable, writable)
        for cell, message in messages:
            cell.put(message)

    def _messages(
        self, fd: int, watch: _Watch, readable: bool, writable: bool
    ) -> Iterator[tuple[Cell, Message]]:
        if writable and watch.writer is not None:
            handler, watch.writer = watch.writer, None
            if self._backend is not None:
                self._backend.set(fd, read=watch.reader is not None and watch.armed, write=False)
            yield watch.cell, (handler, fd)
            if watch.reader is None:
                self.unwatch(fd, watch.cell)
        if readable and watch.reader is not None:
            if watch.armed:
                watch.armed = False
                yield watch.cell, (watch.reader, fd)
            else:
                watch.missed = True

    def wake(self) -> None:
        """Make a `wait` in another thread return."""
        with self._lock:
            if self._wake_write >= 0:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._wake_write, b"\0\0\0\0\0\0\0\1")

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 65536)

    def _open(self) -> _Epoll | _Selector:
        if self._backend is None:
            backend = _Epoll() if hasattr(select, "epoll") else _Selector()
            if hasattr(os, "eventfd"):
                self._wake_read = self._wake_write = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            else:
                self._wake_read, self._wake_write = os.pipe()
                os.set_blocking(self._wake_read, False)
                os.set_blocking(self._wake_write, False)
            backend.keep(self._wake_read)
            self._backend = backend
        return self._backend

    def close(self) -> None:
        """Close what the poller itself has open. Nobody waits in it any more."""
        with self._lock:
            backend, self._backend = self._backend, None
            if backend is None:
                return
            self._watches.clear()
            backend.close()
            own, self._wake_read, self._wake_write = {self._wake_read, self._wake_write}, -1, -1
            for fd in own:
                os.close(fd)

    def after_fork_in_child(self) -> None:
        """Let go of what is shared with the parent: to unregister here would unregister there."""
        self._lock = threading.RLock()
        self.close()


class _Epoll:
    """Edge-triggered: an event per arrival, no re-registration."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._masks: dict[int, int] = {}

    def set(self, fd: int, *, read: bool, write: bool) -> None:
        # Reading is always listened to: what is not wanted now is noted by the poller for later.
        mask = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET | (select.EPOLLOUT if write else 0)
        known = self._masks.get(fd)
        if known is None:
            self._epoll.register(fd, mask)
        elif mask != known:
            self._epoll.modify(fd, mask)
        self._masks[fd] = mask

    def keep(self, fd: int) -> None:
        """Report `fd` for as long as it is readable, to everybody who looks."""
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        self._masks.pop(fd, None)
        # A descriptor that was closed without a word has left the set by itself.
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(fd)

    def rearm(self, fd: int, *, write: bool) -> None:
        """Nothing to do: the next arrival is another edge."""

    def poll(self, timeout: float | None) -> list[Ready]:
        try:
            events = self._epoll.poll(timeout)
        except InterruptedError:
            return []
        except ValueError:  # closed meanwhile
            return []
        return [(fd, bool(mask & _READABLE), bool(mask & _WRITABLE)) for fd, mask in events]

    def close(self) -> None:
        self._epoll.close()


class _Selector:
    """Level-triggered with a registration per event: kqueue, poll or select."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._mask: dict[int, int] = {}
        self._kept = -1
        self._lock = threading.RLock()

    def keep(self, fd: int) -> None:
        """Report `fd` for as long as it is readable, to everybody who looks."""
        self._kept = fd
        self._set(fd, selectors.EVENT_READ)

    def set(self, fd: int, *, read: bool, write: bool) -> None:
        self._set(fd, (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0))

    def remove(self, fd: int) -> None:
        self._set(fd, 0)
        self._mask.pop(fd, None)

    def rearm(self, fd: int, *, write: bool) -> None:
        self.set(fd, read=True, write=write)

    def poll(self, timeout: float | None) -> list[Ready]:
        ready = []
        for key, mask in self._selector.select(timeout):
            fd = key.fd
            readable, writable = bool(mask & selectors.EVENT_READ), bool(mask & selectors.EVENT_WRITE)
            if readable and fd != self._kept:
                self._set(fd, self._mask.get(fd, 0) & ~selectors.EVENT_READ)
            ready.append((fd, readable, writable))
        return ready

    def close(self) -> None:
        self._selector.close()

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
