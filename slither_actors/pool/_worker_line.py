"""The driver's line to one worker: frames both ways, and what has to be told ahead of a batch.

`_driver_line` is the worker's end of it. Ahead of its batches a worker is sent
the definitions of what they run (`_definitions`), descriptors of the shared
memory that they are in (`_segments`), and news for whoever listens there (`_news`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from slither_actors.pool import _wire as wire
from slither_actors.pool._definitions import Definitions
from slither_actors.pool._news import Following, SealedBytes, without_ended
from slither_actors.pool._segments import Segment, send_memory, send_segment

if TYPE_CHECKING:
    from slither_actors.pool._lane import Lane
    from slither_actors.pool._process import WorkerProcess

__all__ = ["OutOfStepError", "WorkerLine"]

_READS: Final = 64
"""Receives in one go, so that one worker's large results do not keep the others waiting."""


class OutOfStepError(Exception):
    """A worker sent what it cannot mean; nothing that follows can be trusted."""


class WorkerLine:
    """The driver's end of the sockets of one worker. Its lane and its pool are the only callers."""

    __slots__ = (
        "__weakref__", "_on_end", "_reader", "_segment_sock", "_sock", "_writer",
        "closed", "definitions", "news", "shares", "writing",
    )  # fmt: skip

    def __init__(
        self, process: WorkerProcess | None = None, on_end: Callable[[], object] | None = None
    ) -> None:
        """Take the sockets of a fresh worker; `on_end` is called once. The line to no worker is closed."""
        self.closed = process is None
        """The connection has ended; the process will follow."""
        self.writing = False
        """Whether frames wait for room in the socket."""
        self.shares = True
        """Whether the worker can map segments; one that is out of descriptors cannot."""
        self.news: list[Following] | None = None
        """What the worker is told of before its batches; None, as a rule, is nothing."""
        self.definitions = Definitions()
        self._on_end = on_end
        self._sock = None if process is None else process.sock
        self._segment_sock = None if process is None else process.segment_sock
        self._reader = None if self._sock is None else wire.FrameReader()
        self._writer = None if self._sock is None else wire.FrameWriter(self._sock)

    # -- frames -----------------------------------------------------------------------

    def read(self, lane: Lane, handle: Callable[[Lane, int, int, bytes | bytearray], None]) -> bool:
        """Call ``handle(lane, kind, reference, body)`` for each frame that has arrived.

        Calls `end` when no more can follow.

        Returns:
            Whether there may be more at once.

        Raises:
            OutOfStepError: what arrived makes no sense.
        """
        sock, reader = self._sock, self._reader
        if sock is None or reader is None:
            return False
        for _ in range(_READS):
            try:
                frames = reader.read(sock)
            except BlockingIOError:
                return False
            except wire.WireError as error:
                msg = f"it sent something else than frames: {error}"
                raise OutOfStepError(msg) from error
            except OSError:
                frames, reader.eof = [], True  # a reset: it ended with frames of ours unread
            for kind, ref, body in frames:
                handle(lane, kind, ref, body)
            if reader.eof:
                self.end()
                return False
            if not reader.may_have_more:
                return False
        return True

    def write(self, kind: int, ref: int, body: bytes = b"") -> None:
        """Send a frame; what the socket does not take sets `writing`."""
        if self.closed or self._writer is None:
            return
        try:
            self.writing = not self._writer.send(kind, ref, body)
        except OSError:
            self.end()  # what it had still sent will be read

    def flush(self) -> None:
        """Go on writing; clears `writing` when all is out."""
        if self.closed or self._writer is None:
            return
        try:
            self.writing = not self._writer.flush()
        except OSError:
            self.end()

    def end(self) -> None:
        """The connection is of no use any more."""
        if not self.closed:
            self.closed = True
            if self._on_end is not None:
                self._on_end()

    # -- shared memory ----------------------------------------------------------------

    def introduce(self, segment: Segment) -> bool:
        """Send a segment's descriptor to the worker; False if it cannot have it."""
        if self._segment_sock is None or not self.shares:
            return False
        return send_segment(self._segment_sock, segment)

    def forget(self, segment: Segment) -> None:
        """Have the worker let go of a segment that it was sent."""
        self.write(wire.FORGET, segment.id)

    # -- news -------------------------------------------------------------------------

    def follow(self, following: Following, snapshot: SealedBytes) -> None:
        """Send the worker a snapshot and what is new since, and tell it what comes after."""
        others = [each for each in self.news or () if each.subject is not following.subject]
        self.news = [*others, following]
        shared = (
            snapshot.fd >= 0
            and self.shares
            and self._segment_sock is not None
            and send_memory(self._segment_sock, snapshot.id, snapshot.size, snapshot.fd)
        )
        if shared:
            self.write(wire.NEWS, snapshot.id)
        elif snapshot.size <= wire.MAX_BODY:  # else the worker has none, and asks the driver for each row
            self.write(wire.NEWS, 0, snapshot.read())
        self.tell_news()

    def tell_news(self) -> None:
        """Tell the worker what is new, ahead of what is written next."""
        followings = self.news
        if followings is None or not any(each.is_behind for each in followings):
            return
        for following in followings:
            for body in following.take():
                self.write(wire.NEWS, 0, body)
        self.news = without_ended(followings)
