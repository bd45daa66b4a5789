"""A pipe's class body is checked when it is made; what it says can be looked at."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Context,
    InlineExecutor,
    Item,
    Pipe,
    Retry,
    Route,
    Stage,
    Store,
    router,
    run_pipe,
    stage,
    view,
    workers,
)
from slither_actors.dispatch import FixedBatch
from slither_actors.errors import OptionError, PipeDefinitionError


class Prices(Store):
    @view
    def price_of(self, key: Any) -> Any:
        return key


class OtherPrices(Store):
    @view
    def price_of(self, key: Any) -> Any:
        return key


class Enrich(Stage):
    def init(self, factor: Any = 1) -> None:
        self.factor = factor

    def handle_item(self, item: Any, ctx: Any) -> Any:
        return item.payload * self.factor


def _same(item: Any) -> Any:
    return item.payload


def _negative(item: Any) -> Any:
    return item.payload < 0


# -- mistakes ------------------------------------------------------------------


def unknown_worker_option() -> None:
    class P(Pipe):
        predict = workers("module:function", batch_sise=3)


def worker_option_out_of_range() -> None:
    class P(Pipe):
        predict = workers("module:function", max_in_flight=0)


def worker_target_without_function() -> None:
    class P(Pipe):
        predict = workers("module")


def worker_batch_size_beside_a_strategy() -> None:
    class P(Pipe):
        predict = workers("module:function", batch_size=3, strategy=FixedBatch(4))


def worker_pool_beside_an_executor() -> None:
    class P(Pipe):
        predict = workers(InlineExecutor(len), pool="gpu")


def worker_context() -> None:
    class P(Pipe):
        predict = workers("module:function", context=Context())


def unknown_stage_option() -> None:
    class P(Pipe):
        @stage(onerror="skip")
        def prepare(item: Any, ctx: Any) -> None: ...


def bad_policy() -> None:
    class P(Pipe):
        @stage(on_error="skp")
        def prepare(item: Any, ctx: Any) -> None: ...


def bad_batch_option() -> None:
    class P(Pipe):
        @stage(batch="yes")
        def prepare(items: Any) -> None: ...


def self_parameter() -> None:
    class P(Pipe):
        @stage
        def prepare(self, item: Any) -> None: ...


def three_parameters() -> None:
    class P(Pipe):
        @stage
        def prepare(item: Any, ctx: Any, more: Any) -> None: ...


def asynchronous() -> None:
    class P(Pipe):
        @stage
        async def prepare(item: Any) -> None: ...


def generator() -> None:
    class P(Pipe):
        @stage
        def prepare(item: Any) -> Iterator[Any]:
            yield item


def asynchronous_method() -> None:
    class Look(Stage):
        async def handle_item(self, item: Any, ctx: Any) -> Any:
            return item.payload

    class P(Pipe):
        look = stage(Look)


def method_that_is_a_generator() -> None:
    class Split(Stage):
        def handle_item(self, item: Any, ctx: Any) -> Any:
            yield item.payload

    class P(Pipe):
        split = stage(Split)


def init_that_is_a_generator() -> None:
    class Open(Stage):
        def init(self) -> Any:
            yield

    class P(Pipe):
        open = stage(Open)


def method_without_the_context() -> None:
    class Look(Stage):
        def handle_item(self, item: Any) -> Any:  # type: ignore[override]
            return item.payload

    class P(Pipe):
        look = stage(Look)


def method_that_is_none() -> None:
    class Look(Stage):
        handle_batch = 3  # type: ignore[assignment]

    class P(Pipe):
        look = stage(Look)


def asynchronous_predicate() -> None:
    async def good(item: Any) -> Any:
        return True

    class P(Pipe):
        classify = router(good=good)


def predicate_of_item_and_context() -> None:
    class P(Pipe):
        classify = router(good=lambda item, ctx: True)


def no_function() -> None:
    class P(Pipe):
        prepare = stage("prepare")


def options_that_do_not_fit_init() -> None:
    class P(Pipe):
        enrich = stage(Enrich, facto=2)


def two_stages_of_one_name() -> None:
    class P(Pipe):
        @stage
        def prepare(item: Any) -> None: ...

        prepare = workers("module:function")  # noqa: F811


def plain_function() -> None:
    class P(Pipe):
        first = stage(_same)

        def prepare(item: Any, ctx: Any) -> None: ...


def stage_class_without_stage() -> None:
    class P(Pipe):
        first = stage(_same)

        class Second(Stage): ...


def no_stages() -> None:
    class P(Pipe):
        outputs = ("a",)


def unknown_option() -> None:
    class P(Pipe):
        on_eror = "skip"
        first = stage(_same)


def on_error_of_unknown_stage() -> None:
    class P(Pipe):
        on_error = {"frist": "skip"}
        first = stage(_same)


def bad_policy_for_all() -> None:
    class P(Pipe):
        on_error = "stop"
        first = stage(_same, on_error="skip")


def bad_policy_for_one() -> None:
    class P(Pipe):
        on_error = {"first": "stop"}
        first = stage(_same)


def router_to_undeclared_output() -> None:
    class P(Pipe):
        outputs = ("good",)
        classify = router(bad=_negative)


def router_without_routes() -> None:
    class P(Pipe):
        classify = router()


def router_with_misspelt_option() -> None:
    class P(Pipe):
        classify = router(good=_negative, on_eror="skip")


def router_of_a_list() -> None:
    class P(Pipe):
        classify = router([_negative])


def outputs_is_text() -> None:
    class P(Pipe):
        outputs = "good"
        first = stage(_same)


def outputs_twice() -> None:
    class P(Pipe):
        outputs = ("good", "good")
        first = stage(_same)


def outputs_with_a_number() -> None:
    class P(Pipe):
        outputs = (1,)
        first = stage(_same)


def stores_is_a_class() -> None:
    class P(Pipe):
        stores = Prices
        first = stage(_same)


def stores_with_something_else() -> None:
    class P(Pipe):
        stores = (Enrich,)
        first = stage(_same)


def stores_with_the_same_view() -> None:
    class P(Pipe):
        stores = (Prices, OtherPrices)
        first = stage(_same)


def stage_named_as_an_option() -> None:
    class P(Pipe):
        outputs = stage(_same)


def stage_named_as_the_source() -> None:
    class P(Pipe):
        source = stage(_same)


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (unknown_worker_option, r"P\.predict: .*'batch_sise' is unknown; did you mean 'batch_size'"),
        (
            worker_option_out_of_range,
            r"P\.predict: .*'max_in_flight' is 0; allowed is an integer of at least 1",
        ),
        (worker_target_without_function, r"P\.predict: .*'module'; allowed .*module:function"),
        (
            worker_batch_size_beside_a_strategy,
            r"P\.predict: .*'batch_size' is for the default strategy",
        ),
        (worker_pool_beside_an_executor, r"P\.predict: .*'pool' is for a callable or a name"),
        (worker_context, r"P\.predict: option 'context' is not for a stage"),
        (unknown_stage_option, r"P\.prepare: .*'onerror' is unknown; did you mean 'on_error'"),
        (bad_policy, r"P\.prepare: .*'on_error' is 'skp'; allowed are 'skip', 'halt'"),
        (bad_batch_option, r"P\.prepare: option 'batch' is 'yes'; allowed are True and False"),
        (self_parameter, r"P\.prepare: .*has a parameter 'self'"),
        (three_parameters, r"P\.prepare: .*takes \(item, ctx, more\); it gets \(item, ctx\) or \(item\)"),
        (asynchronous, r"P\.prepare: .*is asynchronous"),
        (generator, r"P\.prepare: .*is a generator; return Many"),
        (asynchronous_method, r"P\.look: .*is Look, whose handle_item is asynchronous"),
        (method_that_is_a_generator, r"P\.split: .*whose handle_item is a generator; return Many"),
        (init_that_is_a_generator, r"P\.open: .*whose init is a generator, of which nothing would run"),
        (
            method_without_the_context,
            r"P\.look: .*whose handle_item takes \(self, item\); it gets \(self, item, ctx\)",
        ),
        (method_that_is_none, r"P\.look: .*whose handle_batch is 3; allowed is a method"),
        (asynchronous_predicate, r"P\.classify: .*'good' is asynchronous; .*it would hold for every item"),
        (predicate_of_item_and_context, r"P\.classify: .*'good' takes \(item, ctx\); it gets \(item\)"),
        (no_function, r"P\.prepare: .*is 'prepare'; allowed are a function, a Stage subclass and a Pipe"),
        (options_that_do_not_fit_init, r"P\.enrich: option 'facto' does not fit Enrich\.init"),
        (two_stages_of_one_name, r"P\.prepare: two stages have this name"),
        (plain_function, r"P\.prepare: is a plain function; put @stage over it"),
        (stage_class_without_stage, r"P\.Second: is a Stage subclass that no stage uses"),
        (no_stages, r"pipe P: has no stages"),
        (unknown_option, r"pipe P: option 'on_eror' is unknown; did you mean 'on_error'"),
        (on_error_of_unknown_stage, r"pipe P: on_error names the stage 'frist'; known are 'first' and"),
        (bad_policy_for_all, r"pipe P: option 'on_error' is 'stop'; allowed are"),
        (bad_policy_for_one, r"P\.first: option 'on_error' is 'stop'; allowed are"),
        (
            router_to_undeclared_output,
            r"P\.classify: routes to the output 'bad', which is not declared; .*'good'",
        ),
        (router_without_routes, r"P\.classify: .*has no routes"),
        (router_with_misspelt_option, r"P\.classify: .*did you mean 'on_error'"),
        (router_of_a_list, r"P\.classify: .*allowed is a mapping"),
        (outputs_is_text, r"pipe P: option 'outputs' is 'good'; allowed is a list"),
        (outputs_twice, r"pipe P: option 'outputs' has a name twice"),
        (outputs_with_a_number, r"pipe P: option 'outputs' has 1; allowed are names"),
        (stores_is_a_class, r"pipe P: option 'stores' is .*: \[Prices\]"),
        (
            stores_with_something_else,
            r"pipe P: option 'stores' has .*Enrich.*; allowed are subclasses of Store",
        ),
        (stores_with_the_same_view, r"pipe P: the stores Prices and OtherPrices both have a view 'price_of'"),
        (stage_named_as_an_option, r"P\.outputs: 'outputs' is not free as the name of a stage"),
        (stage_named_as_the_source, r"P\.source: 'source' is not free"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_is_an_error_at_the_class_statement(define: Any, message: Any) -> None:
    """It names the pipe, the stage where there is one, the option, and what is allowed."""
    with pytest.raises(PipeDefinitionError, match=message):
        define()


def test_methods_and_predicates_may_be_what_can_be_called() -> None:
    """Static methods, functions behind decorators, partial ones, and objects; builtins tell nothing."""

    def decorated(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            return function(*arguments, **keywords)

        return wrapper

    class Decorated(Stage):
        @decorated
        def handle_item(self, item: Any, ctx: Any = None) -> Any:
            return item.payload

    class Static(Stage):
        @staticmethod
        def handle_item(item: Any, ctx: Any) -> Any:
            return item.payload

    class Batches(Stage):
        def handle_batch(self, items: Any, *rest: Any) -> Iterator[Any]:
            for item in items:
                yield item.payload

    class Even:
        def __call__(self, item: Any) -> bool:
            return item.payload % 2 == 0

    class P(Pipe):
        first = stage(Decorated)
        second = stage(Static)
        third = stage(Batches)
        sort = router(
            even=Even(), one=functools.partial(lambda wanted, item: item.payload == wanted, 1), all=bool
        )

    found = {name: [item.payload for item in items] for name, items in run_pipe(P, range(4)).items()}
    assert found == {"even": [0, 2], "one": [1], "all": [3], "default": []}


def test_the_option_error_is_the_cause() -> None:
    """So a program can look at which option it was."""
    with pytest.raises(PipeDefinitionError) as caught:
        unknown_worker_option()
    assert isinstance(caught.value.__cause__, OptionError)
    assert caught.value.__cause__.option == "batch_sise"
    assert (caught.value.pipe, caught.value.stage) == ("P", "predict")


def test_a_mistake_in_a_mixin_is_found() -> None:
    """Stages that come from a plain class are checked as well."""

    class Mixin:
        predict = workers("module:function", batch_size=0)

    with pytest.raises(PipeDefinitionError, match=r"P\.predict: .*'batch_size' is 0"):

        class P(Mixin, Pipe): ...


# -- what may stand there -------------------------------------------------------


def test_helpers_may_stand_in_the_body() -> None:
    """Names with an underscore and classes are nobody's stages."""

    class P(Pipe):
        _limit = 3

        def _help(item: Any) -> None: ...

        class Note(Exception): ...  # noqa: N818

        class Second(Enrich): ...

        first = stage(_same)
        second = stage(Second)

    assert [each.name for each in P.definition.stages] == ["first", "second"]


