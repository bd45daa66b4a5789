"""Frames on the socket between the driver and one worker.

    magic 24 bit, kind 8 bit | body length 32 bit | reference 64 bit | body

The kind says what the body is (see the constants), the reference which batch
or which call it belongs to. `FrameReader` never allocates much more than what
has really arrived, so a garbage length costs a `WireError` or a wait, not
the machine's memory. A socket that failed once is not used again: there is no
way to find the next frame in a stream that is out of step.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from typing import Final, Protocol

__all__ = [
    "CALL",
    "CONTEXT",
    "DEFINE",
    "DONE",
    "DONE_ENVELOPE",
    "EXIT_FAILED",
    "FAILED",
    "FORGET",
    "INIT",
    "KIND_NAMES",
    "LOST_SEGMENT",
    "MAX_BODY",
    "NEWS",
    "OVERGROWN",
    "READY",
    "REPLY",
    "REPLY_FAILED",
    "RUN",
    "RUN_ENVELOPE",
    "SAID",
    "SKIPPED",
    "START_FAILED",
    "STOP",
    "TARGET",
    "TIMED_TARGET",
    "Frame",
    "FrameReader",
    "FrameWriter",
    "WireError",
    "send_blocking",
]

# driver to worker
INIT: Final = 1
"""The worker's settings; sent first, once."""
DEFINE: Final = 2
"""A target or a context, put at the index that the reference names; its first byte says which."""
RUN: Final = 3
"""A batch: index of its target, index of its context, payloads."""
REPLY: Final = 4
"""The value that a call back returns."""
REPLY_FAILED: Final = 5
"""The error that a call back raises."""
STOP: Final = 6
"""End after what is running."""
RUN_ENVELOPE: Final = 12
"""As RUN, with buffers beside the pickle; see `_envelope`."""
FORGET: Final = 13
"""The segment of this id is not used any more."""
NEWS: Final = 14
"""Something for whoever listens in the worker; the reference is that of sealed memory, or 0."""

TARGET: Final = b"t"
TIMED_TARGET: Final = b"w"
"""One whose running is measured."""
CONTEXT: Final = b"c"

# worker to driver
READY: Final = 16
"""The worker takes batches."""
START_FAILED: Final = 17
"""The init hook raised (reference 1), or what comes before it; the worker ends."""
DONE: Final = 18
"""The results of a batch."""
FAILED: Final = 19
"""The error of a batch."""
SKIPPED: Final = 20
"""A batch was revoked before it started; it did not run."""
CALL: Final = 21
"""A call back: name, positional arguments, keywords."""
OVERGROWN: Final = 22
"""The worker has more memory than it may: after the batch that the reference names it runs no other."""
EXIT_FAILED: Final = 23
"""The exit hook raised; the worker ends all the same."""
DONE_ENVELOPE: Final = 28
"""As DONE, with buffers beside the pickle; see `_envelope`."""
LOST_SEGMENT: Final = 29
"""The worker could not map the segment of this id."""
SAID: Final = 31
"""The batch whose end follows has printed or logged something, by other ways than this one."""

KIND_NAMES: Final = {
    INIT: "INIT",
    DEFINE: "DEFINE",
    RUN: "RUN",
    REPLY: "REPLY",
    REPLY_FAILED: "REPLY_FAILED",
    STOP: "STOP",
    RUN_ENVELOPE: "RUN_ENVELOPE",
    FORGET: "FORGET",
    NEWS: "NEWS",
    READY: "READY",
    START_FAILED: "START_FAILED",
    DONE: "DONE",
    FAILED: "FAILED",
    SKIPPED: "SKIPPED",
    CALL: "CALL",
    DONE_ENVELOPE: "DONE_ENVELOPE",
    LOST_SEGMENT: "LOST_SEGMENT",
    OVERGROWN: "OVERGROWN",
    EXIT_FAILED: "EXIT_FAILED",
    SAID: "SAID",
}

HEADER: Final = struct.Struct("<IIQ")
HEADER_SIZE: Final = HEADER.size
_MAGIC: Final = 0x534C41 << 8  # "SLA"
_KIND_MASK: Final = 0xFF

MAX_BODY: Final = 2**32 - 1
"""Largest body in bytes; what is larger fails before it is sent."""

SMALL: Final = 1 << 16
"""Up to here a frame is joined and sent, or received, in one piece."""

_FIRST_CHUNK: Final = 1 << 20

Frame = tuple[int, int, bytes | bytearray]
"""Kind, reference, body."""


class WireError(Exception):
    """What arrived is not a frame. The connection is unusable from here on."""


class _Receiver(Protocol):
    def recv_into(self, buffer: memoryview, /) -> int: ...


