"""Random pipes over real workers, while workers and stages are killed: every item has exactly one outcome."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs
import pytest

from slither_actors import Application, Item, Pipe, PipeError, run_pipe, start_pipe, stream_pipe, workers
from slither_actors.errors import ActorError
from tests.killing import beside, killer
from tests.pipe import worker_code as code
from tests.pipe.ack_sources import ListSource
from tests.pipe.random_graphs import ACTIONS, POLICIES, Graph, Plan, check_statistics, graph_of
from tests.soaking import seeds

pytestmark = pytest.mark.timeout(90)


@attrs.frozen
class OverWorkers(Plan):
    """Its worker stages use worker processes, which may be killed."""

    def declaration(self, after: Any) -> Any:
        if self.kind != "workers":
            return super().declaration(after)
        return workers(
            partial(code.act, self.actions),
            batch_size=self.batch_size,
            max_in_flight=4,
            timeout=0.3,
            poison_after=None,
            on_error=POLICIES[self.policy],
            after=after,
        )


def random_graph(chance: random.Random, *, halts: bool) -> Graph:
    policies = sorted(name for name in POLICIES if halts or "halt" not in name)

    def plan(kind: str) -> Plan:
        return OverWorkers(
            kind=kind,
            actions=tuple(chance.choices([*ACTIONS, *["pass"] * 8], k=chance.randint(1, 7))),
            policy=chance.choice(policies),
            batch_size=chance.randint(1, 8),
            choice=tuple(chance.choices(range(20), k=chance.randint(1, 3))),
        )

    kinds = ["workers", *chance.choices(["item", "batch", "router", "workers"], k=chance.randint(0, 4))]
    chance.shuffle(kinds)
    return graph_of([plan(kind) for kind in kinds])


def numbered(count: int) -> list[Item]:
    """Items that what comes of them can be traced to."""
    return [item.put_meta({"root": item.payload}) for item in Item.wrap_many(range(count))]


def check_run(chance: random.Random) -> None:
    """Run to the end, or to a halt: the record accounts for every item."""
    graph, count = random_graph(chance, halts=chance.random() < 0.3), chance.randint(0, 300)
    try:
        outputs = run_pipe(graph.pipe, numbered(count))
    except PipeError as error:
        outputs = error.partial_results
        assert outputs.record.ended == "halted"
    items = [item for each in outputs.values() for item in each]
    assert len({item.id for item in items}) == len(items)
    assert {item.meta["root"] for item in items} <= set(range(count))
    complete = outputs.record.ended == "finished"
    check_statistics(graph, outputs.statistics, complete=complete)
    if complete:
        record = outputs.record
        assert (record.items_in, record.unfinished, record.items_out) == (count, 0, len(items))
        assert all(sum(each.routes.values()) == each.routed for each in record.stages.values())


def check_stream(chance: random.Random) -> None:
    """Leave a stream early: what came is a part of what goes in, each once."""
    graph, count = random_graph(chance, halts=False), chance.randint(1, 300)
    with stream_pipe(graph.pipe, numbered(count)) as stream:
        found = list(itertools.islice(stream, chance.randint(0, count)))
    assert len({item.id for item in found}) == len(found)
    check_statistics(graph, stream.finished, complete=False)


def check_acks(chance: random.Random) -> None:
    """A source that wants to know is told once of each element that was read."""
    graph, count = random_graph(chance, halts=chance.random() < 0.3), chance.randint(0, 200)
    source = ListSource(range(count))
    with contextlib.suppress(PipeError):
        run_pipe(graph.pipe, source)
    source.wait_until_closed()
    assert len(source.errors) == source.read  # which looks whether each was told of once


CHECKS = [check_run, check_stream, check_acks]


def storm(seed: int, rounds: int) -> None:
    """Some runs, two at one time, while workers are killed."""
    chance = random.Random(seed)
    failures: list[BaseException] = []

    def one(number: int) -> None:
        own = random.Random(f"{seed} {number}")
        try:
            own.choice(CHECKS)(own)
        except BaseException as error:  # noqa: BLE001 - raised in the test's thread
            failures.append(error)

    with Application(pools={"default": 2}), killer(chance.randrange(10**6)):
        for number in range(0, rounds, 2):
            threads = [threading.Thread(target=one, args=(each,)) for each in (number, number + 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("seed", range(3))
def test_every_item_has_one_outcome_while_workers_are_killed(application: Any, seed: int) -> None:
    """To the end, to a halt, and where the reader leaves."""
    application.stop()
    storm(seed, 8)


# -- pipes that run on -------------------------------------------------------------------------


class Steps(Pipe):
    on_error = {"*": "skip"}
    first = workers(code.double, batch_size=3, max_in_flight=4)
    second = workers(code.double, batch_size=5, max_in_flight=4)


@contextlib.contextmanager
def stage_killer(pipe: Any, chance: random.Random) -> Iterator[None]:
    """Kill a stage of the pipe now and then."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(chance.uniform(0.02, 0.2)):
            with contextlib.suppress(ActorError, AttributeError):
                run = pipe.ref.child("run")
                children = [info for info in run.which_children() if info.ref is not None]
                chance.choice([*(info.ref for info in children), run]).kill()

    with beside(kill, over):
        yield


def live_storm(seed: int, count: int) -> None:
    chance = random.Random(seed)
    found: list[Any] = []
    with Application(pools={"default": 2}), killer(seed):
        pipe = start_pipe(Steps, into=found.extend, max_restarts=10**6, max_seconds=1)
        with stage_killer(pipe, chance):
            numbers = iter(range(count))
            while lot := list(itertools.islice(numbers, chance.randint(1, 60))):
                assert pipe.push(lot, timeout=30) == len(lot)
                time.sleep(0.005)
        assert pipe.drain(30)
        status = pipe.status()
    payloads = [item.payload for item in found]
    assert len(set(payloads)) == len(payloads)
    assert set(payloads) <= {4 * number for number in range(count)}
    assert (status.items_in, status.outputs) == (count, {"default": len(payloads)})
    assert status.restarts > 0
    assert count == len(payloads) + status.skipped + status.lost


@pytest.mark.parametrize("seed", range(2))
def test_what_a_pipe_that_runs_on_took_came_out_or_is_counted(application: Any, seed: int) -> None:
    """Whatever is killed: a worker, a stage, the reader. Nothing comes out twice, and a push goes on."""
    application.stop()
    live_storm(seed, 2000)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_item_has_one_outcome_for_minutes(application: Any) -> None:
    """As above, again and again; a failure has the seed."""
    application.stop()
    for seed in seeds(1000, seconds=600):
        storm(seed, 20)
        live_storm(seed, 3000)
