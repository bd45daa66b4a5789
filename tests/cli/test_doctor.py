"""``slither-actors doctor``: on this machine, and on machines that are broken in ways of their own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application
from slither_actors._cli import _doctor_limits as limits
from slither_actors._cli import _doctor_python as python
from slither_actors._cli import _doctor_smoke
from slither_actors._cli._doctor_check import Check, Verdict
from slither_actors._cli._doctor_machine import Machine
from slither_actors._cli._doctor_smoke import smoke_test
from tests.cli.command import Cli, Ran, until

Run = Callable[..., Ran]

BOTH = ("forkserver", "spawn")


def found(machine: Machine, name: str, workers: int = 2) -> Check:
    """The check of that name."""
    [check] = [check for check in limits.check_limits(machine, workers, BOTH) if check.name == name]
    return check


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with plenty of everything and no control groups, whose files a test replaces."""
    machine = Machine(root=tmp_path / "root")
    write(machine, "/proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable:   16000000 kB\n")
    write(machine, "/proc/self/cgroup", "")
    write(machine, "/bin/sh", '#!/bin/sh\nexec /bin/sh "$@"\n').chmod(0o755)
    machine.path("/dev/shm").mkdir(parents=True)
    return machine


def write(machine: Machine, path: str, text: str) -> Path:
    place = machine.path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def have_limit(kind: int, soft: int) -> Callable[[], None]:
    """For a process that is to have a limit."""
    return lambda: resource.setrlimit(kind, (soft, soft))


# -- the command ---------------------------------------------------------------------------


def test_this_machine_is_well(cli: Cli) -> None:
    """A line per check, a pool of two for each start method with its times, status 0."""
    ran = cli("doctor")
    assert ran.status == 0, ran.out + ran.err
    assert ran.err == ""
    *lines, last = ran.out.splitlines()
    assert all(line.startswith(("ok    ", "warn  ")) for line in lines), ran.out
    names = ["python", "platform", "packages", "processors", "memory", "memfd", "/dev/shm", "shell"]
    for name in [*names, "start methods", "open files", "processes", "temporary folder", "pool (spawn)"]:
        assert [line for line in lines if line[6:].startswith(f"{name} ")], name
    [pool] = [line for line in lines if "pool (forkserver)" in line]
    assert "started in" in pool
    assert "a crash survived in" in pool
    assert last.startswith(f"{len(lines)} checks for ")
    assert last.endswith("0 FAIL")


def test_json_has_what_the_lines_have(cli: Cli) -> None:
    """One object; the checks have their numbers, a pool's steps their seconds."""
    ran = cli("doctor", "--json", "--pool-start-method", "spawn", "--workers", "3")
    report = json.loads(ran.out)
    assert report["verdict"] in ("ok", "warn")
    assert report["workers"] == 3
    checks = {check["name"]: check for check in report["checks"]}
    assert "pool (forkserver)" not in checks
    assert checks["open files"]["details"]["needed"] > 3 * limits.DESCRIPTORS_PER_WORKER
    steps = checks["pool (spawn)"]["details"]["steps"]
    assert list(steps) == ["import", "start", "batch", "crash", "stop"]
    assert all(step["seconds"] >= 0 for step in steps.values())


def test_without_the_smoke_test_no_pool_is_started(inside: Run) -> None:
    """--no-smoke is for a machine on which nothing may be started."""
    ran = inside("doctor", "--no-smoke")
    assert ran.status == 0
    assert "pool (" not in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "0"], "'0' is not an integer of at least 1"),
        (["--workers", "two"], "'two' is not an integer"),
        (["--workers", "5000"], "5,000 processes in a pool are too many"),
        (["--pool-start-method", "fork"], "invalid choice: 'fork'"),
        (["--smoke"], "unrecognized arguments: --smoke"),
        (["more"], "unrecognized arguments: more"),
    ],
)
def test_wrong_options(inside: Run, arguments: list[str], said: str) -> None:
    """Refused as the other commands do: what is wrong, status 2."""
    ran = inside("doctor", *arguments)
    assert ran.status == 2
    assert said in ran.err
    assert ran.out == ""


