"""A segment of shared memory as both sides see it. `_segments` is the driver's side, `_mapped` a worker's."""

from __future__ import annotations

import mmap
import struct
import sys
from typing import Any, Final

__all__ = ["DATA_AT", "FREE", "KEPT", "MESSAGE", "SEALED", "WORD", "map_sealed", "map_segment"]

WORD: Final = struct.Struct("<Q")
"""At the beginning of a segment: the reference of the batch that has it, or one of the next two."""

FREE: Final = 0
KEPT: Final = 2**64 - 1
"""The worker cannot know when the memory will be let go of: it must not be used again."""

DATA_AT: Final = 64
"""Where a segment's data begins."""

MESSAGE: Final = struct.Struct("<QQ")
"""What comes with a segment's descriptor: id, size."""

SEALED: Final = 1 << 63
"""Ids from here on are those of sealed memory, which a worker reads once; see `_news`."""


def map_segment(fd: int, size: int) -> mmap.mmap:
    """Map a segment with all of its pages, instead of faulting them in one by one."""
    options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    return mmap.mmap(fd, size, flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0), **options)


def map_sealed(fd: int, size: int) -> mmap.mmap:
    """Map sealed memory, in a worker.

    Raises:
        OSError: there is no room for it.
    """
    options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
    return mmap.mmap(fd, size, flags=flags, prot=mmap.PROT_READ, **options)
