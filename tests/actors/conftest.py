"""Fixtures of the runtime's tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pykka
import pytest

import slither_actors
from slither_actors.actors import Server, _runtime
from slither_actors.actors._cell import live_cells
from slither_actors.actors._scheduler import Scheduler
from tests.actors.probes import LONG


@pytest.fixture(autouse=True)
def no_actors_left() -> Iterator[None]:
    """End the actors that a test leaves alive, so that the next one begins alone."""
    yield
    cells = live_cells()
    for cell in reversed(cells):
        cell.kill()
    for cell in cells:
        assert cell.join(LONG), f"{cell.describe()} does not end"
    assert not live_cells()
    assert not pykka.ActorRegistry.get_all()


def _private(monkeypatch: pytest.MonkeyPatch, scheduler: Scheduler) -> Iterator[Scheduler]:
    monkeypatch.setattr(_runtime, "scheduler", scheduler)
    yield scheduler
    for cell in live_cells():
        cell.kill()
        assert cell.join(LONG)
    assert scheduler.close(LONG)


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """A scheduler of the test's own, for its statistics; it runs the actors that the test starts."""
    yield from _private(monkeypatch, Scheduler(name="scheduler-of-test"))


@pytest.fixture
def small_scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """As `scheduler`, with two threads at the most."""
    yield from _private(monkeypatch, Scheduler(name="scheduler-of-test", thread_limit=2))


@pytest.fixture
def wide_scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """As `scheduler`, with four threads that run actors at one time, as on a free-threaded build."""
    yield from _private(monkeypatch, Scheduler(name="scheduler-of-test", target=4))


class Program:
    """A program of a test's, run to its end."""

    def __init__(self, body: str, *, timeout: float, code: int, arguments: tuple[str, ...]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(slither_actors.__file__).parent.parent)}
        interval = os.environ.get("SLITHER_SWITCH_INTERVAL")
        prelude = f"import sys; sys.setswitchinterval({interval})\n" if interval else ""
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, *arguments, "-c", prelude + textwrap.dedent(body)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        self.seconds = time.monotonic() - started
        self.out = done.stdout.splitlines()
        self.err = done.stderr
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)


@pytest.fixture
def program() -> Callable[..., Program]:
    """Run ``program(body)`` in an interpreter of its own; it has to end within `timeout` seconds."""

    def run(body: str, *, timeout: float = LONG, code: int = 0, arguments: tuple[str, ...] = ()) -> Program:
        return Program(body, timeout=timeout, code=code, arguments=arguments)

    return run


@pytest.fixture(autouse=True)
def _a_dead_actor_of_a_model_keeps_its_state(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models look at actors after their end, of which a ref keeps nothing otherwise."""
    if "model" in request.module.__name__:
        monkeypatch.setattr(Server, "_remains", lambda actor: actor)
