"""Envelopes: parts come out as they went in; anything else is a `WireError`, and costs no memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.pool._envelope import Head, decode, encode, extent, read_head
from slither_actors.pool._wire import WireError

PARTS = st.lists(st.binary(max_size=200), max_size=6)


@given(st.binary(max_size=200), PARTS, st.booleans())
def test_parts_survive_in_the_frame(data: bytes, parts: list[bytes], writable: bool) -> None:
    """Without a segment all is in the body, aligned."""
    body = encode(Head(writable=writable), data, [memoryview(part) for part in parts])
    envelope = decode(body, None, 0)
    assert (bytes(envelope.pickle), [bytes(part) for part in envelope.buffers]) == (data, parts)
    assert envelope.head == Head(writable=writable)


@given(st.binary(max_size=200), PARTS, st.booleans(), st.integers(0, 300))
def test_parts_survive_in_a_segment(data: bytes, parts: list[bytes], shared: bool, spare: int) -> None:
    """With one, the buffers are there, and the pickle where the head says."""
    views = [memoryview(part) for part in parts]
    memory = memoryview(bytearray(64 + extent([*views, data]) + spare))
    head = Head(7, 100, 20, pickle_shared=shared)
    body = encode(head, data, views, memory, 64)
    envelope = decode(body, memory, 64)
    assert (bytes(envelope.pickle), [bytes(part) for part in envelope.buffers]) == (data, parts)
    assert envelope.head == head


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_an_envelope_or_an_error(data: bytes, segment: bool) -> None:
    """Nothing else is raised."""
    try:
        decode(data, memoryview(bytearray(200)) if segment else None, 64)
    except WireError:
        return


@given(PARTS, st.data(), st.booleans())
def test_a_changed_envelope_is_an_envelope_or_an_error(
    parts: list[bytes], data: st.DataObject, segment: bool
) -> None:
    """Bits that flip and bytes that are missing: no part is outside of the frame or the segment."""
    views = [memoryview(part) for part in parts]
    memory = memoryview(bytearray(64 + extent(views))) if segment else None
    body = bytearray(encode(Head(1 if segment else 0), b"pickle", views, memory, 64))
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    try:
        envelope = decode(body, memory, 64)
    except WireError:
        return
    assert sum(map(len, envelope.buffers)) <= len(body) + (0 if memory is None else len(memory))


def test_announced_lengths_are_not_allocated() -> None:
    """A head with four billion parts, or one of 2**63 bytes, is refused on sight."""
    many = bytearray(encode(Head(), b"", []))
    many[24:28] = b"\xff" * 4
    long = bytearray(encode(Head(), b"", []))
    long[32:40] = b"\xff" * 8
    tracemalloc.start()
    try:
        for body in (many, long):
            with pytest.raises(WireError):
                decode(body, None, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_the_head_alone_can_be_read() -> None:
    """It says which segment is meant, before that is looked for."""
    head = Head(9, 128, 4096, writable=True)
    memory = memoryview(bytearray(1000))
    assert read_head(encode(head, b"xyz", [memoryview(b"ab")], memory)) == (head, [3, 2])
