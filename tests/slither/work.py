"""Functions, adapters and stores that the tests use in worker processes as well."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from slither_actors import Context, Store, Table, view
from slither_actors.errors import SlitherError


def double(payloads: Sequence[Any]) -> list[Any]:
    """Return twice the payloads."""
    return [2 * payload for payload in payloads]


def sizes(payloads: Sequence[Any]) -> list[Any]:
    """Return each payload with the number of those that came together."""
    return [(payload, len(payloads)) for payload in payloads]


def reject_seven(payloads: Sequence[Any]) -> list[Any]:
    """Fail the batch that has a seven."""
    if 7 in payloads:
        raise ValueError("seven")
    return list(payloads)


def sleep_on_seven(payloads: Sequence[Any]) -> list[Any]:
    """Take a minute for the batch that has a seven."""
    if 7 in payloads:
        time.sleep(60)
    return list(payloads)


def die_on_seven(payloads: Sequence[Any]) -> list[Any]:
    """End the worker with the batch that has a seven."""
    if 7 in payloads:
        os._exit(3)
    return list(payloads)


_counted = 0


def count_here(payloads: Sequence[Any]) -> list[tuple[int, int]]:
    """Count in a global of the process, one by one; return its number and the count."""
    global _counted  # noqa: PLW0603 - the state of a worker
    counts = []
    for _ in payloads:
        _counted += 1
        counts.append((os.getpid(), _counted))
    return counts


def about_the_run(payloads: Sequence[Any], ctx: Context) -> list[Any]:
    """Return what a worker knows of its run."""
    return [(os.getpid(), ctx.session_id, ctx.pipe, ctx.stage, dict(ctx.metadata)) for _ in payloads]


class Model:
    """An adapter: what Snakepit calls one."""

    def process_batch(self, payloads: Sequence[Any]) -> list[Any]:
        """Return twice the payloads."""
        return [2 * payload for payload in payloads]


class FeatureStore(Store):
    """The store of Slither's read-me."""

    features: Table[str, Any] = Table()
    user_index: Table[str, Any] = Table(ordered=True)

    def load(self, tables: Any) -> None:
        tables.features.insert([("a", 1), ("b", 2)])

    @view
    def lookup_feature(self, key: str) -> Any:
        return self.features.get(key)

    @view(batch=True)
    def lookup_features(self, keys: list[str]) -> list[Any]:
        return [self.features.get(key) for key in keys]

    @view(timeout=0.05)
    def slow(self) -> None:
        time.sleep(0.3)

    @view(scope="global")
    def version(self) -> str:
        return "global"


def outcome(call: Any) -> Any:
    """What a call returns, or the name of its error."""
    try:
        return call()
    except SlitherError as error:
        return type(error).__name__


def look_up(payloads: Sequence[str], ctx: Context) -> list[Any]:
    """Ask the scalar view for each payload."""
    return [outcome(lambda key=key: ctx.views.lookup_feature(key=key)) for key in payloads]


def look_up_together(payloads: Sequence[str], ctx: Context) -> list[Any]:
    """Ask the batch view once."""
    found: list[Any] = ctx.views.lookup_features(list(payloads))
    return found


def ask_slow(payloads: Sequence[str], ctx: Context) -> list[Any]:
    """Ask the view that takes too long."""
    return [outcome(ctx.views.slow) for _ in payloads]


def ask_global(payloads: Sequence[str], ctx: Context) -> list[Any]:
    """Ask the view that every run has."""
    return [outcome(ctx.views.version) for _ in payloads]


def read_table(payloads: Sequence[str]) -> list[Any]:
    """Read the table itself."""
    return [FeatureStore.features.get(key) for key in payloads]


def write_table(payloads: Sequence[str]) -> list[Any]:
    """Count in the table."""
    return [FeatureStore.features.update(key, add_one, default=0) for key in payloads]


def add_one(value: int) -> int:
    """Return the next number."""
    return value + 1
