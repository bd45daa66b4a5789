"""Stores, pipes and worker functions of the application's tests."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from slither_actors import Context, Item, Pipe, Store, Table, stage, view, workers


class Rates(Store):
    """Rows that workers read through a view, and write."""

    rates: Table[Any, Any] = Table()

    def load(self, tables: Any) -> None:
        """Start with one row."""
        tables.rates.insert([("a", 10)])

    @view
    def rate_of(self, key: str) -> Any:
        """Return the row."""
        return self.rates.get(key)


class Unloadable(Store):
    """Does not load."""

    def load(self, tables: Any) -> None:
        """Fail."""
        raise LookupError("no source")


def double(payloads: Sequence[int]) -> list[int]:
    """Return twice the payloads."""
    return [2 * payload for payload in payloads]


def ask(payloads: Sequence[str], ctx: Context) -> list[Any]:
    """Look every payload up in the driver, by the view and by the table."""
    return [(ctx.views.rate_of(payload), Rates.rates.get(payload), os.getpid()) for payload in payloads]


def nap(payloads: Sequence[int]) -> list[int]:
    """Return the payloads after a while."""
    time.sleep(0.01)
    return list(payloads)


def fail_to_start() -> None:
    """Fail as an init hook."""
    raise OSError("no graphics card")


class Doubling(Pipe):
    """One stage of each kind that computes."""

    @stage
    def prepare(item: Item) -> Any:  # noqa: N805
        """Pass the payload on."""
        return item.payload

    work = workers(double, batch_size=4)


class Asking(Pipe):
    """A pipe whose workers and stages call views."""

    stores = (Rates,)
    work = workers(ask, batch_size=1)

    @stage
    def check(item: Item, ctx: Context) -> Any:  # noqa: N805
        """Add what the driver sees."""
        return (*item.payload, ctx.views.rate_of("a"), ctx.stores["Rates"].rates.get("a"))


class Napping(Pipe):
    """A pipe that takes its time, and goes on where a batch fails."""

    on_error = "skip"
    work = workers(nap, batch_size=2, max_in_flight=4)


def slow_start() -> None:
    """Take long as an init hook."""
    time.sleep(60)


def doze(payloads: Sequence[int]) -> list[int]:
    """Return the payloads after a long while."""
    time.sleep(60)
    return list(payloads)


class Dozing(Pipe):
    """A pipe whose batches take long."""

    work = workers(doze, batch_size=1)


class Ending(Store):
    """Has a view that does what the test wants."""

    hook: Any = None

    def load(self, tables: Any) -> None:
        """Load nothing."""

    @view
    def end(self) -> bool:
        """Do it."""
        Ending.hook()
        return True


def ask_for_the_end(payloads: Sequence[int], ctx: Context) -> list[Any]:
    """Call the view."""
    return [ctx.views.end() for _ in payloads]


class AskingForTheEnd(Pipe):
    """A pipe whose worker ends the application."""

    stores = (Ending,)
    work = workers(ask_for_the_end, batch_size=1)
