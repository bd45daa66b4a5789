"""The plots of the manual's page on tuning.

    python -m tests.benchmarks.plots [--draw] [--folder FOLDER] [--rounds 3 …]

Measures with `bench_tuning`, which gets the other options, keeps the figures in
``docs/plots/measured.json``, and draws them. ``--draw`` measures nothing and
draws what is in that file. With ``--only`` the other figures stay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.line_plot import Plot

__all__ = ["PLOTS", "kept"]

PLOTS = Path(__file__).parent.parent.parent / "docs" / "plots"
MEASURED = "measured.json"


def kept(folder: Path) -> dict[str, Plot]:
    """What was measured last, by name."""
    file = folder / MEASURED
    found = json.loads(file.read_text()) if file.is_file() else []
    return {data["name"]: Plot.of(data) for data in found}


def measure(folder: Path, options: list[str]) -> None:
    """In a process of its own, as every benchmark; what it measured takes the place of what was there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary) / MEASURED
        command = [sys.executable, "-m", "tests.benchmarks.bench_tuning", "--json", str(fresh), *options]
        subprocess.run(command, check=True)
        found = json.loads(fresh.read_text())
    file = folder / MEASURED
    before = json.loads(file.read_text()) if file.is_file() else []
    names = {data["name"]: data for data in [*before, *found]}
    file.write_text(json.dumps(list(names.values()), indent=1) + "\n")


def main(arguments: list[str]) -> int:
    """Measure and draw, or only draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    parser.add_argument("--folder", type=Path, default=PLOTS)
    own, options = parser.parse_known_args(arguments)
    if not own.draw:
        measure(own.folder, options)
    for name, plot in kept(own.folder).items():
        plot.draw().write(own.folder / f"{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