def test_a_signal_ends_it_and_its_pool(cli: Cli) -> None:
    """Status 130 and no traceback; that nothing is left is seen by the leak fixture."""
    process = cli.start("doctor")
    for line in process.stdout:
        if b"temporary folder" in line:  # the pools are next
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == b"stopped: SIGINT\n"


def test_a_reader_that_goes_away(cli: Cli) -> None:
    """As for `… | head -0`."""
    process = cli.start("doctor")
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""


# -- machines that are broken for real --------------------------------------------------------


def test_too_few_descriptors(cli: Cli) -> None:
    """The check says what is needed and how to get it; the pool fails with the system's word; status 1."""
    ran = cli("doctor", "--workers", "4", preexec_fn=have_limit(resource.RLIMIT_NOFILE, 14))
    assert ran.status == 1
    [line] = [line for line in ran.out.splitlines() if " open files " in line]
    assert line.startswith("FAIL  open files        a limit of 14, up to ")
    assert "ulimit -n 1024, for which the hard limit of 14 has to be raised" in line
    [line] = [line for line in ran.out.splitlines() if "pool (spawn)" in line]
    assert line.startswith("FAIL")
    assert "Too many open files" in line
    assert "Traceback" not in ran.out + ran.err


def test_a_path_of_the_temporary_folder_that_is_too_long(cli: Cli) -> None:
    """The fork server's socket does not fit: a failure for it, a warning where only spawn is wanted.

    Newer Pythons take another folder, where it is a warning in any case.
    """
    long = cli.folder / ("x" * 100)
    long.mkdir()
    cli.environment["TMPDIR"] = str(long)
    ran = cli("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(ran.out)["checks"]}
    folder, pool = checks["temporary folder"], checks["pool (forkserver)"]
    assert "too long for a Unix socket" in folder["found"]
    assert "TMPDIR" in folder["advice"]
    assert folder["verdict"] == ("warn" if pool["verdict"] == "ok" else "fail")
    assert ran.status == (0 if pool["verdict"] == "ok" else 1)
    assert checks["pool (spawn)"]["verdict"] == "ok"
    ran = cli("doctor", "--no-smoke", "--pool-start-method", "spawn")
    assert ran.status == 0
    assert "warn  temporary folder" in ran.out


def test_no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """None that can be written is a failure, not a traceback."""

    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    check = found(Machine(), "temporary folder")
    assert check.verdict is Verdict.FAIL
    assert "No usable temporary directory" in check.found


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('no libfoo.so.3')", 'failed in its step "import": ImportError: no libfoo.so.3'),
        ("import os; os.kill(os.getpid(), 11)", 'failed in its step "import": killed by SIGSEGV'),
        ("raise SystemExit(5)", 'failed in its step "import": SystemExit: 5'),
        ("import os; os._exit(7)", 'failed in its step "import": exit status 7'),
    ],
)
def test_a_package_that_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    """Whatever becomes of the smoke test's process, it is a line of the report."""
    (tmp_path / "blinker.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    check = smoke_test("spawn")
    assert check.verdict is Verdict.FAIL
    assert check.found == said


_STOP = """
import os, sys
if "_doctor_pool" in " ".join(sys.orig_argv):
    write = os.write
    def write_and_stop(fd, data):
        count = write(fd, data)
        if b'"batch"' in data:
            os.kill(os.getpid(), 19)
        return count
    os.write = write_and_stop
"""


@pytest.fixture
def late_deadline(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], object]], None]:
    """Have the smoke test's deadline be half a second behind what a function of its process waits for.

    How long that process takes to come to where it hangs says more of what else the machine does.
    """

    def behind(wait: Callable[[int], object]) -> None:
        class Process(subprocess.Popen[bytes]):
            waited = False

            def communicate(self, input: Any = None, timeout: float | None = None) -> Any:  # noqa: A002
                if not self.waited:
                    self.waited = True
                    wait(self.pid)
                    timeout = 0.5
                return super().communicate(input, timeout)

        monkeypatch.setattr(_doctor_smoke.subprocess, "Popen", Process)

    return behind


