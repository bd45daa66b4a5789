"""Dispatch from a coroutine: the event loop stays free, whatever the run does."""

from __future__ import annotations

from typing import Any

from slither_actors.dispatch._async_stream import AsyncOutlet, AsyncRunStream
from slither_actors.dispatch._plan import (
    Items,
    checked_items,
    dispatch_error,
    dispatch_options,
    dispatch_plan,
)
from slither_actors.item import Item

__all__ = ["arun", "astream"]


async def arun(items: Items, *, executor: Any, **options: Any) -> list[Item]:
    """Dispatch items in batches and return the results, as `run` does, without blocking the event loop.

    Args:
        items: an iterable, which is read in another thread and may block that, or an async iterable, which
            is read in this loop. Neither is read further than batches may start.
        executor: see `run`.
        **options: see `run`.

    Raises:
        OptionError: an option is wrong.
        DispatchError: see `run`.
        CancelledError: the task was cancelled; the run is ended, see ``on_close``.
    """
    checked = dispatch_options(executor, options, "dispatch.arun")
    plan = dispatch_plan(checked_items(items, "dispatch.arun"), checked, AsyncOutlet(), collect_all=True)
    found: list[Item] = []
    chunks: Any = AsyncRunStream(plan, lambda halted, _: dispatch_error(halted, found), chunks=True)
    async with chunks:
        async for chunk in chunks:
            found += chunk
    return found


def astream(items: Items, *, executor: Any, **options: Any) -> AsyncRunStream:
    """Dispatch items in batches and return an async iterator over the results, as they come.

    As lazy as `stream`. Use it in ``async with``, which ends the run when the block is left, also by an
    exception or a cancellation; or in a plain ``async for``. Takes what `arun` takes.
    """
    checked = dispatch_options(executor, options, "dispatch.astream")
    plan = dispatch_plan(checked_items(items, "dispatch.astream"), checked, AsyncOutlet(), collect_all=False)
    return AsyncRunStream(plan, dispatch_error)
