"""What looks like a pipe's class body and is none: each is an error at the class statement."""

# ruff: noqa: N805 - a stage function in a class body is no method
# mypy: ignore-errors

from __future__ import annotations

import abc
import re
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from slither_actors import Item, Pipe, Route, Stage, Store, router, run_pipe, stage, workers
from slither_actors.errors import OptionError, PipeDefinitionError


def _same(item: Any) -> Any:
    return item.payload


def _odd(item: Any) -> Any:
    return item.payload % 2


class Base(Pipe):
    first = stage(_same)
    second = stage(_same)


class Prices(Store): ...


class Add(Stage):
    def handle_item(self, item: Any, ctx: Any) -> Any:
        return item.payload + 1


class Called:
    async def later(self, item: Any) -> None: ...

    def many(self, item: Any) -> Iterator[Any]:
        yield item

    async def __call__(self, item: Any) -> None: ...


class CalledMany:
    def __call__(self, item: Any) -> Iterator[Any]:
        yield item


# -- stages of a base ------------------------------------------------------------


def stage_overridden_by_a_function() -> None:
    class P(Base):
        def first(item: Any) -> None: ...


def stage_overridden_by_a_value() -> None:
    class P(Base):
        second = "skip"


def stage_overridden_by_a_mixin() -> None:
    class Mixin:
        def first(self) -> None: ...

    class P(Mixin, Base): ...


def misspelt_option_in_a_mixin() -> None:
    class Mixin:
        on_eror = "skip"

    class P(Mixin, Base): ...


def misspelt_removal() -> None:
    class P(Base):
        secnd = None


# -- what is not a stage and looks like one ----------------------------------------


def comma_behind_a_stage() -> None:
    class P(Pipe):
        first = (stage(_same),)


def annotation_in_place_of_a_stage() -> None:
    class P(Base):
        third: stage(_same)


def stage_without_a_function() -> None:
    class P(Pipe):
        first = stage(batch=True)


def static_method_over_a_stage() -> None:
    class P(Pipe):
        @staticmethod
        @stage
        def first(item: Any) -> None: ...


def class_method_under_a_stage() -> None:
    class P(Pipe):
        @stage
        @classmethod
        def first(cls, item: Any) -> None: ...


def a_property() -> None:
    class P(Base):
        @property
        def third(self) -> None: ...


def loop_variable() -> None:
    class P(Pipe):
        for number in range(2):
            locals()[f"stage_{number}"] = stage(_same)


# -- names and options of the class ------------------------------------------------


def stage_named_as_the_definition() -> None:
    class P(Pipe):
        definition = stage(_same)


def value_named_as_the_definition() -> None:
    class P(Base):
        definition = 3


def option_beside_the_bases() -> None:
    class P(Base, on_error="skip"): ...


def outputs_that_can_be_read_once() -> None:
    class P(Base):
        outputs = (name for name in "ab")


def stores_that_can_be_read_once() -> None:
    class P(Base):
        stores = iter([Prices])


def the_base_of_all_stores() -> None:
    class P(Base):
        stores = [Store]


def store_twice() -> None:
    class P(Base):
        stores = [Prices, Prices]


# -- functions -----------------------------------------------------------------


def stage_of_a_stage() -> None:
    class P(Pipe):
        first = stage(Base.first, on_error="skip")


def stage_of_a_wrong_stage() -> None:
    class P(Pipe):
        @stage
        @stage(onerror="skip")
        def first(item: Any) -> None: ...


def stage_as_a_batch_handler() -> None:
    class P(Pipe):
        first = stage(_same, batch_handler=Base.first)


def stage_as_a_predicate() -> None:
    class P(Pipe):
        first = router(a=Base.first)


def stage_as_a_worker_function() -> None:
    class P(Pipe):
        first = workers(Base.first)


def asynchronous_call() -> None:
    class P(Pipe):
        first = stage(Called())


def asynchronous_bound_method() -> None:
    class P(Pipe):
        first = stage(Called().later)


def partial_of_an_asynchronous_function() -> None:
    class P(Pipe):
        first = stage(partial(Called.later, None))


def generator_call() -> None:
    class P(Pipe):
        first = stage(CalledMany())


