"""The fork server: a signal to the whole program is not the end of its workers."""

from __future__ import annotations

import multiprocessing.forkserver
import os
import signal
import time
from collections.abc import Iterator

import pytest

from slither_actors import Application, dispatch


def halt(payloads: list[float]) -> list[int]:
    """Be busy, and tell which process it was."""
    time.sleep(payloads[0])
    return [os.getpid() for _ in payloads]


def sleep_long() -> None:
    time.sleep(600)


@pytest.fixture(autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": {"workers": 1, "start_method": "forkserver"}}) as running:
        yield running


def server_pid() -> int:
    pid: int = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return pid


def test_sigterm_to_the_fork_server_costs_no_batch() -> None:
    """A service manager sends it to every process of the program, and the driver drains."""
    stream = dispatch.stream([0.0, 0.3, 0.0], executor=halt, batch_size=1, max_in_flight=1)
    with stream:
        first = next(stream).payload
        os.kill(server_pid(), signal.SIGTERM)
        assert [item.payload for item in stream] == [first, first]


def test_the_programs_own_processes_end_by_sigterm() -> None:
    """Those that it starts by the same fork server, through multiprocessing."""
    process = multiprocessing.get_context("forkserver").Process(target=sleep_long)
    process.start()
    assert process.pid is not None
    process.terminate()
    process.join(20)
    assert process.exitcode == -signal.SIGTERM
    process.close()
