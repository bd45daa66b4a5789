"""`Slither.Pipe`, its `Builder`, `Definition`, `Runner` and `Supervisor`: stages composed, and run."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Application,
    Context,
    Item,
    Pipe,
    PipeError,
    Store,
    Table,
    router,
    run_pipe,
    stage,
    view,
    workers,
)
from slither_actors.errors import PipeDefinitionError
from tests.slither import work
from tests.slither.reading import in_outputs

SECONDS = 20.0


class Scores(Store):
    """The features of the read-me."""

    scores: Table[str, float] = Table()

    def load(self, tables: Any) -> None:
        tables.scores.insert([("first", 0.9), ("second", 0.5), ("third", 0.1)])

    @view(batch=True)
    def lookup(self, keys: list[str]) -> list[float]:
        return [self.scores.get(key, 0.0) for key in keys]


def predict_batch(rows: list[dict[str, str]], ctx: Context) -> list[dict[str, Any]]:
    """Score texts, in a worker."""
    return [
        {**row, "score": score}
        for row, score in zip(rows, ctx.views.lookup([row["text"] for row in rows]), strict=True)
    ]


class ScorePipe(Pipe):
    """The pipe of the read-me."""

    stores = [Scores]

    @stage
    def prepare(item: Item, ctx: Context) -> Any:
        return {"text": item.payload}

    predict = workers(predict_batch, pool="default", batch_size=32, max_in_flight=4)

    @stage
    def normalize(item: Item, ctx: Context) -> Any:
        return {**item.payload, "score": round(item.payload["score"], 4)}

    classify = router(
        accept=lambda item: item.payload["score"] >= 0.8,
        review=lambda item: item.payload["score"] >= 0.4,
    )

    outputs = ["accept", "review", "default"]
    on_error = {"predict": "skip", "*": "halt"}


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Application]:
    with Application(pools={"default": 1}) as running:
        yield running


class Increment(Pipe):
    """One stage in the driver."""

    increment = stage(lambda item: item.payload + 1)


# -- the DSL, Slither.Pipe.Builder ---------------------------------------------------------------


def test_the_quick_start_runs() -> None:
    """`Slither.Pipe`: store, driver stages, worker stage, router, outputs and policies in one pipe."""
    outputs = run_pipe(ScorePipe, ["first", "second", "third"])
    assert {name: [item.payload["text"] for item in items] for name, items in outputs.items()} == {
        "accept": ["first"],
        "review": ["second"],
        "default": ["third"],
    }


def test_a_pipe_has_a_name() -> None:
    """``pipe :name do``: that of the class."""
    assert ScorePipe.definition.name == "ScorePipe"


def test_stages_run_in_the_order_of_the_declaration() -> None:
    """``stage``: each gets what the one above it has made."""

    class Letters(Pipe):
        a = stage(lambda item: item.payload + "a")
        b = stage(lambda item: item.payload + "b")
        c = stage(lambda item: item.payload + "c")

    assert in_outputs(run_pipe(Letters, [""])) == {"default": ["abc"]}


def test_a_pipe_names_its_stores() -> None:
    """``store``: stages find them in the context, and workers call their views."""
    assert dict(ScorePipe.definition.stores) == {"Scores": Scores}


def test_outputs_are_declared() -> None:
    """``output``: those that are named, and the default one, which is always there."""

    class Named(Pipe):
        outputs = ["accept", "review"]
        same = stage(lambda item: item.payload)

    assert in_outputs(run_pipe(Named, [1])) == {"accept": [], "review": [], "default": [1]}


def test_outputs_may_be_left_out() -> None:
    """``output``: here the routers' names are outputs; what is stated is checked against them."""

    class Unstated(Pipe):
        split = router(high=lambda item: item.payload > 1)

    assert Unstated.definition.outputs == ("high", "default")
    with pytest.raises(PipeDefinitionError, match="high"):

        class Wrong(Pipe):
            outputs = ["hihg"]
            split = router(high=lambda item: item.payload > 1)


def test_on_error_is_for_a_stage_or_for_all_others() -> None:
    """``on_error :stage, policy`` and ``on_error :*, policy``."""

    class Policies(Pipe):
        on_error = {"risky": "skip", "*": "halt"}

        @stage
        def risky(item: Item) -> Any:
            return 10 // item.payload

        @stage
        def safe(item: Item) -> Any:
            return 10 // (item.payload - 10)

    assert in_outputs(run_pipe(Policies, [0, 2])) == {"default": [-2]}
    with pytest.raises(PipeError) as caught:
        run_pipe(Policies, [0, 1])
    assert caught.value.stage == "safe"


def test_halt_is_the_policy_of_a_pipe_that_says_nothing() -> None:
    """``on_error``: `halt` is the default."""
    with pytest.raises(PipeError):
        run_pipe(Increment, ["text"])


# -- Slither.Pipe.Definition ---------------------------------------------------------------------


def test_a_pipe_is_compiled_to_data() -> None:
    """`Slither.Pipe.Definition`: stages with names, kinds, options and policies, outputs and stores."""
    definition = ScorePipe.definition
    assert [(found.name, found.kind) for found in definition.stages] == [
        ("prepare", "function"),
        ("predict", "workers"),
        ("normalize", "function"),
        ("classify", "router"),
    ]
    assert definition.outputs == ("accept", "review", "default")
    assert [type(found.on_error).__name__ for found in definition.stages] == [
        "Halt",
        "Skipping",
        "Halt",
        "Halt",
    ]


def test_a_definition_can_be_inspected() -> None:
    """Declared statically, so "inspectable and testable": as text and as plain data."""
    assert "predict" in ScorePipe.definition.describe()
    assert json.loads(json.dumps(ScorePipe.definition.to_dict()))["name"] == "ScorePipe"


def test_mistakes_are_found_when_the_class_is_made() -> None:
    """`Slither.Pipe.Builder`, "compile-time": none of them waits for the first run."""
    with pytest.raises(PipeDefinitionError, match=r"Wrong\.work: .*'batchsize' is unknown"):

        class Wrong(Pipe):
            work = workers(work.double, batchsize=3)

    with pytest.raises(PipeDefinitionError, match="names the stage 'predcit'"):

        class Misspelt(Pipe):
            on_error = {"predcit": "skip"}
            predict = workers(work.double)

    with pytest.raises(PipeDefinitionError, match="has no stages"):

        class Empty(Pipe):
            pass
