"""The record of a worker's death, and the sentence about its cause."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from slither_actors.errors import RemoteError, WorkerCrashError
from slither_actors.pool import _burial, _vitals
from slither_actors.pool._postmortem import explain_exit, last_lines, python_stack
from slither_actors.postmortem import Postmortem
from tests.pool import talk, work
from tests.pool.asking import Asker, asking, until
from tests.search_path import SEARCH_PATH

DUMP = """Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/home/me/model.py", line 12 in analyze
  File "/home/me/model.py", line 40 in run
"""


def died(asker: Asker, function: object, payload: object, **options: object) -> Postmortem:
    with pytest.raises(WorkerCrashError) as caught:
        asker.run(function, [payload], **options)  # type: ignore[arg-type]
    return caught.value.postmortem


# -- the record -------------------------------------------------------------------------


def test_it_says_who_died_of_what_and_after_what() -> None:
    """Worker, batch, attempt, times, and how many batches it had done."""
    with asking() as asker:
        for number in range(3):
            (pid,) = asker.run(work.pids, [number])
        found = died(asker, work.do, "SIGKILL", description="batch 37 of P.score", attempt=2)
        assert (found.pool, found.slot, found.pid) == ("tests", 0, pid)
        assert (found.exitcode, found.signal) == (-9, 9)
        assert (found.batch, found.attempt, found.batches) == ("batch 37 of P.score", 2, 3)
        assert found.batch_ref == 4
        assert found.ran_for is not None
        assert 0 <= found.ran_for < 5
        assert found.ran_for < found.age < 20
        again = died(asker, work.do, "_exit(42)")
        assert (again.batches, again.exitcode, again.signal) == (0, 42, None)
        assert again.pid != pid


def test_its_text_is_a_paragraph() -> None:
    """Then the stack and the last lines, as far as there are any."""
    found = Postmortem(
        pool="default",
        slot=1,
        pid=4711,
        exitcode=-9,
        cause="killed by signal 9 (SIGKILL), possibly by the kernel for lack of memory",
        batch="batch 37 of P.score",
        ran_for=2.34567,
        age=60.0,
        batches=1200,
        rss=3 << 30,
        peak_rss=4 << 30,
        stderr_tail="about to load",
    )
    assert str(found) == (
        "worker 4711 (pool 'default', slot 1) died while it ran batch 37 of P.score (attempt 1), 2.35 s "
        "after the batch had begun: killed by signal 9 (SIGKILL), possibly by the kernel for lack of memory. "
        "It had lived for 60 s and had done 1,200 batches before; its memory was 3,072 MiB when last seen "
        "and 4,096 MiB at most\n"
        "its last lines on standard error:\nabout to load"
    )
    assert str(WorkerCrashError(found)) == str(found)


def test_its_text_is_bounded() -> None:
    """Whatever is in it."""
    much = "x" * 1_000_000
    fields = dict.fromkeys(("cause", "batch", "python_stack", "stderr_tail"), much)
    assert len(str(Postmortem(pool="p", slot=0, pid=1, exitcode=1, **fields))) < 20_000  # type: ignore[arg-type]


def test_the_error_pickles() -> None:
    """With all that it says, and what was added to it."""
    with asking() as asker, pytest.raises(WorkerCrashError) as caught:
        asker.run(work.do, ["segfault"])
    caught.value.add_note("seen by me")
    clone = pickle.loads(pickle.dumps(caught.value))
    assert (str(clone), clone.postmortem) == (str(caught.value), caught.value.postmortem)
    assert (clone.pid, clone.exitcode, clone.__notes__) == (caught.value.pid, -11, ["seen by me"])


def test_a_deep_stack_is_told_from_its_innermost_frame() -> None:
    """Also when the dumps of many threads would fill the last lines."""
    with asking() as asker:
        found = died(asker, talk.fault_deep, 200)
    first, thread, frame, *_ = found.python_stack.splitlines()
    assert first == "Fatal Python error: Segmentation fault"
    assert thread.startswith("Current thread")
    assert frame.endswith("in dive_and_fault")
    assert "in dive_and_fault (talk.py:" in found.cause
    assert "its Python stack:\nFatal Python error" in str(found)
    assert "its last lines" not in str(found)


def test_the_dump_of_a_child_is_not_taken_for_the_end() -> None:
    """A program that the batch had started has crashed; the worker was killed."""
    with asking() as asker:
        found = died(asker, talk.crash_a_child_and_die, 1)
    assert found.python_stack == ""
    assert "Fatal Python error" in found.stderr_tail
    assert "(talk.py" not in found.cause


def test_memory_before_death_is_told() -> None:
    """It was looked at while the worker lived; the dead have none."""
    with asking() as asker:
        found = died(asker, talk.grow_and_die, 300)
    assert found.rss > 300 << 20
    assert found.peak_rss >= found.rss
    assert "MiB when last seen" in str(found)


# -- lack of memory (X08) -----------------------------------------------------------------


def test_a_memory_error_is_the_batch_own() -> None:
    """With a limit on its address space a worker gets an exception, not a death, and is reused."""
    with asking() as asker:
        (pid,) = asker.run(work.pids, [0])
        with pytest.raises(RemoteError) as caught:
            asker.run(talk.fail_to_allocate, [1 << 30])
        assert caught.value.type_name == "builtins.MemoryError"
        assert asker.run(work.pids, [0]) == [pid]
        assert asker.statistics().restarts == 0


def make_small_group() -> Path:
    """A control group of 256 MiB for the children of this process; only root may make one."""
    root = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        first = "memory" in controllers.split(",")
        group = root / ("memory" if first else "") / path.lstrip("/") / f"slither-test-{os.getpid()}"
        if first or not controllers:
            with contextlib.suppress(OSError):
                group.mkdir()
                try:
                    limit = "memory.limit_in_bytes" if first else "memory.max"
                    (group / limit).write_text(str(256 << 20))
                    with contextlib.suppress(OSError):  # or the kernel would swap instead
                        (group / "memory.swap.max").write_text("0")
                    return group
                except OSError:
                    group.rmdir()
    pytest.skip("a control group needs more rights")


def test_a_kill_by_the_kernel_is_told_as_such(tmp_path: Path) -> None:
    """In a control group that is too small for the batch; the driver lives on, and so does the pool."""
    group = make_small_group()
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            """
            import faulthandler, os, resource, sys
            faulthandler.dump_traceback_later(30, exit=True)
            open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
            from slither_actors.errors import WorkerCrashError
            from tests.pool import talk, work
            from tests.pool.asking import asking

            if __name__ == "__main__":
                with asking() as asker:
                    asker.run(work.increment, [1])
                    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    try:
                        asker.run(talk.fill_memory, [1 << 30])
                    except WorkerCrashError as error:
                        print(error.postmortem.oom_kills, error)
                    assert asker.run(work.increment, [1]) == [2]
                    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1.05 * before
            """
        )
    )
    env = {**os.environ, "PYTHONPATH": SEARCH_PATH}
    try:
        ran = subprocess.run(
            [sys.executable, str(script), str(group)],
            check=False, env=env, capture_output=True, text=True, timeout=40,
        )  # fmt: skip
    finally:
        until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("1 worker ")
    assert (
        "killed by signal 9 (SIGKILL), most likely by the kernel for lack of memory: it has just"
        in ran.stdout
    )


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The kernel's count, as the pool reads it."""
    path = tmp_path / "memory.events"
    path.write_text("low 0\noom 0\noom_kill 5\n")
    monkeypatch.setattr(_vitals, "_candidates", lambda: iter([path]))
    _vitals._oom_file.cache_clear()
    yield path
    _vitals._oom_file.cache_clear()