def generator_method() -> None:
    class P(Pipe):
        first = stage(Called().many)


def context_in_the_third_place() -> None:
    class P(Pipe):
        first = stage(lambda item, limit=3, ctx=None: item)


def asynchronous_predicate() -> None:
    class P(Pipe):
        first = router(a=Called().later)


def generator_as_a_predicate() -> None:
    class P(Pipe):
        first = router(a=Called().many)


def predicate_of_nothing() -> None:
    class P(Pipe):
        first = router(a=lambda: True)


def predicate_of_two() -> None:
    class P(Pipe):
        first = router(a=lambda item, ctx: True)


# -- classes ---------------------------------------------------------------------


def class_that_handles_nothing() -> None:
    class Misspelt(Stage):
        def handle_items(self, item: Any, ctx: Any) -> None: ...

    class P(Pipe):
        first = stage(Misspelt)


def asynchronous_handler() -> None:
    class Later(Stage):
        async def handle_item(self, item: Any, ctx: Any) -> None: ...

    class P(Pipe):
        first = stage(Later)


def generator_as_a_handler() -> None:
    class Yields(Stage):
        def handle_item(self, item: Any, ctx: Any) -> Iterator[Any]:
            yield item

    class P(Pipe):
        first = stage(Yields)


def asynchronous_init() -> None:
    class Later(Add):
        async def init(self) -> None: ...

    class P(Pipe):
        first = stage(Later)


def handler_without_the_context() -> None:
    class Short(Stage):
        def handle_item(self, item: Any) -> None: ...

    class P(Pipe):
        first = stage(Short)


def shutdown_of_something() -> None:
    class Ends(Add):
        def shutdown(self, reason: Any) -> None: ...

    class P(Pipe):
        first = stage(Ends)


def options_for_the_constructor() -> None:
    class Made(Add):
        def __init__(self, factor: int) -> None: ...

    class P(Pipe):
        first = stage(Made, factor=2)


def abstract_class() -> None:
    class Half(Add, abc.ABC):
        @abc.abstractmethod
        def other(self) -> None: ...

    class P(Pipe):
        first = stage(Half)


def init_that_wants_our_options() -> None:
    class Routes(Add):
        def init(self, routes: Any = ()) -> None: ...

    class P(Pipe):
        first = stage(Routes, routes=["a"])


