"""Ending a run early: signals, closed pipes, and what is on disk then."""

import fcntl
import json
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Cli, until


def feed(process: subprocess.Popen[bytes], text: bytes) -> None:
    process.stdin.write(text)
    process.stdin.flush()


def whole_lines(path: Path) -> list[Any]:
    """The values in a file all of whose lines are whole."""
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_reading_and_what_was_read_is_written(cli: Cli, number: int, status: int) -> None:
    """The input stays open, the run ends all the same, with the status of the signal."""
    process = cli.start("run", "pipes:InWorkers", "--input", "-", "--output", "out", "--workers", "1")
    feed(process, b"".join(b"%d\n" % n for n in range(1000)))
    path = cli.folder / "out" / "default.jsonl"
    until(lambda: path.exists() and path.stat().st_size > 0, "the first results")
    process.send_signal(number)
    assert process.wait(10) == status
    said = process.stderr.read().decode()
    assert f"stopped: {signal.Signals(number).name}; all that was read is done" in said
    assert "Traceback" not in said
    written = [int(text) for _, text in whole_lines(path)]
    assert written == list(range(len(written)))
    assert f"read {len(written):,} items from standard input, wrote {len(written):,}" in said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_command_is_imported(cli: Cli, number: int, status: int) -> None:
    """It ends with the signal's status and a line, not with a traceback."""
    # The first import of what takes time sends the signal.
    (cli.folder / "early").mkdir()
    cli.write(
        "early/attrs.py", f"import os\nos.kill(os.getpid(), {int(number)})\nimport time\ntime.sleep(9)\n"
    )
    cli.environment["PYTHONPATH"] = f"{cli.folder / 'early'}:{cli.environment['PYTHONPATH']}"
    ran = cli("run", "pipes:Plain", "--input", "-", "--output", "out")
    assert (ran.status, ran.err) == (status, f"stopped: {signal.Signals(number).name}\n")


def test_a_slow_run_is_stopped_after_the_grace(cli: Cli) -> None:
    """What does not come out within two seconds is left: nobody waits for a thousand slow items."""
    process = cli.start("run", "pipes:Slow", "--input", "-", "--output", "out")
    feed(process, b"x\n" * 100)
    path = cli.folder / "out" / "default.jsonl"
    until(lambda: path.exists() and path.stat().st_size > 0, "the first results")
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
    assert 0 < len(whole_lines(path)) < 100
    assert b"stopped: SIGINT; not all that was read is done" in process.stderr.read()


def test_a_second_signal_ends_at_once(cli: Cli) -> None:
    """Also while a stage is in a handler that does not return; the results so far are on disk."""
    process = cli.start("run", "pipes:Stuck", "--input", "-", "--output", "out")
    feed(process, b"x\n")
    assert process.stdout.readline() == b"stuck\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # two signals at once are one
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert time.monotonic() - began < 1.0


def test_no_worker_outlives_a_run_that_was_ended_at_once(cli: Cli) -> None:
    """The leak fixture finds what is left; here is something that would be left, asleep for a minute."""
    process = cli.start("run", "pipes:StuckWorkers", "--input", "-", "--output", "out", "--workers", "2")
    feed(process, b"x\n" * 4)
    until(lambda: len(list(cli.folder.glob("stuck*"))) == 2, "two workers that are at it")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143


def workers_of(pid: int) -> list[int]:
    """The workers of a driver: children of its fork server."""
    servers = children(pid)
    return [worker for server in servers for worker in children(server)]


def children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _read(task / "children")]


