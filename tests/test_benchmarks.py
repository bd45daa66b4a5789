"""The benchmarks run: each with tiny sizes, for their numbers say nothing in a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import slither_actors
from tests.benchmarks.__main__ import GROUPS

ROOT = Path(__file__).parent.parent

SIZES = {
    "actors": ["--rounds", "1", "--scale", "0.001", "--actors", "2000"],
    "crash": ["--rounds", "1", "--crashes", "1"],
    "integers": ["--rounds", "1", "--items", "128", "--batch-sizes", "64", "1", "--quick"],
    "payloads": ["--rounds", "1", "--count", "4", "--megabytes", "0.1", "--quick"],
    "pipes": ["--rounds", "1", "--items", "640", "--many", "5000", "--idle-seconds", "0.1"],
    "pool": ["--rounds", "1", "--starts", "1", "--start-methods", "forkserver"],
    "replicas": ["--rounds", "1", "--calls", "1000", "--batches", "20", "--rows", "1000"],
    "stages": ["--rounds", "1", "--events", "4000"],
    "tables": ["--rounds", "1", "--calls", "1000", "--rows", "1000"],
    "tuning": ["--rounds", "1", "--scale", "0.01"],
    "views": ["--rounds", "1", "--calls", "20"],
}


def run(*arguments: str) -> str:
    # Wherever the package was imported from: a wheel or the checkout.
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    path = os.pathsep.join((str(Path(slither_actors.__file__).parent.parent), str(ROOT), *inherited))
    command = [sys.executable, "-m", "tests.benchmarks", *arguments]
    env = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_each_benchmark_is_tried_here() -> None:
    """A new one has to be added above."""
    assert {
        path.stem.removeprefix("bench_") for path in (ROOT / "tests/benchmarks").glob("bench_*.py")
    } == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_benchmark_runs(name: str) -> None:
    """To its end, with a table of times as many as."""
    if name == "payloads":
        pytest.importorskip("numpy")
    assert "x " in run(name, *SIZES[name])


def test_dispatch_is_all_about_worker_processes() -> None:
    """One word prints all the numbers: those of each of its benchmarks."""
    assert set(GROUPS["dispatch"]) == {"integers", "payloads", "crash", "pool"} <= set(SIZES)


def test_stores_is_all_that_has_rows() -> None:
    """The same for tables, and what workers have of them."""
    assert set(GROUPS["stores"]) == {"tables", "views", "replicas"} <= set(SIZES)


def test_what_was_asked_for_is_compared() -> None:
    """Each contender has a line in both sizes, and each goal one with its ratio."""
    printed = run("integers", *SIZES["integers"])
    assert "128 items in batches of 64" in printed
    assert "12 items in batches of 1" in printed
    assert printed.count("pickle over a socket pair") == 2
    for goal in ("multiprocessing.Pool.imap, batches of 64", "ProcessPoolExecutor.submit, batches of 1"):
        assert re.search(rf"{re.escape(goal)} +[0-9.]+x +[0-9.]+x", printed)


def test_an_unknown_benchmark_is_refused() -> None:
    """By name, and with those that are known."""
    known = (
        "unknown: bench_weather; known: "
        "bench_actors, bench_crash, bench_integers, bench_payloads, bench_pipes, bench_pool, bench_replicas, "
        "bench_stages, bench_tables, bench_tuning, bench_views"
    )
    with pytest.raises(AssertionError, match=known):
        run("weather")