def instance_of_a_class() -> None:
    class P(Pipe):
        first = stage(Add())


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (
            stage_overridden_by_a_function,
            r"P\.first: is <function .* in place of a stage; put @stage over it",
        ),
        (
            stage_overridden_by_a_value,
            r"P\.second: is 'skip' in place of a stage. Allowed are a stage and None",
        ),
        (stage_overridden_by_a_mixin, r"P\.first: is <function .* in place of a stage"),
        (misspelt_option_in_a_mixin, r"pipe P: option 'on_eror' is unknown; did you mean 'on_error'"),
        (misspelt_removal, r"pipe P: option 'secnd' is unknown; did you mean 'second'"),
        (comma_behind_a_stage, r"P\.first: is a tuple of stages; is there a comma behind one"),
        (annotation_in_place_of_a_stage, r"P\.third: has an annotation and no value; write third = stage"),
        (
            stage_without_a_function,
            r"P\.first: option 'function' is missing; allowed are a function, a Stage",
        ),
        (static_method_over_a_stage, r"P\.first: is a staticmethod over a stage; leave it out"),
        (class_method_under_a_stage, r"P\.first: option 'function' is <classmethod.*; allowed are"),
        (a_property, r"P\.third: is a plain function; put @stage over it"),
        (loop_variable, r"pipe P: option 'number' is unknown.* names with an underscore"),
        (stage_named_as_the_definition, r"P\.definition: 'definition' is not free as the name of a stage"),
        (value_named_as_the_definition, r"P\.definition: is what the class gets; call it something else"),
        (
            option_beside_the_bases,
            r"pipe P: option 'on_error' stands beside the bases; allowed is on_error =",
        ),
        (outputs_that_can_be_read_once, r"option 'outputs' is <generator.*; allowed is a list of names"),
        (stores_that_can_be_read_once, r"option 'stores' is <list_iterator.*; allowed is a list of Store"),
        (the_base_of_all_stores, r"option 'stores' has .*Store.*; allowed are subclasses of Store"),
        (store_twice, r"option 'stores' has two stores named 'Prices'"),
        (
            stage_of_a_stage,
            r"P\.first: option 'function' is <FunctionStage _same>, a stage; allowed is the fun",
        ),
        (stage_of_a_wrong_stage, r"P\.first: .*'onerror' is unknown; did you mean 'on_error'"),
        (stage_as_a_batch_handler, r"P\.first: option 'batch_handler' is <FunctionStage _same>, a stage"),
        (stage_as_a_predicate, r"P\.first: option 'a' is <FunctionStage _same>, a stage"),
        (stage_as_a_worker_function, r"P\.first: option 'executor' is <FunctionStage _same>, a stage"),
        (asynchronous_call, r"P\.first: .*is asynchronous"),
        (asynchronous_bound_method, r"P\.first: .*is asynchronous"),
        (partial_of_an_asynchronous_function, r"P\.first: .*is asynchronous"),
        (generator_call, r"P\.first: .*is a generator; return Many"),
        (generator_method, r"P\.first: .*is a generator; return Many"),
        (context_in_the_third_place, r"P\.first: .*takes \(item, limit, ctx\); 'ctx' is the second of two"),
        (asynchronous_predicate, r"P\.first: .*'a' is asynchronous; .*it would hold for every item"),
        (generator_as_a_predicate, r"P\.first: .*'a' is a generator, which would hold for every item"),
        (predicate_of_nothing, r"P\.first: .*'a' takes \(\); it gets \(item\)"),
        (predicate_of_two, r"P\.first: .*'a' takes \(item, ctx\); it gets \(item\)"),
        (
            class_that_handles_nothing,
            r"P\.first: .* Misspelt, which has neither handle_item\(self, item, ctx\)",
        ),
        (asynchronous_handler, r"P\.first: .*whose handle_item is asynchronous; .*make it a plain def"),
        (generator_as_a_handler, r"P\.first: .*whose handle_item is a generator; return Many"),
        (asynchronous_init, r"P\.first: .*whose init is asynchronous"),
        (
            handler_without_the_context,
            r"P\.first: .*handle_item takes \(self, item\); it gets \(self, item, ct",
        ),
        (shutdown_of_something, r"P\.first: .*shutdown takes \(self, reason\); it gets \(self\)"),
        (
            options_for_the_constructor,
            r"P\.first: .*__init__ is called with nothing .*'factor'.*; init gets the",
        ),
        (abstract_class, r"P\.first: option 'function' is Half, which is abstract: it has no other"),
        (
            init_that_wants_our_options,
            r"P\.first: option 'routes' is an option of every stage, which Routes\.in",
        ),
        (
            instance_of_a_class,
            r"P\.first: option 'function' is <.*; allowed are a function, a Stage subclass",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_is_an_error_at_the_class_statement(define: Any, message: Any) -> None:
    """It names the stage, and says what is allowed."""
    with pytest.raises(PipeDefinitionError, match=message):
        define()


@pytest.mark.parametrize("function", ["x", lambda item: item, Called().later], ids=["text", "one", "async"])
def test_a_route_policy_takes_a_function_of_item_and_error(function: Any) -> None:
    """Checked where it is made, and not when the first item fails."""
    with pytest.raises(OptionError, match=r"'fn' is .*; allowed is a plain function of \(item, error\)"):
        Route(function)


def _by_class_body() -> None:
    class P(Pipe):
        @workers
        def first(payloads: Any) -> None: ...


@pytest.mark.parametrize(
    "define",
    [
        lambda: type(Pipe)("P", (Pipe,), {"first": workers(lambda payloads: payloads)}),
        lambda: type(Pipe)("P", (Pipe,), {"first": workers(partial(lambda n, payloads: payloads, 3))}),
        _by_class_body,
    ],
    ids=["lambda", "partial", "class body"],
)
def test_a_function_that_workers_cannot_import(define: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cloudpickle it cannot get there, and the pipe could not run."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(
        PipeDefinitionError, match=r"P\.first: is .*, which workers cannot import; allowed are"
    ):
        define()


def test_a_function_of_a_module_needs_no_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a name."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    class P(Pipe):
        first = workers(_same)
        second = workers("module:function")

    assert len(P.definition.stages) == 2


def test_a_circle_of_many_stages_is_an_error_like_any_other() -> None:
    """However long it is; its middle is left out."""
    body = {f"s{number}": stage(_same) for number in range(1500)}
    body["s1"] = stage(_same, after=["s0", "s1499"])
    with pytest.raises(
        PipeDefinitionError, match=r"P\.s1: .* a circle, 's1' → .* → … → .* → 's1499' → 's1'$"
    ):
        type(Pipe)("P", (Pipe,), body)


def test_a_body_that_raises_raises_that() -> None:
    """Nothing hides it."""
    with pytest.raises(ZeroDivisionError):

        class P(Pipe):
            first = stage(_same)
            limit = 1 // 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first", stage(_odd)),
        ("first", None),
        ("third", stage(_same)),
        ("on_error", "skip"),
        ("outputs", ["a"]),
        ("stores", [Prices]),
        ("definition", None),
    ],
)
def test_a_class_that_is_made_is_not_changed(name: str, value: Any) -> None:
    """What runs would not change with it: the error says to make a subclass."""
    with pytest.raises(PipeDefinitionError, match=f"pipe Base: '{name}' was read when the class was made"):
        setattr(Base, name, value)
    assert [each.name for each in Base.definition.stages] == ["first", "second"]


