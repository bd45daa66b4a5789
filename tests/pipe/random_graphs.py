"""Pipes of random stages that are connected at random, and a model of what becomes of each item.

What an item becomes depends on its payload only, so the model follows each item
by itself. Worker processes may be killed besides: which items died with them is
told by the dead letters, and by the policy that routes them.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import attrs
from hypothesis import strategies as st

from slither_actors import (
    Fail,
    InlineExecutor,
    Item,
    Many,
    Pipe,
    Retry,
    Route,
    RouteTo,
    Skip,
    router,
    stage,
    workers,
)
from tests.pipe import worker_code

ROUTES = ("a", "b")

POLICIES = {
    "skip": "skip",
    "halt": "halt",
    "route": Route(lambda item, error: item.put_route("b")),
    "go on": Route(lambda item, error: item),
    "retry, skip": Retry(max_attempts=2, backoff=0, then="skip"),
    "retry, halt": Retry(max_attempts=2, backoff=0, then="halt"),
    "retry, route": Retry(max_attempts=3, backoff=0, then=Route(lambda item, error: item.put_route("b"))),
    "retry, go on": Retry(max_attempts=2, backoff=0, then=Route(lambda item, error: item)),
}

COPIES = {"none": 0, "two": 2, "three": 3}

CALM = ["pass", "route a", "route b"]

WORKERS = ("workers", "processes")

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
    letters: list[Item] = attrs.field(factory=list, eq=False, repr=False)
    """What has finally failed in worker processes."""

    def action(self, payload: int) -> str:
        action = self.actions[payload % len(self.actions)]
        if self.kind == "router":
            return action if action in CALM else "pass"
        if self.kind in WORKERS:
            return action if action in ("fail", "raise") and self.batch_size == 1 else "pass"
        return action

    def outcome(self, item: Any) -> Any:
        return outcome_of(self.action(item.payload), item.payload, copies)

    def is_routed(self, route: str, item: Any) -> bool:
        return self.action(item.payload) == f"route {route}"

    def of_batch(self, items: Any) -> Any:
        failing = ("fail", "raise")
        return [Fail("no") if self.action(each.payload) in failing else self.outcome(each) for each in items]

    def of_payloads(self, found: Any) -> Any:
        if any(self.action(payload) != "pass" for payload in found):
            raise ValueError(found)
        return found

    def noted(self, policy: Any) -> Any:
        """The policy of worker processes, which notes what it routes: that is not dead."""
        if isinstance(policy, Retry):
            return attrs.evolve(policy, then=self.noted(policy.then))
        if not isinstance(policy, Route):
            return policy

        def note(item: Item, error: BaseException) -> Item:
            self.letters.append(item)
            return policy.fn(item, error)

        return Route(note)

    def declaration(self, after: Any) -> Any:
        policy = POLICIES[self.policy]
        if self.kind == "workers":
            executor = InlineExecutor(self.of_payloads)
            return workers(executor, batch_size=self.batch_size, on_error=policy, after=after)
        if self.kind == "processes":
            function = partial(worker_code.fail_some, self.actions if self.batch_size == 1 else ("pass",))
            return workers(
                function,
                batch_size=self.batch_size,
                max_in_flight=3,
                dead_letters=lambda letter: self.letters.append(letter.item),
                poison_after=None,
                on_error=self.noted(policy),
                after=after,
            )
        if self.kind == "router":
            routes = {name: partial(self.is_routed, name) for name in ROUTES}
            return router(routes, on_error=policy, after=after)
        if self.kind == "batch":
            return stage(batch=True, on_error=policy, after=after)(self.of_batch)
        return stage(on_error=policy, after=after, routes=ROUTES)(self.outcome)

    @property
    def ways(self) -> tuple[str, ...]:
        """The routes that stages below may come after."""
        return ROUTES if self.kind not in WORKERS or self.policy.endswith("route") else ()


def outcome_of(action: str, payload: Any, copies: Any) -> Any:
    """What a function stage returns for a payload, or raises, if it is to act so."""
    if action == "skip":
        return Skip("asked for")
    if action == "fail":
        return Fail("asked for")
    if action == "raise":
        raise ValueError(payload)
    if action.startswith("route"):
        return RouteTo(action[-1], payload)
    return Many(copies(payload, action)) if action in COPIES else payload


def copies(payload: int, action: str) -> list[int]:
    """Numbers that hardly any other payload has."""
    return [hash((payload, n)) for n in range(COPIES[action])]


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
    dead: Counter[tuple[str, int]] = attrs.field(init=False)
    """Items that died in worker processes and whose fate is not told yet."""
    survived: list[tuple[str, int]] = attrs.field(factory=list)
    """Items that had to fail there and did not."""

    def __attrs_post_init__(self) -> None:
        plans = self.graph.plans.items()
        self.dead = Counter((name, letter.payload) for name, plan in plans for letter in plan.letters)

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

    def fate(self, name: str, payload: int, action: str) -> str:
        """What happened to an item in a worker process: it may have been killed."""
        if self.dead[name, payload]:
            self.dead -= Counter({(name, payload): 1})
            return "fail"
        if action in ("fail", "raise"):
            self.survived.append((name, payload))
        return "pass"

    def made(self, name: str, payload: int) -> list[tuple[str, int]]:
        plan = self.graph.plans[name]
        action = plan.action(payload)
        if plan.kind == "processes":
            action = self.fate(name, payload, action)
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


def check_statistics(graph: Graph, statistics: Any, *, complete: bool) -> None:
    """What a stage took and made is what it passed on, routed, skipped or gave up, however the run ended."""
    for name in graph.plans:
        each = statistics.get(name)
        if each is None:
            assert not complete
            continue
        done = each.emitted + each.routed + each.skipped + each.failed
        assert each.items_in + getattr(each, "made", 0) == done, (name, each)
        assert getattr(each, "pending", 0) == 0, (name, each)
        assert each.failed == 0 or not complete


def found_in(items: Any) -> Counter[tuple[str, int]]:
    return Counter((item.route, item.payload) for item in items)
