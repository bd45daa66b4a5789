"""Every item that goes in ends in exactly one outcome, whatever the pipe and however the run ends.

Random pipes of inline stages with random outcomes and policies are run, and
compared with a model that handles the whole input stage by stage.
"""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from slither_actors import (
    Fail,
    InlineExecutor,
    Pipe,
    PipeError,
    router,
    run_pipe,
    stage,
    stream_pipe,
    workers,
)
from tests.pipe.random_graphs import COPIES, POLICIES, outcome_of

OUTPUTS = ("a", "b")

ACTIONS = ["pass", "pass", "skip", "fail", "raise", "route a", "route b", "none", "two", "three"]


@attrs.frozen
class Plan:
    """One stage: what it does to a payload is told by the payload's remainder."""

    kind: str
    actions: tuple[str, ...]
    policy: str
    batch_size: int

    def action(self, payload: Any) -> Any:
        return self.actions[payload % len(self.actions)]

    def fails(self, payload: Any) -> Any:
        return self.action(payload) in ("fail", "raise")

    def outcome(self, item: Any) -> Any:
        return outcome_of(self.action(item.payload), item.payload, copies)

    def is_routed(self, output: str, item: Any) -> bool:
        return self.action(item.payload) == f"route {output}"

    def of_batch(self, items: Any) -> Any:
        return [Fail("asked for") if self.fails(item.payload) else self.outcome(item) for item in items]

    def of_payloads(self, found: Any) -> Any:
        if any(self.fails(payload) for payload in found):
            raise ValueError(found)
        return found

    def declaration(self) -> Any:
        policy = POLICIES[self.policy]
        if self.kind == "workers":
            return workers(InlineExecutor(self.of_payloads), batch_size=self.batch_size, on_error=policy)
        if self.kind == "router":
            return router({name: partial(self.is_routed, name) for name in OUTPUTS}, on_error=policy)
        if self.kind == "batch":
            return stage(batch=True, on_error=policy)(self.of_batch)
        return stage(on_error=policy)(self.outcome)


def copies(payload: Any, action: Any) -> Any:
    return [payload * 7 + n for n in range(COPIES[action])]


# -- the model ---------------------------------------------------------------------

Flowing = list[tuple[int, int]]
"""Pairs of the number of the input that an item comes from, and its payload."""


@attrs.define
class Model:
    """What a pipe does to an input, one stage after the other."""

    flow: Flowing
    certain: Counter = attrs.field(factory=Counter)
    """What has left by a route for certain: output and payload."""
    possible: Counter = attrs.field(factory=Counter)
    """What has left by a route, or may have before the run halted."""
    halted_in: int | None = None
    _routed: list[tuple[int, str, int]] = attrs.field(factory=list)

    def run(self, plans: Any) -> Any:
        for number, plan in enumerate(plans):
            size = plan.batch_size if plan.kind == "workers" else 1
            batches = [self.flow[at : at + size] for at in range(0, len(self.flow), size)]
            self.flow = []
            for batch in batches:
                if not self.handle(plan, batch):
                    self.halt(number, batch[0][0])
                    break
        self.possible = self.certain + Counter()
        for origin, output, payload in self._routed:
            self.possible[output, payload] += 1
            if origin < self.halted_at:
                self.certain[output, payload] += 1
        return self

    halted_at: float = float("inf")

    def halt(self, number: Any, origin: Any) -> None:
        """A stage halts: what is behind the item is lost, unless it had been routed before that."""
        self.halted_in = number
        self.halted_at = min(self.halted_at, origin)

    def handle(self, plan: Any, batch: Any) -> Any:
        whole = plan.kind == "workers"
        failed = plan.kind != "router" and any(plan.fails(payload) for _, payload in batch)
        for origin, payload in batch:
            action = plan.action(payload)
            if failed:
                last = plan.policy.removeprefix("retry, ")
                if last == "halt":
                    return False
                if last == "route":
                    self._routed.append((origin, "b", payload))
                elif last == "go on":
                    self.flow.append((origin, payload))
            elif whole or (plan.kind == "router" and not action.startswith("route")):
                self.flow.append((origin, payload))
            elif action.startswith("route"):
                self._routed.append((origin, action[-1], payload))
            elif action in COPIES:
                self.flow += [(origin, copy) for copy in copies(payload, action)]
            elif action != "skip":
                self.flow.append((origin, payload))
        return True


