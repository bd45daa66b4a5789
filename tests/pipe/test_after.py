"""Where items go is said in the class body, and checked there."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from slither_actors import (
    InlineExecutor,
    Pipe,
    Retry,
    Route,
    Skip,
    Stage,
    Store,
    router,
    stage,
    view,
    workers,
)
from slither_actors.errors import PipeDefinitionError
from slither_actors.pipe import PipeStage


def _same(item: Any) -> Any:
    return item.payload


def _back(item: Any, error: Any) -> Any:
    return item


def _negative(item: Any) -> Any:
    return item.payload < 0


def _odd(item: Any) -> Any:
    return item.payload % 2


class Prices(Store):
    @view
    def price_of(self, key: Any) -> Any:
        return key


class OtherPrices(Store):
    @view
    def price_of(self, key: Any) -> Any:
        return key


def ways(pipe: type[Pipe]) -> dict[str, tuple[str, dict[str, str]]]:
    """Stage to where its items go, routed or not; only what is stated."""
    return {
        each.name: (each.next.name, {name: each.routes[name].name for name in each.stated})
        for each in pipe.definition.stages
    }


# -- mistakes ------------------------------------------------------------------


def unknown_name() -> None:
    class P(Pipe):
        classify = router(accept=_odd, review=_negative)
        look = stage(_same, after="reveiw")


def first_stage() -> None:
    class P(Pipe):
        look = stage(_same, after="review")


def itself() -> None:
    class P(Pipe):
        first = stage(_same)
        look = stage(_same, after="look")


def circle() -> None:
    class P(Pipe):
        first = stage(_same)
        look = stage(_same, after=["first", "third"])
        second = stage(_same)
        third = stage(_same)


def below() -> None:
    class P(Pipe):
        first = stage(_same)
        look = stage(_same, after="third")
        third = stage(_same, after="first")


def route_from_below() -> None:
    class P(Pipe):
        first = stage(_same)
        look = stage(_same, after="bad")
        third = router(bad=_odd)


def two_after_one_stage() -> None:
    class P(Pipe):
        first = stage(_same)
        second = stage(_same)
        third = stage(_same, after="first")


def two_below_one_stage() -> None:
    class P(Pipe):
        classify = router(bad=_odd)
        second = stage(_same, after=["classify", "bad"])
        third = stage(_same, after="classify")


def two_after_one_route() -> None:
    class P(Pipe):
        classify = router(bad=_odd)
        second = stage(_same, after="bad")
        third = stage(_same, after="bad")


def all_taken_by_name() -> None:
    class P(Pipe):
        classify = router(bad=_odd)
        second = stage(_same, after="bad")
        third = stage(_same, after="classify.bad")


def stage_or_route() -> None:
    class P(Pipe):
        bad = router(bad=_odd)
        second = stage(_same, after="bad")


def output_that_nobody_routes_to() -> None:
    class P(Pipe):
        outputs = ("bad",)
        classify = router(bad=_odd)
        check = router(other=_odd, after="classify")
        second = stage(_same, after="check.bad")


def default_route() -> None:
    class P(Pipe):
        classify = router(bad=_odd)
        second = stage(_same, after="default")


def route_without_destination() -> None:
    class P(Pipe):
        outputs = ("good",)
        classify = router(good=_odd, bad=_negative)
        second = stage(_same, after="classify")


def output_of_a_pipe_without_destination() -> None:
    class Inner(Pipe):
        check = router(bad=_odd)

    class P(Pipe):
        outputs = ("good",)
        clean = stage(Inner)


def route_back_up() -> None:
    class P(Pipe):
        classify = router(bad=_odd)
        fix = stage(_same, after="bad")
        again = router(bad=_negative)


def after_a_number() -> None:
    class P(Pipe):
        first = stage(_same)
        second = stage(_same, after=1)  # type: ignore[call-overload]


def after_nothing() -> None:
    class P(Pipe):
        first = stage(_same)
        second = workers("module:function", after=[])


def after_twice() -> None:
    class P(Pipe):
        first = stage(_same)
        second = router(bad=_odd, after=["first", "first"])


def routes_of_numbers() -> None:
    class P(Pipe):
        first = stage(_same, routes=[1])


def misspelt_after() -> None:
    class P(Pipe):
        first = stage(_same)
        second = stage(_same, affter="first")


def undeclared_routes() -> None:
    class P(Pipe):
        outputs = ("good",)
        first = stage(_same, routes=["goood"])


def batch_handler_beside_batch() -> None:
    class P(Pipe):
        first = stage(_same, batch=True, batch_handler=_same)


def batch_handler_that_is_none() -> None:
    class P(Pipe):
        first = stage(_same, batch_handler="yes")


def pipe_itself() -> None:
    class P(Pipe):
        first = stage(Pipe)


def pipe_without_stage() -> None:
    class Inner(Pipe):
        first = stage(_same)

    class P(Pipe):
        first = stage(_same)
        clean = Inner


def predicate_named_after() -> None:
    class P(Pipe):
        first = router(after=_odd)  # type: ignore[arg-type]


def option_of_a_pipe() -> None:
    class Inner(Pipe):
        first = stage(_same)

    class P(Pipe):
        clean = stage(Inner, batch=True)


def policy_of_an_unknown_inner_stage() -> None:
    class Inner(Pipe):
        first = stage(_same)

    class P(Pipe):
        on_error = {"clean.frist": "skip"}
        clean = stage(Inner)


def inner_store_with_the_same_view() -> None:
    class Inner(Pipe):
        stores = (Prices,)
        first = stage(_same)

    class P(Pipe):
        stores = (OtherPrices,)
        clean = stage(Inner)


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (unknown_name, r"P\.look: comes after 'reveiw', .*; did you mean 'review'\? Known: 'classify'"),
        (first_stage, r"P\.look: comes after 'review', .* Known: none, as it is the first stage"),
        (itself, r"P\.look: comes after itself"),
        (circle, r"P\.look: .* a circle, 'look' → 'second' → 'third' → 'look'"),
        (below, r"P\.look: comes after 'third', which is declared below; move it up"),
        (route_from_below, r"P\.look: comes after the route 'bad', which only stages below lead to"),
        (two_after_one_stage, r"P\.third: comes after 'first', whose items go to 'second' already"),
        (two_below_one_stage, r"P\.third: comes after 'classify', whose items go to 'second' already"),
        (two_after_one_route, r"P\.third: comes after the route 'bad', which leads to 'second' already"),
        (all_taken_by_name, r"P\.second: comes after the route 'bad', all of which goes to other stages"),
        (stage_or_route, r"P\.second: comes after 'bad', which is a stage and a route; write 'bad\.bad'"),
        (output_that_nobody_routes_to, r"P\.second: comes after 'check\.bad'"),
        (default_route, r"P\.second: comes after 'default'"),
        (route_without_destination, r"P\.classify: routes to the output 'bad', .*says after='bad'"),
        (output_of_a_pipe_without_destination, r"P\.clean: routes to the output 'bad', .*not declared"),
        (route_back_up, r"P\.again: routes to 'bad', which leads up to the stage 'fix'.*in 'outputs'"),
        (after_a_number, r"P\.second: .*'after' is 1; allowed are a name and a list of names"),
        (after_nothing, r"P\.second: .*'after' is empty"),
        (after_twice, r"P\.second: .*'after' has 'first' twice"),
        (routes_of_numbers, r"P\.first: .*'routes' has 1"),
        (misspelt_after, r"P\.second: .*'affter' is unknown; did you mean 'after'"),
        (undeclared_routes, r"P\.first: routes to the output 'goood', which is not declared"),
        (batch_handler_beside_batch, r"P\.first: option 'batch_handler' is for a function that gets one"),
        (batch_handler_that_is_none, r"P\.first: option 'batch_handler' is 'yes'; allowed is a function"),
        (pipe_itself, r"P\.first: option 'function' is Pipe itself"),
        (pipe_without_stage, r"P\.clean: is a pipe that no stage uses; write clean = stage\(Inner\)"),
        (predicate_named_after, r"P\.first: .*'after' is <function"),
        (option_of_a_pipe, r"P\.clean: .*'batch' is unknown"),
        (policy_of_an_unknown_inner_stage, r"pipe P: on_error names .* 'clean\.frist'.*'clean\.first'"),
        (inner_store_with_the_same_view, r"pipe P: the stores OtherPrices and Prices both have a view"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_is_an_error_at_the_class_statement(define: Any, message: Any) -> None:
    """It names the pipe and the stage, and says what to do."""
    with pytest.raises(PipeDefinitionError, match=message):
        define()


# -- ways ------------------------------------------------------------------------


def test_stages_follow_each_other_unless_they_say_so() -> None:
    """A stage comes after the one above it, also after a router; routes lead to outputs."""

    class P(Pipe):
        classify = router(bad=_odd)
        rest = stage(_same)

    assert ways(P) == {"classify": ("rest", {"bad": "bad"}), "rest": ("default", {})}
    assert P.definition.outputs == ("bad", "default")


def test_a_route_leads_to_the_stage_that_comes_after_it() -> None:
    """It is no output then; stages below follow that stage; what nobody takes leaves by "default"."""

    class P(Pipe):
        classify = router(bad=_odd)
        fix = stage(_same, after="bad")
        more = stage(_same)

    assert ways(P) == {
        "classify": ("default", {"bad": "fix"}),
        "fix": ("more", {}),
        "more": ("default", {}),
    }
    assert P.definition.outputs == ("default",)
    assert [each.after for each in P.definition.stages] == [(), ("classify.bad",), ("fix",)]


def test_ways_join_again() -> None:
    """In a stage that comes after several stages and routes."""

    class P(Pipe):
        classify = router(good=_odd, bad=_negative)
        fix = workers("module:function", after="bad")
        save = stage(_same, after=["classify", "good", "fix"])

    assert ways(P) == {
        "classify": ("save", {"good": "save", "bad": "fix"}),
        "fix": ("save", {}),
        "save": ("default", {}),
    }


def test_a_name_with_a_dot_is_the_route_of_one_stage() -> None:
    """It goes before the route of any."""

    class P(Pipe):
        first = router(bad=_odd)
        second = router(bad=_negative)
        fix = stage(_same, after="second.bad")
        drop = stage(_same, after="bad")

    assert ways(P)["first"] == ("second", {"bad": "drop"})
    assert ways(P)["second"] == ("default", {"bad": "fix"})


def test_a_stage_may_have_the_name_of_the_route_that_it_takes() -> None:
    """Then the name means the stage."""

    class P(Pipe):
        classify = router(review=_odd)
        review = stage(_same, after="review")
        save = stage(_same, after=["classify", "review"])

    assert ways(P)["review"] == ("save", {})


def test_a_function_may_say_where_it_routes_to() -> None:
    """Its routes are known then, as those of a router; a class says so in the same way."""

    class Fussy(Stage):
        def handle_item(self, item: Any, ctx: Any) -> None: ...

    class P(Pipe):
        check = stage(_same, routes="bad")
        fussy = stage(Fussy, routes=["ugly"])
        fix = stage(_same, after="bad")

    assert ways(P)["check"] == ("fussy", {"bad": "fix"})
    assert P.definition.outputs == ("ugly", "default")
    assert P.definition.stage("check").outputs == ("bad",)


def test_a_function_that_does_not_say_so_may_route_anywhere_below() -> None:
    """To stages that take a route and to outputs."""

    class P(Pipe):
        outputs = ("odd", "other")
        check = stage(_same)
        fix = stage(_same, after="odd")

    check, fix = P.definition.stages
    assert {name: str(where) for name, where in check.routes.items()} == {
        "odd": "stage fix", "other": "output other", "default": "output default",
    }  # fmt: skip
    assert str(fix.routes["odd"]) == "output odd"
    assert fix.after == ("check.odd",)


def test_a_stated_output_may_have_the_name_of_a_route_that_is_taken_above() -> None:
    """A stage below it leaves by it: items go down only."""

    class P(Pipe):
        outputs = ("bad",)
        classify = router(bad=_odd)
        fix = stage(_same, after="bad")
        again = router(bad=_negative)

    assert ways(P)["classify"] == ("default", {"bad": "fix"})
    assert str(P.definition.stage("again").routes["bad"]) == "output bad"


# -- a pipe within a pipe --------------------------------------------------------------


class Clean(Pipe):
    stores = (Prices,)
    on_error = {"parse": "skip"}
    parse = stage(_same)
    check = router(bad=_odd)
    last = stage(_same)


class Outer(Pipe):
    on_error = {"*": Retry(max_attempts=2), "clean.last": "skip"}
    first = stage(_same)
    clean = stage(Clean)
    fix = stage(_same, after="bad")
    save = stage(_same, after=["clean", "fix"])


def test_the_stages_of_a_pipe_stand_in_its_place() -> None:
    """Its outputs are routes, and "default" is what goes on."""
    assert ways(Outer) == {
        "first": ("clean.parse", {}),
        "clean.parse": ("clean.check", {}),
        "clean.check": ("clean.last", {"bad": "fix"}),
        "clean.last": ("save", {}),
        "fix": ("save", {}),
        "save": ("default", {}),
    }
    assert Outer.definition.outputs == ("default",)
    assert Clean.definition.outputs == ("bad", "default")


def test_its_policies_and_stores_come_with_it() -> None:
    """A policy of the outer pipe for all is not for it; one that names a stage of it is."""
    policies = {each.name: type(each.on_error).__name__ for each in Outer.definition.stages}
    assert policies == {
        "first": "Retry", "clean.parse": "Skipping", "clean.check": "Halt", "clean.last": "Skipping",
        "fix": "Retry", "save": "Retry",
    }  # fmt: skip
    assert Outer.definition.stores == {"Prices": Prices}

    class Whole(Pipe):
        clean = stage(Clean, on_error="skip")

    assert {type(each.on_error).__name__ for each in Whole.definition.stages} == {"Skipping"}


def test_pipes_nest_to_any_depth() -> None:
    """Names have a dot for each."""

    class Middle(Pipe):
        clean = stage(Clean, on_error=Route(lambda item, error: item.put_route("bad")))

    class Top(Pipe):
        middle = stage(Middle)
        twice = stage(Clean)
        rest = stage(_same, after=["middle.bad", "twice.bad", "twice"])

    assert [each.name for each in Top.definition.stages][:2] == ["middle.clean.parse", "middle.clean.check"]
    assert str(Top.definition.stage("middle.clean.parse").routes["bad"]) == "stage rest"
    assert Top.definition.stage("rest").after == ("middle.clean.check.bad", "twice.check.bad", "twice.last")
    assert isinstance(Middle.__dict__["clean"], PipeStage)


def test_a_route_of_a_pipe_can_be_an_output() -> None:
    """Of the same name."""

    class P(Pipe):
        clean = stage(Clean)

    assert P.definition.outputs == ("bad", "default")
    assert str(P.definition.stage("clean.check").routes["bad"]) == "output bad"


# -- as data --------------------------------------------------------------------------


def test_definitions_are_equal_if_they_are_connected_in_the_same_way() -> None:
    """Also where the stages are the same."""

    def define(after: Any) -> Any:
        body = {"classify": router(bad=_odd), "fix": stage(_same, after=after)}
        return type(Pipe)("P", (Pipe,), body).definition

    assert define("bad") == define("bad")
    assert hash(define("bad")) == hash(define("bad"))
    assert define("bad") != define("classify")
    assert define("bad") != define(["bad", "classify"])


def test_a_definition_is_text() -> None:
    """A line for each stage, which says what it comes after if that is not the one above."""
    assert Outer.definition.describe().splitlines() == [
        "pipe Outer",
        "  stores: Prices",
        "  1. first (function): _same; on error retry up to 2 attempts, then halt",
        "  2. clean.parse (function): _same; on error skip",
        "  3. clean.check (router): to bad; on error halt",
        "  4. clean.last (function): _same; on error skip",
        "  5. fix (function): _same; on error retry up to 2 attempts, then halt; after clean.check.bad",
        "  6. save (function): _same; on error retry up to 2 attempts, then halt; after clean.last, fix",
        "  outputs: default",
    ]
    assert str(Outer.definition) == Outer.definition.describe()


def test_a_definition_is_a_chart() -> None:
    """A node for each stage and output, an arrow for each way, a box around a pipe within it."""

    class P(Pipe):
        outputs = ("odd", 'a "b"')
        clean = stage(Clean)
        look = workers(InlineExecutor(len), after=["clean", "bad"])
        rest = router({'a "b"': _odd})

    assert P.definition.mermaid().splitlines() == [
        "flowchart LR",
        '    source(["input"])',
        '    subgraph clean_pipe["clean"]',
        '        s1["parse<br/>function"]',
        '        s2{{"check<br/>router"}}',
        '        s3["last<br/>function"]',
        "    end",
        '    s4[["look<br/>workers"]]',
        '    s5{{"rest<br/>router"}}',
        '    o2(["a #34;b#34;"])',
        '    o3(["default"])',
        "    source --> s1",
        "    s1 --> s2",
        "    s2 --> s3",
        '    s2 -->|"bad"| s4',
        "    s3 --> s4",
        "    s4 --> s5",
        "    s5 --> o3",
        '    s5 -->|"a #34;b#34;"| o2',
    ]


def test_a_way_that_only_code_may_take_is_dashed() -> None:
    """Where no other way leads there."""

    class P(Pipe):
        outputs = ("odd",)
        first = stage(_same)
        second = workers("module:function", after="first")
        third = stage(_same, after="odd")

    chart = P.definition.mermaid()
    assert '    s1 -.->|"odd"| s3' in chart
    assert '    s3 -.->|"odd"| o1' in chart
    assert chart.count("-.->") == 2


def test_a_definition_is_plain_data() -> None:
    """It goes through JSON unchanged; code is there by its name, policies and options by their fields."""

    class Counting(Stage):
        def init(self, limit: Any, key: Any) -> None: ...
        def handle_item(self, item: Any, ctx: Any) -> None: ...

    class P(Pipe):
        stores = (Prices,)
        first = stage(_same, on_error=Retry(max_attempts=2, then=Route(_back)))
        counting = stage(Counting, limit=3, key=partial(max, 3), after="first")
        classify = router(bad=_odd)
        work = workers("module:function", batch_size=3, on_error="skip")
        drop = stage(lambda item: Skip(), after="bad")

    found = P.definition.to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found == P.definition.to_dict()
    first, counting, classify, work, _ = found["stages"]
    assert first["runs"] == "tests.pipe.test_after:_same"
    assert first["on_error"]["then"] == {"type": "Route", "fn": {"code": "tests.pipe.test_after:_back"}}
    assert counting["options"]["limit"] == 3
    assert counting["options"]["key"] == {"partial": "builtins:max", "args": [3]}
    assert counting["after"] == ["first"]
    assert classify["runs"] == {"bad": "tests.pipe.test_after:_odd"}
    assert classify["next"] == {"stage": "work"}
    assert classify["routes"] == {"bad": {"stage": "drop"}}
    assert work["next"] == {"output": "default"}
    assert (work["runs"], work["options"]["batch_size"]) == ("module:function", 3)
    assert found["stores"] == {"Prices": "tests.pipe.test_after:Prices"}
