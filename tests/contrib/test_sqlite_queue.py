"""A queue in an SQLite file: nothing that was put is lost, and what failed is not forgotten."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, Pipe, PipeError, Skip, run_pipe, stage, stream_pipe
from slither_actors.contrib.sqlite import _FREE, SqliteQueue
from slither_actors.errors import OptionError
from tests.contrib.killing import consume_under_kills

QUICK = {"idle_seconds": 0.1, "poll_seconds": 0.01, "retry_seconds": 0.01, "ack_seconds": 0.02}


@pytest.fixture(autouse=True)
def application() -> Iterator[Any]:
    with Application(pools={}) as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


class Same(Pipe):
    same = stage(lambda item: item.payload)


def figures(queue: SqliteQueue) -> tuple[int, int, int]:
    found = queue.statistics()
    return found.waiting, found.delivered, found.dead


def test_what_is_put_is_delivered_in_order_and_then_gone(path: Path) -> None:
    """Whoever opens the file again, and by the name of the queue."""
    assert SqliteQueue(path).put([{"n": n} for n in range(250)]) == 250
    SqliteQueue(path, name="other").put(["x"])
    queue = SqliteQueue(path, **QUICK)
    assert [item.payload["n"] for item in run_pipe(Same, queue)["default"]] == list(range(250))
    assert figures(queue) == (0, 0, 0)
    assert figures(SqliteQueue(path, name="other")) == (1, 0, 0)


def test_what_fails_comes_again_and_then_is_set_aside(path: Path) -> None:
    """With its error, until somebody revives it."""
    seen = []

    class P(Pipe):
        @stage(on_error="skip")
        def check(item: Any) -> Any:  # noqa: N805
            seen.append(item.payload)
            if item.payload == "bad":
                raise ValueError("no good")
            return item.payload

    queue = SqliteQueue(path, max_failures=3, **QUICK)
    queue.put(["good", "bad"])
    run_pipe(P, queue)
    assert sorted(seen) == ["bad", "bad", "bad", "good"]
    assert queue.dead_letters() == [("bad", "ValueError: no good")]
    assert figures(queue) == (0, 0, 1)
    assert queue.revive() == 1
    assert figures(queue) == (1, 0, 0)


def test_a_run_that_halts_gives_the_others_back_at_once(path: Path) -> None:
    """Only the item that halted it counts a failure."""

    class P(Pipe):
        @stage
        def check(item: Any) -> Any:  # noqa: N805
            return 1 / item.payload

    queue = SqliteQueue(path, max_failures=1, **QUICK)
    queue.put([0, *range(1, 200)])
    with pytest.raises(PipeError):
        run_pipe(P, queue)
    assert figures(queue) == (199, 0, 1)


def test_a_stream_that_is_left_gives_the_rest_back_at_once(path: Path) -> None:
    """Also what was claimed and not read yet."""
    queue = SqliteQueue(path, fetch_size=50, **QUICK)
    queue.put(range(100))
    with stream_pipe(Same, queue) as stream:
        assert [next(stream).payload for _ in range(11)] == list(range(11))
    assert figures(queue) == (90, 0, 0)


def test_what_takes_longer_than_its_lease_is_not_delivered_twice(path: Path) -> None:
    """While its process lives."""
    started, may_end = threading.Event(), threading.Event()

    class Slow(Pipe):
        @stage
        def wait(item: Any) -> Any:  # noqa: N805
            started.set()
            may_end.wait(10)
            return Skip()

    slow = SqliteQueue(path, lease_seconds=0.2, **QUICK)
    slow.put(["x"])
    running = threading.Thread(target=run_pipe, args=(Slow, slow))
    running.start()
    try:
        assert started.wait(10)
        began = time.monotonic()
        other = SqliteQueue(path, lease_seconds=0.2, **{**QUICK, "idle_seconds": 0.5})
        assert run_pipe(Same, other)["default"] == []
        assert time.monotonic() - began >= 0.5
    finally:
        may_end.set()
        running.join(10)
    assert figures(slow) == (0, 0, 0)


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [MuteError(), ValueError("file \udc80")], ids=["no text", "half a pair"])
def test_a_failure_that_has_no_proper_text_takes_no_acknowledgement_away(path: Path, error: Any) -> None:
    """Those that come with it are taken, and it is set aside as any other."""

    class P(Pipe):
        @stage(on_error="skip")
        def check(item: Any) -> Any:  # noqa: N805
            if item.payload == "bad":
                raise error
            return item.payload

    queue = SqliteQueue(path, max_failures=1, **QUICK)
    queue.put(["good", "bad", "good"])
    run_pipe(P, queue)
    assert figures(queue) == (0, 0, 1)
    assert queue.dead_letters()[0][1].startswith(f"{type(error).__name__}: ")


def test_a_long_queue_is_not_sorted_for_each_lot(path: Path) -> None:
    """What is claimed is found in the order of the index: else a backlog would take time by its square."""
    SqliteQueue(path)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {_FREE}", ("default", 1.0, 100))
        statements = [row[-1] for row in rows]
    assert not any("TEMP B-TREE" in statement for statement in statements)


def test_a_clock_that_is_set_back_holds_nothing_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what was put before, nor what came back."""
    now = time.time
    queue = SqliteQueue(path, **QUICK)
    queue.put(range(3))
    with stream_pipe(Same, queue) as stream:
        next(stream)
    monkeypatch.setattr("slither_actors.contrib.sqlite.time.time", lambda: now() - 3600)
    assert len(run_pipe(Same, queue)["default"]) == 3
    assert figures(queue) == (0, 0, 0)


def test_what_cannot_be_loaded_is_set_aside(path: Path) -> None:
    """And holds up nothing else."""
    SqliteQueue(path, dumps=str).put(["{", "1"])
    queue = SqliteQueue(path, max_failures=1, **QUICK)
    assert [item.payload for item in run_pipe(Same, queue)["default"]] == [1]
    assert figures(queue) == (0, 0, 1)


def test_a_wrong_option_is_refused(path: Path) -> None:
    """With its name."""
    with pytest.raises(OptionError, match="lease_second"):
        SqliteQueue(path, lease_second=1)


@pytest.mark.programs
@pytest.mark.stress
def test_a_consumer_that_is_killed_at_random_loses_nothing(path: Path, tmp_path: Path) -> None:
    """All parts of each element were written at least once before the queue let go of it."""
    SqliteQueue(path).put(range(300))
    written = consume_under_kills("sqlite", str(path), tmp_path / "notes", kills=3, seed=1)
    assert written.keys() == {f"{number} {part}" for number in range(300) for part in "ab"}
    assert figures(SqliteQueue(path)) == (0, 0, 0)
