"""The command line as real processes, in a folder of their own with pipes to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

import slither_actors

TIMEOUT = 30


@attrs.frozen
class Ran:
    """A command that has ended."""

    status: int
    out: str
    err: str


class Cli:
    """Runs ``python -m slither_actors`` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        # -W error: the command line itself warns of nothing. -P: as for the installed script, the current
        # folder is not on the search path.
        self.command = [sys.executable, "-W", "error", "-P", "-m", "slither_actors"]
        self.environment = {
            **os.environ,
            # The package that the tests import, be it a checkout or installed.
            "PYTHONPATH": str(Path(slither_actors.__file__).parent.parent),
            "COLUMNS": "100",
            # As people have it: standard output is written at the end.
            "PYTHONUNBUFFERED": "",
        }

    def give_up_after(self, seconds: float) -> None:
        """Run commands with another time for what was read to come out after the first signal."""
        program = (
            "import sys\n"
            "from slither_actors._cli import _signals\n"
            f"_signals.Stopper.__init__.__defaults__ = ({seconds},)\n"
            "from slither_actors.__main__ import main\n"
            "sys.exit(main())"
        )
        self.command[-2:] = ["-c", program]

    def __call__(self, *arguments: str | Path, stdin: str | bytes = b"", **options: Any) -> Ran:
        """Run a command to its end."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        ran = subprocess.run(
            [*self.command, *map(str, arguments)],
            input=data,
            capture_output=True,
            cwd=self.folder,
            env=self.environment,
            timeout=TIMEOUT,
            check=False,
            **options,
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command with pipes to it; it is killed if the test leaves it."""
        given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            [*self.command, *map(str, arguments)], cwd=self.folder, env=self.environment, **given
        )
        self.started.append(process)
        return process

    def write(self, name: str, content: str | bytes) -> Path:
        """Make a file in the folder."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def output(self, name: str = "default", folder: str = "out") -> list[Any]:
        """Return what is in an output's file; a broken line would raise."""
        text = (self.folder / folder / f"{name}.jsonl").read_text()
        assert not text or text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    def close(self) -> None:
        """Kill what was left running, and free the pipes."""
        for process in self.started:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue


def until(condition: Callable[[], Any], what: str, seconds: float = TIMEOUT) -> Any:
    """Wait for something in another process; there is no event to wait for."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(0.01)
    return found