def _read(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # a thread that has just ended
        return []


def test_a_stuck_worker_does_not_keep_a_run_from_stopping(cli: Cli) -> None:
    """One signal is enough: its worker is killed."""
    cli.give_up_after(0.5)
    process = cli.start("run", "pipes:StuckWorkers", "--input", "-", "--output", "out", "--workers", "1")
    feed(process, b"x\n" * 4)
    until(lambda: list(cli.folder.glob("stuck*")), "a worker that is at it")
    process.send_signal(signal.SIGTERM)
    assert process.wait(12) == 143
    assert b"stopped: SIGTERM; not all that was read is done" in process.stderr.read()


def test_a_reader_that_goes_away_ends_the_run(cli: Cli) -> None:
    """As for `… --output - | head -1`: status 141, and nothing is said of it but the summary."""
    process = cli.start("run", "pipes:Plain", "--input", "-", "--output", "-")
    feed(process, b"x\n" * 10)
    assert json.loads(process.stdout.readline()) == {"output": "default", "payload": "x"}
    process.stdout.close()
    feed(process, b"y\n")
    assert process.wait(10) == 141
    said = process.stderr.read().decode()
    assert "Traceback" not in said
    assert "Exception" not in said


def waiting_in(pipe: Any) -> int:
    """Bytes in a pipe that nobody has read."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


@pytest.mark.parametrize("items", [1_000_000, 2_000], ids=["while it runs", "at its end"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_reader_that_reads_no_more_does_not_keep_a_run_from_stopping(
    cli: Cli, number: int, status: int, items: int
) -> None:
    """One signal is enough; what is in the pipe then is whole lines, and as many as the summary says."""
    cli.give_up_after(0.5)
    cli.write("in.txt", b"0123456789012345678901234567890\n" * items)
    process = cli.start("run", "pipes:Plain", "--input", "in.txt", "--output", "-")
    until(lambda: waiting_in(process.stdout) > 50_000, "a pipe that is full")
    time.sleep(0.1)  # all that fits is written
    process.send_signal(number)
    began = time.monotonic()
    assert process.wait(10) == status
    assert time.monotonic() - began < 5
    out, err = process.communicate()
    assert out.endswith(b"}\n")
    written = [json.loads(line) for line in out.splitlines()]
    said = err.decode()
    assert f"wrote {len(written):,}" in said
    assert f"stopped: {signal.Signals(number).name}" in said
    assert "Traceback" not in said


def test_head_ends_a_run_over_an_endless_input(cli: Cli) -> None:
    """The whole line of the shell ends."""
    command = " ".join(cli.command)
    line = f"yes | {command} run pipes:Plain --input - --output - 2>err | head -1; echo $?"
    ran = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=cli.folder,
        env=cli.environment,
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert ran.stdout == b'{"output": "default", "payload": "y"}\n0\n'


def test_the_end_of_standard_input_is_no_early_end(cli: Cli) -> None:
    """A writer that goes away has ended the input; a last line without its end counts."""
    process = cli.start("run", "pipes:Plain", "--input", "-", "--output", "out")
    feed(process, b"one\ntwo")
    process.stdin.close()
    assert process.wait(10) == 0
    assert cli.output() == ["one", "two"]


def test_half_a_line_is_not_taken_from_an_input_that_was_stopped(cli: Cli) -> None:
    """After a signal the last line is a whole one."""
    process = cli.start("run", "pipes:Plain", "--input", "-", "--output", "out")
    feed(process, b"one\ntw")
    path = cli.folder / "out" / "default.jsonl"
    until(lambda: path.exists() and path.stat().st_size > 0, "the first line")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert cli.output() == ["one"]


def test_standard_error_that_nobody_reads_is_no_failure(cli: Cli) -> None:
    """The summary is lost, the results are not."""
    process = cli.start("run", "pipes:Plain", "--input", "-", "--output", "out")
    process.stderr.close()
    feed(process, b"one\n")
    process.stdin.close()
    assert process.wait(10) == 0
    assert cli.output() == ["one"]


def test_a_killed_run_leaves_whole_lines(cli: Cli) -> None:
    """Lines are written together and never in part."""
    process = cli.start(
        "run", "pipes:Plain", "--input", "/dev/stdin", "--output", "out", stdin=subprocess.PIPE
    )
    path = cli.folder / "out" / "default.jsonl"
    line = b"x" * 999 + b"\n"

    def some() -> bool:
        feed(process, line * 100)
        return path.exists() and path.stat().st_size > 1_000_000

    until(some, "a megabyte of results")
    process.kill()
    process.wait()
    assert set(whole_lines(path)) == {"x" * 999}