# -- the definition ----------------------------------------------------------------


class Base(Pipe):
    on_error = {"second": "skip", "*": Retry(max_attempts=2, then="skip")}
    stores = (Prices,)

    @stage
    def first(item: Any, ctx: Any) -> Any:
        return item.payload + 1

    second = workers("module:function", batch_size=3)
    third = router(negative=_negative, on_error="halt")


def test_a_definition_says_what_stands_in_the_body() -> None:
    """Stages in their order, with kinds, options, policies; outputs and stores."""
    definition = Base.definition
    assert definition.name == "Base"
    assert [(each.name, each.kind) for each in definition.stages] == [
        ("first", "function"),
        ("second", "workers"),
        ("third", "router"),
    ]
    assert definition.outputs == ("negative", "default")
    assert definition.stores == {"Prices": Prices}
    assert definition.stage("second").options == {"batch_size": 3}
    assert definition.stage("third").outputs == ("negative",)
    with pytest.raises(KeyError):
        definition.stage("fourth")


def test_a_definition_prints() -> None:
    """One line per stage, for people."""
    assert str(Base.definition).splitlines() == [
        "pipe Base",
        "  stores: Prices",
        "  1. first (function): Base.first; on error retry up to 2 attempts, then skip",
        "  2. second (workers): module:function in pool 'default', at most 8 batches of 3; on error skip",
        "  3. third (router): to negative; on error halt",
        "  outputs: negative, default",
    ]


