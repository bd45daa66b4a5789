"""Random pipes that run on while stages and workers are killed: what a restart loses is counted."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from slither_actors import Application, Item, start_pipe
from slither_actors.dispatch._stream import stages_of
from slither_actors.errors import ActorExitError, CallTimeoutError
from tests.killing import killer
from tests.pipe.random_graphs import POLICIES, Plan, graph_of
from tests.pipe.test_random_workers import random_plans
from tests.soaking import seeds

ONE_TO_MANY = ("two", "three")


@pytest.fixture
def application() -> Iterator[Application]:
    with Application(pools={"default": 2}) as running:
        yield running


def one_to_one(plan: Plan, chance: random.Random) -> Plan:
    """The plan without what makes several items of one, and with any policy."""
    actions = tuple(each for each in plan.actions if each not in ONE_TO_MANY)
    return attrs.evolve(plan, actions=actions or ("pass",), policy=chance.choice(sorted(POLICIES)))


def kill_a_stage(run: Any, chance: random.Random) -> None:
    """Any, or the end of the run; none if it has just ended."""
    with contextlib.suppress(ActorExitError, CallTimeoutError):
        _, ref = chance.choice(run.run(stages_of, timeout=1))
        ref.kill()


def check(seed: int) -> None:
    """Push numbers into the graph of a seed, and account for each."""
    chance = random.Random(seed)
    graph = graph_of([one_to_one(plan, chance) for plan in random_plans(chance)])
    found: list[Item] = []
    live = start_pipe(graph.pipe, into=found.extend, max_restarts=1_000_000, max_seconds=1)
    numbers = list(range(chance.randint(0, 200)))
    pushed = 0
    while numbers:
        count = chance.randint(1, 60)
        pushed += live.push(numbers[:count], timeout=30)
        del numbers[:count]
        run = live._life.run
        if run is not None and chance.random() < 0.1:
            kill_a_stage(run, chance)
    assert live.drain(30)
    status = live.status()
    assert status.items_in == pushed
    assert status.items_in == sum(status.outputs.values()) + status.skipped + status.lost
    assert sum(status.outputs.values()) == len(found)
    assert len({item.id for item in found}) == len(found)
    assert (status.in_flight, status.waiting) == (0, 0)


@pytest.mark.timeout(90)
def test_what_was_pushed_came_out_was_skipped_or_is_counted_as_lost(application: Application) -> None:
    """Runs halt, stages and workers are killed, and the pipe is restarted each time."""
    with killer(1):
        for seed in range(8):
            check(seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_that_it_is_so_for_minutes(application: Application) -> None:
    """As above, again and again; a failure has the seed."""
    for seed in seeds(200_000, seconds=300):
        with killer(seed, seconds=random.Random(seed).choice([0.05, 0.2, 1.0])):
            check(seed)
