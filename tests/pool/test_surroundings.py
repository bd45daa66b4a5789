"""What a worker finds: imported modules, its niceness, its processors; and how many start at one time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from slither_actors import Application, dispatch
from slither_actors.config import build
from slither_actors.errors import OptionError, StartError
from slither_actors.pool import Pool, PoolOptions
from tests.pool import life_work, work
from tests.pool.asking import asking, exists, is_alive, until

MODULE = "tests.pool.preloaded"


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the workers leave notes."""
    monkeypatch.setenv("SLITHER_TEST_NOTES", str(tmp_path))
    return tmp_path


# -- preload ------------------------------------------------------------------------


def test_the_fork_server_imports_what_is_preloaded() -> None:
    """Once: the workers are forked from a process that has it."""
    with asking(workers=2, preload=[MODULE], start_method="forkserver") as asker:
        [importer] = asker.run(life_work.loaded, [MODULE])
        [(pid, parent)] = asker.run(life_work.whoami, [1])
        assert importer == parent != pid
        assert parent != os.getpid()
    until(lambda: not is_alive(parent), "the server ends with the pool")


def test_a_spawned_worker_imports_what_is_preloaded() -> None:
    """Before it is ready."""
    with asking(preload=[MODULE], start_method="spawn") as asker:
        [importer] = asker.run(life_work.loaded, [MODULE])
        assert importer == asker.run(work.pids, [1])[0]


def test_pools_have_lists_of_their_own() -> None:
    """Whichever starts first; pools with the same list share a server."""
    with asking(start_method="forkserver") as plain:
        plain.run(work.increment, [1])
        with (
            asking(preload=[MODULE], start_method="forkserver") as first,
            asking(preload=(MODULE,), start_method="forkserver") as second,
        ):
            assert plain.run(life_work.loaded, [MODULE]) == [None]
            assert first.run(life_work.loaded, [MODULE]) == second.run(life_work.loaded, [MODULE]) != [None]


def test_a_dead_server_is_replaced() -> None:
    """A fork server that somebody kills costs its workers, which are started again from a new one."""
    with asking(preload=[MODULE], start_method="forkserver") as asker:
        [(_, parent)] = asker.run(life_work.whoami, [1])
        os.kill(parent, 9)
        until(lambda: not is_alive(parent))
        asker.wait(asker.submit(work.do, ["SIGKILL"]))
        [(_, other)] = asker.run(life_work.whoami, [1])
        assert other != parent
        assert asker.run(life_work.loaded, [MODULE]) == [other]


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize(
    ("module", "reason"),
    [("no_such_module_here", "ModuleNotFoundError"), ("tests.pool.broken_module", "ZeroDivisionError")],
)
def test_a_module_that_cannot_be_imported_is_named(module: str, reason: str, method: str) -> None:
    """The pool does not start, and the error has the module and why."""
    with pytest.raises(StartError) as caught:
        Pool.start("tests", workers=2, preload=["json", module], start_method=method)
    text = str(caught.value.__cause__)
    assert f"option 'preload': a worker cannot import {module}: {reason}" in text


@pytest.mark.parametrize("names", ["json", [7], ["a b"], ["a."], [""], 7])
def test_a_wrong_list_is_refused(names: object) -> None:
    """At once."""
    with pytest.raises(OptionError, match="option 'preload' (is|has)"):
        build(PoolOptions, {"preload": names})


# -- start_batch ---------------------------------------------------------------------


def test_only_so_many_start_at_one_time(notes: Path) -> None:
    """The others follow as those are ready, and all of them are there in the end."""
    options = {"init": life_work.wait_for_leave_to_start, "start_method": "spawn", "start_batch": 1}
    (notes / "go").touch()
    with asking(**options) as asker:
        (notes / "go").unlink()
        asker.pool.resize(4)  # type: ignore[attr-defined]
        until(lambda: len(exists(notes / "starting")) == 2)
        states = sorted(slot.state for slot in asker.statistics().slots)
        assert states == ["idle", "starting", "waiting", "waiting"]
        (notes / "go").touch()
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))


def test_a_pool_of_many_starts_in_batches() -> None:
    """All of its workers are ready at last; `start` waits for the first only."""
    with asking(workers=9, start_batch=3) as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        assert asker.statistics().restarts == 0


