"""News: what a worker is told before its batches, and before the answers to its calls.

Somebody above the pool (the replicas of `store/`) gives a worker a `Following`
in the answer to one of its calls. From then on the lane of that worker asks it,
before each batch and each answer, whether there is news, and puts that into the
socket ahead of them. A worker that follows nothing costs one attribute test per
batch. What news says is no business of the pool: the worker hands the bytes to
whoever listens there.

The first news of a following may be large. It is put into sealed shared memory
once (`SealedBytes`), and each worker gets a descriptor and maps it read-only.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from slither_actors.pool._memory import SEALED
from slither_actors.pool._payloads import dumps, dumps_main, main_can_be_imported

__all__ = ["Following", "SealedBytes", "dumps_for_workers"]

_LEAST: Final = 1 << 18
"""Bytes from which on news is shared; less goes through the socket of each worker."""

_numbers = itertools.count(SEALED)


class Following(Protocol):
    """What one worker is told of one subject. Its lane is the only caller."""

    @property
    def subject(self) -> object:
        """What it is about; a worker that asks again for the same gets another following in its place."""

    @property
    def is_behind(self) -> bool:
        """Whether there is news."""

    @property
    def is_over(self) -> bool:
        """Whether there will be no more, until the worker asks again."""

    def take(self) -> Iterable[bytes]:
        """The news since the last time."""


class SealedBytes:
    """Bytes for several workers: in sealed memory without a name, or plain where there is none.

    Any thread. The memory ends with this object and the last worker that maps it.
    """

    __slots__ = ("_plain", "fd", "id", "size")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Take the pieces one by one: no more than one of them is held beside the memory."""
        self.id = next(_numbers)
        self.fd = -1
        """The memory's descriptor; -1 where the bytes are plain."""
        self._plain = b""
        rest = iter(pieces)
        head: list[bytes] = []
        self.size = 0
        for piece in rest:
            head.append(piece)
            self.size += len(piece)
            if self.size >= _LEAST:
                break
        if self.size >= _LEAST:
            self.fd = _memory()
        if self.fd < 0:
            self._plain = b"".join([*head, *rest])
            self.size = len(self._plain)
            return
        self.size = _write(self.fd, itertools.chain(head, rest))

    def read(self) -> bytes:
        """All of it, for a worker that cannot map it."""
        if self.fd < 0:
            return self._plain
        parts, at = [], 0
        while at < self.size and (part := os.pread(self.fd, self.size - at, at)):
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def dumps_for_workers(value: Any, name: str) -> bytes:
    """Pickle what workers are to read; what they cannot import of ``__main__`` by value.

    Raises:
        PayloadError: it cannot be pickled; the message has the path to the part that cannot.
    """
    data = dumps(value, name)
    if b"__main__" in data and not main_can_be_imported():
        data = dumps_main(value, name)
    return data


def _memory() -> int:
    if not hasattr(os, "memfd_create"):
        return -1
    try:
        return os.memfd_create("slither-news", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:  # out of descriptors: it goes through the sockets
        return -1


def _write(fd: int, pieces: Iterable[bytes]) -> int:
    """Write all pieces, and have nobody write any more. Closes the descriptor if that fails.

    Raises:
        OSError: there is not so much memory.
    """
    import fcntl  # noqa: PLC0415 - Unix only, as all of this

    size = 0
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                written = os.write(fd, view)
                view = view[written:]
                size += written
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return size


def without_ended(followings: Sequence[Following]) -> list[Following] | None:
    """Those that go on; None for none."""
    return [each for each in followings if not each.is_over] or None
