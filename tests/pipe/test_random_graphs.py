"""Whatever the graph of a pipe, every item that goes in ends in exactly one outcome, and nothing hangs.

Random stages are connected at random: forks by route, branches, joins, policies,
one to many. They run with little demand, so that every way is full at some time.
What an item becomes depends on its payload only, so a model that follows each
item by itself says what has to come out, though not in which order.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from slither_actors import Pipe, PipeError, run_pipe, stage, stream_pipe
from slither_actors.dispatch import _link, _reader
from slither_actors.pipe import _outgoing, _plan
from tests.pipe.random_graphs import (
    ACTIONS,
    CALM,
    POLICIES,
    ROUTES,
    Model,
    check_statistics,
    found_in,
    graph_of,
    plans,
)

pytestmark = pytest.mark.timeout(90)

inputs = st.lists(st.integers(0, 1000), max_size=120)

demands = st.sampled_from([2, 7, 1000])


@contextlib.contextmanager
def little(demand: int) -> Iterator[None]:
    """Have stages and the reader ask for so few items at one time."""
    with (
        patch.object(_plan, "_STAGE_DEMAND", demand),
        patch.object(_plan, "_DEMAND", demand),
        patch.object(_outgoing, "_QUEUE", demand // 2),
        patch.object(_link, "SIDE_CREDIT", demand),
        patch.object(_reader, "SIDE_CREDIT", demand),
    ):
        yield


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run_or_halt(pipe: Any, numbers: Any) -> tuple[Any, str | None]:
    """The outputs, and the stage that halted, if one did."""
    try:
        return run_pipe(pipe, numbers), None
    except PipeError as error:
        return error.partial_results, error.stage


@given(plans(ACTIONS, POLICIES), inputs, demands)
@relaxed
def test_each_item_ends_in_one_outcome(found: Any, numbers: Any, demand: Any) -> None:
    """Run to its end, a pipe does to each item what the model does, and the counts add up."""
    graph = graph_of(found)
    model = Model(graph).run(numbers)
    with little(demand):
        outputs, halted = run_or_halt(graph.pipe, numbers)
    assert (halted in model.halts) if model.halts else halted is None
    items = [item for each in outputs.values() for item in each]
    complete = not model.halts
    event("complete" if complete else "halted")
    event(f"joins: {sum(len(each.after) > 1 for each in graph.pipe.definition.stages)}")
    check_statistics(graph, outputs.statistics, complete=complete)
    assert len({item.id for item in items}) == len(items)
    if complete:
        assert found_in(items) == model.out
        assert {name: outputs.statistics[name].items_in for name in graph.plans} == {
            name: model.taken[name] for name in graph.plans
        }
    else:
        assert found_in(items) <= model.out


@given(plans(ACTIONS, POLICIES), inputs, demands, st.integers(0, 40))
@relaxed
def test_what_is_read_before_an_early_close_is_a_part_of_that(
    found: Any, numbers: Any, demand: Any, count: Any
) -> None:
    """And the close comes to its end."""
    graph = graph_of(found)
    model = Model(graph).run(numbers)
    with little(demand), stream_pipe(graph.pipe, numbers) as stream:
        taken = []
        with contextlib.suppress(PipeError):
            taken.extend(itertools.islice(stream, count))
    assert found_in(taken) <= model.out
    assert len({item.id for item in taken}) == len(taken)
    check_statistics(graph, stream.finished, complete=False)


@given(plans(CALM, ["halt"], most=5), st.sampled_from([4, 20]), st.integers(1, 100))
@settings(relaxed, max_examples=12)
def test_an_endless_input_is_read_no_further_than_there_is_room(found: Any, demand: Any, count: Any) -> None:
    """What is on its way is bounded by the number of ways and their demand, and it goes on all the time."""
    read = [0]

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            read[0] = number
            yield number

    graph = graph_of(found)
    ways = len(graph.plans) * (1 + len(ROUTES))
    with little(demand), stream_pipe(graph.pipe, numbers()) as stream:
        assert len(list(itertools.islice(stream, count))) == count
        before = -1
        while before != read[0]:
            before = read[0]
            threading.Event().wait(0.03)
        assert before <= count + ways * (demand * 4 + 32) + 2000


@given(plans(ACTIONS, POLICIES, most=4), plans(ACTIONS, POLICIES, most=4), inputs, demands, st.integers(0, 3))
@settings(relaxed, max_examples=50)
def test_graphs_within_a_pipe_do_what_they_do_by_themselves(
    one: Any, other: Any, numbers: Any, demand: Any, depth: Any
) -> None:
    """One after the other, however deep: what leaves the first by "default" is the input of the second."""
    first, second = graph_of(one), graph_of(other)
    before = Model(first).run(numbers)
    behind = Model(second).run([payload for route, payload in before.out.elements() if route == "default"])
    expected = behind.out + Counter({each: n for each, n in before.out.items() if each[0] != "default"})
    within = "in_." * depth
    halts = {f"{within}one.{name}" for name in before.halts} | {
        f"{within}two.{name}" for name in behind.halts
    }
    pipe = type(Pipe)("P", (Pipe,), {"outputs": ROUTES, "one": stage(first.pipe), "two": stage(second.pipe)})
    for _ in range(depth):
        pipe = type(Pipe)("P", (Pipe,), {"outputs": ROUTES, "in_": stage(pipe)})
    with little(demand):
        outputs, halted = run_or_halt(pipe, numbers)
    found = found_in(item for each in outputs.values() for item in each)
    if halts:
        assert halted in halts
        assert found <= expected
    else:
        assert halted is None
        assert found == expected
        assert outputs.record.unfinished == 0
