"""A pipe that is made of data, such as another one's definition gives."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import attrs
import pytest

from slither_actors import (
    Pipe,
    Retry,
    Route,
    RouteTo,
    Stage,
    Store,
    Table,
    router,
    run_pipe,
    stage,
    workers,
)
from slither_actors.dispatch import KeyPartition, ThreadExecutor, WeightedBatch
from slither_actors.errors import OptionError, PipeDefinitionError
from tests.pipe import worker_code as code


def same(item: Any) -> Any:
    return item.payload


def half(item: Any) -> Any:
    return item.payload // 2 if item.payload % 2 == 0 else RouteTo("odd", item.payload)


def negative(item: Any) -> bool:
    return bool(item.payload < 0)


def key_of(item: Any) -> Any:
    return item.payload % 3


def to_broken(item: Any, error: Any) -> Any:
    return item.put_route("broken")


@attrs.frozen
class Settings:
    factor: int
    key: Any


class Times(Stage):
    def init(self, settings: Settings, names: Any = (), table: Any = None) -> None:
        self.factor = settings.factor

    def handle_item(self, item: Any, ctx: Any) -> Any:
        return item.payload * self.factor


class Prices(Store):
    rows = Table()


class Clean(Pipe):
    stores = (Prices,)
    on_error = {"parse": "skip"}

    @stage(routes=["odd"])
    def parse(item: Any) -> Any:  # noqa: N805 - a stage
        return RouteTo("odd", item.payload) if item.payload % 2 else item.payload

    check = router({"is negative": negative})


class Whole(Pipe):
    """One of everything that data can say."""

    outputs = ("broken", "odd", "is negative")
    on_error = {
        "*": Retry(max_attempts=2, backoff=0.001, retry_on=(ValueError, "x.Y"), then=Route(to_broken))
    }
    clean = stage(Clean)
    halve = stage(half, on_error="skip", after="clean.odd")
    times = stage(
        Times,
        settings=Settings(factor=3, key=key_of),
        names=["a", 1.5, None, {"type": "no record"}],
        table={1: key_of, "b": {"c": True}},
        after=["clean", "halve"],
    )
    work = workers(code.double, strategy=KeyPartition(key=key_of, batch_size=5), on_error="halt")
    weigh = workers("tests.pipe.worker_code:double", strategy=WeightedBatch(max_weight=9, weight=key_of))
    last = router(broken=negative)


def through_json(pipe: type[Pipe]) -> Any:
    return json.loads(json.dumps(pipe.definition.to_dict()))


def test_a_pipe_comes_back_from_its_data() -> None:
    """Its definition is equal, and all that is said of it."""
    made = Pipe.from_dict(through_json(Whole))
    assert made.definition == Whole.definition
    assert made.definition is not Whole.definition
    assert hash(made.definition) == hash(Whole.definition)
    assert made.definition.to_dict() == Whole.definition.to_dict()
    assert made.definition.describe() == Whole.definition.describe()
    assert made.definition.mermaid() == Whole.definition.mermaid()
    assert (made.__name__, issubclass(made, Pipe)) == ("Whole", True)


def test_it_runs_as_the_one_that_it_was_made_of() -> None:
    """With its stages, ways, policies and options."""

    class P(Pipe):
        outputs = ("odd", "broken", "is negative")
        on_error = {"*": Route(to_broken)}
        clean = stage(Clean)
        halve = stage(half, after="clean.odd")
        times = stage(Times, settings=Settings(factor=3, key=None), after=["clean", "halve"])

    def run(pipe: type[Pipe]) -> Any:
        out = run_pipe(pipe, [4, 5, -2, "x", 8])
        return {name: [item.payload for item in items] for name, items in out.items()}, out.statistics.keys()

    assert run(Pipe.from_dict(through_json(P))) == run(P)
    assert run(P)[0] == {"odd": [5], "broken": [], "is negative": [-2], "default": [12, 24]}


def test_a_partial_function_comes_back() -> None:
    """With what it has."""
    made = Pipe.from_dict(through_json(pipe_of(stage(Times, settings=partial(max, 3, default=2)))))
    found = made.definition.stage("one").options["settings"]
    assert (found.func, found.args, found.keywords) == (max, (3,), {"default": 2})


def test_it_can_be_a_stage_and_not_a_base() -> None:
    """It has no class body."""
    made = Pipe.from_dict(through_json(Clean))

    class Outer(Pipe):
        clean = stage(made)

    assert [each.name for each in Outer.definition.stages] == ["clean.parse", "clean.check"]
    with pytest.raises(PipeDefinitionError, match="pipe More: Clean was made of data, and has no class body"):
        type(made)("More", (made,), {"extra": stage(same)})


def test_definitions_are_equal_whichever_words_they_were_written_in() -> None:
    """Same functions, options, ways and policies: it does not matter where a policy or a place was said."""

    class P(Pipe):
        first = stage(same, on_error="skip")
        second = workers(code.double)

    long = P

    class P(Pipe):  # type: ignore[no-redef]
        on_error = {"first": "skip", "*": "halt"}
        first = stage(same)
        second = workers("tests.pipe.worker_code:double", after="first")

    assert P.definition == long.definition
    assert hash(P.definition) == hash(long.definition)


# -- what cannot be made -----------------------------------------------------------------------


class Bound:
    def method(self, item: Any) -> Any:
        return item.payload


def pipe_of(declared: Any) -> type[Pipe]:
    made: Any = type(Pipe)("P", (Pipe,), {"one": declared})
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            stage(lambda item: 1),
            "P.one: 'runs' has tests.pipe.test_from_dict:<lambda>, a lambda or a function",
        ),
        (
            stage(Bound().method),
            "P.one: 'runs' has tests.pipe.test_from_dict:Bound.method; allowed is code by",
        ),
        (workers(ThreadExecutor(list)), "P.one: runs on a ThreadExecutor of its own, which no data can say"),
        (stage(Times, settings=b"raw"), "P.one: 'settings' has b'raw', which cannot be made of data"),
        (stage(Times, settings={1, 2}), "P.one: 'settings' has set"),
        (
            stage(Times, settings=Bound()),
            "P.one: 'settings' has tests.pipe.test_from_dict:Bound, which cannot",
        ),
        (
            stage(Times, settings=[lambda: 1]),
            "P.one: 'settings' has tests.pipe.test_from_dict:<lambda>, a lambda",
        ),
        (
            stage(same, on_error=Route(lambda item, error: item)),
            "P.one: 'on_error' has .*<lambda>",
        ),
    ],
)
def test_what_data_cannot_say_is_an_error(declared: Any, message: str) -> None:
    """Which names the stage; the data themselves are there, for people."""
    data = through_json(pipe_of(declared))
    with pytest.raises(PipeDefinitionError, match=message):
        Pipe.from_dict(data)


def changed(*path: Any, to: Any) -> Any:
    data = copy.deepcopy(through_json(Whole))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return data


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (
            ["stages", 2, "runs"],
            "no_such_module:f",
            "Whole.halve: 'runs' has no_such_module:f, and the module cannot",
        ),
        (
            ["stages", 2, "runs"],
            "json:nothing",
            "Whole.halve: 'runs' has json:nothing, and the module has nothing",
        ),
        (["stages", 2, "runs"], 5, "Whole.halve: 'runs' has 5; allowed is code by its name"),
        (["stages", 2, "runs"], "json:JSONDecoder", "Whole.halve: .*allowed are a function"),
        (["stages", 2, "kind"], "beam", "Whole.halve: 'kind' is 'beam'; allowed are"),
        (["stages", 2, "options"], {"bath": True}, "Whole.halve: .*'bath' is unknown"),
        (
            ["stages", 2, "on_error"],
            {"type": "Retry", "max_attempts": 0},
            "Whole.halve: 'on_error' has a Retry that",
        ),
        (
            ["stages", 2, "on_error"],
            {"type": "Nothing"},
            "'on_error' has a Nothing, which cannot be made of data",
        ),
        (["stages", 2, "on_error"], {"code": "json:loads"}, "Whole.halve: 'on_error' is <function"),
        (
            ["stages", 2, "next"],
            {"stage": "clean.check"},
            "Whole.halve: leads to 'stage clean.check', which is none",
        ),
        (
            ["stages", 2, "next"],
            {"output": "no"},
            "Whole.halve: leads to 'output no', which is none of the outputs",
        ),
        (["stages", 2, "next"], {"nowhere": "no"}, "Whole.halve: leads to {'nowhere': 'no'}; allowed are"),
        (["stages", 2, "after"], ["times"], "Whole.halve: 'after' is .'times'., where it would be"),
        (["stages", 2, "stated"], ["odd"], "Whole.halve: 'stated' is .'odd'., where it would be"),
        (
            ["stages", 2, "name"],
            "times",
            "Whole.times: two stages have this name|Whole.clean.parse: leads to",
        ),
        (["stages", 2, "color"], "red", "Whole.halve: 'color' is unknown"),
        (["stages", 2], "halve", "pipe Whole: 'stages' has 'halve'; allowed are dictionaries"),
        (["stages"], [], "pipe Whole: has no stages"),
        (["stages"], None, "pipe Whole: 'stages' is None; allowed is a list"),
        (
            ["outputs"],
            ["odd"],
            "pipe Whole: 'outputs' is .'odd'.; allowed are names, the last of which is 'default'",
        ),
        (["stores"], {"Prices": "json:nothing"}, "pipe Whole: 'stores' has json:nothing"),
        (
            ["stores"],
            {"Prices": "json:loads"},
            "pipe Whole: 'stores' has json:loads as Prices; allowed are subclasses of Store",
        ),
        (["more"], 1, "pipe Whole: 'more' is unknown"),
    ],
)
def test_wrong_data_are_an_error(path: list[Any], to: Any, message: str) -> None:
    """Nothing is made that is not what they say."""
    with pytest.raises(PipeDefinitionError, match=message):
        Pipe.from_dict(changed(*path, to=to))


@pytest.mark.parametrize("data", [None, [], "Whole", {}, {"name": 5}])
def test_what_is_no_definition_is_refused(data: Any) -> None:
    """Before anything is imported."""
    with pytest.raises(OptionError, match="allowed is what PipeDefinition.to_dict has returned"):
        Pipe.from_dict(data)
