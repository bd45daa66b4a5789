"""The manual is run: the Python blocks of a page, put together, are a script that must succeed."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import slither_actors

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(page for page in DOCS.glob("*.md") if "```python" in page.read_text())


ALL_PAGES = sorted(DOCS.rglob("*.md"))
NOT_RUN = {
    "py": "other libraries, and servers that are not here",
    "elixir": "other languages",
    "sh": "for the reader's own terminal",
    "console": "benchmarks",
    "text": "what is printed",
    "{toctree}": "Sphinx",
    "{eval-rst}": "Sphinx",
}
"""What the blocks have that are no scripts."""


def blocks_of(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


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


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_is_no_script(page: Path) -> None:
    """A misspelt language would leave a script out without a word; what is Python and not run is Python."""
    opened = [line.strip() for line in page.read_text().splitlines() if line.lstrip().startswith("```")]
    assert {line.removeprefix("```") for line in opened[::2]} <= {"python", *NOT_RUN}
    assert set(opened[1::2]) <= {"```"}
    for block in blocks_of(page, "py"):
        compile(block, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_a_definition_prints_what_the_manual_says() -> None:
    """The text and the chart on its page."""
    page = DOCS / "pipes-definitions.md"
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(script_of(page), page.name, "exec"), names)
    text, chart = blocks_of(page, "text")
    definition = names["Score"].definition
    assert definition.describe() == text.strip()
    assert definition.mermaid() == chart.strip()
