"""The size of the input does not matter: peak memory is that of what is on its way."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Cli

LINE = b'{"id": 1%08d, "text": "' + b"lorem ipsum dolor sit amet " * 36 + b'"}\n'
MEGABYTE = 2**20


# A process is charged with the peak of what started it, up to its exec: a small one stands between.
LAUNCHER = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss * 1024))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(cli: Cli, *arguments: str | Path) -> tuple[int, str, int]:
    """Run the command line and return its status, its standard error and its peak memory in bytes."""
    note = cli.folder / "peak"
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(note)]
    ran = subprocess.run(
        [*launcher, *cli.command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=cli.folder,
        env=cli.environment,
        timeout=300,
        check=False,
    )
    return ran.returncode, ran.stderr.decode(), int(note.read_text())


def peak(cli: Cli, pipe: str, size: int) -> int:
    """Run a pipe over a file of `size` bytes and return the driver's peak memory in bytes."""
    path = cli.folder / "in.jsonl"
    with path.open("wb") as file:
        for number in range(size // len(LINE % 0)):
            file.write(LINE % number)
    status, errors, most = measured(
        cli, "run", f"pipes:{pipe}", "--input", path, "--output", "out", "--workers", "2"
    )
    assert status == 0, errors
    lines = 0
    with (cli.folder / "out" / "default.jsonl").open("rb") as file:
        lines = sum(1 for _ in file)
    assert lines == size // len(LINE % 0)
    path.unlink()
    return most


@pytest.mark.parametrize("pipe", ["Plain", "InWorkers"])
def test_a_large_input_needs_no_more_memory_than_a_small_one(cli: Cli, pipe: str) -> None:
    """60 MB against 5 MB, with and without workers: what differs is noise."""
    small, large = (peak(cli, pipe, size * MEGABYTE) for size in (5, 60))
    assert large < small + 12 * MEGABYTE


@pytest.mark.soak
def test_a_gigabyte_needs_no_more_memory_than_ten_megabytes(cli: Cli) -> None:
    """The same at the size that people have."""
    small, large = (peak(cli, "InWorkers", size * MEGABYTE) for size in (10, 1024))
    assert large < small + 12 * MEGABYTE


def test_a_line_without_end_is_not_gathered(cli: Cli) -> None:
    """A file that has no lines at all costs no more memory either; it is one broken line."""
    with (cli.folder / "flat.txt").open("wb") as file:
        for _ in range(60):
            file.write(b"x" * MEGABYTE)
    status, errors, most = measured(cli, "run", "pipes:Plain", "--input", "flat.txt", "--output", "out")
    assert status == 2
    assert "flat.txt, line 1: is longer than 16 MiB" in errors
    assert most < 100 * MEGABYTE
