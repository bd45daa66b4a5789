"""Buffers go beside the pickle, through shared memory if they are large, and nobody's are overwritten."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from slither_actors.errors import OptionError, PayloadError, StartError, WorkerCrashError
from slither_actors.pool import Pool, Target
from slither_actors.pool import _segments as segments_module
from slither_actors.pool._process import START_METHODS
from tests.pool import payload_work as work
from tests.pool.asking import asking, is_alive, until

THRESHOLD = 2**16
SIZES = [0, 1, 100, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, 1_000_000, 20_000_000]

pytestmark = pytest.mark.skipif(not segments_module.AVAILABLE, reason="no memory without a name here")


@pytest.mark.parametrize("method", START_METHODS)
def test_blobs_of_all_sizes_there_and_back(method: str) -> None:
    """What goes in comes out, below the threshold, around it and far above it."""
    with asking(start_method=method) as asker:
        for _ in range(2):  # the second time the pool knows how large the results are
            for size in SIZES:
                blobs = [work.pattern(size, 1), work.pattern(size // 2, 2)]
                results = asker.run(work.reversed_blobs, blobs)
                assert [bytes(r.data) for r in results] == [bytes(b.data)[::-1] for b in blobs]
        found = asker.statistics().segments
        assert found.lent > 0
        assert found.in_use == 0
        assert 0 < found.bytes <= found.limit


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threshold", [1, THRESHOLD, None])
def test_payloads_are_read_only_whatever_their_size(size: int, threshold: int | None) -> None:
    """A function that writes into its payload fails with small arrays just as with large ones."""
    with asking(segment_threshold=threshold) as asker:
        assert asker.run(work.are_readonly, [work.pattern(size)]) == [True]


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_writable_payloads_are_the_functions_own(size: int) -> None:
    """Asked for, they may be written into; the driver's stay as they are."""
    blob = work.pattern(size)
    before = bytes(blob.data)
    with asking() as asker:
        own = Target(work.overwrite, writable=True)
        [result] = asker.run(own, [blob])  # type: ignore[arg-type]
        assert bytes(result.data) == b"mine" + before[4:]
        assert bytes(blob.data) == before
        with pytest.raises(Exception, match="cannot modify read-only memory"):
            asker.run(work.overwrite, [blob])


@pytest.mark.parametrize("writable", [1, "yes", None])
def test_a_writable_that_is_no_bool_is_refused(writable: Any) -> None:
    """The option is checked where it is given."""
    with pytest.raises(OptionError, match="allowed are True, False"):
        Target(work.echo, writable=writable)


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_results_can_be_written(size: int) -> None:
    """They are the user's own memory."""
    with asking() as asker:
        for _ in range(2):
            [result] = asker.run(work.copies, [work.pattern(size)])
            assert not result.readonly
            memoryview(result.data)[:4] = b"mine"


def test_a_held_result_is_never_overwritten() -> None:
    """Later batches use the same shared memory; results that somebody keeps are not in it."""
    with asking(workers=2) as asker:
        held = [asker.run(work.make, [(300_000, seed)])[0] for seed in range(30)]
        assert asker.statistics().segments.lent > 20
        assert asker.statistics().segments.segments <= 4
    for seed, blob in enumerate(held):
        assert blob.data == work.pattern(300_000, seed).data


def test_a_payload_that_the_worker_keeps_is_never_overwritten() -> None:
    """A function may put an array into a global: its segment is lent to no other batch."""
    with asking() as asker:
        kept = [work.pattern(200_000, seed) for seed in range(5)]
        for blob in kept:
            asker.run(work.keep, [blob])
        for seed in range(20):
            asker.run(work.copies, [work.pattern(200_000, 100 + seed)])
        assert asker.run(work.look_at_kept, [None]) == [work.sums(kept)]
        assert asker.statistics().segments.in_use >= 5 * 200_000
        asker.run(work.drop_kept, [None])
        until(lambda: asker.statistics().segments.in_use == 0, "the worker gives the memory back")


def test_kept_payloads_use_the_memory_up_and_no_more() -> None:
    """Then the others go through the socket, and are correct."""
    with asking(max_segment_bytes=2_000_000) as asker:
        blobs = [work.pattern(300_000, seed) for seed in range(20)]
        for blob in blobs:
            asker.run(work.keep, [blob])
        assert asker.run(work.look_at_kept, [None]) == [work.sums(blobs)]
        found = asker.statistics().segments
        assert found.bytes <= 2_000_000
        assert found.refused > 0


