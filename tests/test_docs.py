"""The manual is run: the Python blocks of a page, put together, are a script that must succeed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import slither_actors

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(page for page in DOCS.glob("*.md") if "```python" in page.read_text())


def script_of(page: Path) -> str:
    """The page's Python blocks, each at its own line, so that a traceback points into the page."""
    text = page.read_text()
    lines = [""] * (text.count("\n") + 1)
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        start = text.count("\n", 0, block.start(1))
        for offset, line in enumerate(block.group(1).splitlines()):
            lines[start + offset] = line
    return "\n".join(lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_as_printed(page: Path, tmp_path: Path) -> None:
    """A reader who copies the blocks of a page into a file has a program that works."""
    script = tmp_path / f"{page.stem}.py"
    script.write_text(script_of(page))
    command = [sys.executable, "-W", "error", "-X", "faulthandler", script.name]
    # Wherever the package was imported from: a wheel or the checkout.
    env = {**os.environ, "PYTHONPATH": str(Path(slither_actors.__file__).parent.parent)}
    ran = subprocess.run(
        command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50
    )
    assert ran.returncode == 0, ran.stderr
