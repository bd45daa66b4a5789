"""A worker's side of the segments: those it was sent, and whether anybody still holds a part of one.

A function gets arrays that are views of a segment. It may keep one, in a
global perhaps, so the segment is given back only when nothing refers to its
memory any more; until then each later batch looks again. Not thread-safe: the
worker's loop is the only caller.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
import threading
import weakref
from typing import Final

from slither_actors.pool._memory import FREE, KEPT, MESSAGE, SEALED, WORD, map_sealed, map_segment

__all__ = ["MappedSegments", "SegmentError"]


class SegmentError(Exception):
    """This process could not map a segment; its batch fails, and no others come."""

    def __init__(self, segment: int, reason: str) -> None:
        self.segment = segment
        super().__init__(f"the worker cannot map the shared memory of its batch: {reason}")


class MappedSegments:
    """The segments that a worker knows."""

    def __init__(self, sock: socket.socket | None) -> None:
        """Receive them from `sock`."""
        self.in_use: list[int] = []
        """Those that were not given back yet."""
        self._sock = sock
        self._maps: dict[int, mmap.mmap] = {}
        self._lost: dict[int, str] = {}
        self._references = 0
        self._fetching = threading.Lock()  # news may be read by a thread that made a call
        _tables.add(self)

    def use(self, segment: int) -> memoryview:
        """Return the memory of a segment that came with a batch.

        Raises:
            SegmentError: this process has no room or no descriptor for it.
            EOFError: the driver is gone.
        """
        self._fetch(segment)
        if segment in self._lost:
            raise SegmentError(segment, self._lost[segment])
        self.in_use.append(segment)
        return memoryview(self._maps[segment])

    def take(self, segment: int) -> mmap.mmap:
        """Return the sealed memory that came with news, and forget it. Any thread.

        Raises:
            SegmentError: this process has no room or no descriptor for it.
            EOFError: the driver is gone.
        """
        self._fetch(segment)
        if segment in self._lost:
            raise SegmentError(segment, self._lost.pop(segment))
        return self._maps.pop(segment)

    def give_back(self) -> None:
        """Tell the driver which of the segments nobody holds any more."""
        maps, kept = self._maps, []
        for segment in self.in_use:
            # Every view of the memory, however it was made, has a reference to the map.
            if sys.getrefcount(maps[segment]) > self._references:
                kept.append(segment)
            else:
                WORD.pack_into(maps[segment], 0, FREE)
        self.in_use = kept

    def forget(self, segment: int) -> None:
        """The driver will not use the segment again; its memory goes with whoever still holds a part."""
        self._fetch(segment)
        self._maps.pop(segment, None)
        self._lost.pop(segment, None)
        if segment in self.in_use:
            self.in_use.remove(segment)

    def before_fork(self) -> None:
        """A child will see the same memory for as long as it likes: it is never written again."""
        for segment in self.in_use:
            WORD.pack_into(self._maps[segment], 0, KEPT)
        self.in_use = []

    def close(self) -> None:
        """In a child: nothing comes here any more."""
        if self._sock is not None:
            self._sock.close()

    def _fetch(self, segment: int) -> None:
        if segment in self._maps:
            return
        with self._fetching:
            self._receive(segment)

    def _receive(self, segment: int) -> None:
        while segment not in self._maps and segment not in self._lost:
            assert self._sock is not None
            data, fds, _, _ = socket.recv_fds(self._sock, MESSAGE.size, 1)
            if not data:
                raise EOFError
            number, size = MESSAGE.unpack(data)
            if not fds:
                self._lost[number] = "too many open files"
                continue
            try:
                self._maps[number] = (map_segment if number < SEALED else map_sealed)(fds[0], size)
            except OSError as error:
                self._lost[number] = str(error)
                continue
            finally:
                os.close(fds[0])
            if number < SEALED:
                self._references = sys.getrefcount(self._maps[number])


_tables: Final[weakref.WeakSet[MappedSegments]] = weakref.WeakSet()


def _before_fork() -> None:
    for table in _tables:
        table.before_fork()


os.register_at_fork(before=_before_fork)
