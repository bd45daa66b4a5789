"""A worker's line to its driver: frames in order, calls back, and news that come ahead of both.

One thread reads the socket at a time: the worker's loop between batches, or
one call back while a batch runs; what that one reads and is not its answer
waits for the loop. News are told before the frame or the answer that they
precede, and never while the socket is held: what they unpickle may call the driver.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn

from slither_actors.errors import ForkedRuntimeError, NotRunningError
from slither_actors.pool import _wire as wire
from slither_actors.pool._mapped import MappedSegments, SegmentError
from slither_actors.pool._payloads import ErrorRecord, loads

__all__ = ["DriverLine", "Hear", "flush", "leave"]

_LOST_DRIVER: Final = 0
_LOOK_AGAIN: Final = 0.1
"""Seconds after which a thread that waits for its turn to call looks whether the batch still runs."""

Hear = Callable[[bytes | bytearray | memoryview], object]
"""Takes one piece of news."""


class DriverLine:
    """The worker's end of the socket. Without a driver at the other one the process ends at once."""

    def __init__(self, sock: socket.socket, mapped: MappedSegments) -> None:
        self.is_running = False
        """Whether a batch runs, and so whether the driver can be called."""
        self._sock = sock
        self._mapped = mapped
        self._reader = wire.FrameReader()
        self._waiting: deque[wire.Frame] = deque()
        # Held by whoever reads the socket: the loop between batches, or one call back at a time.
        self._reading = threading.Lock()
        # Held for one frame: a thread that the batch left behind may be in the middle of a call as it ends.
        self._sending = threading.Lock()
        self._next_call = 0
        self._closed = False
        self._hear: Hear | None = None
        self._news: deque[tuple[int, bytes | bytearray]] = deque()
        """What was received and not heard yet."""
        self._hearing = threading.RLock()
        self._is_hearing = False

    def send(self, kind: int, ref: int, body: bytes | bytearray = b"") -> None:
        """Write one frame."""
        try:
            with self._sending:
                wire.send_blocking(self._sock, kind, ref, body)
        except (BrokenPipeError, ConnectionError):
            leave()

    def next(self) -> wire.Frame:
        """Wait for the next frame. For the worker's loop."""
        waiting = self._waiting
        with self._reading:
            while not waiting:
                waiting.extend(self._receive())
        if self._hear is not None:
            self._tell_news()
        return waiting.popleft()

    def call(self, name: str, body: bytes) -> Any:
        """Ask the driver, wait, and return its answer. From any thread while a batch runs.

        Raises:
            PayloadError: the answer cannot be unpickled.
            NotRunningError: no batch is running.
            ForkedRuntimeError: this is a child of the worker.
            Exception: what the driver failed with.
        """
        if self._closed:
            raise ForkedRuntimeError("calls back belong to the worker, not to a child that it forked")
        self._check_running()
        while not self._reading.acquire(timeout=_LOOK_AGAIN):
            self._check_running()  # the loop has it between batches
        try:
            self._check_running()
            self._next_call += 1
            kind, answer = self._ask(self._next_call, body)
        finally:
            self._reading.release()
        if self._hear is not None:
            self._tell_news()
        if kind == wire.REPLY:
            return loads(answer, f"the answer to {name}", "worker")
        record = ErrorRecord.loads(answer)
        raise record.revive() or record.to_error()

    def listen(self, hear: Hear) -> None:
        """Have `hear` called with all news; before the first call that brings any.

        It is called with one after the other, in their order, and before the batch or the answer
        that they precede; by the worker's loop or by a thread that has made a call. What it raises
        is lost, so it is not to raise.
        """
        self._hear = hear

    def close(self) -> None:
        """Close the socket, in a child of the worker."""
        self._closed = True
        self._sock.close()

    def _check_running(self) -> None:
        if not self.is_running:
            raise NotRunningError("a worker can call the driver only while a batch runs")

    def _ask(self, ref: int, body: bytes) -> tuple[int, bytes | bytearray]:
        self.send(wire.CALL, ref, body)
        answer: tuple[int, bytes | bytearray] | None = None
        while answer is None:
            for frame in self._receive():
                if frame[0] in (wire.REPLY, wire.REPLY_FAILED) and frame[1] == ref:
                    answer = (frame[0], frame[2])
                else:
                    self._waiting.append(frame)
        return answer

    def _receive(self) -> list[wire.Frame]:
        try:
            frames = self._reader.read(self._sock)
        except ConnectionError:
            leave()
        if self._reader.eof:
            leave()
        return frames if self._hear is None else self._without_news(frames)

    # -- news ----------------------------------------------------------------------

    def _without_news(self, frames: list[wire.Frame]) -> list[wire.Frame]:
        self._news.extend((ref, body) for kind, ref, body in frames if kind == wire.NEWS)
        return [frame for frame in frames if frame[0] != wire.NEWS]

    def _tell_news(self) -> None:
        # Waits for a thread that does it at the moment: it may have taken what precedes our answer.
        with self._hearing:
            if self._is_hearing:
                return  # a call in what is heard: the rest is told when it has returned
            self._is_hearing = True
            try:
                while self._news:
                    self._hear_one(*self._news.popleft())
            finally:
                self._is_hearing = False

    def _hear_one(self, segment: int, body: bytes | bytearray) -> None:
        assert self._hear is not None
        if not segment:
            self._hear(body)
            return
        try:
            memory = self._mapped.take(segment)
        except EOFError:
            leave()
        except SegmentError:
            self.send(wire.LOST_SEGMENT, segment)  # the driver sends no other; who waits for it asks again
            return
        # An error that is kept may have a part of it in its traceback: then it ends with that.
        with contextlib.suppress(BufferError), memory, memoryview(memory) as view:
            self._hear(view)


def flush() -> None:
    """Show what was printed now; later may be never."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: BLE001, S112
            continue  # closed, gone, or replaced: the user's code did that, and printing is not our business


def leave() -> NoReturn:
    """End at once: nobody is left to tell."""
    flush()
    os._exit(_LOST_DRIVER)
