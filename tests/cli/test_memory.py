"""The size of the input does not matter: peak memory is that of what is on its way."""

import os

import pytest

from tests.cli.command import Cli

LINE = b'{"id": 1%08d, "text": "' + b"lorem ipsum dolor sit amet " * 36 + b'"}\n'
MEGABYTE = 2**20


def peak(cli: Cli, pipe: str, size: int) -> int:
    """Run a pipe over a file of `size` bytes and return the driver's peak memory in bytes."""
    path = cli.folder / "in.jsonl"
    with path.open("wb") as file:
        for number in range(size // len(LINE % 0)):
            file.write(LINE % number)
    process = cli.start("run", f"pipes:{pipe}", "--input", path, "--output", "out", "--workers", "2")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.stderr.read()
    lines = 0
    with (cli.folder / "out" / "default.jsonl").open("rb") as file:
        lines = sum(1 for _ in file)
    assert lines == size // len(LINE % 0)
    path.unlink()
    return usage.ru_maxrss * 1024


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
    process = cli.start("run", "pipes:Plain", "--input", "flat.txt", "--output", "out")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 2
    assert b"flat.txt, line 1: is longer than 16 MiB" in process.stderr.read()
    assert usage.ru_maxrss * 1024 < 120 * MEGABYTE
