"""The body of a frame whose buffers travel beside the pickle.

    head | length of the pickle | length of each buffer | what is not in a segment

The head names a shared-memory segment, or none. Buffers are all in the segment
or all in the frame; the pickle is in the frame unless it is large itself. A
batch may also bring room in its segment for the results. Nothing in a head is
believed: whatever does not fit into the frame or the segment is a `WireError`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from slither_actors.pool._wire import WireError

__all__ = ["ALIGNMENT", "Envelope", "Head", "aligned", "decode", "encode", "extent"]

_HEAD: Final = struct.Struct("<QQQIB3x")
_WRITABLE: Final = 1
_PICKLE_SHARED: Final = 2

ALIGNMENT: Final = 64
"""Where buffers begin in a segment: what vector instructions like best."""

_INLINE_ALIGNMENT: Final = 16
"""Where they begin in a frame: the memory of a frame is itself aligned no better."""


class Head(NamedTuple):
    """What precedes the parts."""

    segment: int = 0
    """Where the parts are, or the room is: a segment's id; 0 is the frame itself."""

    room_at: int = 0
    room: int = 0
    """Bytes in the segment for the results."""

    writable: bool = False
    """Whether the function may write into what it gets."""

    pickle_shared: bool = False
    """Whether the pickle is in the segment as well."""


class Envelope(NamedTuple):
    """An opened body. The parts are views, of the frame or of the segment."""

    head: Head
    pickle: memoryview
    buffers: list[memoryview]


def aligned(offset: int, alignment: int = ALIGNMENT) -> int:
    """Return the next aligned offset."""
    return -(-offset // alignment) * alignment


def extent(parts: Sequence[memoryview | bytes]) -> int:
    """Return the bytes that the parts take in a segment, at most."""
    return sum(aligned(len(part)) for part in parts)


def encode(
    head: Head,
    data: bytes,
    buffers: Sequence[memoryview],
    memory: memoryview | None = None,
    at: int = 0,
) -> bytes:
    """Make the body. With `memory` the buffers are copied into it from `at` on, else they are in the body."""
    flags = _WRITABLE * head.writable | _PICKLE_SHARED * head.pickle_shared
    start = _HEAD.pack(head.segment, head.room_at, head.room, len(buffers) + 1, flags)
    lengths = struct.pack(f"<{len(buffers) + 1}Q", len(data), *map(len, buffers))
    if memory is not None:
        shared: list[memoryview | bytes] = [*buffers, data] if head.pickle_shared else [*buffers]
        for part in shared:
            memory[at : at + len(part)] = part
            at = aligned(at + len(part))
        return start + lengths + (b"" if head.pickle_shared else data)
    parts: list[bytes | memoryview] = [start, lengths, data]
    end = len(start) + len(lengths) + len(data)
    for buffer in buffers:
        begin = aligned(end, _INLINE_ALIGNMENT)
        parts += bytes(begin - end), buffer
        end = begin + len(buffer)
    return b"".join(parts)


def read_head(body: bytes | bytearray | memoryview) -> tuple[Head, list[int]]:
    """Return the head and the lengths of the pickle and of the buffers.

    Raises:
        WireError: the body is too short for them.
    """
    if len(body) < _HEAD.size:
        raise WireError(f"an envelope of {len(body)} bytes")
    segment, room_at, room, count, flags = _HEAD.unpack_from(body)
    if count < 1 or _HEAD.size + 8 * count > len(body):
        raise WireError(f"an envelope of {len(body)} bytes for {count} lengths")
    lengths = list(struct.unpack_from(f"<{count}Q", body, _HEAD.size))
    return Head(segment, room_at, room, bool(flags & _WRITABLE), bool(flags & _PICKLE_SHARED)), lengths


def decode(
    body: bytes | bytearray, memory: memoryview | None, at: int, opened: tuple[Head, list[int]] | None = None
) -> Envelope:
    """Find the parts of a body.

    Args:
        body: the frame's.
        memory: that of the segment that the head names; None for none.
        at: where the parts begin in it.
        opened: what `read_head` returned, if it was called.

    Raises:
        WireError: a part is longer than what is there.
    """
    head, lengths = opened or read_head(body)
    frame = memoryview(body)
    begin = _HEAD.size + 8 * len(lengths)
    if head.pickle_shared:
        if memory is None:
            raise WireError("a pickle in no segment")
        lengths = [*lengths[1:], lengths[0]]
    else:
        frame_pickle = _part(frame, begin, lengths.pop(0))
        begin += len(frame_pickle)
    found: list[memoryview] = []
    source, alignment = (memory, ALIGNMENT) if memory is not None else (frame, _INLINE_ALIGNMENT)
    at = at if memory is not None else begin
    for length in lengths:
        at = aligned(at, alignment)
        found.append(_part(source, at, length))
        at += length
    if head.pickle_shared:
        frame_pickle = found.pop()
    return Envelope(head, frame_pickle, found)


def _part(source: memoryview, at: int, length: int) -> memoryview:
    if at + length > len(source):
        raise WireError(f"{length} bytes at {at} of {len(source)}")
    return source[at : at + length]