@pytest.mark.parametrize(
    "options", [{"max_segment_bytes": 0}, {"max_segment_bytes": 100_000}, {"segment_threshold": None}]
)
def test_without_shared_memory_the_bytes_take_the_socket(options: dict[str, Any]) -> None:
    """Slower, and just as correct."""
    with asking(**options) as asker:
        blob = work.pattern(3_000_000)
        for _ in range(2):
            [result] = asker.run(work.reversed_blobs, [blob])
            assert bytes(result.data) == bytes(blob.data)[::-1]
            assert not result.readonly
        assert asker.statistics().segments.segments == 0


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("segment_threshold", 0, "an integer of at least 1, or None"),
        ("segment_threshold", 1.5, "an integer"),
        ("segment_threshold", True, "an integer"),
        ("max_segment_bytes", -1, "an integer of at least 0"),
        ("max_segment_bytes", None, "an integer"),
    ],
)
def test_wrong_options_are_refused(option: str, value: Any, allowed: str) -> None:
    """The error names the option, the pool and what is allowed."""
    with pytest.raises(StartError, match=rf"pool 'tests': option '{option}' is .*allowed is {allowed}"):
        Pool.start("tests", workers=1, **{option: value})


def test_large_pickles_go_through_shared_memory_too() -> None:
    """Plain bytes are no buffers to pickle, but as large."""
    data = bytes(range(256)) * 8_000
    with asking() as asker:
        for _ in range(3):
            assert asker.run(work.length_of_bytes, [data]) == [data[::-1]]
        assert asker.statistics().segments.lent == 3


def test_small_batches_get_no_segment() -> None:
    """Neither do their results, once it is known that they are small."""
    with asking() as asker:
        for _ in range(5):
            asker.run(work.sums, [work.pattern(1000)])
            asker.run(work.echo, [1, 2, 3])
        assert asker.statistics().segments.lent == 0


def test_results_that_outgrow_their_room_take_the_socket_and_then_get_more() -> None:
    """How large the results of a function are is learnt from those before."""
    with asking() as asker:
        for size in (100, 500_000, 500_000, 2_000_000, 2_000_000, 100, 500_000):
            [result] = asker.run(work.make, [(size, 3)])
            assert result.data == work.pattern(size, 3).data
        assert asker.statistics().segments.lent >= 3


