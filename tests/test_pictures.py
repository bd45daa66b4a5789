"""The pictures of the manual are those of a program that runs now."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.pictures import PICTURES
from tests.search_path import SEARCH_PATH
from tests.test_docs import DOCS

NAMES = ("run.svg", "tree.svg")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the program draws today."""
    folder = tmp_path_factory.mktemp("pictures")
    command = [sys.executable, "-m", "tests.pictures", str(folder)]
    ran = subprocess.run(
        command,
        check=False,
        cwd=DOCS.parent,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_true(drawn: Path, name: str) -> None:
    """If not: `python -m tests.pictures` draws it anew, and the page has to say what has changed."""
    assert (drawn / name).read_text() == (PICTURES / name).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_shown(name: str) -> None:
    """On the page on the architecture, with words for those who do not see it."""
    title = ElementTree.parse(PICTURES / name).getroot()[0]
    assert title.tag.endswith("title")
    assert f"](pictures/{name})" in (DOCS / "architecture.md").read_text()


def test_there_are_no_others() -> None:
    """What is not drawn by the program is not among them."""
    assert sorted(path.name for path in PICTURES.iterdir()) == list(NAMES)
