"""A worker that sends what it should not costs its batch: never the pool, never a hang, never much memory."""

from __future__ import annotations

import pickle
import random
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.errors import BatchError, BatchTimeoutError, WorkerCrashError
from slither_actors.pool import _wire as wire
from slither_actors.pool._envelope import Head, encode
from slither_actors.pool._payloads import ErrorRecord
from slither_actors.pool._wire import HEADER, FrameReader, WireError
from tests.pool import payload_work, work
from tests.pool.asking import asking
from tests.pool.test_wire import Chunks, read_all


def frame(kind: int, ref: int, body: bytes) -> bytes:
    return HEADER.pack(wire._MAGIC | kind, len(body), ref) + body


KINDS = sorted(wire.KIND_NAMES)
RANDOM = random.Random(5)
GARBAGE = {
    "random": RANDOM.randbytes(1000),
    "zeros": bytes(1000),
    "a header and random bytes": frame(wire.DONE, 2, b"") + RANDOM.randbytes(500),
    **{f"{wire.KIND_NAMES[kind]}, garbage": frame(kind, 2, RANDOM.randbytes(100)) for kind in KINDS},
    **{f"{wire.KIND_NAMES[kind]}, nothing": frame(kind, 2, b"") for kind in KINDS},
    **{f"{wire.KIND_NAMES[kind]}, another": frame(kind, 999, pickle.dumps([1])) for kind in KINDS},
    "an unknown kind": frame(200, 2, b"x"),
    "results in a segment that it does not have": frame(
        wire.DONE_ENVELOPE, 2, encode(Head(99), pickle.dumps([1]), [])
    ),
    "results beyond the segment": frame(
        wire.DONE_ENVELOPE, 2, encode(Head(), pickle.dumps([1]), [])[:32] + b"\xff" * 8
    ),
    "no record of an error": frame(wire.FAILED, 2, pickle.dumps((1, 2, 3, 4, 5))),
}

for each in ("garbage", "nothing"):
    del GARBAGE[f"DONE, {each}"]  # an answer, whose content is not the wire's business

HARMLESS = {"SAID", "LOST_SEGMENT", "CALL", "SKIPPED"}
"""Frames about what is not there are no reason to end a worker; its batch runs on."""


@pytest.mark.parametrize("name", GARBAGE)
def test_a_worker_that_sends_garbage_costs_its_batch(name: str) -> None:
    """The pool goes on with another one."""
    kind = name.partition(",")[0]
    with asking() as asker:
        assert asker.run(work.increment, [1]) == [2]
        pool = asker.pool
        job = asker.submit(
            payload_work.send_frames, [GARBAGE[name]], timeout=0.5 if kind in HARMLESS else 10.0
        )
        asker.wait(job)
        assert isinstance(job.error, BatchError)
        if kind not in HARMLESS:
            assert not isinstance(job.error, BatchTimeoutError), "noticed at once"
        if isinstance(job.error, WorkerCrashError):
            assert "it " in job.error.cause
        assert asker.run(work.increment, [1]) == [2]
        assert pool.is_alive()


@pytest.mark.parametrize("cut", [1, 15, 16, 500])
def test_a_frame_that_is_cut_short_ends_with_the_batchs_time(cut: int) -> None:
    """The rest may still come, so it is waited for, but no longer than the batch may take."""
    with asking() as asker:
        part = frame(wire.DONE, 1, bytes(1000))[:cut]
        with pytest.raises(BatchTimeoutError):
            asker.run(payload_work.send_frames, [part], timeout=0.3)
        assert asker.run(work.increment, [1]) == [2]


def test_an_announced_size_costs_no_memory() -> None:
    """A worker that announces four gigabytes and sends a little."""
    with asking() as asker:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        part = HEADER.pack(wire._MAGIC | wire.DONE, 2**32 - 1, 1) + bytes(100_000)
        with pytest.raises(BatchTimeoutError):
            asker.run(payload_work.send_frames, [part], timeout=0.3)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
        assert asker.run(work.increment, [1]) == [2]


FRAME = st.tuples(st.integers(0, 255), st.integers(0, 2**64 - 1), st.binary(max_size=100))


@given(st.lists(FRAME, min_size=1, max_size=5), st.data(), st.lists(st.integers(1, 60), max_size=20))
def test_a_damaged_stream_gives_frames_or_an_error(
    frames: list[wire.Frame], data: st.DataObject, sizes: list[int]
) -> None:
    """Whatever is flipped, missing or doubled: frames, a `WireError`, or the wait for more."""
    stream = bytearray(b"".join(frame(kind, ref, bytes(body)) for kind, ref, body in frames))
    at = data.draw(st.integers(0, len(stream) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "double", "insert"])):
        case "flip":
            stream[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del stream[at : at + data.draw(st.integers(1, 20))]
        case "double":
            stream[at:at] = stream[at : at + data.draw(st.integers(1, 20))]
        case _:
            stream[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    whole, end = 0, 0
    for kind, ref, body in frames:
        end += len(frame(kind, ref, bytes(body)))
        whole += end <= at
    reader = FrameReader()
    got: list[wire.Frame] = []
    try:
        got = read_all(reader, Chunks(bytes(stream), sizes, ends=True))
    except WireError:
        return
    assert got[:whole] == frames[:whole]
    assert sum(len(body) for _, _, body in got) <= len(stream)


@given(st.binary(max_size=200))
def test_an_error_record_is_one_or_is_refused(data: bytes) -> None:
    """What a worker says about an error is as little trusted as anything else."""
    try:
        record = ErrorRecord.loads(data)
    except WireError:
        return
    assert isinstance(record.message, str)