def test_definitions_are_equal_if_they_do_the_same() -> None:
    """The same functions with the same options and policies; the class does not matter."""

    def define(**options: Any) -> Any:
        class P(Pipe):
            first = stage(_same)
            second = workers("module:function", **options)

        return P.definition

    assert define(batch_size=3) == define(batch_size=3)
    assert hash(define(batch_size=3)) == hash(define(batch_size=3))
    assert define(batch_size=3) != define(batch_size=4)
    assert define(on_error="skip") != define()


def test_stages_with_other_functions_are_not_equal() -> None:
    """Equality looks at what a stage calls."""

    def define(function: Any) -> Any:
        class P(Pipe):
            first = stage(function)

        return P.definition

    assert define(_same) == define(_same)
    assert define(_same) != define(_negative)


def test_a_policy_of_the_pipe_for_a_stage_comes_first() -> None:
    """Then the stage's own, then the pipe's for all."""

    def mark(item: Any, error: Any) -> Any:
        return item

    class P(Pipe):
        on_error = {"first": "skip", "*": Route(mark)}
        first = stage(_same, on_error="halt")
        second = stage(_same, on_error="halt")
        third = stage(_same)

    first, second, third = (type(each.on_error).__name__ for each in P.definition.stages)
    assert (first, second, third) == ("Skipping", "Halt", "Route")