def test_a_pool_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_deadline: Callable[..., None]
) -> None:
    """It names the step; the process is killed at the deadline, and its workers with it (leak fixture)."""
    (tmp_path / "sitecustomize.py").write_text(_STOP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    hung = []

    def stopped(pid: int) -> None:
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        hung.append(time.monotonic())

    late_deadline(stopped)
    check = smoke_test("forkserver", deadline=30.0)
    assert check.verdict is Verdict.FAIL
    assert check.found == 'did not end within 30 s: it hung in its step "crash"'
    assert time.monotonic() - hung[0] < 8


def test_output_that_is_held_open_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_deadline: Callable[..., None]
) -> None:
    """What a killed process had started, out of its group, may keep its pipes."""
    note = tmp_path / "pid"
    (tmp_path / "blinker.py").write_text(
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"open({str(note)!r} + '.part', 'w').write(str(child.pid))\n"
        f"os.rename({str(note)!r} + '.part', {str(note)!r})\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(_doctor_smoke, "_PATIENCE", 0.5)
    hung = []

    def held(_: int) -> None:
        until(note.exists, "the process that holds the pipes")
        hung.append(time.monotonic())

    late_deadline(held)
    try:
        check = smoke_test("spawn")
        assert check.found == 'did not end within 30 s: it hung in its step "import"'
        assert time.monotonic() - hung[0] < 8
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)


# -- machines that are told of -------------------------------------------------------------------


def test_a_machine_with_plenty(machine: Machine) -> None:
    """Nothing to say."""
    names = {"memory", "shell", "/dev/shm", "open files", "memfd"}
    for check in limits.check_limits(machine, 2, BOTH):
        if check.name in names:
            assert check.verdict is Verdict.OK, check
            assert check.advice == ""


def test_no_shell(machine: Machine) -> None:
    """The guard is missing: pools work, but a killed driver may leave a worker."""
    machine.path("/bin/sh").unlink()
    check = found(machine, "shell")
    assert check.verdict is Verdict.WARN
    assert "does not run: No such file" in check.found
    assert "may outlive a driver that is killed" in check.advice
    write(machine, "/bin/sh", "#!/bin/sh\nexit 3\n").chmod(0o755)
    assert "is no POSIX shell (status 3)" in found(machine, "shell").found


GROUPS = {
    "version 2": ("0::/a/b\n", "/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a"),
    "version 1": (
        "4:memory:/a/b\n3:cpu,cpuacct:/a/b\n2:pids:/a/b\n",
        "/sys/fs/cgroup/{}/a/b",
        "/sys/fs/cgroup/{}/a",
    ),
}


@pytest.mark.parametrize("version", GROUPS)
def test_the_limits_of_control_groups(machine: Machine, version: str) -> None:
    """Of this group and of those above it the tightest counts."""
    listing, group, above = GROUPS[version]
    write(machine, "/proc/self/cgroup", listing)
    if version == "version 2":
        write(machine, f"{group}/cpu.max", "max 100000")
        write(machine, f"{above}/cpu.max", "150000 100000")
        write(machine, f"{group}/memory.max", "max")
        write(machine, f"{above}/memory.max", f"{512 * 2**20}")
        write(machine, f"{above}/memory.current", f"{412 * 2**20}")
        write(machine, f"{group}/pids.max", "20")
        write(machine, f"{group}/pids.current", "18")
    else:
        cpu, memory, pids = above.format("cpu,cpuacct"), above.format("memory"), group.format("pids")
        write(machine, f"{cpu}/cpu.cfs_quota_us", "150000")
        write(machine, f"{cpu}/cpu.cfs_period_us", "100000")
        write(machine, f"{group.format('memory')}/memory.limit_in_bytes", "9223372036854771712")
        write(machine, f"{memory}/memory.limit_in_bytes", f"{512 * 2**20}")
        write(machine, f"{memory}/memory.usage_in_bytes", f"{412 * 2**20}")
        write(machine, f"{pids}/pids.max", "20")
        write(machine, f"{pids}/pids.current", "18")
    processors = found(machine, "processors", workers=64)
    assert processors.details["quota"] == 1.5
    assert processors.verdict is Verdict.WARN
    memory_check = found(machine, "memory", workers=2)
    assert memory_check.details == {"available": 100 * 2**20, "limit": 512 * 2**20}
    assert memory_check.verdict is Verdict.WARN
    assert found(machine, "memory", workers=1).verdict is Verdict.OK
    assert found(machine, "memory", workers=8).verdict is Verdict.FAIL
    processes = found(machine, "processes")
    assert processes.verdict is Verdict.FAIL
    assert "18 of 20 of the control group's" in processes.found
    assert "--pids-limit" in processes.advice


