"""Items that stages pass on unmade are, to the user, items like all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from slither_actors import Application, Context, Item, Pipe, router, run_pipe, stage, workers
from slither_actors.dispatch import InlineExecutor


@pytest.fixture(autouse=True)
def application() -> Iterator[Any]:
    with Application(pools={}) as running:
        yield running


def tagged(items: Sequence[Item]) -> list[int]:
    return [item.payload * 2 for item in items]


class Through(Pipe):
    """A batch function, a batch executor and a router: nobody needs items between them."""

    double = stage(tagged, batch=True)
    more = workers(InlineExecutor(lambda payloads: [payload + 1 for payload in payloads]), batch_size=3)
    sort = router(low=lambda item: item.payload < 10, high=lambda item: item.payload >= 16)


def test_ids_metadata_and_routes_come_through() -> None:
    """Also where some items have metadata and some have none."""
    given = [Item.wrap(number) for number in range(10)]
    given = [item.put_meta({"n": item.payload}) if item.payload % 3 else item for item in given]
    outputs = run_pipe(Through, given)
    found = sorted((item for items in outputs.values() for item in items), key=lambda item: item.id)
    assert [item.id for item in found] == [item.id for item in given]
    assert [dict(item.meta) for item in found] == [dict(item.meta) for item in given]
    assert [item.payload for item in found] == [number * 2 + 1 for number in range(10)]
    assert {name: [item.route for item in items] for name, items in outputs.items()} == {
        "low": ["low"] * 5,
        "high": ["high"] * 2,
        "default": ["default"] * 3,
    }


def test_items_of_the_caller_are_not_touched_by_a_router() -> None:
    """Those are the caller's: a router makes new ones, with the route."""

    class First(Pipe):
        sort = router(low=lambda item: item.payload < 2)

    given = [Item.wrap(number) for number in range(4)]
    outputs = run_pipe(First, given)
    assert [item.route for item in given] == ["default"] * 4
    assert outputs["low"] == [item.put_route("low") for item in given[:2]]
    assert outputs["default"] == given[2:]


def test_a_batch_function_behind_workers_gets_a_list_of_items_that_stay_the_same() -> None:
    """It may look at them more than once, and tell them by identity."""
    seen: list[Any] = []

    def twice(items: Any, ctx: Context) -> Any:
        seen.append((type(items), all(one is two for one, two in zip(items, items, strict=True))))
        return [item.payload for item in items]

    class Behind(Pipe):
        double = stage(tagged, batch=True)
        more = workers(InlineExecutor(lambda payloads: payloads), batch_size=2)
        look = stage(twice, batch=True)

    assert [item.payload for item in run_pipe(Behind, range(4))["default"]] == [0, 2, 4, 6]
    assert set(seen) == {(list, True)}


def test_a_predicate_that_raises_fails_its_item_alone() -> None:
    """What is before it and behind it is routed."""

    def picky(item: Item) -> bool:
        if item.payload == 7:
            msg = "not seven"
            raise ValueError(msg)
        return item.payload % 2 == 1

    class Picky(Pipe):
        double = stage(lambda items: [item.payload for item in items], batch=True)
        more = workers(InlineExecutor(lambda payloads: payloads), batch_size=4)
        sort = router({"odd": picky}, on_error="skip")

    outputs = run_pipe(Picky, range(12))
    assert [item.payload for item in outputs["odd"]] == [1, 3, 5, 9, 11]
    assert [item.payload for item in outputs["default"]] == [0, 2, 4, 6, 8, 10]
    assert outputs.statistics["sort"].skipped == 1
    assert outputs.statistics["sort"].errors == {"ValueError": 1}


def test_a_strategy_of_ones_own_gets_items() -> None:
    """Its weight is asked of items, and what it gives back is told by identity."""

    class Weighed(Pipe):
        double = stage(tagged, batch=True)
        more = workers(
            InlineExecutor(lambda payloads: [len(payloads)] * len(payloads)), strategy=Own(), max_in_flight=1
        )

    assert [item.payload for item in run_pipe(Weighed, range(6))["default"]] == [2] * 6


class Own:
    """Pairs."""

    def batcher(self) -> Any:
        return _Pairs()


class _Pairs:
    def __init__(self) -> None:
        self.held: list[Item] = []

    @property
    def pending(self) -> int:
        return len(self.held)

    def add(self, items: Any) -> list[list[Item]]:
        assert type(items) is list
        self.held += items
        pairs = [self.held[at : at + 2] for at in range(0, len(self.held) - 1, 2)]
        self.held = self.held[2 * len(pairs) :]
        return pairs

    def flush(self) -> list[list[Item]]:
        held, self.held = self.held, []
        return [held] if held else []

    def wanted(self, room: int) -> int:
        return max(1, room * 2 - len(self.held))


@pytest.mark.parametrize("count", [1, 30, 200, 201, 5000])
@pytest.mark.parametrize("made", [True, False])
def test_a_router_may_have_any_number_of_routes(count: int, made: bool) -> None:
    """By names that are no identifiers, and the first predicate that holds decides."""
    routes = {f"→ {n} '\"\n": lambda item, n=n: item.payload == n or n == count - 1 for n in range(count)}
    body: dict[str, Any] = {"sort": router(routes)}
    if not made:
        body = {"first": stage(lambda items: [item.payload for item in items], batch=True), **body}
    outputs = run_pipe(type(Pipe)("P", (Pipe,), body), range(min(count, 250)))
    found = {item.payload: name for name, items in outputs.items() for item in items}
    assert found == {n: f"→ {n} '\"\n" for n in range(min(count, 250))}
    assert outputs["default"] == []