def test_default_is_always_an_output_and_the_last() -> None:
    """Also where a pipe names it itself."""

    class P(Pipe):
        outputs = ("default", "b", "a")
        first = stage(_same)

    assert P.definition.outputs == ("b", "a", "default")


# -- inheritance -------------------------------------------------------------------


def test_a_subclass_has_the_stages_of_its_base_and_then_its_own() -> None:
    """An overridden stage keeps its place; options are inherited as attributes are."""

    class Longer(Base):
        second = workers("module:other")
        fourth = stage(_same)

    assert [each.name for each in Longer.definition.stages] == ["first", "second", "third", "fourth"]
    assert "module:other" in Longer.definition.stage("second").declaration.describe()
    assert Longer.definition.stores == {"Prices": Prices}
    assert [each.name for each in Base.definition.stages] == ["first", "second", "third"]


def test_a_subclass_can_take_a_stage_away() -> None:
    """By setting its name to None."""

    class Shorter(Base):
        on_error = "halt"
        second = None

    assert [each.name for each in Shorter.definition.stages] == ["first", "third"]


def test_a_subclass_cannot_have_two_stages_of_one_name_either() -> None:
    """Overriding is once per body."""
    with pytest.raises(PipeDefinitionError, match="two stages"):

        class P(Base):
            second = stage(_same)
            second = stage(_same)


# -- stages by themselves --------------------------------------------------------------


def test_a_stage_function_can_be_called_in_a_test() -> None:
    """It is the function itself."""
    assert Base.first(Item.wrap(4), Context()) == 5


def test_a_broken_stage_that_is_called_raises_its_mistake() -> None:
    """Outside of a pipe's class body too, nothing is silent."""

    @stage(on_error="skp")
    def prepare(item: Any) -> None: ...

    with pytest.raises(OptionError, match="'skp'"):
        prepare(1)
