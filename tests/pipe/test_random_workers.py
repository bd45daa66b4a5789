"""Random pipes with real workers that are killed at random, run in every way there is, some left early.

Every item that goes in ends in exactly one outcome: what comes out is what the
model says, given which items died with a worker, and the books of each stage
add up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from slither_actors import (
    Application,
    Item,
    PipeError,
    arun_pipe,
    astream_pipe,
    run_pipe,
    start_pipe,
    stream_pipe,
)
from slither_actors.dispatch._stream import stages_of
from slither_actors.errors import ActorExitError, PipeStoppedError
from tests.killing import killer
from tests.pipe.random_graphs import (
    ACTIONS,
    POLICIES,
    Graph,
    Model,
    Plan,
    check_statistics,
    found_in,
    graph_of,
)
from tests.soaking import seeds

KINDS = ["item", "batch", "router", "workers", "processes", "processes", "processes"]

SURVIVING = [name for name in POLICIES if not name.endswith("halt")]


@attrs.define
class Ran:
    """What came out of a run."""

    items: list[Item]
    halted: str | None = None
    """The stage that halted it."""
    closed: bool = False
    """Whether it was left before its end."""
    statistics: Any = None
    record: Any = None


def random_plans(chance: random.Random) -> list[Plan]:
    """Stages of which at least one is of worker processes, and few may halt the run."""
    found = [
        Plan(
            kind=chance.choice(KINDS),
            actions=tuple(chance.choice(ACTIONS) for _ in range(chance.randint(1, 7))),
            policy=chance.choice(sorted(POLICIES) if chance.random() < 0.25 else SURVIVING),
            batch_size=chance.randint(1, 4),
            choice=tuple(chance.randint(0, 20) for _ in range(chance.randint(1, 4))),
        )
        for _ in range(chance.randint(1, 6))
    ]
    at = chance.randrange(len(found))
    found[at] = attrs.evolve(found[at], kind="processes")
    return found


# -- the ways to run a pipe ------------------------------------------------------


def by_run(pipe: Any, items: list[Item], _: random.Random) -> Ran:
    try:
        found = run_pipe(pipe, items)
    except PipeError as error:
        return of_outputs(error.partial_results, error.stage)
    return of_outputs(found)


def by_arun(pipe: Any, items: list[Item], _: random.Random) -> Ran:
    async def run() -> Ran:
        try:
            return of_outputs(await arun_pipe(pipe, items))
        except PipeError as error:
            return of_outputs(error.partial_results, error.stage)

    return asyncio.run(run())


def of_outputs(outputs: Any, halted: str | None = None) -> Ran:
    items = [item for found in outputs.values() for item in found]
    return Ran(items, halted, statistics=outputs.statistics, record=outputs.record)


def by_stream(pipe: Any, items: list[Item], chance: random.Random) -> Ran:
    leave_after = chance.choice([None, chance.randint(0, 60)])
    ran = Ran([])
    with stream_pipe(pipe, items) as stream:
        try:
            ran.items.extend(itertools.islice(stream, leave_after))
            ran.closed = leave_after is not None and len(ran.items) == leave_after
        except PipeError as error:
            ran.halted = error.stage
    ran.statistics, ran.record = stream.finished, stream.record()
    return ran


def by_astream(pipe: Any, items: list[Item], chance: random.Random) -> Ran:
    leave_after = chance.choice([None, chance.randint(1, 60)])
    ran = Ran([])

    async def run() -> None:
        async with astream_pipe(pipe, items) as stream:
            try:
                async for item in stream:
                    ran.items.append(item)
                    if len(ran.items) == leave_after:
                        ran.closed = True
                        break
            except PipeError as error:
                ran.halted = error.stage
        ran.record = await stream.record()

    asyncio.run(run())
    return ran


def by_pushes(pipe: Any, items: list[Item], chance: random.Random) -> Ran:
    ran = Ran([])
    live = start_pipe(pipe, into=ran.items.extend, restart="temporary")
    rest = list(items)
    with contextlib.suppress(PipeStoppedError):
        while rest:
            count = chance.randint(1, 40)
            live.push(rest[:count], timeout=30)
            del rest[:count]
    if chance.random() < 0.2:
        ran.closed = True
        assert live.stop(20)
    else:
        assert live.drain(30)
    status = live.status()
    ran.record = status.record
    assert status.items_in == sum(status.outputs.values()) + status.lost + status.skipped - made_of(ran)
    if status.last_error:
        ran.halted = "some stage"
    return ran


def by_stream_of_which_a_stage_is_killed(pipe: Any, items: list[Item], chance: random.Random) -> Ran:
    """Its statistics are gone with it; nothing else is."""
    ran = Ran([], closed=True)
    with stream_pipe(pipe, items) as stream, contextlib.suppress(PipeError):
        ran.items.extend(itertools.islice(stream, chance.randint(1, 30)))
        with contextlib.suppress(ActorExitError):
            _, ref = chance.choice(stream._plan.link.run.run(stages_of))
            ref.kill()
        ran.items.extend(stream)
    ran.statistics, ran.record = stream.finished, stream.record()
    assert ran.record.ended in ("finished", "halted")
    return ran


def made_of(ran: Ran) -> int:
    """What stages made beyond one for one, told by what they took and what they gave."""
    stages = ran.record.stages.values()
    return sum(
        max(0, each.emitted + each.routed + each.skipped + each.held - each.items_in) for each in stages
    )


WAYS = [by_run, by_stream, by_arun, by_astream, by_pushes, by_stream_of_which_a_stage_is_killed]


# -- the check -------------------------------------------------------------------


def check(seed: int, way: Any) -> Ran:
    """Run the graph of a seed in one way."""
    chance = random.Random(seed)
    graph = graph_of(random_plans(chance))
    numbers = chance.sample(range(10_000), chance.randint(0, 150))
    items = Item.wrap_many(numbers)
    ran: Ran = way(graph.pipe, items, chance)
    check_outcomes(graph, items, ran)
    return ran


def check_outcomes(graph: Graph, items: list[Item], ran: Ran) -> None:
    model = Model(graph).run([item.payload for item in items])
    out = found_in(ran.items)
    ids = {item.payload: item.id for item in items}
    assert len({item.id for item in ran.items}) == len(ran.items)
    for item in ran.items:
        assert ids.get(item.payload, item.id) == item.id
    for plan in graph.plans.values():
        letters = [item.id for item in plan.letters]
        assert len(set(letters)) == len(letters)
    complete = ran.halted is None and not ran.closed
    if complete:
        assert not model.halts
        assert out == model.out
        assert not model.dead, "an item died where none had come"
        assert not model.survived, "a batch did not fail that had to"
    else:
        assert out <= model.out
        assert ran.closed or model.halts
    if ran.statistics is not None:
        check_statistics(graph, ran.statistics, complete=complete)
    check_record(graph, items, ran, complete=complete)


def check_record(graph: Graph, items: list[Item], ran: Ran, *, complete: bool) -> None:
    record = ran.record
    if complete:
        assert record.ended == "finished"
        assert record.unfinished == 0
        assert not record.silent
        assert record.items_in == len(items)
        assert sum(record.outputs.values()) == len(ran.items)
        assert sum(stage.held for stage in record.stages.values()) == 0
    for name, stage in record.stages.items():
        done = stage.emitted + stage.routed + stage.skipped + stage.held
        if graph.plans[name].kind in ("processes", "workers", "router"):
            assert stage.items_in == done, (name, stage)
        assert stage.items_in <= done, (name, stage)


@pytest.fixture
def application() -> Iterator[Application]:
    with Application(pools={"default": 2}) as running:
        yield running


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.timeout(90)
def test_every_item_has_one_outcome(way: Any, application: Application) -> None:
    """However the pipe is run, with workers that die, and with an end that comes early."""
    offset = WAYS.index(way) * 1000
    with killer(offset, seconds=0.15):
        for seed in range(offset, offset + 12):
            check(seed, way)


@pytest.mark.timeout(60)
def test_one_graph_does_the_same_in_every_way(application: Application) -> None:
    """Without kills, and read to the end: what comes out is the same, whoever runs it."""
    for seed in range(5000, 5003):
        found = []
        for way in (by_run, by_arun, by_pushes):
            ran = check(seed, way)
            if ran.halted is None and not ran.closed:
                found.append(sorted((item.route, item.payload) for item in ran.items))
        assert all(each == found[0] for each in found)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_item_has_one_outcome_for_minutes(application: Application) -> None:
    """As above, again and again; a failure has the seed."""
    for seed in seeds(100_000, seconds=300):
        way = WAYS[seed % len(WAYS)]
        with killer(seed, seconds=random.Random(seed).choice([0.02, 0.1, 0.5])):
            check(seed, way)
