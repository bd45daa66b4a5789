"""Fixtures of the fault injection: threads interrupt one another as often as they can, no hang is unseen."""

from __future__ import annotations

import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.actors.conftest import Program, no_actors_left, scheduler, small_scheduler, wide_scheduler

__all__ = ["no_actors_left", "scheduler", "small_scheduler", "wide_scheduler"]

SWITCH_INTERVAL = 1e-6
PATIENCE = 60.0
"""Seconds for a program: one that is stuck has printed the stacks of its threads and ended before. Some start
dozens of workers, one after the other, which takes half a minute where others want the cores as well."""

WATCHDOG = PATIENCE + 15.0
"""Seconds after which a test is stuck: the stacks of all threads are printed and the run ends."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.stress)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(WATCHDOG))


@pytest.fixture(autouse=True)
def short_switch_interval() -> Iterator[None]:
    """Have threads interrupt one another every microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def program() -> Callable[..., Program]:
    """As that of `tests.actors`; a program that is stuck prints the stacks of its threads and ends."""

    def run(
        body: str,
        *,
        timeout: float = PATIENCE,
        code: int = 0,
        arguments: tuple[str, ...] = (),
        watchdog: bool = True,
    ) -> Program:
        # Not in a program that forks: the thread is missing in the child, and Python waits for it at its end.
        watch = f"import faulthandler; faulthandler.dump_traceback_later({timeout - 5}, exit=True)\n"
        prelude = f"import sys; sys.setswitchinterval({SWITCH_INTERVAL})\n{watch if watchdog else ''}"
        return Program(prelude + textwrap.dedent(body), timeout=timeout, code=code, arguments=arguments)

    return run


@pytest.fixture
def perform_of(
    program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Callable[..., Program]]]:
    """Run a function of a module beside this one as a program with a place of its own for temporary files."""

    def of(module: str) -> Callable[..., Program]:
        def run(name: str, *arguments: object, **options: Any) -> Program:
            body = f"from tests.reliability import {module}\n{module}.{name}(*{arguments!r})"
            return program(body, **options)

        return run

    # Not in `tmp_path`: the fork server has a socket there, whose path may have a hundred characters.
    with tempfile.TemporaryDirectory() as place:
        monkeypatch.setenv("TMPDIR", place)
        yield of
