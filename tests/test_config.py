"""Options from keywords."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from slither_actors.config import (
    build,
    non_negative,
    one_of,
    positive_int,
    positive_seconds,
    seconds_or_none,
)
from slither_actors.errors import OptionError


@attrs.frozen(kw_only=True)
class Options:
    target: str
    batch_size: int = attrs.field(default=64, validator=positive_int)
    ratio: float = attrs.field(default=0, validator=non_negative)
    period: float = attrs.field(default=1, validator=positive_seconds)
    timeout: float | None = attrs.field(default=None, validator=seconds_or_none)
    ordering: str = attrs.field(default="preserve", validator=one_of("preserve", "as_completed"))
    _hidden: int = attrs.field(default=0, validator=positive_int)
    _counted: int = attrs.field(default=0, init=False)


def test_keywords_become_a_schema() -> None:
    """Defaults are filled in."""
    assert build(Options, {"target": "m:f", "hidden": 3}) == Options(target="m:f", hidden=3)


def test_a_missing_option_is_named() -> None:
    """As well as the place."""
    with pytest.raises(OptionError, match=r"^P\.stage: option 'target' is required$"):
        build(Options, {"hidden": 1}, where="P.stage")


def test_an_unknown_option_names_the_nearest_one() -> None:
    """A typing mistake is told from an invention."""
    with pytest.raises(OptionError, match="'batchsize' is unknown; did you mean 'batch_size'"):
        build(Options, {"target": "t", "batchsize": 1})


def test_an_unknown_option_names_those_that_there_are() -> None:
    """Private state is not among them."""
    with pytest.raises(OptionError, match="nown: batch_size, hidden, ordering, period") as caught:
        build(Options, {"target": "t", "zzz": 1})
    assert "counted" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("batch_size", 0, "an integer of at least 1"),
        ("batch_size", True, "an integer of at least 1"),
        ("batch_size", 2.0, "an integer of at least 1"),
        ("ratio", -0.1, "a number of at least 0"),
        ("ratio", float("nan"), "a number of at least 0"),
        ("ratio", "1", "a number of at least 0"),
        ("period", 0, "a number of seconds above 0"),
        ("period", None, "a number of seconds above 0"),
        ("timeout", 0, "a number of seconds above 0, or None"),
        ("timeout", False, "a number of seconds above 0, or None"),
        ("ordering", "sorted", "'preserve', 'as_completed'"),
        ("hidden", 0, "an integer of at least 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(option: str, value: Any, allowed: str) -> None:
    """Where it was given, which one, what it was and what it may be."""
    with pytest.raises(OptionError) as caught:
        build(Options, {"target": "t", "hidden": 1, option: value}, where="P.stage")
    error = caught.value
    assert (error.option, error.where) == (option, "P.stage")
    assert str(error).startswith(f"P.stage: option {option!r} is {value!r}; allowed ")
    assert allowed in str(error)


@pytest.mark.parametrize(
    "given", [{"ratio": 0}, {"period": 0.001}, {"timeout": 5}, {"ordering": "as_completed"}]
)
def test_the_edges_are_allowed(given: dict[str, Any]) -> None:
    """Validators do not refuse what their message allows."""
    options = build(Options, {"target": "t", "hidden": 1, **given})
    assert all(getattr(options, name) == value for name, value in given.items())


def test_an_option_error_is_a_value_error() -> None:
    """Callers who know nothing of this library can catch it."""
    assert issubclass(OptionError, ValueError)
