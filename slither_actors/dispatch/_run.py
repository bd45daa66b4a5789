"""The three ways to dispatch: all at once, as a stream, one ready-made batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from slither_actors.config import build
from slither_actors.context import Context
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._options import DispatchOptions
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._runner import DispatchRunner, Halted
from slither_actors.dispatch._source import ItemSource
from slither_actors.dispatch._stream import RunStream, collect
from slither_actors.dispatch._topology import RunPlan, StagePlan
from slither_actors.dispatch.strategy import FixedBatch
from slither_actors.errors import DispatchError, OptionError
from slither_actors.item import Item

__all__ = ["call_batch", "run", "stream"]

_NOT_FOR_ONE_BATCH = frozenset({"strategy", "batch_size", "max_in_flight", "ordering"})

_MAX_DEMAND = 100_000
"""The most items on their way to the caller at one time."""


def run(items: Iterable[Any], *, executor: Any, **options: Any) -> list[Item]:
    """Dispatch items in batches and return the results.

    Args:
        items: items or bare payloads; read only as far as batches may start.
        executor: an `Executor`, a callable that workers can import, or ``"module:function"``.
            The function gets a list of payloads and returns as many results.
        **options: ``batch_size`` (64), ``max_in_flight`` (8), ``ordering`` (``"preserve"`` or
            ``"as_completed"``), ``on_error`` (``"halt"``, ``"skip"``, `Retry`, `Route`), ``timeout``
            (30.0 seconds per batch), ``strategy``, ``pool``, ``context``, ``affinity``, ``poison_after``,
            ``breaker``, ``dead_letters``; see `DispatchOptions`.

    Returns:
        An item per input item. Those of a skipped batch keep their payload and have
        ``meta["skipped"]`` and ``meta["error"]``.

    Raises:
        OptionError: an option is wrong.
        DispatchError: a batch failed under ``"halt"``; `partial_results` has what was complete, with
            ``ordering="preserve"`` exactly the batches before it.
    """
    checked = build(DispatchOptions, {"executor": executor, **options}, where="dispatch.run")
    return _collected(_plan(_checked(items, "dispatch.run"), checked, collect_all=True))


def stream(items: Iterable[Any], *, executor: Any, **options: Any) -> RunStream:
    """Dispatch items in batches and return an iterator over the results, as they come.

    It is lazy from the reader back to the input: a slow reader or an endless
    input need no more memory than the window holds. Takes what `run` takes.
    """
    checked = build(DispatchOptions, {"executor": executor, **options}, where="dispatch.stream")
    return RunStream(_plan(_checked(items, "dispatch.stream"), checked, collect_all=False), _error)


def call_batch(items: Iterable[Any], *, executor: Any, **options: Any) -> list[Item]:
    """Dispatch one ready-made batch, with no strategy applied.

    Takes what `run` takes, except ``strategy``, ``batch_size``, ``max_in_flight``
    and ``ordering``.
    """
    for name in _NOT_FOR_ONE_BATCH & options.keys():
        raise OptionError(name, "has no meaning for one batch", where="dispatch.call_batch")
    checked = build(DispatchOptions, {"executor": executor, **options}, where="dispatch.call_batch")
    batch = list(_checked(items, "dispatch.call_batch"))
    if not batch:
        return []
    checked = attrs.evolve(checked, batch_size=len(batch), max_in_flight=1)
    return _collected(_plan(batch, checked, collect_all=True))


def _checked(items: Iterable[Any], where: str) -> Iterable[Any]:
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise OptionError("items", f"is {items!r:.200}; allowed is an iterable of payloads", where=where)
    return items


def _plan(items: Iterable[Any], options: DispatchOptions, *, collect_all: bool) -> RunPlan:
    link = RunLink()
    # Most strategies look at items. Where none does, an item is made once, with its result.
    bare = isinstance(options.make_strategy(), FixedBatch)
    runner = {
        "context": options.context or Context(),
        "link": link,
        "side_output": False,
        "bare": bare,
    }
    return RunPlan(
        label="dispatch",
        stages=[
            StagePlan(
                name="source",
                actor=ItemSource,
                args=(lambda: items,),
                options={"link": link, "wrap": not bare},
                takes_input=False,
            ),
            StagePlan(name="dispatch", actor=DispatchRunner, args=(options,), options=runner),
        ],
        outlet=Outlet(),
        link=link,
        demand=_MAX_DEMAND if collect_all else min(options.batch_size * options.max_in_flight, _MAX_DEMAND),
        collect=collect_all,
    )


def _collected(plan: RunPlan) -> list[Item]:
    found, halted = collect(plan)
    if halted is not None:
        raise _error(halted, found) from halted.error
    return found


def _error(halted: Halted, partial: list[Item]) -> DispatchError:
    return DispatchError(halted.error, partial, batch=halted.batch)
