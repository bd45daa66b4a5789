"""Programs of `test_worker_deaths`; each is run in an interpreter of its own."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slither_actors import Application, Item, Retry, dispatch, telemetry
from slither_actors.errors import PayloadError, RemoteError, WorkerCrashError
from tests.reliability.faults import (
    EXIT_STATUS,
    Baseline,
    Fault,
    idle_pids,
    pool_of,
    soon,
    statistics,
    suffer,
)

__all__ = ["all_at_once", "faults_at", "neighbours", "one_of_a_hundred", "random_kills"]

BAD = 37


def run_with(fault: Fault | None, count: int = 100, bad: int = BAD) -> tuple[list[Item], float]:
    """Run as many batches, of which one has the fault; return what came out and the seconds."""
    payloads = [(n, fault if n == bad else None) for n in range(count)]
    began = time.monotonic()
    found = dispatch.run(payloads, executor=suffer, batch_size=1, on_error="skip")
    return found, time.monotonic() - began


def error_of(found: list[Item], count: int = 100, bad: int = BAD) -> Any:
    """Return the error of the one; the others are right and in order."""
    assert len(found) == count
    rest = [n for n in range(count) if n != bad]
    assert [item.payload for n, item in enumerate(found) if n != bad] == rest
    assert [n for n, item in enumerate(found) if item.meta.get("skipped")] == [bad]
    return found[bad].meta["error"]


def one_of_a_hundred(workers: int, method: str, folder: str) -> None:
    """X01 and X02: each way to end, in the middle of a run."""
    base = Baseline(method)
    with Application(pools=pool_of(workers, method)):
        idle_pids(10)
        _, usual = run_with(None)
        for deed, status in EXIT_STATUS.items():
            before, crashes = idle_pids(), statistics().crashes
            found, took = run_with(Fault("running", deed))
            error = error_of(found)
            assert isinstance(error, WorkerCrashError), (deed, error)
            assert (error.exitcode, error.attempt, error.batch) == (status, 1, "batch 37 of dispatch"), error
            assert error.signal == (-status if status < 0 else None)
            after = idle_pids(2.0)
            assert before - after == {error.pid}, (deed, before, after, error.pid)
            assert (len(after), statistics().crashes) == (workers, crashes + 1)
            assert took <= 2 * usual + 3.0, (deed, took, usual)  # on a busy machine both are long
        before = idle_pids()
        error = error_of(run_with(Fault("running", "sys.exit(3)"))[0])
        assert isinstance(error, RemoteError)
        assert error.type_name == "builtins.SystemExit"
        assert idle_pids() == before, "the worker is used again"
        with_a_retry(str(Path(folder, "died")))
    base.check()


def with_a_retry(once: str) -> None:
    """X01 with one retry: a hundred results, and the batch's second attempt is the one that counts."""
    attempts: list[int] = []

    def note(_event: Any, _source: Any, _measurements: Any, metadata: Any) -> None:
        attempts.append(metadata["attempt"])

    before, crashes = idle_pids(), statistics().crashes
    with telemetry.attach("slither.dispatch.batch.stop", note):
        payloads = [(n, once if n == BAD else "") for n in range(100)]
        policy = Retry(max_attempts=2, backoff=0.0)
        stream = dispatch.stream(payloads, executor=kill_once, batch_size=1, on_error=policy)
        assert [item.payload for item in stream] == list(range(100))
    assert stream.statistics()["dispatch"].retries == 1
    assert sorted(attempts) == [1] * 99 + [2], attempts
    assert statistics().crashes == crashes + 1
    assert len(before - idle_pids()) == 1


def kill_once(batch: list[tuple[int, str]]) -> list[int]:
    """Die where there is a path, unless somebody has died there before."""
    for _, path in batch:
        if path and not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [number for number, _ in batch]


def faults_at(point: str, workers: int, method: str, deeds: tuple[str, ...]) -> None:
    """X03: ways to end while the batch is unpickled, or its result pickled, or its arguments freed."""
    base = Baseline(method)
    with Application(pools=pool_of(workers, method)):
        idle_pids(10)
        for deed in deeds:
            before = idle_pids()
            check_point(point, deed, run_with(Fault(point, deed), 10, 5)[0], before)
    base.check()


def check_point(point: str, deed: str, found: list[Item], before: set[int]) -> None:
    """One of them: what came out, and who was replaced."""
    if point == "freeing":  # behind the answer: the batch has its result, and so has the next one
        assert [item.payload for item in found] == list(range(10)), (deed, found)
        if deed != "sys.exit(3)":
            soon(lambda: len(before - idle_pids()) == 1, f"one worker is replaced: {deed}", 5)
        return
    error = error_of(found, 10, 5)
    if deed == "sys.exit(3)":
        assert isinstance(error, PayloadError), (point, error)
        assert idle_pids() == before, "the worker is used again"
        return
    assert isinstance(error, WorkerCrashError), (point, deed, error)
    assert error.exitcode == EXIT_STATUS[deed]
    assert before - idle_pids() == {error.pid}


# -- several at one time -------------------------------------------------------------------