def test_a_kill_that_the_kernel_counted_is_likely_its_own(counter: Path) -> None:
    """The count went up while the worker died."""
    with asking() as asker:
        (pid,) = asker.run(work.pids, [0])
        counter.write_text("low 0\noom 1\noom_kill 6\n")
        found = died(asker, work.do, "SIGKILL")
    assert found.oom_kills == 1
    assert "most likely by the kernel for lack of memory" in found.cause
    assert "it has just killed 1 process of this control group for that" in found.cause


def test_a_kill_that_the_kernel_did_not_count_is_possibly_for_memory(counter: Path) -> None:
    """Somebody else kills, too; a guard in user space for lack of memory, say."""
    with asking() as asker:
        found = died(asker, work.do, "SIGKILL")
    assert found.oom_kills == 0
    assert "possibly for lack of memory, though not by the kernel itself" in found.cause


def test_without_a_count_the_kernel_is_possible(counter: Path) -> None:
    """No evidence for, none against."""
    counter.write_text("")
    _vitals._oom_file.cache_clear()
    with asking() as asker:
        found = died(asker, work.do, "SIGKILL")
    assert found.oom_kills is None
    assert found.cause == "killed by signal 9 (SIGKILL), possibly by the kernel for lack of memory"


def test_other_deaths_are_not_put_down_to_memory(counter: Path) -> None:
    """A count that went up has to do with another process."""
    with asking() as asker:
        asker.run(work.pids, [0])
        counter.write_text("oom_kill 6\n")
        found = died(asker, work.do, "abort")
    assert found.oom_kills is None
    assert "memory" not in found.cause


def test_a_kill_of_ours_is_no_lack_of_memory() -> None:
    """A worker that the pool itself ends for what it sent."""
    with asking() as asker:
        assert "memory" not in died(asker, work.do, "garbage").cause


def test_the_count_of_this_machine_is_found() -> None:
    """Where there is a count at all, it is read."""
    path = _vitals._oom_file()
    if path is None:
        pytest.skip("this kernel counts no kills for lack of memory")
    assert _vitals._oom_kills() is not None
    assert _vitals.oom_scope() == ("machine" if path == Path("/proc/vmstat") else "control group")


