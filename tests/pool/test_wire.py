"""Frames: whole ones come out as they went in, anything else is an error and never a hang."""

from __future__ import annotations

import socket
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.pool import _wire as wire
from slither_actors.pool._wire import HEADER, FrameReader, FrameWriter, WireError

FRAME = st.tuples(st.integers(0, 255), st.integers(0, 2**64 - 1), st.binary(max_size=300))


class Chunks:
    """A source that gives its bytes in pieces of the given sizes, then blocks, or ends."""

    def __init__(self, data: bytes, sizes: list[int] | None = None, *, ends: bool = False) -> None:
        self.data, self.sizes, self.ends = data, list(sizes or []), ends

    def recv_into(self, buffer: memoryview) -> int:
        if not self.data:
            if self.ends:
                return 0
            raise BlockingIOError
        size = self.sizes.pop(0) if self.sizes else len(self.data)
        size = min(size, len(buffer), len(self.data))
        buffer[:size] = self.data[:size]
        self.data = self.data[size:]
        return size


def encode(kind: int, ref: int, body: bytes | bytearray) -> bytes:
    return HEADER.pack(wire._MAGIC | kind, len(body), ref) + body


def read_all(reader: FrameReader, source: Chunks) -> list[wire.Frame]:
    frames = []
    while not reader.eof:
        try:
            frames += reader.read(source)
        except BlockingIOError:
            break
    return frames


@given(st.lists(FRAME, max_size=8), st.lists(st.integers(1, 400), max_size=30))
def test_frames_survive_any_division(frames: list[wire.Frame], sizes: list[int]) -> None:
    """However the stream is cut into pieces, the same frames come out in order."""
    data = b"".join(encode(*frame) for frame in frames)
    reader = FrameReader()
    assert read_all(reader, Chunks(data, sizes)) == frames
    assert not reader.in_frame


@given(st.binary(min_size=16, max_size=200).filter(lambda data: data[1:4] != encode(0, 0, b"")[1:4]))
def test_garbage_is_an_error(data: bytes) -> None:
    """What does not begin with the magic number is refused as soon as a header is there."""
    with pytest.raises(WireError):
        read_all(FrameReader(), Chunks(data))


@given(st.binary(max_size=400))
def test_no_bytes_do_more_than_raise(data: bytes) -> None:
    """Any bytes give frames, a WireError, or the wait for more."""
    try:
        read_all(FrameReader(max_body=1000), Chunks(data, ends=True))
    except WireError:
        return


@given(FRAME, st.data())
def test_a_truncated_frame_is_noticed(frame: wire.Frame, data: st.DataObject) -> None:
    """When the stream ends inside a frame the reader says so and gives no part of it."""
    encoded = encode(*frame)
    cut = data.draw(st.integers(1, len(encoded) - 1))
    reader = FrameReader()
    assert read_all(reader, Chunks(encoded[:cut], ends=True)) == []
    assert reader.eof
    assert reader.in_frame


def test_a_body_over_the_limit_is_an_error() -> None:
    """The limit is checked on the header, before anything is received or allocated."""
    header = HEADER.pack(wire._MAGIC | wire.DONE, 1001, 1)
    with pytest.raises(WireError, match="1001 bytes; the limit is 1000"):
        FrameReader(max_body=1000).read(Chunks(header))


def test_an_announced_size_is_not_allocated() -> None:
    """A header that announces 4 GB costs no more memory than the bytes that follow it."""
    header = HEADER.pack(wire._MAGIC | wire.DONE, 2**32 - 1, 1)
    tracemalloc.start()
    try:
        reader = FrameReader()
        read_all(reader, Chunks(header + b"x" * 100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.in_frame
    assert peak < 4 * 2**20


@pytest.mark.parametrize(
    "size", [wire.SMALL - 17, wire.SMALL - 16, wire.SMALL - 15, 2**20, 2**20 + 1, 5 * 2**20]
)
def test_large_frames(size: int) -> None:
    """Bodies around the size of the buffer and beyond it arrive whole, with what follows them."""
    body = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
    frames = read_all(FrameReader(), Chunks(encode(1, 2, body) + encode(3, 4, b"after"), [10_000] * 50))
    assert frames == [(1, 2, body), (3, 4, b"after")]


@given(
    st.lists(
        st.sampled_from(
            [0, 1, 200, wire.SMALL - 17, wire.SMALL - 16, wire.SMALL - 15, wire.SMALL, 2**20, 2**20 + 7]
        ),
        min_size=1,
        max_size=6,
    )
)
def test_nothing_is_left_unread(sizes: list[int]) -> None:
    """Reading while there may be more takes all that is there: an edge-triggered poller tells only once."""
    source = Chunks(b"".join(encode(1, ref, bytes(size)) for ref, size in enumerate(sizes)))
    reader = FrameReader()
    frames = reader.read(source)
    while reader.may_have_more:
        try:
            frames += reader.read(source)
        except BlockingIOError:
            break
    assert not source.data
    assert [len(body) for _, _, body in frames] == sizes


def test_a_full_socket_keeps_the_rest() -> None:
    """What the socket does not take is kept, in order, and goes out with `flush`."""
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        writer, reader = FrameWriter(left), FrameReader()
        bodies = [b"a" * 10, b"b" * 2_000_000, b"c" * 10, b"d" * 100_000]
        assert writer.send(1, 0, bodies[0])
        assert not writer.send(1, 1, bodies[1])
        assert not writer.send(1, 2, bodies[2])
        assert not writer.send(1, 3, bodies[3])
        assert writer.pending > 1_000_000
        frames: list[wire.Frame] = []
        while len(frames) < len(bodies):
            writer.flush()
            try:
                frames += reader.read(right)
            except BlockingIOError:
                continue
        assert writer.flush()
        assert writer.pending == 0
        assert [(ref, bytes(body)) for _, ref, body in frames] == list(enumerate(bodies))


def test_a_small_frame_is_one_send() -> None:
    """Header and body leave in one system call: that is most of what a small batch costs."""
    calls = []

    class Counting:
        def send(self, data: bytes) -> int:
            calls.append(data)
            return len(data)

    assert FrameWriter(Counting()).send(wire.RUN, 5, b"body")  # type: ignore[arg-type]
    assert calls == [encode(wire.RUN, 5, b"body")]