def test_a_pool_of_many_whose_workers_die_starts_few(notes: Path) -> None:
    """No more than start at one time: it is known by then (X12)."""
    (notes / "die").touch()
    with pytest.raises(StartError):
        Pool.start("tests", workers=20, start_batch=2, init=life_work.die_if_told, start_method="spawn")
    assert len(exists(notes / "born")) == 2


def test_crashing_starts_obey_the_pauses(notes: Path) -> None:
    """A second of a pool whose workers have stopped starting costs few processes (X12)."""
    options = {"init": life_work.die_if_told, "start_method": "spawn", "max_failed_starts": 1000}
    with asking(workers=2, start_batch=1, **options) as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        (notes / "die").touch()
        began = time.monotonic()
        asker.wait(*(asker.submit(work.do, ["SIGKILL"]) for _ in range(2)))
        until(lambda: time.monotonic() - began > 1.0)
        born = len(exists(notes / "born"))
        assert 3 <= born <= 2 + 2 * 5  # at 0, 0.05, 0.15, 0.35, 0.75 of the second


# -- niceness and processors ------------------------------------------------------------


def test_niceness_is_added() -> None:
    """To that of this program."""
    with asking(nice=3) as asker:
        assert asker.run(life_work.niceness, [1]) == [min(19, os.nice(0) + 3)]


@pytest.mark.parametrize("nice", [20, -21, 1.5, True, "low"])
def test_a_wrong_niceness_is_refused(nice: object) -> None:
    """With what is allowed."""
    with pytest.raises(OptionError, match="option 'nice' is .*; allowed is an integer from -20 to 19"):
        build(PoolOptions, {"nice": nice})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be bound here")
def test_workers_are_bound_to_processors() -> None:
    """Each slot to one of those that this process may use, in turns."""
    usable = sorted(os.sched_getaffinity(0))
    with asking(workers=2, pin="cores") as asker:
        until(lambda: all(slot.state == "idle" for slot in asker.statistics().slots))
        jobs = [asker.submit(life_work.cpus, [1]) for _ in range(10)]
        asker.wait(*jobs)
        for job in jobs:
            assert job.results is not None
            [(slot, *cpus)] = job.results
            assert cpus == [usable[slot % len(usable)]]
    with asking(pin=[set(usable)]) as asker:
        assert asker.run(life_work.cpus, [1]) == [(0, *usable)]


@pytest.mark.parametrize("pin", ["core", [], [set()], [{100_000}], [{True}], [0], 3, [["0"]]])
def test_a_wrong_pin_is_refused(pin: object) -> None:
    """With what is allowed, or the processors that there are."""
    with pytest.raises(OptionError, match="option 'pin' (is|has)"):
        build(PoolOptions, {"pin": pin})


def test_what_the_platform_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything starts."""
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pytest.raises(OptionError, match="this platform cannot bind a process to processors"):
        build(PoolOptions, {"pin": "cores"})
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(OptionError, match="does not tell the resident memory"):
        build(PoolOptions, {"max_rss_per_worker": 2**30})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_batches_per_worker", 0),
        ("max_batches_per_worker", 1.5),
        ("max_rss_per_worker", 0),
        ("max_rss_per_worker", "1 GB"),
        ("start_batch", 0),
        ("start_batch", None),
        ("overlap", 1),
        ("exit", 7),
        ("init", "not a name"),
    ],
)
def test_other_wrong_options_are_refused(option: str, value: object) -> None:
    """Each is named."""
    with pytest.raises(OptionError, match=f"option '{option}' is"):
        build(PoolOptions, {option: value})


def test_named_pools_have_options_of_their_own() -> None:
    """Through the application, and a run names its pool."""
    pools = {
        "default": 1,
        "nice": {"workers": 1, "nice": 2, "preload": [MODULE], "init": life_work.make_state},
    }
    with Application(pools=pools):
        [plain] = dispatch.run([1], executor=life_work.niceness)
        [nice] = dispatch.run([1], executor=life_work.niceness, pool="nice")
        assert nice.payload == min(19, plain.payload + 2)
        [state] = dispatch.run([1], executor=life_work.count_in_state, pool="nice")
        assert state.payload["pool"] == "nice"
