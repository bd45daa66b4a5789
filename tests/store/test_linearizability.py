"""The checker of histories itself: what it takes, and what it must not take."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from tests.store.linearizability import UNKNOWN, Operation, find_violation


def did(
    name: str, *arguments: Any, result: Any = None, at: tuple[float, float], table: str = "t"
) -> Operation:
    return Operation(name, table, arguments, result, *at)


def twice(value: int) -> int:
    return 2 * value


LINEARIZABLE: dict[str, list[Operation]] = {
    "nothing": [],
    "one after the other": [
        did("put", "x", 1, at=(0, 1)),
        did("get", "x", result=1, at=(2, 3)),
        did("take", "x", result=1, at=(4, 5)),
        did("get", "x", at=(6, 7)),
    ],
    "two readers see the write at different times": [
        did("put", "x", 1, at=(0, 10)),
        did("get", "x", result=1, at=(2, 3)),
        did("get", "x", result=None, at=(1, 9)),
    ],
    "two writes at once, either last": [
        did("put", "x", 1, at=(0, 10)),
        did("put", "x", 2, at=(0, 10)),
        did("get", "x", result=1, at=(11, 12)),
    ],
    "updates that all count": [
        did("update", "x", twice, 3, result=6, at=(0, 10)),
        did("update", "x", twice, 3, result=12, at=(0, 10)),
    ],
    "whose outcome is unknown, and that happened late": [
        did("put", "x", 1, result=UNKNOWN, at=(0, math.inf)),
        did("get", "x", result=None, at=(5, 6)),
        did("get", "x", result=1, at=(7, 8)),
    ],
    "whose outcome is unknown, and that never happened": [
        did("increment", "x", 1, result=UNKNOWN, at=(0, math.inf)),
        did("increment", "x", 5, result=5, at=(5, 6)),
        did("get", "x", result=5, at=(7, 8)),
    ],
    "a transaction between two others": [
        did("transaction", ("put", "t", ("x", 1)), ("put", "u", ("x", 1)), result=(None, None), at=(0, 5)),
        did(
            "transaction",
            ("take", "t", ("x",)),
            ("get", "u", ("x",)),
            result=(1, 1),
            at=(4, 8),
        ),
        did("get", "x", result=None, at=(9, 10)),
        did("size", result=1, at=(9, 10), table="u"),
    ],
    "a load that replaces all": [
        did("put", "x", 1, at=(0, 1)),
        did("load", ((("t", "y"), 2),), at=(2, 6)),
        did("get", "x", result=1, at=(3, 4)),
        did("get", "y", result=2, at=(4, 5)),
        did("snapshot", result=[("y", 2)], at=(7, 8)),
    ],
}

NOT_LINEARIZABLE: dict[str, list[Operation]] = {
    "a lost update": [
        did("increment", "x", 1, result=1, at=(0, 10)),
        did("increment", "x", 1, result=1, at=(0, 10)),
    ],
    "a lost update that only a read shows": [
        did("put", "x", 1, at=(0, 1)),
        did("update", "x", twice, 0, result=2, at=(2, 10)),
        did("put", "x", 5, at=(3, 9)),
        did("get", "x", result=1, at=(11, 12)),
    ],
    "a stale read": [
        did("put", "x", 1, at=(0, 1)),
        did("put", "x", 2, at=(2, 3)),
        did("get", "x", result=1, at=(4, 5)),
    ],
    "reads that go back in time": [
        did("put", "x", 1, at=(0, 10)),
        did("get", "x", result=1, at=(1, 2)),
        did("get", "x", result=None, at=(3, 4)),
    ],
    "a read from the future": [
        did("get", "x", result=1, at=(0, 1)),
        did("put", "x", 1, at=(2, 3)),
    ],
    "a read of what nobody wrote": [did("get", "x", result=1, at=(0, 1))],
    "a torn transaction": [
        did("transaction", ("put", "t", ("x", 1)), ("put", "t", ("y", 1)), result=(None, None), at=(0, 10)),
        did("get_many", ("x", "y"), result=[1, None], at=(2, 3)),
    ],
    "a transaction over two tables, torn": [
        did("transaction", ("put", "t", ("x", 1)), ("put", "u", ("y", 1)), result=(None, None), at=(0, 10)),
        did("get", "x", result=1, at=(2, 3)),
        did("get", "y", result=None, at=(4, 5), table="u"),
    ],
    "half a bulk insert": [
        did("bulk_insert", (("x", 1), ("y", 1)), result=2, at=(0, 10)),
        did("size", result=1, at=(2, 3)),
    ],
    "two that were first": [
        did("put_new", "x", 1, result=True, at=(0, 10)),
        did("put_new", "x", 2, result=True, at=(0, 10)),
    ],
    "a row taken twice": [
        did("put", "x", 1, at=(0, 1)),
        did("take", "x", result=1, at=(2, 5)),
        did("take", "x", result=1, at=(3, 6)),
    ],
    "an unknown outcome before its call": [
        did("get", "x", result=1, at=(0, 1)),
        did("put", "x", 1, result=UNKNOWN, at=(2, math.inf)),
    ],
    "an unknown outcome that happened twice": [
        did("increment", "x", 1, result=UNKNOWN, at=(0, math.inf)),
        did("get", "x", result=2, at=(1, 2)),
    ],
    "half a load": [
        did("put", "x", 1, at=(0, 1)),
        did("load", ((("t", "y"), 2),), at=(2, 6)),
        did("get_many", ("x", "y"), result=[1, 2], at=(3, 4)),
    ],
    "a size that never was": [
        did("put", "x", 1, at=(0, 1)),
        did("delete", "x", result=True, at=(2, 3)),
        did("put", "y", 1, at=(4, 5)),
        did("size", result=2, at=(0, 9)),
    ],
}


@pytest.mark.parametrize("name", LINEARIZABLE)
def test_it_finds_an_order(name: str) -> None:
    """Where there is one, also one that the clients did not see."""
    assert find_violation(LINEARIZABLE[name]) is None


@pytest.mark.parametrize("name", NOT_LINEARIZABLE)
def test_it_finds_the_violation(name: str) -> None:
    """And names the operations that have no place."""
    assert "no order explains" in (find_violation(NOT_LINEARIZABLE[name]) or "")


@pytest.mark.parametrize("kind", [True, False])
def test_a_bag_answers_as_a_bag(kind: bool) -> None:
    """Values under one key add up there, and replace each other in a set."""
    history = [
        did("put", "x", 1, at=(0, 1)),
        did("put", "x", 2, at=(2, 3)),
        did("put", "x", 2, at=(4, 5)),
        did("get", "x", result=(1, 2), at=(6, 7)),
        did("delete_value", "x", 1, result=True, at=(8, 9)),
        did("size", result=1, at=(10, 11)),
        did("take", "x", result=(2,), at=(12, 13)),
    ]
    if kind:
        assert find_violation(history, bags=["t"]) is None
    else:
        assert find_violation(history[:4]) is not None


def test_it_starts_with_the_rows_that_were_there() -> None:
    """Those are a history's past."""
    history = [did("get", "x", result=7, at=(0, 1)), did("size", result=1, at=(2, 3))]
    assert find_violation(history, {("t", "x"): 7}) is None
    assert find_violation(history) is not None