# -- when there is none ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "code"),
    [("posix_fallocate", errno.ENOSPC), ("posix_fallocate", errno.ENOMEM), ("memfd_create", errno.EMFILE)],
)
def test_a_full_mount_costs_nothing_but_speed(
    function: str, code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The memory is asked for before it is used, so a lack of it is an error and no SIGBUS (X18)."""
    with asking() as asker:

        def refuse(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(segments_module.os, function, refuse)
        blob = work.pattern(3_000_000)
        [result] = asker.run(work.reversed_blobs, [blob])
        assert bytes(result.data) == bytes(blob.data)[::-1]
        assert asker.statistics().segments.refused > 0
        assert asker.statistics().restarts == 0
    assert f"({errno.errorcode[code]}): large payloads go through the socket" in caplog.text


def run_program(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent(text)
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, timeout=40, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def test_a_limit_of_the_system_costs_nothing_but_speed() -> None:
    """The same with a real limit, which the kernel enforces (X18)."""
    done = run_program("""
        import resource
        from tests.pool import payload_work as work
        from tests.pool.asking import asking
        with asking() as asker:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
            for size in (200_000, 5_000_000, 200_000):
                blob = work.pattern(size)
                [result] = asker.run(work.reversed_blobs, [blob])
                assert bytes(result.data) == bytes(blob.data)[::-1]
            found = asker.statistics()
            assert found.restarts == 0, found
            assert found.segments.refused > 0 and found.segments.lent > 0, found
        print("fine")
    """)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_a_storm_of_signals_does_not_keep_large_segments_from_being_made() -> None:
    """The system allocates them anew after each signal, so they are allocated in steps (X18)."""
    done = run_program("""
        import signal
        from tests.pool import payload_work as work
        from tests.pool.asking import asking
        with asking() as asker:
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            for size in (1_000_000, 60_000_000):
                blob = work.pattern(size)
                [result] = asker.run(work.reversed_blobs, [blob])
                assert bytes(result.data) == bytes(blob.data)[::-1]
            assert asker.statistics().segments.lent == 2
            signal.setitimer(signal.ITIMER_REAL, 0)
        print("fine")
    """)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_a_driver_without_descriptors_uses_the_socket() -> None:
    """It is out of them for segments, and goes on with what it has (X18)."""
    done = run_program("""
        import os, resource
        from tests.pool import payload_work as work
        from tests.pool.asking import asking
        with asking() as asker:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 2, hard))
            spare = []
            try:
                while True:
                    spare.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                pass
            blob = work.pattern(3_000_000)
            [result] = asker.run(work.reversed_blobs, [blob])
            assert bytes(result.data) == bytes(blob.data)[::-1]
            assert asker.statistics().segments.refused > 0
            for fd in spare:
                os.close(fd)
        print("fine")
    """)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_a_worker_without_descriptors_fails_one_batch() -> None:
    """It says why, and gets the following ones through the socket (X18)."""
    with asking() as asker:
        asker.run(work.use_up_descriptors, [0])
        blob = work.pattern(3_000_000)
        with pytest.raises(PayloadError, match=r"cannot map the shared memory of its batch: .*open files"):
            asker.run(work.sums, [blob])
        assert asker.run(work.sums, [blob]) == work.sums([blob])
        assert asker.statistics().restarts == 0


# -- ends --------------------------------------------------------------------------------


def test_a_worker_that_dies_takes_its_segments_along() -> None:
    """The batch fails, the memory is not used again, and there are no more descriptors than before."""
    with asking(workers=2) as asker:
        blob = work.pattern(1_000_000)
        asker.run(work.sums, [blob])
        for _ in range(5):
            with pytest.raises(WorkerCrashError):
                asker.run(work.die, [blob])
        jobs = [asker.submit(work.sums, [blob]) for _ in range(10)]
        asker.wait(*jobs)
        assert [job.results for job in jobs] == [work.sums([blob])] * 10
        until(lambda: asker.statistics().segments.in_use == 0, "the worker gives the memory back")
        found = asker.statistics().segments
        assert found.segments <= 6
        ours = [fd for fd in Path("/proc/self/fd").glob("*") if "slither-segment" in _target_of(fd)]
        assert len(ours) <= 2 * found.segments


def _target_of(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except FileNotFoundError:
        return ""


@pytest.mark.stress
@pytest.mark.parametrize("limit", [2**29, 2_000_000])
def test_kills_at_any_moment_mix_nothing_up(limit: int) -> None:
    """Whatever is killed, copied, kept or refused memory: a batch has its own results, or none (X11, X13)."""
    chance = random.Random(limit)
    with asking(workers=3, max_segment_bytes=limit) as asker:
        jobs = {}
        for seed in range(200):
            size = chance.choice([100, 50_000, 70_000, 300_000, 1_000_000])
            function = chance.choice([work.copies, work.echo, work.reversed_blobs, work.keep_and_copy])
            blob = work.pattern(size, seed)
            jobs[asker.submit(function, [blob], description=f"{function.__name__} {seed}")] = (function, blob)
            if seed % 10 == 9:
                pids = [slot.pid for slot in asker.statistics().slots if slot.pid]
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
        asker.wait(*jobs)
        for job, (function, blob) in jobs.items():
            if job.results is None:
                assert isinstance(job.error, WorkerCrashError)
                continue
            step = -1 if function is work.reversed_blobs else 1
            assert bytes(job.results[0].data) == bytes(blob.data)[::step], job.description
        assert sum(job.results is None for job in jobs) <= 20
        assert asker.statistics().segments.bytes <= limit


@pytest.mark.parametrize("end", ["driver", "both"])
@pytest.mark.parametrize("moment", ["waiting", "between"])
def test_nothing_is_left_when_the_driver_is_killed(end: str, moment: str, tmp_path: Path) -> None:
    """No process, no segment: memory without a name ends with its last process (X23)."""
    done = run_program(
        """
        import os, signal, sys
        from tests.pool import payload_work as work
        from tests.pool.asking import asking, until
        path, end, moment = sys.argv[1:]
        with asking(workers=2) as asker:
            blob = work.pattern(5_000_000)
            for _ in range(4):
                asker.run(work.copies, [blob])
            until(lambda: all(slot.pid for slot in asker.statistics().slots))
            pids = [slot.pid for slot in asker.statistics().slots]
            if moment == "waiting":
                for _ in range(4):
                    asker.submit(work.wait_forever, [blob])
                until(lambda: asker.statistics().running == 2)
            for pid in ("self", *pids):
                with open(f"/proc/{pid}/maps") as maps:
                    text = maps.read()
                assert pid != "self" or "memfd:slither-segment" in text, "shared memory is in use"
                assert "/dev/shm" not in text, "none of it has a name"
            with open(path, "w") as file:
                file.write(" ".join(map(str, pids)))
            if end == "both":
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        str(tmp_path / "pids"), end, moment,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    until(lambda: not any(map(is_alive, pids)), "the workers end")
    assert "leaked" not in done.stderr
    assert "resource_tracker" not in done.stderr