def test_a_reading_between_a_kill_and_its_notice_hides_nothing(counter: Path) -> None:
    """The count is compared with the reading before the last one."""
    vitals = _vitals.Vitals(os.getpid())
    counter.write_text("oom_kill 7\n")
    vitals.sample()
    assert vitals.oom_kills() == 2
    vitals.sample()
    assert vitals.oom_kills() == 0


# -- bus errors -------------------------------------------------------------------------------


def test_a_bus_error_with_room_left_is_not_put_down_to_shared_memory() -> None:
    """A mapped file that was cut short, with room on the mount."""
    with asking() as asker:
        found = died(asker, talk.bus_error, 1)
    assert found.signal == 7
    assert "a bus error: a mapped file that was cut short" in found.cause
    assert "in bus_error (talk.py:" in found.cause
    assert found.shared_memory_free is not None


def test_a_full_shared_memory_mount_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a mount of a mebibyte in its place; only root may make one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a mount needs more rights")
    try:
        monkeypatch.setattr(_vitals, "SHARED_MEMORY", str(tmp_path))
        with asking() as asker:
            found = died(asker, talk.fill_and_touch, str(tmp_path / "segment"))
        assert found.signal == 7
        assert found.shared_memory_free == 0
        assert "the shared-memory mount /dev/shm is full (0.0 of 1 MiB free)" in found.cause
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_mount_without_room_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same without rights: the burial sees no room."""
    monkeypatch.setattr(_burial, "shared_memory_free", lambda: (4096, 64 << 20))
    with asking() as asker:
        found = died(asker, talk.bus_error, 1)
    assert "/dev/shm is full (0.0 of 64 MiB free)" in found.cause
    assert found.shared_memory_free == 4096


# -- the sentence ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exitcode", "expected"),
    [
        (-9, "killed by signal 9 (SIGKILL), possibly by the kernel for lack of memory"),
        (-11, "killed by signal 11 (SIGSEGV), a crash in native code"),
        (-7, "killed by signal 7 (SIGBUS), a crash in native code, or a full shared-memory mount"),
        (-6, "killed by signal 6 (SIGABRT), native code aborted"),
        (-63, "killed by signal 63"),
        (0, "it ended itself with status 0: the code called os._exit(0), or a library called exit()"),
        (42, "it ended itself with exit status 42"),
        (None, "it ended, and something else in this program took its exit status"),
    ],
)
def test_the_exit_status_is_put_into_words(exitcode: int | None, expected: str) -> None:
    """Signals have names and usual causes; status 0 is a crash like any other."""
    assert explain_exit(exitcode) == expected


def test_the_python_frame_of_a_fault_is_named() -> None:
    """A faulthandler dump tells where it happened."""
    assert explain_exit(-11, stderr_tail=DUMP).endswith("in analyze (model.py:12)")


def test_memory_is_told_where_it_is_evidence() -> None:
    """Its size is told for SIGKILL, and not for a segmentation fault."""
    assert "its memory had reached 3,072 MiB" in explain_exit(-9, peak_memory=3 << 30)
    assert "MiB" not in explain_exit(-11, peak_memory=3 << 30)


def test_a_count_of_the_machine_is_weaker_evidence() -> None:
    """Somebody else's process may have been the one."""
    assert "probably by the kernel" in explain_exit(-9, oom_kills=2, oom_scope="machine")


def test_the_stack_is_that_of_the_thread_that_died() -> None:
    """Among the dumps of others, and without what follows."""
    other = 'Thread 0x01 (most recent call first):\n  File "a.py", line 1 in wait\n\n'
    head, _, rest = DUMP.partition("\n\n")
    text = f"before\n{head}\n\n{other}{rest}\nExtension modules: numpy (total: 1)\n"
    assert python_stack(text.encode()) == f"{head}\n{rest.rstrip()}"
    assert python_stack(b"nothing fatal") == ""
    assert python_stack(b"Fatal Python error: Aborted\n") == "Fatal Python error: Aborted"


def test_the_last_lines_are_few_and_short() -> None:
    """Whatever a worker wrote, in whatever encoding."""
    assert last_lines(b"a\r\nb\n") == "a\nb"
    assert last_lines("\n".join(map(str, range(100))).encode()).splitlines()[0] == "60"
    assert last_lines(b"\xff" * 100_000) == ("\\xff" * 2048)
    assert last_lines(b"") == ""
    noisy = f"{'x' * 50}\n" * 100
    assert last_lines(f"{noisy}last words\n{DUMP}{noisy}".encode()).endswith(
        f"last words\n{DUMP.rstrip()}".replace("\n\n", "\n")
    )


def test_a_record_is_a_value() -> None:
    """It is frozen, and can be evolved."""
    found = Postmortem(pool="p", slot=0, pid=1, exitcode=None, cause="unknown")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.pid = 2  # type: ignore[misc]
    assert attrs.evolve(found, batch="b").batch == "b"