def recorded(draw: random.Random, length: int) -> list[Operation]:
    """A history of a dict: each operation takes effect at one time, between its call and its return."""
    rows: dict[str, int] = {}
    history = []
    for now in range(length):
        key = draw.choice("xyz")
        at = (now - draw.uniform(0, 6), now + draw.uniform(0, 6))
        match draw.randrange(4):
            case 0:
                rows[key] = now
                history.append(did("put", key, now, at=at))
            case 1:
                rows[key] = rows.get(key, 0) + 1
                history.append(did("increment", key, 1, result=rows[key], at=at))
            case 2:
                history.append(did("get", key, result=rows.get(key), at=at))
            case _:
                history.append(did("get_many", "xyz", result=[rows.get(each) for each in "xyz"], at=at))
    return history


def test_histories_of_a_dict_are_linearizable_until_one_answer_is_another() -> None:
    """Of three hundred operations, a dozen of them at a time."""
    draw = random.Random(7)
    for _ in range(10):
        history = recorded(draw, 300)
        assert find_violation(history) is None
        reads = [index for index, each in enumerate(history) if each.name == "get_many"]
        index = draw.choice(reads)
        was = history[index]
        history[index] = did(
            "get_many", *was.arguments, result=[-1, *was.result[1:]], at=(was.called, was.returned)
        )
        assert find_violation(history) is not None
