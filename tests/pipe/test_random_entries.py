"""Whichever way a random pipe is run, the same comes of each item, with its id and its metadata."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors import Item, arun_pipe, astream_pipe, run_pipe, start_pipe, stream_pipe
from slither_actors.pipe import _stage_runner
from tests.pipe.random_graphs import ACTIONS, POLICIES, Model, check_statistics, found_in, graph_of, plans
from tests.pipe.test_random_graphs import demands, inputs, little, relaxed

pytestmark = pytest.mark.timeout(90)

GOING_ON = {name: policy for name, policy in POLICIES.items() if "halt" not in name}


def run(pipe: Any, items: Any) -> Any:
    outputs = run_pipe(pipe, items)
    return [item for each in outputs.values() for item in each], outputs.record, outputs.statistics


def arun(pipe: Any, items: Any) -> Any:
    outputs = asyncio.run(arun_pipe(pipe, items))
    return [item for each in outputs.values() for item in each], outputs.record, outputs.statistics


def stream(pipe: Any, items: Any) -> Any:
    with stream_pipe(pipe, items) as found:
        return list(found), found.record(), found.finished


def astream(pipe: Any, items: Any) -> Any:
    async def read() -> Any:
        async with astream_pipe(pipe, items) as found:
            return [item async for item in found], await found.record(), found.finished

    return asyncio.run(read())


def stream_outputs(pipe: Any, items: Any) -> Any:
    taken: list[Item] = []
    with stream_pipe(pipe, items) as found:
        threads = [
            threading.Thread(target=taken.extend, args=(each,)) for each in found.outputs(wait=20).values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return taken, found.record(), found.finished


def start(pipe: Any, items: Any) -> Any:
    taken: list[Item] = []
    running = start_pipe(pipe, into=taken.extend)
    running.push(items)
    assert running.drain(20)
    status = running.status()
    assert (status.items_in, status.lost, status.in_flight) == (len(items), 0, 0)
    assert sum(status.outputs.values()) == len(taken)
    return taken, status.record, None


@given(
    plans(ACTIONS, GOING_ON),
    inputs,
    demands,
    st.sampled_from([run, arun, stream, astream, stream_outputs, start]),
    st.sampled_from([0.01, -1.0]),
)
@settings(relaxed, max_examples=150)
def test_all_ways_to_run_a_pipe_do_the_same(
    found: Any, numbers: Any, demand: Any, way: Any, lasts: Any
) -> None:
    """Also where stages pass on each item as soon as it is done: the slice of time is over at once then."""
    graph = graph_of(found)
    model = Model(graph).run(numbers)
    given_items = [item.put_meta({"root": item.id, "of": item.payload}) for item in Item.wrap_many(numbers)]
    with little(demand), patch.object(_stage_runner, "_SLICE_SECONDS", lasts):
        items, record, statistics = way(graph.pipe, given_items)
    assert found_in(items) == model.out
    assert (record.items_in, record.unfinished, record.items_out) == (len(numbers), 0, len(items))
    assert +Counter(record.outputs) == Counter(item.route for item in items)
    if statistics is not None:
        check_statistics(graph, statistics, complete=True)
    assert len({item.id for item in items}) == len(items)
    of = {item.id: item.payload for item in given_items}
    assert all(of[item.meta["root"]] == item.meta["of"] for item in items)
    assert all(item.id == item.meta["root"] for item in items if item.id in of)
    assert [item.route for item in given_items] == ["default"] * len(numbers)
