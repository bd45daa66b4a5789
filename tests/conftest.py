"""Fixtures of every test.

``SLITHER_SWITCH_INTERVAL=1e-6`` in the environment makes threads interrupt each
other as often as they can, in the tests and in the programs that they start.
"""

import gc
import multiprocessing
import os
import sys
from pathlib import Path

import hypothesis
import pytest

from slither_actors.pool._preloading import _Modules
from tests.leaks import no_leaks

__all__ = ["no_leaks"]

if "SLITHER_SWITCH_INTERVAL" in os.environ:
    sys.setswitchinterval(float(os.environ["SLITHER_SWITCH_INTERVAL"]))

# What the modules of the tests import, so that not every worker that finds a function in one of them does.
PRELOAD = (
    "pytest",
    "hypothesis.stateful",
    *(f"slither_actors.{part}" for part in ("application", "dispatch", "pipe", "stages", "store", "testing")),
)
multiprocessing.get_context("forkserver").set_forkserver_preload(_Modules(PRELOAD))

# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=50)
# What `tox -e soak` has the machines run with.
hypothesis.settings.register_profile("soak", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("quick")

PROGRAMS = {
    "actors/test_exit.py",
    "cli/test_bad_input.py",
    "cli/test_doctor.py",
    "cli/test_memory.py",
    "cli/test_run.py",
    "cli/test_stopping.py",
    "examples/test_random_kills.py",
    "examples/test_scripts.py",
    "examples/test_text_analysis.py",
    "pool/test_driver_death.py",
    "pool/test_main_modules.py",
    "regressions/test_an_error_of_the_reader_ends_the_program.py",
    "regressions/test_an_error_under_a_full_window_ends_the_program.py",
    "test_application_interrupts.py",
    "test_application_run.py",
    "test_application_signals.py",
    "test_benchmarks.py",
    "test_leaks_fixture.py",
}
"""The modules most of whose tests start a program, wait for its end and look at what it printed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder) and item.path.relative_to(folder).as_posix() in PROGRAMS:
            item.add_marker(pytest.mark.programs)


def pytest_collection_finish() -> None:
    # Hundreds of thousands of objects stay until the end: no collection has to look at them again.
    gc.collect()
    gc.freeze()
