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
from functools import partial
from typing import Any
from unittest.mock import patch

import attrs
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from slither_actors import (
    Fail,
    InlineExecutor,
    Many,
    Pipe,
    PipeError,
    Retry,
    Route,
    RouteTo,
    Skip,
    router,
    run_pipe,
    stage,
    stream_pipe,
    workers,
)
from slither_actors.dispatch import _link, _reader
from slither_actors.pipe import _outgoing, _plan

pytestmark = pytest.mark.timeout(90)

ROUTES = ("a", "b")

POLICIES = {
    "skip": "skip",
    "halt": "halt",
    "route": Route(lambda item, error: item.put_route("b")),
    "go on": Route(lambda item, error: item),
    "retry, skip": Retry(max_attempts=2, backoff=0, then="skip"),
}

COPIES = {"none": 0, "two": 2, "three": 3}

CALM = ["pass", "route a", "route b"]

ACTIONS = [*CALM, "pass", "skip", "fail", "raise", *COPIES]


@attrs.frozen
class Plan:
    """One stage. What it does to a payload is told by the payload's remainder."""

    kind: str
    actions: tuple[str, ...]
    policy: str
    batch_size: int
    choice: tuple[int, ...]
    """Numbers that choose what it comes after."""

    def action(self, payload: int) -> str:
        action = self.actions[payload % len(self.actions)]
        if self.kind == "router":
            return action if action in CALM else "pass"
        if self.kind == "workers":
            return action if action in ("fail", "raise") and self.batch_size == 1 else "pass"
        return action

    def outcome(self, item: Any) -> Any:
        action, payload = self.action(item.payload), item.payload
        if action == "skip":
            return Skip("asked for")
        if action == "fail":
            return Fail("asked for")
        if action == "raise":
            raise ValueError(payload)
        if action.startswith("route"):
            return RouteTo(action[-1], payload)
        return Many(copies(payload, action)) if action in COPIES else payload

    def is_routed(self, route: str, item: Any) -> bool:
        return self.action(item.payload) == f"route {route}"

    def of_batch(self, items: Any) -> Any:
        failing = ("fail", "raise")
        return [Fail("no") if self.action(each.payload) in failing else self.outcome(each) for each in items]

    def of_payloads(self, found: Any) -> Any:
        if any(self.action(payload) != "pass" for payload in found):
            raise ValueError(found)
        return found

    def declaration(self, after: Any) -> Any:
        policy = POLICIES[self.policy]
        if self.kind == "workers":
            executor = InlineExecutor(self.of_payloads)
            return workers(executor, batch_size=self.batch_size, on_error=policy, after=after)
        if self.kind == "router":
            routes = {name: partial(self.is_routed, name) for name in ROUTES}
            return router(routes, on_error=policy, after=after)
        if self.kind == "batch":
            return stage(batch=True, on_error=policy, after=after)(self.of_batch)
        return stage(on_error=policy, after=after, routes=ROUTES)(self.outcome)

    @property
    def ways(self) -> tuple[str, ...]:
        """The routes that stages below may come after."""
        return ROUTES if self.kind != "workers" or self.policy == "route" else ()


def copies(payload: int, action: str) -> list[int]:
    return [payload * 7 + n for n in range(COPIES[action])]


@attrs.frozen
class Graph:
    """A pipe, and who takes what: stage, or stage and route, to stage."""

    pipe: Any
    plans: dict[str, Plan]
    takers: dict[tuple[str, str], str]


def graph_of(plans: list[Plan]) -> Graph:
    """Connect the stages as the numbers of each say."""
    body: dict[str, Any] = {"outputs": ROUTES}
    free: dict[tuple[str, str], str] = {}
    takers: dict[tuple[str, str], str] = {}
    for number, plan in enumerate(plans):
        name, after = f"stage_{number}", None
        if number:
            keys = sorted(free)
            chosen = sorted({keys[each % len(keys)] for each in plan.choice})
            after = [free.pop(key) for key in chosen]
            takers |= dict.fromkeys(chosen, name)
        body[name] = plan.declaration(after)
        free[name, ""] = name
        free |= {(name, route): f"{name}.{route}" for route in plan.ways}
    named = {f"stage_{number}": plan for number, plan in enumerate(plans)}
    return Graph(type(Pipe)("P", (Pipe,), body), named, takers)


@attrs.define
class Model:
    """What becomes of each item by itself."""

    graph: Graph
    out: Counter[tuple[str, int]] = attrs.field(factory=Counter)
    taken: Counter[str] = attrs.field(factory=Counter)
    """Stage to the items that come to it."""
    halts: set[str] = attrs.field(factory=set)

    def run(self, numbers: Any) -> Model:
        waiting = [("stage_0", number) for number in numbers]
        while waiting:
            name, payload = waiting.pop()
            self.taken[name] += 1
            for route, made in self.made(name, payload):
                taker = self.graph.takers.get((name, route))
                if taker is not None:
                    waiting.append((taker, made))
                else:
                    self.out[route or "default", made] += 1
        return self

    def made(self, name: str, payload: int) -> list[tuple[str, int]]:
        plan = self.graph.plans[name]
        action = plan.action(payload)
        if action in ("fail", "raise"):
            action = plan.policy.removeprefix("retry, ")
            if action == "halt":
                self.halts.add(name)
            return {"route": [("b", payload)], "go on": [("", payload)]}.get(action, [])
        if action.startswith("route"):
            return [(action[-1], payload)]
        if action == "skip":
            return []
        return [("", each) for each in (copies(payload, action) if action in COPIES else [payload])]


def plans(actions: Any, policies: Any, *, most: int = 7) -> Any:
    return st.lists(
        st.builds(
            Plan,
            kind=st.sampled_from(["item", "item", "batch", "router", "router", "workers"]),
            actions=st.lists(st.sampled_from(actions), min_size=1, max_size=7).map(tuple),
            policy=st.sampled_from(sorted(policies)),
            batch_size=st.integers(1, 4),
            choice=st.lists(st.integers(0, 20), min_size=1, max_size=4).map(tuple),
        ),
        min_size=1,
        max_size=most,
    )


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


def check_statistics(graph: Graph, statistics: Any, *, complete: bool) -> None:
    """What a stage took is what it passed on, routed, skipped or gave up."""
    for name in graph.plans:
        each = statistics.get(name)
        if each is None:
            assert not complete
            continue
        done = each.emitted + each.routed + each.skipped + each.failed
        if complete or hasattr(each, "made"):
            assert each.items_in + getattr(each, "made", 0) == done, (name, each)
        else:
            assert each.items_in >= done, (name, each)
        assert each.failed == 0 or not complete


def found_in(items: Any) -> Counter[tuple[str, int]]:
    return Counter((item.route, item.payload) for item in items)


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
