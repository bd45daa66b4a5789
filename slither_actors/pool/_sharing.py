"""How a batch travels whose payloads or results are large, or have buffers.

Buffers are taken out of the pickle. Those of a large batch are copied once,
into a segment, which the worker reads in place; results are copied once out of
their segment, into memory of their own. Measured, that copy costs nothing
beside the first touch of fresh memory, which is needed in any case if the
results are kept, and it makes them the user's: no view of a segment is ever
handed out in the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from slither_actors.pool import _wire as wire
from slither_actors.pool._envelope import Envelope, Head, aligned, decode, encode, extent, read_head
from slither_actors.pool._memory import DATA_AT
from slither_actors.pool._payloads import bounded, dumps_results, loads

if TYPE_CHECKING:
    from slither_actors.pool._job import Job
    from slither_actors.pool._lane import Lane
    from slither_actors.pool._mapped import MappedSegments
    from slither_actors.pool._segments import Segments

__all__ = ["open_batch", "pack_batch", "pack_results", "unpack_results"]


# -- in the driver ---------------------------------------------------------------------


def pack_batch(
    lane: Lane, job: Job, ref: int, data: bytes, buffers: Sequence[PickleBuffer]
) -> tuple[int, bytes]:
    """Choose how a batch goes; return the kind and the body of its frame. It may get a segment.

    Raises:
        PayloadError: it is too large for the socket, and there is no shared memory for it.
    """
    views = [buffer.raw() for buffer in buffers]
    segments = lane.segments
    large_pickle = len(data) >= segments.threshold
    size = extent(views) + (aligned(len(data)) if large_pickle else 0)
    # Results are often as large as what they are made of; after the first batch we know.
    room = size if job.target.room is None else job.target.room
    segment = None
    if max(size, room) >= segments.threshold:
        segment = segments.take(size + room, ref, lane.line)
        if segment is None and room and size >= segments.threshold:
            segment = segments.take(size, ref, lane.line)
    if segment is not None:
        segment.room_at = DATA_AT + size
        segment.room = len(segment.map) - segment.room_at
        job.segment = segment
        head = Head(segment.id, segment.room_at, segment.room, job.target.writable, large_pickle)
        with memoryview(segment.map) as memory:
            body = encode(head, data, views, memory, DATA_AT)
    elif views:
        body = encode(Head(writable=job.target.writable), data, views)
    else:
        return wire.RUN, bounded(data, job.description)
    return wire.RUN_ENVELOPE, bounded(body, job.description)


def unpack_results(segments: Segments, job: Job, kind: int, body: bytes | bytearray) -> list[Any]:
    """Unpickle the results of a batch, and note how large they are.

    Raises:
        PayloadError: they cannot be unpickled.
        WireError: the body makes no sense.
    """
    what = f"{job.description}: the results"
    if kind == wire.DONE:
        _learn(segments, job, len(body))
        results: list[Any] = loads(body, what, "driver")
        return results
    opened = read_head(body)
    segment = job.segment
    if opened[0].segment == 0:
        envelope = decode(body, None, 0, opened)
        results = _load(segments, job, envelope, what)
    elif segment is None or segment.id != opened[0].segment:
        raise wire.WireError(f"results in the segment {opened[0].segment}, which it was not given")
    else:
        end = segment.room_at + segment.room
        with memoryview(segment.map) as memory, memory[segment.room_at : end] as room:
            results = _load(segments, job, decode(body, room, 0, opened), what)
    return results


def _load(segments: Segments, job: Job, envelope: Envelope, what: str) -> list[Any]:
    shared = envelope.head.pickle_shared
    _learn(segments, job, extent(envelope.buffers) + (aligned(len(envelope.pickle)) if shared else 0))
    buffers = [bytearray(buffer) for buffer in envelope.buffers]  # the user's from here on
    for buffer in envelope.buffers:
        buffer.release()
    with envelope.pickle as data:
        results: list[Any] = loads(data, what, "driver", buffers)
    return results


def _learn(segments: Segments, job: Job, size: int) -> None:
    """Note how much room the results of a function take; a while after the last large ones, none."""
    known = job.target.room or 0
    room = max(aligned(size), known - known // 8)
    job.target.room = room if room >= segments.threshold else 0


# -- in the worker ---------------------------------------------------------------------


def open_batch(body: bytes | bytearray, mapped: MappedSegments) -> tuple[Any, int, memoryview | None]:
    """Unpickle a batch; return it, and the segment with the room for its results.

    Raises:
        PayloadError: it cannot be unpickled.
        EOFError: the driver is gone.
    """
    opened = read_head(body)
    head = opened[0]
    memory = mapped.use(head.segment) if head.segment else None
    room = None if memory is None else memory[head.room_at : head.room_at + head.room]
    envelope = decode(body, memory, DATA_AT, opened)
    buffers: list[Any]
    if head.writable:
        buffers = [bytearray(buffer) for buffer in envelope.buffers]
    else:
        buffers = [buffer.toreadonly() for buffer in envelope.buffers]
    return loads(envelope.pickle, "the payloads", "worker", buffers), head.segment, room


def pack_results(results: list[Any], segment: int = 0, room: memoryview | None = None) -> tuple[int, bytes]:
    """Pickle the results of a batch, into the room if they are large; return a frame's kind and body.

    Raises:
        PayloadError: they cannot be pickled, or are too large for a frame.
    """
    buffers: list[PickleBuffer] = []
    data = dumps_results(results, buffers)
    if not buffers and (room is None or len(data) <= wire.SMALL):
        return wire.DONE, bounded(data, "the results")
    views = [buffer.raw() for buffer in buffers]
    if room is not None:
        large_pickle = len(data) > wire.SMALL
        if extent(views) + (aligned(len(data)) if large_pickle else 0) <= len(room):
            return wire.DONE_ENVELOPE, encode(Head(segment, pickle_shared=large_pickle), data, views, room, 0)
    if not views:
        return wire.DONE, bounded(data, "the results")
    return wire.DONE_ENVELOPE, bounded(encode(Head(), data, views), "the results")
