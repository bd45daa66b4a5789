"""One page of memory that a worker and the driver share.

The worker notes which batch it starts and since when; the driver reads it
when the worker is dead or late. A note in memory survives ``SIGKILL`` and
costs no message, and it answers exactly what the socket cannot: had the
second batch, which was already in the pipe, begun?

`revoke` is the other direction: the driver takes back a batch that has not
begun. Both sides write their own word first and read the other's after it, so
at least one of them sees the other's; if both do, the worker says so with a
frame, and a batch is only ever counted once, by its reference.
"""

from __future__ import annotations

import enum
import mmap
import os
import struct
import threading
import time
from typing import Final, NamedTuple

__all__ = ["Board", "Phase", "Reading"]

_SIZE: Final = mmap.PAGESIZE
_NOTE: Final = struct.Struct("<QdQ")  # batch reference, time.monotonic(), phase
_REVOKED: Final = struct.Struct("<Q")
_REVOKED_AT: Final = 64  # a cache line of its own: the other side writes it
_BEGUN: Final = struct.Struct("<Q")
_BEGUN_AT: Final = 48
_PEAK: Final = struct.Struct("<Q")
_PEAK_AT: Final = 32
_DROPPED: Final = struct.Struct("<Q")
_DROPPED_AT: Final = 40


class Phase(enum.IntEnum):
    """What the worker does."""

    IDLE = 0
    LOADING = 1
    """Imports or unpickles the batch's function; not on the batch's clock."""
    RUNNING = 2


class Reading(NamedTuple):
    """What the board says at one moment."""

    ref: int
    """The batch that has begun and not ended, 0 for none."""

    since: float
    """When it entered its phase, on the clock of `time.monotonic`."""

    phase: Phase

    peak_memory: int
    """Largest resident memory of the worker that was noted, in bytes; 0 is unknown."""


class Board:
    """The shared page, from either side. Nothing in it is trusted beyond one integer."""

    __slots__ = ("_fence", "_page", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._page = mmap.mmap(fd, _SIZE)
        self._fence = threading.Lock()

    @classmethod
    def create(cls) -> Board:
        """Make the driver's side; `fd` goes to the worker."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("slither-worker", os.MFD_CLOEXEC)
        else:
            import tempfile  # noqa: PLC0415 - no worker needs it, and it imports much

            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        try:
            os.ftruncate(fd, _SIZE)
            return cls(fd)
        except BaseException:
            os.close(fd)
            raise

    def close_fd(self) -> None:
        """Close the descriptor; the page stays mapped."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """Close everything."""
        self.close_fd()
        self._page.close()

    @property
    def page(self) -> mmap.mmap:
        """The memory itself."""
        return self._page

    # -- worker's side

    def begin(self, ref: int, phase: Phase | int = Phase.RUNNING) -> bool:
        """Note that the batch begins; False if it was revoked and must not run."""
        _NOTE.pack_into(self._page, 0, ref, time.monotonic(), phase)
        _BEGUN.pack_into(self._page, _BEGUN_AT, ref)
        with self._fence:  # orders the write above before the read below on every processor
            pass
        return bool(_REVOKED.unpack_from(self._page, _REVOKED_AT)[0] != ref)

    def end(self) -> None:
        """Note that no batch is running."""
        _NOTE.pack_into(self._page, 0, 0, 0.0, 0)

    def note_peak_memory(self, size: int) -> None:
        """Note the largest resident memory so far, in bytes."""
        _PEAK.pack_into(self._page, _PEAK_AT, size)

    def note_dropped(self, count: int) -> None:
        """Note how many log records were left out so far."""
        _DROPPED.pack_into(self._page, _DROPPED_AT, count)

    # -- driver's side

    def read(self) -> Reading:
        """Return the worker's last note."""
        ref, since, phase = _NOTE.unpack_from(self._page, 0)
        (peak,) = _PEAK.unpack_from(self._page, _PEAK_AT)
        return Reading(ref, since, Phase(phase) if phase <= Phase.RUNNING else Phase.IDLE, peak)

    @property
    def dropped(self) -> int:
        """Log records that the worker has left out, in all."""
        (count,) = _DROPPED.unpack_from(self._page, _DROPPED_AT)
        return int(count)

    @property
    def last_begun(self) -> int:
        """The last batch that began, 0 for none; it may have ended."""
        (ref,) = _BEGUN.unpack_from(self._page, _BEGUN_AT)
        return int(ref)

    def revoke(self, ref: int) -> bool:
        """Take a batch back; True if it had not begun and will not.

        References grow in the order in which a worker gets them, so one that
        is at most the last that began has begun, and may have ended by now.
        """
        _REVOKED.pack_into(self._page, _REVOKED_AT, ref)
        with self._fence:
            pass
        return self.last_begun < ref
