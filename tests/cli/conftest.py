"""The command line in a folder of its own."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slither_actors._cli import main
from tests.cli.command import Cli, Ran

PIPES = Path(__file__).parent / "pipes.py"


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The command line, in a temporary folder that has ``pipes.py``."""
    shutil.copy(PIPES, tmp_path / "pipes.py")
    cli = Cli(tmp_path)
    yield cli
    cli.close()


@pytest.fixture
def inside(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Run a command in this process: for those that end before anything is started."""
    monkeypatch.chdir(cli.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments: str) -> Ran:
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
        finally:
            sys.modules.pop("pipes", None)
        return Ran(status, *capfd.readouterr())

    return run
