"""The error of a worker's death says what killed it and what it ran: mpire #110 and #130.

There, "Worker-0 died unexpectedly" is all there is, for a worker without memory
as for one that crashed in native code, and every other task of the call fails
with it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import Application, dispatch
from slither_actors.errors import DispatchError, WorkerCrashError
from tests.regressions import deaths


@pytest.fixture(autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": 2}) as running:
        yield running


@pytest.mark.parametrize(
    ("death", "exitcode", "said"),
    [
        ("SIGKILL", -signal.SIGKILL, "SIGKILL"),
        ("SIGSEGV", -signal.SIGSEGV, "SIGSEGV"),
        ("SIGABRT", -signal.SIGABRT, "SIGABRT"),
        ("exit", 42, "42"),
        ("exit 0", 0, "0"),
    ],
)
def test_each_death_has_its_cause(death: str, exitcode: int, said: str) -> None:
    """Exit status or signal, batch, attempt, process and the last words on standard error."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run(["fine", death], executor=deaths.die, batch_size=1)
    error = caught.value.reason
    assert isinstance(error, WorkerCrashError)
    assert error.exitcode == exitcode
    assert said in error.cause
    assert "batch 1 of dispatch" in str(error)
    assert error.attempt == 1
    assert error.pid != os.getpid()
    assert f"last words before {death}" in error.stderr_tail
    assert [item.payload for item in caught.value.partial_results] == ["fine"]


def test_the_other_tasks_go_on() -> None:
    """Five ways to die among a hundred batches cost five batches."""
    work: list[Any] = [f"fine {number}" for number in range(100)]
    for at, death in zip(
        (3, 30, 31, 60, 99), ("SIGKILL", "SIGSEGV", "exit", "SIGABRT", "exit 0"), strict=True
    ):
        work[at] = death
    found = dispatch.run(work, executor=deaths.die, batch_size=1, on_error="skip")
    assert [item.payload for item in found] == work
    lost = [at for at, item in enumerate(found) if item.meta.get("skipped")]
    assert lost == [3, 30, 31, 60, 99]
    assert all(isinstance(found[at].meta["error"], WorkerCrashError) for at in lost)
