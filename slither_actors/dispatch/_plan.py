"""What `run`, `stream` and their async forms have in common: the checks, and the layout of the run."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Iterable, Mapping, Sized
from typing import Any

import attrs

from slither_actors.bridge import Views
from slither_actors.config import build, shown
from slither_actors.context import Context
from slither_actors.dispatch._async_source import AsyncItemSource
from slither_actors.dispatch._async_stream import AsyncOutlet
from slither_actors.dispatch._link import RunLink
from slither_actors.dispatch._options import RunOptions, check_together
from slither_actors.dispatch._progress import progress_teller
from slither_actors.dispatch._reader import Outlet
from slither_actors.dispatch._runner import DispatchRunner, Halted
from slither_actors.dispatch._source import ItemSource
from slither_actors.dispatch._topology import RunPlan, StagePlan
from slither_actors.dispatch.strategy import FixedBatch
from slither_actors.errors import DispatchError, OptionError
from slither_actors.item import Item

__all__ = [
    "Items",
    "checked_items",
    "dispatch_error",
    "dispatch_options",
    "dispatch_plan",
    "length_of",
    "running_loop",
]

_LEAD = 2
"""Windows of results that a stream may be ahead of its reader: more than one, so that results can be handed
over in large groups while the next ones are made."""

_MAX_DEMAND = 100_000
"""The most items on their way to the caller at one time."""

Items = Iterable[Any] | AsyncIterable[Any]
"""What may be dispatched."""


def dispatch_options(executor: Any, options: Mapping[str, Any], where: str) -> RunOptions:
    """Check the options of a run."""
    checked = build(RunOptions, {"executor": executor, **options}, where=where)
    check_together(checked, options, where)
    if checked.insights is True and not where.endswith("stream"):
        problem = "is True, and nobody could ask for them; allowed are a function that takes them, and None"
        raise OptionError("insights", problem, where=where)
    return checked


def checked_items(items: Any, where: str) -> Items:
    """Refuse what is no iterable of payloads."""
    if isinstance(items, (str, bytes)) or not isinstance(items, (Iterable, AsyncIterable)):
        problem = f"is {shown(items)}; allowed is an iterable of payloads, or an async one"
        raise OptionError("items", problem, where=where)
    if not isinstance(items, Iterable) and not where.startswith("dispatch.a") and running_loop() is not None:
        name = where.removeprefix("dispatch.")
        problem = (
            f"is an async iterable, and {where} would block the event loop that is to read it; "
            f"here allowed is dispatch.a{name}"
        )
        raise OptionError("items", problem, where=where)
    return items


def running_loop() -> Any:
    """The event loop that runs in this thread, or None; asyncio is not imported for that."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


def dispatch_plan(
    items: Items, options: RunOptions, outlet: Outlet | AsyncOutlet, *, collect_all: bool
) -> RunPlan:
    """Lay out a run."""
    link = RunLink(options.on_close, options.close_timeout)
    # Most strategies look at items. Where none does, an item is made once, with its result.
    bare = type(options.make_strategy()) is FixedBatch
    source: dict[str, Any] = {"link": link, "wrap": not bare}
    if not isinstance(items, Iterable):
        source["loop"] = running_loop()
    runner = {
        "context": options.context or _context(),
        "link": link,
        "side_output": False,
        "bare": bare,
    }
    return RunPlan(
        label="dispatch",
        stages=[
            StagePlan(
                name="source",
                actor=ItemSource if isinstance(items, Iterable) else AsyncItemSource,
                args=(lambda: items,),
                options=source,
                takes_input=False,
            ),
            StagePlan(name="dispatch", actor=DispatchRunner, args=(options,), options=runner),
        ],
        outlet=outlet,
        link=link,
        demand=_MAX_DEMAND
        if collect_all
        else min(_LEAD * options.batch_size * options.max_in_flight, _MAX_DEMAND),
        collect=collect_all,
        progress=None if options.progress is None else progress_teller(options.progress, length_of(items)),
        insights=options.insights,
    )


def _context() -> Context:
    """That of a run which is given none. One that is given stays: workers know it by its identity."""
    context = Context()
    return attrs.evolve(context, views=Views(context.session_id))


def length_of(items: Items) -> int | None:
    """How many items there are, if that can be said before they are read."""
    try:
        return len(items) if isinstance(items, Sized) else None
    except Exception:  # noqa: BLE001 - the user's; a loader over a stream has the method, and raises
        return None


def dispatch_error(halted: Halted, partial: list[Item]) -> DispatchError:
    """What a halted run raises."""
    return DispatchError(halted.error, partial, batch=halted.batch)
