"""A definition is a value: it can be compared, copied, sent to another process, and drawn."""

from __future__ import annotations

import copy
import json
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from slither_actors import Pipe, Route, Stage, Store, router, stage, workers
from tests.search_path import run_program


class Prices(Store): ...


class Costs(Store): ...


def _same(item: Any) -> Any:
    return item.payload


class Sent(Pipe):
    stores = {Prices, Costs}
    outputs = {"zebra", "apple", "mango"}

    @stage(routes={"zebra", "apple", "mango"})
    def first(item: Any) -> Any:  # noqa: N805 - no method
        return item.payload

    second = stage(lambda item: item.payload)


def make(**body: Any) -> Any:
    return type(Pipe)("P", (Pipe,), body).definition


def test_it_can_be_copied() -> None:
    """As what cannot be changed: it stays the same one."""
    assert copy.copy(Sent.definition) is copy.deepcopy(Sent.definition) is Sent.definition


def test_a_changed_one_is_not_taken_for_that_of_its_pipe() -> None:
    """Only that of the class goes by the name of the class."""
    changed = attrs.evolve(make(first=workers("module:function")), name="Q")
    assert pickle.loads(pickle.dumps(changed)).name == "Q"
    assert copy.deepcopy(changed) == changed


def test_it_goes_to_another_process_and_is_equal_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of its class. Sets of names have the same order there."""
    (tmp_path / "sent").write_bytes(pickle.dumps(Sent.definition))
    (tmp_path / "data").write_text(json.dumps(Sent.definition.to_dict()))
    program = f"""
import json, pickle, pathlib
from tests.pipe.test_definition_data import Sent
found = pickle.loads(pathlib.Path({str(tmp_path / "sent")!r}).read_bytes())
assert found == Sent.definition, found
assert found.to_dict() == json.loads(pathlib.Path({str(tmp_path / "data")!r}).read_text())
print("equal")
"""
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        assert run_program(program).stdout.strip() == "equal"


def test_partials_of_one_function_are_the_same_function() -> None:
    """As stages, predicates and worker functions."""

    def define(number: int) -> Any:
        return make(
            first=stage(partial(max, number)),
            second=router(a=partial(min, number)),
            third=workers(partial(sorted, reverse=bool(number))),
        )

    assert define(1) == define(1)
    assert define(1) != define(2)
    assert define(1) != define(0)


def test_options_that_cannot_be_compared_are_different() -> None:
    """And the comparison does not raise."""

    class Array:
        def __eq__(self, other: object) -> Any:
            raise ValueError("the truth value of an array is ambiguous")

        __hash__ = None  # type: ignore[assignment]

    class Scale(Stage):
        def init(self, weights: Any) -> None: ...
        def handle_item(self, item: Any, ctx: Any) -> None: ...

    weights = Array()
    assert make(first=stage(Scale, weights=weights)) == make(first=stage(Scale, weights=weights))
    assert make(first=stage(Scale, weights=weights)) != make(first=stage(Scale, weights=Array()))


def test_it_has_a_hash_whatever_its_policies_call() -> None:
    """Also a function object that has none."""

    class Mark:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, item: Any, error: Any) -> Any:
            return item

    definition = make(first=stage(_same, on_error=Route(Mark())))
    assert hash(definition) == hash(definition)


def test_methods_of_built_in_types_have_a_name() -> None:
    """Some of them know no module."""
    found = make(first=router(a=str.isupper, b=[].append)).to_dict()
    assert found["stages"][0]["runs"] == {"a": "builtins:str.isupper", "b": {"repr": "builtins:list.append"}}


def test_each_box_of_the_chart_has_a_name_of_its_own() -> None:
    """The pipe "a_b" is not the pipe "b" in "a"."""

    class Inner(Pipe):
        first = stage(_same)

    class Middle(Pipe):
        b = stage(Inner)

    chart = make(a=stage(Middle), a_b=stage(Inner)).mermaid()
    boxes = re.findall(r"subgraph (\w+)", chart)
    assert len(set(boxes)) == len(boxes) == 3


def test_numbers_that_json_does_not_have_are_text() -> None:
    """What comes back is what went in, and any reader of JSON takes it."""

    class Limited(Stage):
        def init(self, limits: Any) -> None: ...
        def handle_item(self, item: Any, ctx: Any) -> None: ...

    found = make(first=stage(Limited, limits=[float("inf"), float("nan"), 0.5])).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["stages"][0]["options"] == {"limits": [{"repr": "inf"}, {"repr": "nan"}, 0.5]}