def test_a_small_shared_memory(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container by default: pools do without, libraries may not."""
    usage = type("usage", (), {"total": 64 * 2**20, "free": 60 * 2**20, "used": 0})
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda path: usage)
    check = found(machine, "/dev/shm")
    assert check.verdict is Verdict.WARN
    assert "60 MiB free of 64 MiB" in check.found
    assert "--shm-size" in check.advice


def test_no_shared_memory(machine: Machine) -> None:
    """A missing mount is a warning too."""
    machine.path("/dev/shm").rmdir()
    assert found(machine, "/dev/shm").verdict is Verdict.WARN


def test_memory_that_cannot_be_shared(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that forbids `memfd_create`: no worker could be started."""

    def forbidden(*_: Any) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", forbidden)
    check = found(machine, "memfd")
    assert check.verdict is Verdict.FAIL
    assert "Operation not permitted" in check.found


@pytest.mark.parametrize(
    ("soft", "verdict"), [(100, Verdict.FAIL), (400, Verdict.WARN), (2000, Verdict.OK), (None, Verdict.OK)]
)
def test_descriptors_against_workers(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, soft: int | None, verdict: Verdict
) -> None:
    """For ten workers 100 are too few, 400 too few for large payloads too."""
    monkeypatch.setattr(Machine, "rlimit", lambda self, kind: (soft, None))
    check = found(machine, "open files", workers=10)
    assert check.verdict is verdict
    assert "hard limit" not in check.advice


def test_processes_of_the_user(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user runs already counts, threads included; root is not bound."""
    for thread in range(10):
        machine.path(f"/proc/17/task/{17 + thread}").mkdir(parents=True)
    monkeypatch.setattr(Machine, "rlimit", lambda self, kind: (20, 20))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert found(machine, "processes", workers=8).verdict is Verdict.OK
    owner = machine.path("/proc/17").stat().st_uid or 4711
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    monkeypatch.setattr(limits, "_owner", lambda path: owner)
    check = found(machine, "processes", workers=8)
    assert check.verdict is Verdict.FAIL
    assert "10 of 20 of the user's" in check.found
    assert found(machine, "processes", workers=1).verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("version", "satisfied"),
    [("4.4", True), ("4.5.0", True), ("4.4.0rc1", True), ("4.3.9", False), ("5.0", False), (None, False)],
)
def test_versions(version: str | None, satisfied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is missing, too old or too new is a failure with the command that helps."""
    real = python._version
    monkeypatch.setattr(python, "_version", lambda name: version if name == "pykka" else real(name))
    [check] = [check for check in python.check_python(Machine(), BOTH) if check.name == "packages"]
    assert check.verdict is (Verdict.OK if satisfied else Verdict.FAIL)
    assert satisfied or 'pip install "pykka>=4.4,<5"' in check.advice


def test_the_dependencies_are_those_of_the_package() -> None:
    """The doctor has them by hand, since a checkout has no metadata."""
    path = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text())["project"]
    assert list(python.REQUIRED.values()) == project["dependencies"]
    for name, requirements in project["optional-dependencies"].items():
        assert [python.EXTRAS.get(name, requirements[0]), *requirements[1:]] == requirements


def test_a_start_method_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for on a platform without it."""
    monkeypatch.setattr(Machine, "start_methods", ("spawn",))
    [check] = [check for check in python.check_python(Machine(), BOTH) if check.name == "start methods"]
    assert check.verdict is Verdict.FAIL
    assert check.advice == "forkserver is not on this platform; use spawn"


@pytest.mark.parametrize("method", BOTH)
def test_descriptors_per_worker_are_at_most_what_the_doctor_counts_with(method: str) -> None:
    """Of a real pool of four, against the same program before."""

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as the doctor counts

    before = descriptors()
    with Application(pools={"default": {"workers": 1, "start_method": method}}):
        one = descriptors()
        assert one - before <= limits.DESCRIPTORS + limits.DESCRIPTORS_PER_WORKER
    with Application(pools={"default": {"workers": 4, "start_method": method}}):
        assert descriptors() - one <= 3 * limits.DESCRIPTORS_PER_WORKER
