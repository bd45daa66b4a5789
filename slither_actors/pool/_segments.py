"""The shared-memory segments of a pool: the driver makes, lends and reuses them.

    free ──take──▶ lent to a batch ──release──▶ returning ──the worker's word──▶ free
                         └──────────give_back (never touched)──────────────────────┘

A segment is a piece of anonymous memory (`memfd_create`). It has no name, so
nothing can be left behind in ``/dev/shm``: it ends with the last process that
has it, however that process ends. Its pages are allocated before it is mapped
and its size is sealed, so a full mount is an error here and no bus error later.

The worker says that it has let go of a batch's segment by a word in the segment
itself, which costs no message. As long as somebody in the worker still holds
an array of it, it does not, and the segment is not used again. A worker that
dies takes its segments along.

Where segments cannot be had (no `memfd_create`, no memory, no descriptors,
`max_segment_bytes` reached), the bytes go through the socket.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import logging
import mmap
import os
import socket
import sys
import time
import weakref
from typing import TYPE_CHECKING, Final

import attrs

from slither_actors.pool._memory import DATA_AT, FREE, KEPT, MESSAGE, WORD, map_segment

if TYPE_CHECKING:
    from slither_actors.pool._worker_line import WorkerLine

__all__ = [
    "AVAILABLE",
    "Segment",
    "SegmentStatistics",
    "Segments",
    "send_memory",
    "send_segment",
]

logger = logging.getLogger("slither_actors.pool")

AVAILABLE: Final = hasattr(os, "memfd_create") and hasattr(os, "posix_fallocate")
"""Whether this system has memory without a name."""

_STEP: Final = 2**20
_LEAST: Final = 2**16
_MOST_SEGMENTS: Final = 128
"""Each takes two descriptors here and one in each worker that knows it."""

_PAUSE: Final = 1.0
"""Seconds for which nothing is tried after the system refused memory."""


@attrs.frozen(kw_only=True)
class SegmentStatistics:
    """The shared memory of a pool at one moment."""

    segments: int
    """Segments that exist."""

    bytes: int
    """Their memory; it stays reserved for the next batches until the pool stops."""

    in_use: int
    """Bytes of those that a batch has, or that hold an array which somebody in a worker still has."""

    limit: int
    """``max_segment_bytes``."""

    lent: int
    """Batches that got a segment so far."""

    refused: int
    """Times that one was wanted and not to be had: those bytes went through the socket."""


@attrs.define(eq=False)
class Segment:
    """One piece of shared memory."""

    id: int
    fd: int
    map: mmap.mmap
    # Weakly: the end of a pool that is only forgotten frees its segments, and must not wait for them.
    known: weakref.WeakSet[WorkerLine] = attrs.field(factory=weakref.WeakSet, init=False)
    """Lines whose worker was sent the descriptor."""

    _line: weakref.ref[WorkerLine] | None = attrs.field(default=None, init=False)

    room_at: int = attrs.field(default=0, init=False)
    room: int = attrs.field(default=0, init=False)
    """Where the results of the batch may be put."""

    @property
    def line(self) -> WorkerLine | None:
        """Whose worker has it now."""
        return None if self._line is None else self._line()

    @line.setter
    def line(self, line: WorkerLine | None) -> None:
        self._line = None if line is None else weakref.ref(line)

    @property
    def word(self) -> int:
        """The worker's word."""
        return int(WORD.unpack_from(self.map, 0)[0])

    @word.setter
    def word(self, value: int) -> None:
        WORD.pack_into(self.map, 0, value)


