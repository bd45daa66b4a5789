"""The supervisor of children per event under threads that switch as often as they can."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.actors import Ignore, Ref, Server, Task
from slither_actors.actors._cell import live_cells
from slither_actors.stages import ConsumerSupervisor, from_iterable, sync_subscribe
from tests.stages.probes import ended, until

pytestmark = [pytest.mark.stress, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Tally:
    """What the children did, and how many there were at one time for each producer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begun: Counter[Any] = Counter()
        self.crashed: Counter[Any] = Counter()
        self.refused: Counter[Any] = Counter()
        self.live: dict[int, set[Any]] = {}
        self.peak: Counter[int] = Counter()

    def begin(self, event: tuple[int, int]) -> None:
        with self._lock:
            self.begun[event] += 1
            live = self.live.setdefault(event[0], set())
            live.add(event)
            self.peak[event[0]] = max(self.peak[event[0]], len(live))

    def end(self, event: tuple[int, int]) -> None:
        with self._lock:
            self.live[event[0]].discard(event)

    def count(self, counter: Counter[Any], event: tuple[int, int]) -> None:
        with self._lock:
            counter[event] += 1


class Moody(Server):
    """Refuses to start, ends, crashes or is killed, by chance and some time later."""

    def init(self, tally: Tally, seed: int, event: tuple[int, int]) -> None:  # type: ignore[override]
        self.tally, self.event = tally, event
        # By chance, but not anew after a restart: its third life is its last.
        self.chance = random.Random(hash((seed, event, tally.begun[event], tally.refused[event])))
        mood = self.chance.random()
        if mood < 0.1:
            tally.count(tally.refused, event)
            raise Ignore if mood < 0.05 else ZeroDivisionError
        tally.begin(event)
        self.mood = mood if tally.begun[event] < 3 else 1.0
        if mood < 0.4:
            self.send_after(self.chance.random() / 200, "go")
        else:
            self.continue_with()

    def handle_continue(self, value: Any) -> None:
        self.go()

    def handle_info(self, message: Any) -> None:
        self.go()

    def go(self) -> None:
        self.tally.end(self.event)
        if self.mood < 0.6:
            self.tally.count(self.tally.crashed, self.event)
            raise ZeroDivisionError
        if self.mood < 0.7:
            self.ref.kill()
        elif self.mood < 0.85:
            self.ref.stop(block=False)
        else:
            self.stop()


def run(child: Any, sizes: list[int], bounds: list[int]) -> Ref:
    """Have a supervisor take from several finite producers until all are done."""
    supervisor = ConsumerSupervisor.start(child, max_restarts=10**6, max_zombies=0)
    for at, (size, bound) in enumerate(zip(sizes, bounds, strict=True)):
        feed = from_iterable(zip(itertools.repeat(at), range(size), strict=False))
        sync_subscribe(
            supervisor,
            to=feed,
            max_demand=bound,
            min_demand=random.randrange(bound),
            cancel="transient",
        )
    return supervisor


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_each_event_has_one_child_and_the_bound_holds(
    restart: Any, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Children that do not start, end, crash and are killed at random, of three producers."""
    caplog.set_level("CRITICAL")
    random.seed(seed)
    tally, sizes, bounds = Tally(), [700, 500, 300], [17, 5, 1]
    supervisor = run(Moody.child_spec(tally, seed, restart=restart), sizes, bounds)
    events = {(at, number) for at, size in enumerate(sizes) for number in range(size)}
    deadline = time.monotonic() + 60
    while tally.begun.keys() | tally.refused.keys() != events or supervisor.count_children().workers:
        assert time.monotonic() < deadline, (len(tally.begun), supervisor.count_children())
        assert supervisor.is_alive()
        threading.Event().wait(0.01)
    for at, bound in enumerate(bounds):
        assert 0 < tally.peak[at] <= bound
    if restart == "temporary":
        assert all(tally.begun[event] + tally.refused[event] == 1 for event in events)
    assert not any(tally.live.values())
    places = [demand.statistics() for demand in supervisor._cell.actor._demands.values()]
    assert all(place.active == 0 for place in places)
    supervisor.stop()
    assert ended(supervisor) == "normal"


def test_tasks_by_threads_are_bounded_too() -> None:
    """Never more than `max_demand` functions that wait at one time, and each event is run once."""
    tally = Tally()

    def work(event: tuple[int, int]) -> None:
        tally.begin(event)
        time.sleep(0.001)
        tally.end(event)

    supervisor = ConsumerSupervisor.start(Task.child_spec(work))
    sync_subscribe(supervisor, to=from_iterable((0, number) for number in range(600)), max_demand=8)
    assert supervisor.join(120)
    assert supervisor.exit_reason == "normal"
    assert set(tally.begun.values()) == {1}
    assert len(tally.begun) == 600
    assert tally.peak[0] <= 8


def test_a_stop_in_the_middle_leaves_nobody() -> None:
    """Again and again, at another moment each time."""
    for turn in range(30):
        tally = Tally()
        supervisor = run(Moody.child_spec(tally, turn, restart="transient"), [400, 400], [20, 3])
        threading.Event().wait(random.random() / 30)
        if turn % 3:
            supervisor.stop()
        else:
            supervisor.kill()
        assert supervisor.join(30)
        until(lambda: not [cell for cell in live_cells() if isinstance(cell.actor, Moody)])