class FrameReader:
    """Cut a byte stream into frames.

    Not thread-safe: one owner reads.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_filled",
        "_head",
        "_length",
        "_used",
        "_view",
        "eof",
        "max_body",
        "may_have_more",
    )

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self.max_body = max_body
        self.eof = False
        """The peer has closed; no frame follows."""
        self.may_have_more = False
        """The last `read` filled the room that it had: the source may hold more. A read that got
        less has emptied it, and saves the one that would only say so."""
        self._buffer = bytearray(SMALL)
        self._view = memoryview(self._buffer)
        self._used = 0
        # A body that does not fit into the buffer gets memory of its own and
        # is received straight into it.
        self._body: bytearray | None = None
        self._filled = 0
        self._length = 0
        self._head = (0, 0)

    @property
    def in_frame(self) -> bool:
        """Whether part of a frame has arrived; at `eof` it was cut short."""
        return self._used > 0 or self._body is not None

    def read(self, source: _Receiver) -> list[Frame]:
        """Receive once and return the frames that are complete, often none.

        Raises:
            WireError: the bytes are not frames.
            BlockingIOError: a non-blocking source has nothing.
            OSError: the source failed.
        """
        if self._body is not None:
            return self._read_body(source, self._body)
        received = source.recv_into(self._view[self._used :] if self._used else self._view)
        if received == 0:
            self.eof = True
            return []
        self._used += received
        self.may_have_more = self._used == SMALL
        return self._cut()

    def _cut(self) -> list[Frame]:
        frames: list[Frame] = []
        buffer, start, end = self._buffer, 0, self._used
        while end - start >= HEADER_SIZE:
            word, length, ref = HEADER.unpack_from(buffer, start)
            if word & ~_KIND_MASK != _MAGIC:
                raise WireError(f"bad frame header {bytes(buffer[start : start + HEADER_SIZE]).hex()}")
            if length > self.max_body:
                raise WireError(f"frame body of {length} bytes; the limit is {self.max_body}")
            body_start = start + HEADER_SIZE
            if body_start + length <= end:
                start = body_start + length
                frames.append((word & _KIND_MASK, ref, bytes(self._view[body_start:start])))
            elif HEADER_SIZE + length > SMALL:
                self._head, self._length = (word & _KIND_MASK, ref), length
                self._body = bytearray(min(length, _FIRST_CHUNK))
                self._filled = end - body_start
                self._body[: self._filled] = self._view[body_start:end]
                start = end
                break
            else:
                break
        rest = end - start
        if rest and start:
            buffer[:rest] = buffer[start:end]
        self._used = rest
        return frames

    def _read_body(self, source: _Receiver, body: bytearray) -> list[Frame]:
        with memoryview(body) as view:
            received = source.recv_into(view[self._filled :])
        if received == 0:
            self.eof = True
            return []
        self._filled += received
        self.may_have_more = self._filled == len(body)
        if self._filled < len(body):
            return []
        if len(body) < self._length:  # grow with what arrives, never to the announced size at once
            body.extend(bytes(min(len(body), self._length - len(body))))
            return []
        self._body = None
        return [(*self._head, body)]


class FrameWriter:
    """Write frames to a non-blocking socket and keep what it does not take.

    Not thread-safe: one owner writes.
    """

    __slots__ = ("_pending", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pending: deque[memoryview] = deque()

    @property
    def pending(self) -> int:
        """Bytes that wait for room in the socket."""
        return sum(len(part) for part in self._pending)

    def send(self, kind: int, ref: int, body: bytes | bytearray | memoryview = b"") -> bool:
        """Write one frame; False when part of it waits for `flush`.

        Raises:
            OSError: the peer is gone.
        """
        head = HEADER.pack(_MAGIC | kind, len(body), ref)
        if len(body) > SMALL or self._pending:
            self._pending.append(memoryview(head))
            self._pending.append(memoryview(body))
            return self.flush()
        data = head + body
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return True
        self._pending.append(memoryview(data)[sent:])
        return False

    def flush(self) -> bool:
        """Write what waits; True when nothing is left.

        Raises:
            OSError: the peer is gone.
        """
        pending = self._pending
        while pending:
            try:
                sent = self._sock.sendmsg(list(pending)[:16])
            except BlockingIOError:
                return False
            while pending and sent >= len(pending[0]):
                sent -= len(pending.popleft())
            if sent:
                pending[0] = pending[0][sent:]
        return True


def send_blocking(sock: socket.socket, kind: int, ref: int, body: bytes | bytearray = b"") -> None:
    """Write one frame to a blocking socket."""
    head = HEADER.pack(_MAGIC | kind, len(body), ref)
    if len(body) <= SMALL:
        sock.sendall(head + body)
    else:
        sock.sendall(head)
        sock.sendall(body)