def test_a_stage_is_not_deleted_either() -> None:
    """And what is no part of the definition is the class's own affair."""

    class P(Base): ...

    with pytest.raises(PipeDefinitionError, match=r"pipe P: 'second' was read"):
        del P.second
    P.note = "mine"
    assert P.note == "mine"
    del P.note


def test_what_may_be_odd_and_is_right() -> None:
    """Annotated stages, callables of each kind, defaults, mixins with stages, names of the metaclass."""

    class Mixin:
        mixed = stage(_same)

        def helper(self) -> None: ...

    class Half:
        def whole(self, item: Any) -> Any:
            return item.payload / 2

        @staticmethod
        def static(item: Any, ctx: Any) -> Any:
            return item.payload

        def __call__(self, item: Any, ctx: Any = None) -> Any:
            return (item.payload, ctx.stage)

    class Static(Stage):
        @staticmethod
        def handle_item(item: Any, ctx: Any) -> Any:
            return item.payload

    class P(Mixin, Pipe):
        first: Any = stage(lambda item, n=3: item.payload * n)
        second = stage(partial(lambda factor, item: factor * item.payload, 10))
        third = stage(Half().whole)
        fourth = stage(Half.static)
        fifth = stage(Static)
        mro = stage(Half())

        @stage
        @staticmethod
        def last(item: Any, *rest: Any) -> Any:
            return (*item.payload, rest[0].stage)

    (found,) = run_pipe(P, [2])["default"]
    assert found.payload == (30.0, "mro", "last")
    assert P.definition.stages[0].name == "mixed"


def test_many_stages_and_deep_nests() -> None:
    """200 in a row, and a pipe in a pipe, ten times."""
    row = type(Pipe)("Row", (Pipe,), {f"s{number}": stage(_same) for number in range(200)})
    assert [item.payload for item in run_pipe(row, [1, 2])["default"]] == [1, 2]
    nest: Any = Base
    for number in range(10):
        nest = type(Pipe)(f"Nest{number}", (Pipe,), {"inner": stage(nest), "tail": stage(_same)})
    assert [item.payload for item in run_pipe(nest, [1, 2])["default"]] == [1, 2]
    assert nest.definition.stages[0].name == "inner." * 10 + "first"
    assert len(set(re.findall(r"subgraph (\w+)", nest.definition.mermaid()))) == 10


def test_an_item_keeps_its_id_through_stages_of_two_bases() -> None:
    """Those of the second base come first, as attributes of classes do."""

    class Other(Pipe):
        other = stage(_same)

    class P(Base, Other): ...

    assert [each.name for each in P.definition.stages] == ["other", "first", "second"]
    item = Item.wrap(1)
    assert run_pipe(P, [item])["default"][0].id == item.id