plans = st.lists(
    st.builds(
        Plan,
        kind=st.sampled_from(["item", "item", "batch", "router", "workers"]),
        actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=9).map(tuple),
        policy=st.sampled_from(sorted(POLICIES)),
        batch_size=st.integers(1, 4),
    ),
    min_size=1,
    max_size=4,
)
inputs = st.lists(st.integers(0, 1000), max_size=60)


def pipe_of(found: Any) -> Any:
    stages = {f"stage_{number}": plan.declaration() for number, plan in enumerate(found)}
    return type(Pipe)("P", (Pipe,), {"outputs": OUTPUTS, **stages})


def routed_of(items: Any) -> Any:
    return Counter((item.route, item.payload) for item in items if item.route != "default")


def check_statistics(statistics: Any, *, complete: Any) -> Any:
    """What a stage took is what it passed on, routed, skipped, or gave up; nothing comes from nowhere."""
    above = {statistics["source"].items}
    for name in sorted(statistics.keys() - {"source"}):
        each = statistics[name]
        made = getattr(each, "made", 0)
        done = each.emitted + each.routed + each.skipped + each.failed
        if complete or hasattr(each, "made"):
            assert each.items_in + made == done, (name, each)
        else:
            assert each.items_in >= done, (name, each)
        if complete:
            assert each.items_in in above, (name, each)
            assert each.failed == 0
        else:
            assert each.items_in <= max(above), (name, each)
        # To a dispatch runner an item that its Route policy lets go on is a routed one.
        above = {each.emitted, each.emitted if hasattr(each, "made") else each.emitted + each.routed}
    return above


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


WAITING = [Plan("workers", ("pass",), "skip", 1), Plan("item", ("fail",), "retry, halt", 1)]
"""The second item has arrived, and waits, when the first one halts the run."""


@given(plans, inputs)
@example(WAITING, [0, 0])
@relaxed
def test_a_run_to_its_end_does_to_each_item_what_the_model_does(found: Any, numbers: Any) -> None:
    """Items come out once, in order, by the right output; the counts of the stages add up."""
    model = Model(list(enumerate(numbers))).run(found)
    pipe = pipe_of(found)
    if model.halted_in is None:
        event("complete")
        outputs = run_pipe(pipe, numbers)
        routed = [*outputs["a"], *outputs["b"]]
        assert routed_of(routed) == model.certain
        emitted = check_statistics(outputs.statistics, complete=True)
        assert len(outputs["default"]) in emitted
    else:
        event("halted")
        with pytest.raises(PipeError) as caught:
            run_pipe(pipe, numbers)
        outputs = caught.value.partial_results
        assert caught.value.stage == f"stage_{model.halted_in}"
        routed = routed_of([*outputs["a"], *outputs["b"]])
        assert model.certain <= routed <= model.possible
        check_statistics(outputs.statistics, complete=False)
    assert [item.payload for item in outputs["default"]] == [payload for _, payload in model.flow]
    ids = [item.id for items in outputs.values() for item in items]
    assert len(set(ids)) == len(ids)


@given(plans, inputs, st.integers(0, 30))
@relaxed
def test_a_run_that_is_closed_early_has_given_a_part_of_that(found: Any, numbers: Any, count: Any) -> None:
    """What was read is what would have been read; what was not is counted nowhere twice."""
    model = Model(list(enumerate(numbers))).run(found)
    stream = stream_pipe(pipe_of(found), numbers)
    taken = []
    halted = None
    with stream:
        try:
            taken.extend(itertools.islice(stream, count))
        except PipeError as error:
            halted = error.stage
    assert halted in (None, f"stage_{model.halted_in}")
    default = [item.payload for item in taken if item.route == "default"]
    assert default == [payload for _, payload in model.flow][: len(default)]
    assert routed_of(taken) <= model.possible
    assert len({item.id for item in taken}) == len(taken)
    if stream.finished:
        check_statistics(stream.finished, complete=False)