def test_a_child_that_the_function_forks_keeps_its_view(tmp_path: Path) -> None:
    """Nobody can tell how long a child looks at the memory: it is not used again."""
    path = tmp_path / "go"
    blob = work.pattern(500_000, 7)
    with asking() as asker:
        asker.run(work.fork_and_keep, [(str(path), blob)])
        for seed in range(10):
            asker.run(work.copies, [work.pattern(500_000, seed)])
        path.touch()
        until(Path(f"{path}.seen").exists)
        assert Path(f"{path}.seen").read_text() == repr(work.sums_here(blob))
        assert asker.statistics().segments.in_use == 0


def count_as_quick(pool: Pool, _: None) -> None:
    """Have a second batch go into the pipe, however slow a busy machine makes the worker."""
    for lane in pool.staff.lanes:
        lane.pace = 0.0


def test_a_cancelled_batch_gives_its_segment_back() -> None:
    """One that waits behind another in the pipe was never seen by the worker."""
    with asking() as asker:
        blob = work.pattern(500_000)
        asker.pool.send(count_as_quick)
        first = asker.submit(work.wait_forever, [blob])
        second = asker.submit(work.sums, [blob])
        until(lambda: asker.statistics().slots[0].outstanding == 2)
        asker.cancel(second)
        asker.wait(second)
        asker.cancel(first, kill=True)
        asker.wait(first)
        assert asker.run(work.sums, [blob]) == work.sums([blob])
        until(lambda: asker.statistics().segments.in_use == 0)


# -- arrays ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_arrays(size: int) -> None:
    """They arrive read-only, and come back as arrays that can be written and that stay what they are."""
    numpy: Any = pytest.importorskip("numpy")
    from tests.pool import array_work

    with asking() as asker:
        array = numpy.arange(size, dtype="f8")
        assert asker.run(array_work.flags, [array]) == [(False, True)]
        held = [asker.run(array_work.double, [array + at])[0] for at in range(5)]
        for at, result in enumerate(held):
            assert (result == (array + at) * 2.0).all()
            assert result.flags.writeable
            result[:] += 1
        with pytest.raises(Exception, match="read-only"):
            asker.run(array_work.in_place, [array])
        [result] = asker.run(Target(array_work.in_place, writable=True), [array])  # type: ignore[arg-type]
        assert (result == array + 1).all()


def test_odd_arrays() -> None:
    """Without a contiguous buffer, without elements, with objects: all arrive."""
    numpy: Any = pytest.importorskip("numpy")
    arrays = [
        numpy.arange(100_000).reshape(100, 1000).T,
        numpy.arange(200_000)[::2],
        numpy.empty((0, 5)),
        numpy.array([1, "two", None], dtype=object),
        numpy.arange(30_000, dtype="c16"),
        numpy.float64(3.0),
    ]
    with asking() as asker:
        for _ in range(2):
            back = asker.run(work.echo, arrays)
            for sent, got in zip(arrays, back, strict=True):
                assert numpy.array_equal(sent, got)


def test_a_kept_view_of_an_array_is_never_overwritten() -> None:
    """Also where only a slice of a slice is left of it."""
    numpy: Any = pytest.importorskip("numpy")
    from tests.pool import array_work

    with asking() as asker:
        asker.run(array_work.keep_slice, [numpy.full(100_000, 7.0)])
        for value in range(10):
            asker.run(array_work.double, [numpy.full(100_000, float(value))])
        assert asker.run(array_work.kept_sum, [None]) == [7.0 * 10]
