"""Hooks and adapters that fork, kill, hang or do nothing: each is told as what it is."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from slither_actors.errors import StartError
from slither_actors.pool import Pool, _rounds
from slither_actors.pool._vitals import Vitals
from tests.pool import end_work, life_work, work
from tests.pool.asking import asking, until


@pytest.mark.parametrize("seconds", [math.inf, 1e9, 10**30])
def test_very_long_times_are_none_too_long(seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    """The pool starts and stops as any; the system's poll takes no such times."""
    with asking(start_timeout=seconds, stop_timeout=seconds) as asker:
        assert asker.run(work.increment, [1]) == [2]
    assert caplog.records == []


@pytest.mark.parametrize("hook", ["init", "exit"])
def test_a_child_that_a_hook_forks_ends_quietly(hook: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It is not the worker: it neither says that it is ready nor fails to."""
    with asking(**{hook: end_work.fork_and_return}) as asker:
        assert asker.run(work.increment, [1]) == [2]
    assert "Traceback" not in capfd.readouterr().err


def test_a_child_that_an_adapter_forks_at_the_end_does_not_run_the_exit_hook(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The hook runs once, in the worker."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    options = {"adapter": end_work.ClosedByFork, "exit": life_work.leave_note, "start_method": "spawn"}
    with asking(**options) as asker:
        assert asker.run(work.increment, [1]) == [2]
    assert len(list(tmp_path.iterdir())) == 1
    assert "Traceback" not in capfd.readouterr().err


def test_a_worker_that_is_killed_as_it_starts_is_the_start_s_explanation() -> None:
    """Not an empty one."""
    with (
        pytest.raises(StartError, match=r"did not start: killed by signal 9 \(SIGKILL\)"),
        asking(init=end_work.kill_oneself),
    ):
        pass


def test_a_start_that_hangs_names_what_may_and_the_option() -> None:
    """The hook that there is, and the option to raise."""
    problem = "within 0.3 s; if its init hook does not hang, raise start_timeout"
    with pytest.raises(StartError, match=problem), asking(init=end_work.hang, start_timeout=0.3):
        pass


@pytest.mark.parametrize("hook", [end_work.coroutine_hook, end_work.generator_hook])
def test_a_hook_of_which_nothing_would_run_is_refused(hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A coroutine function or a generator function, as init and as exit."""
    with (
        pytest.raises(StartError, match=f"{hook.__name__} is a (coroutine|generator) function"),
        asking(init=hook),
    ):
        pass
    caplog.clear()
    with asking(exit=hook):
        pass
    [record] = caplog.records
    assert "the exit hook of worker" in record.getMessage()
    assert f"{hook.__name__} is a " in record.getMessage()


@pytest.mark.parametrize(
    ("adapter", "problem"),
    [
        (end_work.ClosedByError, "cannot close the connection"),
        (end_work.ClosedByProperty, "no such attribute today"),
        (end_work.ClosedByCoroutine, "ClosedByCoroutine.close is a coroutine function"),
    ],
)
def test_an_adapter_that_cannot_be_closed_is_logged(
    adapter: type,
    problem: str,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the pool, the slot and the process, as an exit hook that fails; that one runs all the same."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    with asking(adapter=adapter, exit=life_work.leave_note, start_method="spawn") as asker:
        pid = asker.statistics().slots[0].pid
    [record] = caplog.records
    assert f"pool tests: the end of the adapter of worker {pid} (slot 0) failed: " in record.getMessage()
    assert problem in record.getMessage()
    assert [path.name for path in tmp_path.iterdir()] == [f"exit.{pid}"]


def test_an_adapter_whose_attributes_cannot_be_read_is_refused() -> None:
    """The option, the class and what it raised."""
    problem = "option 'adapter' is Unreadable, one of whose attributes cannot be read: RuntimeError: not on"
    with pytest.raises(StartError, match=problem):
        Pool.start("tests", workers=1, adapter=end_work.Unreadable)


def test_the_traceback_of_an_adapter_that_cannot_be_made_is_its_own() -> None:
    """Without the library's frames."""
    with pytest.raises(StartError, match="no weights") as caught, asking(adapter=end_work.Unmakeable):
        pass
    assert "_adapter.py" not in str(caught.value)


def test_an_idle_pool_does_not_look_at_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does while a batch runs, and again when the next one does."""
    looks = 0

    def sample(vitals: Vitals) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(Vitals, "sample", sample)
    monkeypatch.setattr(_rounds, "SAMPLE_SECONDS", 0.01)
    with asking() as asker:
        for _ in range(2):
            before = looks
            asker.run(work.sleep, [0.3])
            assert looks - before > 5
            until(lambda: not asker.pool.run(_looks_again))
            before = looks
            threading.Event().wait(0.1)
            assert looks == before


def _looks_again(pool: Pool, _: None) -> bool:
    return pool.rounds.go_on


def test_a_standard_output_that_raises_at_a_flush_costs_nothing() -> None:
    """The user's code has put it there; the batch's results count, and the worker goes on."""
    with asking() as asker:
        [pid] = asker.run(end_work.replace_stdout, [1])
        assert asker.run(work.pids, [1]) == [pid]
