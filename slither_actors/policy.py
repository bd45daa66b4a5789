"""What a failure does: skip, halt, retry, route.

A policy is a value; whoever owns the failing unit (a batch in a dispatch run,
an item in a function stage) performs it. `Retry` ends in its `then` policy
when its attempts are used up. `CircuitBreaker` says when a target is left alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.config import Rule, finite_seconds, positive_int, positive_seconds, seconds_or_none, share
from slither_actors.errors import OptionError, WorkerCrashError
from slither_actors.item import Item

__all__ = ["CircuitBreaker", "Halt", "Policy", "Retry", "Route", "Skipping", "last_policy", "policy"]


@attrs.frozen
class Halt:
    """Stop the run and raise, with what had been completed. Written ``"halt"``."""


@attrs.frozen
class Skipping:
    """Drop what failed and go on; counted and told to telemetry. Written ``"skip"``."""


def _takes_item_and_error(function: Any) -> bool:
    if not callable(function) or inspect.iscoroutinefunction(function):
        return False
    try:
        inspect.signature(function).bind("item", "error")
    except TypeError:
        return False
    except ValueError:
        return True  # a builtin that does not tell
    return True


@attrs.frozen
class Route:
    """Hand each failed item to ``fn(item, reason)``; the item that it returns goes on.

    A returned item with a changed route leaves by that output at once; in a pipe it may also go to the
    stage that comes after that route.
    """

    fn: Callable[[Item, BaseException], Item] = attrs.field(
        validator=Rule("allowed is a plain function of (item, error)", _takes_item_and_error)
    )


def _then(value: object) -> Policy:
    return policy(value, where="Retry.then")


def error_kinds(value: Any) -> Any:
    """Take one class or name of an error for a tuple of them; `errors_or_names` checks what is in it."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _are_kinds(value: Any) -> bool:
    return bool(value) and all(
        bool(kind) if isinstance(kind, str) else isinstance(kind, type) and issubclass(kind, BaseException)
        for kind in value
    )


errors_or_names = Rule('allowed are exception classes, and names such as "requests.Timeout"', _are_kinds)
"""Rule: what `error_kinds` returned says which errors are meant."""


@attrs.frozen(kw_only=True)
class Retry:
    """Run the same batch again, at most `max_attempts` times in all.

    The n-th wait is ``backoff * 2**(n-1)`` seconds, at most `max_backoff`, each
    drawn from ``[1 - jitter, 1 + jitter]`` times itself.

    What the next attempt cannot better is tried once, unless `retry_on` names
    its very class: `PayloadError`, `TargetError`, `OptionError`,
    `SessionLostError`, `PoisonBatchError`. An open circuit (`CircuitOpenError`)
    costs no attempt: the batch waits until the circuit lets it pass.
    """

    max_attempts: int = attrs.field(default=3, validator=positive_int)
    """Attempts in all, the first included."""

    backoff: float = attrs.field(default=0.1, validator=finite_seconds)
    """Seconds before the second attempt."""

    max_backoff: float = attrs.field(default=30.0, validator=finite_seconds)
    """Upper bound of one wait in seconds."""

    jitter: float = attrs.field(default=0.1, validator=share)
    """Share of a wait that is random, 0 to 1."""

    retry_on: tuple[type[BaseException] | str, ...] = attrs.field(
        default=(Exception,), converter=error_kinds, validator=errors_or_names
    )
    """Errors worth another attempt: classes, and names for those that this process cannot import, such as
    ``"torch.cuda.OutOfMemoryError"``. A remote error counts as its original class too."""

    max_time: float | None = attrs.field(default=None, validator=seconds_or_none)
    """Seconds after the start of the first attempt in which another may start; None is no limit."""

    then: Any = attrs.field(default="halt", converter=_then)
    """The policy when the attempts are used up."""


@attrs.frozen(kw_only=True)
class CircuitBreaker:
    """When a target that only fails is left alone for a while.

    The circuit of a pool and a target opens when its last `failures` batches
    all failed with an error of `on`, within `window` seconds. While it is open
    batches fail at once with `CircuitOpenError`. After `open_for` seconds it is
    half open: `probes` batches may run. If they all end well it closes, if one
    fails it opens again. Any batch that ends otherwise starts the count anew.
    """

    failures: int = attrs.field(default=20, validator=positive_int)
    """Failures in a row."""

    window: float = attrs.field(default=60.0, validator=positive_seconds)
    """Seconds in which they have to fall."""

    open_for: float = attrs.field(default=5.0, validator=positive_seconds)
    """Seconds before it is tried again."""

    probes: int = attrs.field(default=1, validator=positive_int)
    """Batches that are tried then."""

    on: tuple[type[BaseException] | str, ...] = attrs.field(
        default=(WorkerCrashError,), converter=error_kinds, validator=errors_or_names
    )
    """Errors that count, as `Retry.retry_on`: by default the deaths of workers only."""


Policy = Halt | Skipping | Route | Retry


def last_policy(policy: Policy) -> Policy:
    """The policy when there are no attempts left."""
    while isinstance(policy, Retry):
        policy = policy.then
    return policy


_WORDS: dict[str, Policy] = {"halt": Halt(), "skip": Skipping()}


def policy(value: object, *, where: str = "", option: str = "on_error") -> Policy:
    """Turn what a user wrote into a policy, or raise `OptionError`."""
    if isinstance(value, (Halt, Skipping, Route, Retry)):
        return value
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    raise OptionError(
        option, f"is {value!r}; allowed are 'skip', 'halt', Retry(...) and Route(fn)", where=where
    )
