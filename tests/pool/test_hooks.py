"""The hooks of a worker's life: `init` makes its state, `exit` runs when it ends in order."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from slither_actors import telemetry
from tests.pool import life_work, work
from tests.pool.asking import asking, exists, pid_of, until


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the workers leave notes; a fork server of an earlier test would not know, so they are spawned."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_what_init_returns_is_the_state(method: str) -> None:
    """Functions reach it as ``current_worker().state``, and it is each worker's own."""
    with asking(init=life_work.make_state, start_method=method) as asker:
        asker.run(life_work.count_in_state, [1])
        assert asker.run(life_work.count_in_state, [1]) == [{"pool": "tests", "slot": 0, "batches": 2}]


def test_a_hook_that_returns_nothing_may_set_attributes() -> None:
    """The state is an empty namespace before."""
    with asking(init=life_work.set_attributes) as asker:
        assert asker.run(life_work.greet, ["you"]) == ["hello you"]
    with asking() as asker:
        assert asker.run(life_work.has_plain_state, [1]) == [True]


def test_exit_runs_when_the_pool_stops(notes: Path) -> None:
    """Once in each worker, with its state at the end."""
    options = {"init": life_work.make_state, "exit": life_work.leave_state, "start_method": "spawn"}
    with asking(workers=2, **options) as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        asker.run(life_work.count_in_state, [1])
        pids = {slot.pid for slot in asker.statistics().slots}
    states = exists(notes / "state")
    assert {pid_of(path) for path in states} == pids
    assert sorted(eval(path.read_text())["batches"] for path in states) == [0, 1]


def test_exit_may_be_named(notes: Path) -> None:
    """As any target, and under the fork server as well."""
    with asking(exit="tests.pool.life_work:leave_note", start_method="spawn") as asker:
        asker.run(work.increment, [1])
    assert len(exists(notes / "exit")) == 1


def test_exit_does_not_run_where_a_worker_is_killed(notes: Path) -> None:
    """It died; there is nobody to run it."""
    with asking(exit=life_work.leave_note, start_method="spawn") as asker:
        asker.wait(asker.submit(work.do, ["SIGKILL"]))
        asker.run(work.increment, [1])
        assert not exists(notes / "exit")
    assert len(exists(notes / "exit")) == 1


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (life_work.fail_at_exit, "failed: builtins.RuntimeError: cannot close the model"),
        (life_work.exit_at_exit, "failed: builtins.SystemExit: 3"),
        (life_work.die_at_exit, "died in its exit hook or after it: it ended itself with exit status 7"),
    ],
)
def test_a_failure_of_exit_is_logged(hook: object, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """With pool, slot and pid; nothing else comes of it."""
    with asking(exit=hook) as asker:
        asker.run(work.increment, [1])
        pid = asker.statistics().slots[0].pid
    [record] = [each for each in caplog.records if "exit hook" in each.getMessage()]
    message = record.getMessage()
    assert message.startswith("pool tests: ")
    assert f"worker {pid} (slot 0)" in message
    assert text in message


def test_exit_is_bounded_in_time(notes: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After `stop_timeout` seconds the worker is killed, and that is logged."""
    with asking(workers=2, exit=life_work.hang_at_exit, stop_timeout=0.5, start_method="spawn") as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert len(exists(notes / "hangs")) == 2
    late = [each.getMessage() for each in caplog.records if "raise stop_timeout" in each.getMessage()]
    assert len(late) == 2


def test_exit_may_write_more_than_a_pipe_holds(notes: Path) -> None:
    """What it writes is read while the pool stops."""
    with asking(exit=life_work.shout_at_exit, start_method="spawn", stop_timeout=15.0) as asker:
        asker.run(work.increment, [1])
    assert len(exists(notes / "shouted")) == 1


def test_the_end_of_a_worker_that_was_told_to_is_told_as_such() -> None:
    """Listeners do not hear that it ended itself."""
    causes = []
    with (
        telemetry.attach(
            "slither.pool.worker.exit", lambda _e, _s, _m, metadata: causes.append(metadata["cause"])
        ),
        asking() as asker,
    ):
        asker.run(work.increment, [1])
    assert causes == ["it was told to end: the pool stops"]


def test_a_quiet_life_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """No warning for a worker that does as it is told."""
    with asking(init=life_work.make_state, exit=life_work.make_state) as asker:
        asker.run(work.increment, [1])
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
