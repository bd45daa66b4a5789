"""The plots of the manual are those of the figures that are kept beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks import bench_tuning
from tests.benchmarks.line_plot import Plot, short
from tests.benchmarks.plots import PLOTS, kept, main
from tests.search_path import SEARCH_PATH
from tests.test_docs import DOCS

NAMES = [measure.__name__ for measure in bench_tuning.PLOTS]


def test_everything_that_is_measured_is_drawn() -> None:
    """And nothing else is there."""
    assert list(kept(PLOTS)) == NAMES
    assert {path.name for path in PLOTS.iterdir()} == {f"{name}.svg" for name in NAMES} | {"measured.json"}


@pytest.mark.parametrize("name", NAMES)
def test_a_plot_is_that_of_its_figures(name: str) -> None:
    """If not: `python -m tests.benchmarks.plots --draw`."""
    drawn = str(kept(PLOTS)[name].draw())
    assert drawn == (PLOTS / f"{name}.svg").read_text()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


@pytest.mark.parametrize("name", NAMES)
def test_a_plot_is_shown(name: str) -> None:
    """On the page on tuning, with words for those who do not see it."""
    assert f"](plots/{name}.svg)" in (DOCS / "tuning.md").read_text()


def test_lines_stay_within_the_axes() -> None:
    """The lowest point is on or above the bottom, the highest on or below the top."""
    for log_y in (False, True):
        plot = Plot(
            name="n", title="T", x="x", y="y", log_y=log_y, lines={"a": [(1, 3), (10, 70), (100, 999)]}
        )
        dots = [
            element for element in ElementTree.fromstring(str(plot.draw())) if element.tag.endswith("circle")
        ]
        heights = [float(dot.get("cy", "nan")) for dot in dots]
        assert heights == sorted(heights, reverse=True)
        assert all(46 <= height <= 284 for height in heights)


def test_numbers_are_short() -> None:
    """As one says them."""
    assert [short(value) for value in (1, 0.5, 64, 1024, 65_536, 4_194_304)] == [
        "1", "0.5", "64", "1.02k", "65.5k", "4.19M",
    ]  # fmt: skip


def test_a_measurement_takes_the_place_of_its_predecessor(tmp_path: Path) -> None:
    """And leaves the others alone."""
    (tmp_path / "measured.json").write_bytes((PLOTS / "measured.json").read_bytes())
    command = [sys.executable, "-m", "tests.benchmarks.plots", "--folder", str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": SEARCH_PATH}
    options = ["--only", "shared_memory", "--rounds", "1", "--scale", "0.01"]
    ran = subprocess.run(
        [*command, *options],
        check=False,
        cwd=DOCS.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    before, after = (json.loads((folder / "measured.json").read_text()) for folder in (PLOTS, tmp_path))
    assert [data["name"] for data in after] == NAMES
    assert [new["name"] for old, new in zip(before, after, strict=True) if old != new] == ["shared_memory"]


def test_drawing_measures_nothing(tmp_path: Path) -> None:
    """With `--draw`."""
    (tmp_path / "measured.json").write_bytes((PLOTS / "measured.json").read_bytes())
    assert main(["--draw", "--folder", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.glob("*.svg")} == set(NAMES)
