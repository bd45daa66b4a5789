"""The three ways to dispatch: all at once, as a stream, one ready-made batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from slither_actors.config import shown
from slither_actors.dispatch._options import RunOptions
from slither_actors.dispatch._plan import (
    Items,
    checked_items,
    dispatch_error,
    dispatch_options,
    dispatch_plan,
)
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._stream import RunStream, collect
from slither_actors.dispatch._topology import RunPlan
from slither_actors.errors import OptionError
from slither_actors.item import Item

__all__ = ["call_batch", "run", "stream"]

_NOT_FOR_ONE_BATCH = frozenset(
    {"strategy", "batch_size", "batch_timeout", "max_in_flight", "ordering", "progress"}
)


def run(items: Items, *, executor: Any, **options: Any) -> list[Item]:
    """Dispatch items in batches and return the results.

    Args:
        items: items or bare payloads, read only as far as batches may start; an async iterable, too,
            except in a running event loop, see `arun`.
        executor: an `Executor`, a callable that workers can import, or ``"module:function"``.
            The function gets a list of payloads and returns as many results.
        **options: ``batch_size`` (64), ``batch_timeout`` (None), ``max_in_flight`` (8), ``ordering``
            (``"preserve"`` or ``"as_completed"``), ``on_error`` (``"halt"``, ``"skip"``, `Retry`, `Route`),
            ``timeout`` (30.0 seconds per batch), ``strategy``, ``pool``, ``context``, ``affinity``,
            ``poison_after``, ``breaker``, ``dead_letters``, ``progress``, ``insights``, ``on_close``
            (``"abandon"``, ``"wait"``, ``"kill"``), ``close_timeout`` (10.0). See `RunOptions`.

    Returns:
        An item per input item. Those of a skipped batch keep their payload and have
        ``meta["skipped"]`` and ``meta["error"]``.

    Raises:
        OptionError: an option is wrong.
        DispatchError: a batch failed under ``"halt"``; `partial_results` has what was complete, with
            ``ordering="preserve"`` exactly the batches before it.
    """
    checked = dispatch_options(executor, options, "dispatch.run")
    return _collected(_plan(checked_items(items, "dispatch.run"), checked, collect_all=True))


def stream(items: Items, *, executor: Any, **options: Any) -> RunStream:
    """Dispatch items in batches and return an iterator over the results, as they come.

    It is lazy from the reader back to the input: a slow reader or an endless
    input need no more memory than the window holds. Takes what `run` takes.
    """
    checked = dispatch_options(executor, options, "dispatch.stream")
    return RunStream(
        _plan(checked_items(items, "dispatch.stream"), checked, collect_all=False), dispatch_error
    )


def call_batch(items: Iterable[Any], *, executor: Any, **options: Any) -> list[Item]:
    """Dispatch one ready-made batch, with no strategy applied.

    Takes what `run` takes, except ``strategy``, ``batch_size``, ``batch_timeout``,
    ``max_in_flight``, ``ordering`` and ``progress``.
    """
    for name in _NOT_FOR_ONE_BATCH & options.keys():
        raise OptionError(name, "has no meaning for one batch", where="dispatch.call_batch")
    checked = dispatch_options(executor, options, "dispatch.call_batch")
    if not isinstance(items, Iterable):
        raise OptionError("items", f"is {shown(items)}; allowed is an iterable", where="dispatch.call_batch")
    checked_items(items, "dispatch.call_batch")
    batch = list(items)
    if not batch:
        return []
    checked = attrs.evolve(checked, batch_size=len(batch), max_in_flight=1)
    return _collected(_plan(batch, checked, collect_all=True))


def _plan(items: Items, options: RunOptions, *, collect_all: bool) -> RunPlan:
    return dispatch_plan(items, options, Outlet(), collect_all=collect_all)


def _collected(plan: RunPlan) -> list[Item]:
    found, halted = collect(plan)
    if halted is not None:
        raise dispatch_error(halted, found) from halted.error
    return found
