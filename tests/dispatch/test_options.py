"""Options are checked at the call: the error names the option and what it allows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import FixedBatch, FunctionExecutor, InlineExecutor, KeyPartition, WeightedBatch
from slither_actors.errors import DispatchError, OptionError, PoolError

inline = InlineExecutor(lambda batch: batch)


@pytest.mark.parametrize("function", [dispatch.run, dispatch.stream, dispatch.call_batch])
def test_an_unknown_option_is_named_with_the_nearest_known_one(function: Any) -> None:
    """Before anything starts; for a stream at the call, too."""
    with pytest.raises(OptionError, match=r"option 'timeuot' is unknown; did you mean 'timeout'\?") as caught:
        function([1], executor=inline, timeuot=1)
    assert caught.value.option == "timeuot"
    assert caught.value.where == f"dispatch.{function.__name__}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("executor", 42),
        ("executor", InlineExecutor),
        ("executor", "no_colon"),
        ("executor", None),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("batch_timeout", 0),
        ("batch_timeout", float("inf")),
        ("batch_timeout", "soon"),
        ("pool", 5),
        ("pool", ""),
        ("context", {"session_id": "mine"}),
        ("progress", "yes"),
        ("insights", 5),
        ("insights", True),
        ("max_in_flight", 0),
        ("ordering", "random"),
        ("on_error", "ignore"),
        ("timeout", 0),
        ("timeout", "long"),
        ("strategy", FixedBatch),
        ("strategy", 7),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(option: str, value: Any) -> None:
    """By the name that the user wrote."""
    with pytest.raises(OptionError, match=f"option '{option}' is .*; allowed (is|are) ") as caught:
        dispatch.run([1], **{"executor": inline, option: value})
    assert caught.value.option == option


def test_options_that_would_do_nothing_are_refused() -> None:
    """The executor has its pool, and the strategy its size."""
    with pytest.raises(
        OptionError, match="option 'pool' is for a callable or a name; InlineExecutor has its own"
    ):
        dispatch.run([1], executor=inline, pool="gpu")
    with pytest.raises(OptionError, match="option 'batch_size' is for the default strategy"):
        dispatch.stream([1], executor=inline, strategy=FixedBatch(2), batch_size=5)


def test_the_time_of_the_default_strategy_is_not_for_another() -> None:
    """That has its own."""
    with pytest.raises(OptionError, match="option 'batch_timeout' is for the default strategy"):
        dispatch.run([1], executor=inline, strategy=FixedBatch(2), batch_timeout=1)


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: FixedBatch(2, batch_timeout=0), "batch_timeout"),
        (lambda: WeightedBatch(max_weight=1, weight=len, batch_timeout=float("nan")), "batch_timeout"),
        (lambda: WeightedBatch(max_weight=1, weight=5), "weight"),  # type: ignore[arg-type]
        (lambda: KeyPartition(key="name"), "key"),  # type: ignore[arg-type]
        (lambda: KeyPartition(key=len, serial="no"), "serial"),  # type: ignore[arg-type]
        (lambda: KeyPartition(key=len, batch_timeout=-1), "batch_timeout"),
    ],
)
def test_a_wrong_option_of_a_strategy_is_refused_where_it_is_made(make: Any, option: str) -> None:
    """By its name."""
    with pytest.raises(OptionError, match="allowed (is|are)") as caught:
        make()
    assert caught.value.option == option


@pytest.mark.parametrize("option", ["strategy", "batch_size", "batch_timeout", "max_in_flight", "ordering"])
def test_what_has_no_meaning_for_one_batch_is_refused(option: str) -> None:
    """`call_batch` takes the rest."""
    with pytest.raises(OptionError, match="has no meaning for one batch"):
        dispatch.call_batch([1], executor=inline, **{option: 1})


def test_an_executor_is_checked_when_it_is_made() -> None:
    """A function is a callable or a name."""
    with pytest.raises(OptionError):
        InlineExecutor("module:function")  # type: ignore[arg-type]
    with pytest.raises(OptionError):
        FunctionExecutor("no colon")


@pytest.mark.usefixtures("application")
def test_a_pool_that_is_not_there_is_named() -> None:
    """The run does not start."""
    with pytest.raises(DispatchError, match="there is no pool 'gpu'") as caught:
        dispatch.run([1], executor=FunctionExecutor("math:sqrt", pool="gpu"))
    assert isinstance(caught.value.reason, PoolError)


async def nothing() -> Any:
    """An async iterable."""
    yield 1


def test_one_batch_is_no_async_iterable() -> None:
    """That is said, and no function is named that does not exist."""

    async def call() -> None:
        dispatch.call_batch(nothing(), executor=inline)

    for way in (lambda: dispatch.call_batch(nothing(), executor=inline), lambda: asyncio.run(call())):
        with pytest.raises(OptionError, match="allowed is an iterable$"):
            way()


@pytest.mark.usefixtures("application")
def test_an_input_may_not_know_its_length() -> None:
    """As a loader over a stream, which has the method and raises."""

    class Loader:
        def __len__(self) -> int:
            raise TypeError("a stream has no length")

        def __iter__(self) -> Any:
            return iter([1, 2])

    reports: list[Any] = []
    assert len(dispatch.run(Loader(), executor=inline, progress=reports.append)) == 2
    assert reports[-1].total is None


def test_what_cannot_be_shown_is_refused_all_the_same() -> None:
    """The error is about the option."""

    class Hidden:
        def __repr__(self) -> str:
            raise ValueError("no")

    with pytest.raises(OptionError, match="allowed is an iterable"):
        dispatch.run(Hidden(), executor=inline)  # type: ignore[arg-type]


@pytest.mark.usefixtures("application")
def test_a_window_may_be_larger_than_anything() -> None:
    """As for "no limit"."""
    assert len(dispatch.run(range(3), executor=inline, batch_size=10**12, max_in_flight=10**12)) == 3
