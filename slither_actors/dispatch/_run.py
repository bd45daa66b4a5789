"""The three ways to dispatch: all at once, as a stream, one ready-made batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from slither_actors.config import build
from slither_actors.context import Context
from slither_actors.dispatch._options import DispatchOptions
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._runner import DispatchRunner, Halted
from slither_actors.dispatch._source import ItemSource
from slither_actors.dispatch._stream import RunStream, collect
from slither_actors.dispatch._topology import RunPlan, StagePlan
from slither_actors.errors import DispatchError
from slither_actors.item import Item

__all__ = ["call_batch", "run", "stream"]


def run(items: Iterable[Any], *, executor: Any, **options: Any) -> list[Item]:
    """Dispatch items in batches and return the results.

    Args:
        items: items or bare payloads; read only as far as batches may start.
        executor: an `Executor`, a callable that workers can import, or ``"module:function"``.
            The function gets a list of payloads and returns as many results.
        **options: ``batch_size`` (64), ``max_in_flight`` (8), ``ordering`` (``"preserve"`` or
            ``"as_completed"``), ``on_error`` (``"halt"``, ``"skip"``, `Retry`, `Route`), ``timeout``
            (30.0 seconds per batch), ``strategy``, ``pool``, ``context``.

    Returns:
        An item per input item. Those of a skipped batch keep their payload and have
        ``meta["skipped"]`` and ``meta["error"]``.

    Raises:
        OptionError: an option is wrong.
        DispatchError: a batch failed under ``"halt"``; `partial_results` has what was complete, with
            ``ordering="preserve"`` exactly the batches before it.
    """
    checked = build(DispatchOptions, {"executor": executor, **options}, where="dispatch.run")
    found, halted = collect(_plan(lambda: items, checked, collect_all=True))
    if halted is not None:
        raise _error(halted, found) from halted.error
    return found


def stream(items: Iterable[Any], *, executor: Any, **options: Any) -> RunStream:
    """Dispatch items in batches and return an iterator over the results, as they come.

    It is lazy from the reader back to the input: a slow reader or an endless
    input need no more memory than the window holds. Takes what `run` takes.
    """
    checked = build(DispatchOptions, {"executor": executor, **options}, where="dispatch.stream")
    return RunStream(_plan(lambda: items, checked, collect_all=False), _error)


def call_batch(items: Iterable[Any], *, executor: Any, **options: Any) -> list[Item]:
    """Dispatch one ready-made batch, with no strategy applied.

    Takes what `run` takes, except ``strategy``, ``batch_size``, ``max_in_flight``
    and ``ordering``.
    """
    batch = Item.wrap_many(items)
    if not batch:
        return []
    allowed = {"executor": executor, **options}
    checked = build(DispatchOptions, allowed, where="dispatch.call_batch")
    checked = attrs.evolve(checked, strategy=None, batch_size=len(batch), max_in_flight=1)
    found, halted = collect(_plan(lambda: batch, checked, collect_all=True))
    if halted is not None:
        raise _error(halted, found) from halted.error
    return found


def _plan(source: Callable[[], Iterable[Any]], options: DispatchOptions, *, collect_all: bool) -> RunPlan:
    context = options.context or Context()
    window = options.batch_size * options.max_in_flight
    return RunPlan(
        label="dispatch",
        stages=[
            StagePlan(name="source", actor=ItemSource, args=(source,), takes_input=False),
            StagePlan(name="dispatch", actor=DispatchRunner, args=(options,), options={"context": context}),
        ],
        outlet=Outlet(),
        demand=max(1, min(window, 100_000)),
        collect=collect_all,
    )


def _error(halted: Halted, partial: list[Item]) -> DispatchError:
    return DispatchError(halted.error, partial, batch=halted.batch)