def kill_neighbour(batch: list[tuple[str, int, int]]) -> list[int]:
    """Wait until all of them run, then kill the next one."""
    [(folder, number, count)] = batch
    Path(folder, f"{number}.{os.getpid()}").touch()
    deadline = time.monotonic() + 10
    while len(there := {p.name.partition(".")[0]: p for p in Path(folder).iterdir()}) < count:
        assert time.monotonic() < deadline, there
        time.sleep(0.001)
    os.kill(int(there[str((number + 1) % count)].suffix[1:]), signal.SIGKILL)
    return [os.getpid()]


def neighbours(count: int, method: str, folder: str, rounds: int) -> None:
    """X14: of so many workers each kills its neighbour; all of them come back."""
    base = Baseline(method)
    with Application(pools=pool_of(count, method)):
        for turn in range(rounds):
            idle_pids(10)
            place = Path(folder, str(turn))
            place.mkdir()
            one_round(count, place)
    base.check()


def one_round(count: int, place: Path) -> None:
    """Have them do it once."""
    payloads = [(str(place), n, count) for n in range(count)]
    # Every batch of every round may cost its worker, which to the default breaker is a broken target.
    found = dispatch.run(
        payloads, executor=kill_neighbour, batch_size=1, max_in_flight=count, on_error="skip", breaker=None
    )
    ran = {int(path.suffix[1:]) for path in place.iterdir()}
    errors = [item.meta["error"] for item in found if item.meta.get("skipped")]
    assert len(found) == count
    assert errors, "the first to be killed has not answered"
    assert all(type(error) is WorkerCrashError and error.signal == signal.SIGKILL for error in errors), errors
    assert {error.pid for error in errors} <= ran
    assert not idle_pids(10) & {error.pid for error in errors}
    assert len(idle_pids()) == count
    assert [item.payload for item in dispatch.run(range(50), executor=same, batch_size=1)] == [*range(50)]


def same(batch: list[Any]) -> list[Any]:
    """Return the batch."""
    return batch


def wait_in(batch: list[str]) -> list[str]:
    """Say who runs, and wait for ever; any other payload is done at once."""
    for path in batch:
        if path:
            Path(path, str(os.getpid())).touch()
            time.sleep(600)
    return batch


def all_at_once(method: str, folder: str) -> None:
    """X14: all four workers are killed by one sweep; four batches fail, the others do not."""
    base = Baseline(method)
    place = Path(folder)
    with Application(pools=pool_of(4, method)):
        before = idle_pids(10)
        found: list[Item] = []
        payloads = [folder] * 4 + [""] * 40
        thread = threading.Thread(
            target=lambda: found.extend(
                dispatch.run(payloads, executor=wait_in, batch_size=1, on_error="skip")
            )
        )
        thread.start()
        while len(list(place.iterdir())) < 4:
            time.sleep(0.002)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        thread.join(10)
        assert [item.meta.get("skipped", False) for item in found] == [True] * 4 + [False] * 40
        assert {item.meta["error"].pid for item in found[:4]} == before
        after = idle_pids()
        assert len(after) == 4
        assert not after & before
        assert statistics().crashes == 4
    base.check()


# -- at any moment ---------------------------------------------------------------------------


def random_kills(kills: int, workers: int, method: str, ordering: str, seed: int) -> None:
    """X13: under a continuous stream; each failure is of a worker that was killed, and of no other."""
    base = Baseline(method)
    chance, over = random.Random(seed), threading.Event()
    killed: dict[tuple[int, int], int] = {}
    """Processes, by slot and number: in a thousand kills the system may give a process's number again."""
    given = 0

    def numbers() -> Iterator[int]:
        nonlocal given
        while not over.is_set():
            yield given
            given += 1

    def kill() -> None:
        try:
            while len(killed) < kills:
                slots = statistics().slots
                live = [(s.slot, s.workers, s.pid) for s in slots if s.pid and s.state != "starting"]
                if live and (worker := chance.choice(live))[:2] not in killed:
                    killed[worker[:2]] = worker[2]
                    os.kill(worker[2], signal.SIGKILL)
                time.sleep(chance.choice([0.0, 0.001, 0.02, 0.05]) * chance.random())
        finally:
            over.set()

    with Application(pools=pool_of(workers, method)):
        idle_pids(10)
        killer = threading.Thread(target=kill)
        killer.start()
        blamed: Counter[int] = Counter()
        seen: set[int] = set()
        with dispatch.stream(
            numbers(), executor=same, batch_size=1, ordering=ordering, on_error="skip", breaker=None
        ) as stream:
            for place, item in enumerate(stream):
                assert item.payload not in seen
                assert ordering != "preserve" or item.payload == place
                seen.add(item.payload)
                if item.meta.get("skipped"):
                    error = item.meta["error"]
                    assert isinstance(error, WorkerCrashError), error
                    assert error.signal == signal.SIGKILL
                    blamed[error.pid] += 1
        killer.join()
        assert len(seen) == given == stream.statistics()["dispatch"].items_in
        assert len(killed) == kills
        assert blamed <= Counter(killed.values()), "one batch a death"
        assert len(idle_pids(10)) == workers
    base.check()