class Segments:
    """The segments of one pool. Its pool is the only caller, except for `close`."""

    def __init__(self, threshold: int | None, limit: int) -> None:
        """Lend segments from `threshold` bytes on, `limit` bytes at most in all; None lends none."""
        usable = AVAILABLE and threshold is not None and limit > 0
        self.threshold = sys.maxsize if not usable or threshold is None else threshold
        """Bytes from which on a batch is to have a segment."""
        self._limit = limit
        self._all: dict[int, Segment] = {}
        self._free: list[Segment] = []  # by size
        self._returning: list[Segment] = []
        self._bytes = 0
        self._last_id = 0
        self._not_before = 0.0
        self._lent = self._refused = 0

    def take(self, size: int, ref: int, line: WorkerLine) -> Segment | None:
        """Lend a segment with room for `size` bytes to a line's worker; None if there is none to be had."""
        if self._returning:
            self._collect()
        size += DATA_AT
        at = bisect.bisect_left(self._free, size, key=_size)
        segment = self._free.pop(at) if at < len(self._free) else self._create(size)
        if segment is None:
            self._refused += 1
            return None
        if line not in segment.known or not line.shares:
            if not line.introduce(segment):
                self._refused += 1
                self._put(segment)
                return None
            segment.known.add(line)
        segment.line = line
        segment.word = ref
        self._lent += 1
        return segment

    def give_back(self, segment: Segment) -> None:
        """Take back a segment that the worker has not touched."""
        if segment.id in self._all:
            self._put(segment)

    def release(self, segment: Segment) -> None:
        """The batch has ended: the segment is free as soon as its worker says so."""
        if segment.id in self._all:
            self._returning.append(segment)

    def lose(self, number: int, line: WorkerLine) -> None:
        """The line's worker could not map a segment: it gets none any more."""
        line.shares = False
        segment = self._all.get(number)
        if segment is not None and segment.line is line:
            self._discard(segment)

    def line_gone(self, line: WorkerLine) -> None:
        """The worker is gone. What it had is not used again: who knows what it had started."""
        for segment in list(self._all.values()):
            segment.known.discard(line)
            if segment.line is line:
                self._discard(segment)

    def statistics(self) -> SegmentStatistics:
        """Count."""
        self._collect()
        return SegmentStatistics(
            segments=len(self._all),
            bytes=self._bytes,
            in_use=self._bytes - sum(map(_size, self._free)),
            limit=self._limit,
            lent=self._lent,
            refused=self._refused,
        )

    def close(self) -> None:
        """Let go of all memory. From any thread, once nobody calls the others."""
        self.threshold = sys.maxsize
        for segment in list(self._all.values()):
            segment.known.clear()  # their workers are gone, or going
            self._discard(segment)

    # -- inside -----------------------------------------------------------------------

    def _put(self, segment: Segment) -> None:
        segment.line = None
        bisect.insort(self._free, segment, key=_size)

    def _collect(self) -> None:
        """Look for segments that the workers have let go of."""
        returning, self._returning = self._returning, []
        for segment in returning:
            word = segment.word
            if word == FREE:
                self._put(segment)
            elif word == KEPT:
                self._discard(segment)
            else:
                self._returning.append(segment)

    def _create(self, size: int) -> Segment | None:
        """Make a segment; one that is free, and so too small, makes way for it."""
        size = _rounded(size)
        now = time.monotonic()
        if size > self._limit or now < self._not_before:
            return None
        if self._free:
            self._discard(self._free[-1])
        while self._bytes + size > self._limit or len(self._all) >= _MOST_SEGMENTS:
            if not self._free:
                return None
            self._discard(self._free[-1])
        try:
            fd, memory = _allocate(size)
        except OSError as error:
            self._not_before = now + _PAUSE
            logger.warning(
                "no shared memory for %d bytes (%s): large payloads go through the socket",
                size, errno.errorcode.get(error.errno or 0, str(error)),
            )  # fmt: skip
            return None
        self._last_id += 1
        segment = self._all[self._last_id] = Segment(self._last_id, fd, memory)
        self._bytes += size
        return segment

    def _discard(self, segment: Segment) -> None:
        if self._all.pop(segment.id, None) is None:
            return
        self._bytes -= len(segment.map)
        for segments in (self._free, self._returning):
            if segment in segments:
                segments.remove(segment)
        for line in list(segment.known):
            line.forget(segment)
        os.close(segment.fd)
        with contextlib.suppress(BufferError):  # an error's traceback has a view: then it goes with that
            segment.map.close()


def _size(segment: Segment) -> int:
    return len(segment.map)


def _rounded(size: int) -> int:
    """Return a size that serves for somewhat larger batches, too."""
    grain = max(_LEAST, 1 << max(0, size.bit_length() - 4))
    return -(-size // grain) * grain


def _allocate(size: int) -> tuple[int, mmap.mmap]:
    """Make memory without a name, all of it really there.

    Raises:
        OSError: there is not so much memory, or no descriptor.
    """
    import fcntl  # noqa: PLC0415 - Unix only, as all of this

    fd = os.memfd_create("slither-segment", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        # In steps: a signal has the system begin anew, and under a storm of them a large one would never end.
        for at in range(0, size, _STEP):
            os.posix_fallocate(fd, at, min(_STEP, size - at))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return fd, map_segment(fd, size)
    except BaseException:
        os.close(fd)
        raise


def send_segment(sock: socket.socket, segment: Segment) -> bool:
    """Send a segment's descriptor through a non-blocking socket; False if that is not possible now."""
    return send_memory(sock, segment.id, len(segment.map), segment.fd)


def send_memory(sock: socket.socket, number: int, size: int, fd: int) -> bool:
    """Send the descriptor of any memory, as `send_segment`."""
    try:
        socket.send_fds(sock, [MESSAGE.pack(number, size)], [fd])
    except OSError:
        return False
    return True
