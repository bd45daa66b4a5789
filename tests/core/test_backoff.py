"""Waiting before another attempt."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import may_retry, retry_delay
from slither_actors.errors import BatchError, OptionError, PayloadError, RemoteError, TargetError
from slither_actors.policy import Retry


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (5000, 3.0)])
def test_the_wait_doubles_up_to_its_bound(attempt: int, seconds: float) -> None:
    """Also for attempt numbers beyond what a float can double."""
    retry = Retry(backoff=0.5, max_backoff=3.0, jitter=0.0)
    assert retry_delay(retry, attempt, 0.99) == seconds


def test_the_jitter_is_a_share_of_the_wait() -> None:
    """A random number of 0 is the least wait, one of nearly 1 the longest."""
    retry = Retry(backoff=1.0, jitter=0.2)
    assert retry_delay(retry, 1, 0.0) == pytest.approx(0.8)
    assert retry_delay(retry, 1, 0.5) == pytest.approx(1.0)
    assert retry_delay(retry, 1, 1.0) == pytest.approx(1.2)


def test_no_backoff_is_no_wait() -> None:
    """However many attempts."""
    assert retry_delay(Retry(backoff=0), 2000, 0.7) == 0


@given(
    st.builds(
        Retry,
        backoff=st.floats(0, 1e6),
        max_backoff=st.floats(0, 1e6),
        jitter=st.floats(0, 1),
    ),
    st.integers(1, 10_000),
    st.floats(0, 1),
)
def test_a_wait_is_never_negative_nor_above_its_bound(retry: Retry, attempt: int, uniform: float) -> None:
    """The bound holds with the random part included."""
    assert 0 <= retry_delay(retry, attempt, uniform) <= retry.max_backoff


def test_attempts_are_counted_from_the_first() -> None:
    """Three attempts are two retries."""
    retry = Retry(max_attempts=3)
    assert [may_retry(retry, attempt, ValueError()) for attempt in (1, 2, 3)] == [True, True, False]


def test_only_the_named_errors_are_retried() -> None:
    """A subclass is what its base is."""
    retry = Retry(retry_on=(OSError,))
    assert may_retry(retry, 1, ConnectionResetError())
    assert not may_retry(retry, 1, ValueError())
    assert not may_retry(Retry(), 1, KeyboardInterrupt())


def test_a_remote_error_counts_as_what_it_was_in_the_worker() -> None:
    """By its name, or by the original where that came along."""
    retry = Retry(retry_on=(OSError,))
    by_name = RemoteError("builtins.OSError", "down", "")
    by_cause = RemoteError("builtins.ConnectionResetError", "down", "")
    by_cause.__cause__ = ConnectionResetError()
    assert may_retry(retry, 1, by_name)
    assert may_retry(retry, 1, by_cause)
    assert not may_retry(retry, 1, RemoteError("builtins.ValueError", "bad", ""))


class OddError(Exception):
    """An error of this module."""


def test_errors_may_be_named() -> None:
    """By the name of their class or of one above it; builtins without their module, too."""
    for name in ("ConnectionResetError", "OSError", "builtins.OSError"):
        assert may_retry(Retry(retry_on=name), 1, ConnectionResetError())
    assert may_retry(Retry(retry_on=(f"{__name__}.OddError",)), 1, OddError())
    assert not may_retry(Retry(retry_on=("OddError",)), 1, OddError())
    remote = RemoteError("torch.OutOfMemoryError", "", "")
    assert may_retry(Retry(retry_on=[ValueError, "torch.OutOfMemoryError"]), 1, remote)
    assert not may_retry(Retry(retry_on=("torch.Other",)), 1, remote)


def test_no_attempt_starts_when_the_time_is_over() -> None:
    """However many are left."""
    retry = Retry(max_attempts=100, max_time=10.0)
    assert may_retry(retry, 1, ValueError(), 9.9)
    assert not may_retry(retry, 1, ValueError(), 10.0)


@pytest.mark.parametrize("error", [PayloadError("no"), TargetError("no"), OptionError("a", "b")])
def test_what_no_attempt_can_better_is_tried_once(error: Exception) -> None:
    """Unless the policy names its very class."""
    assert not may_retry(Retry(), 1, error)
    assert not may_retry(Retry(retry_on=(Exception, BatchError)), 1, error)
    assert may_retry(Retry(retry_on=(type(error),)), 1, error)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", 1.5),
        ("backoff", -1),
        ("backoff", "soon"),
        ("max_backoff", math.inf),
        ("jitter", 2),
        ("retry_on", ()),
        ("retry_on", 3),
        ("retry_on", (int,)),
        ("retry_on", ("",)),
        ("max_time", 0),
        ("then", "ignore"),
    ],
)
def test_a_wrong_option_is_named(option: str, value: Any) -> None:
    """With what is allowed."""
    with pytest.raises(OptionError, match="allowed"):
        Retry(**{option: value})
