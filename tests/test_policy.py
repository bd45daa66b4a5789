"""Error policies as users write them."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.errors import OptionError
from slither_actors.policy import Halt, Retry, Route, Skipping, policy


def test_words_are_policies() -> None:
    """The two that have no parameters."""
    assert policy("halt") == Halt()
    assert policy("skip") == Skipping()


@pytest.mark.parametrize("value", [Halt(), Skipping(), Retry(), Route(lambda item, reason: item)])
def test_a_policy_is_itself(value: Any) -> None:
    """Whoever has one may pass it on."""
    assert policy(value) is value


@pytest.mark.parametrize("value", ["retry", "SKIP", None, 3, Halt, ["skip"]])
def test_anything_else_is_refused_with_what_is_allowed(value: Any) -> None:
    """The message names the place, the option and the alternatives."""
    with pytest.raises(OptionError, match=r"P\.s: option 'on_error' .* 'skip', 'halt', Retry") as caught:
        policy(value, where="P.s")
    assert caught.value.option == "on_error"


def test_a_retry_ends_in_the_policy_that_it_names() -> None:
    """A word is turned into its policy; a retry may end in another retry."""
    assert Retry().then == Halt()
    assert Retry(then="skip").then == Skipping()
    assert Retry(then=Retry(max_attempts=1, then="skip")).then.then == Skipping()


def test_a_wrong_end_of_a_retry_is_named() -> None:
    """The place is the retry's own option."""
    with pytest.raises(OptionError, match=r"Retry\.then"):
        Retry(then="again")


@pytest.mark.parametrize(
    "options",
    [{"max_attempts": 0}, {"backoff": -1}, {"max_backoff": -0.1}, {"jitter": 1.1}, {"jitter": -0.1}],
)
def test_a_retry_checks_its_numbers(options: dict[str, Any]) -> None:
    """A mistake shows where the policy is written and not at the first failure."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Retry(**options)


def test_seconds_are_floats() -> None:
    """Integers are as good."""
    assert Retry(backoff=1) == Retry(backoff=1.0)
