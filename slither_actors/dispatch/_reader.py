"""The last stage of a run, and the queue by which its items reach the caller's thread."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

import attrs

from slither_actors.actors import KILLED, NORMAL, Ref
from slither_actors.item import Item
from slither_actors.stages import Consumer, Subscription, ask

__all__ = ["Ended", "Outlet", "Reader"]


@attrs.frozen
class Ended:
    """The run has ended; nothing comes after this."""

    reason: Any


class Outlet:
    """A queue from a run to the one thread that reads it.

    `put` and `finish` are called by the reader's actor, `get` by the caller.
    What it holds is bounded by the demand that the caller has granted.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Sequence[Item] | Ended] = queue.SimpleQueue()
        self._finished = False

    def put(self, items: Sequence[Item]) -> None:
        """Pass items on."""
        self._queue.put(items)

    def finish(self, reason: Any) -> None:
        """Say that the run has ended; only the first reason counts."""
        if not self._finished:
            self._finished = True
            self._queue.put(Ended(reason))

    def get(self, timeout: float | None = None) -> Sequence[Item] | Ended:
        """Wait for the next items or the end.

        Raises:
            queue.Empty: nothing came within `timeout` seconds.
        """
        return self._queue.get(timeout=timeout)

    @property
    def ready(self) -> bool:
        """Whether `get` would return at once."""
        return not self._queue.empty()


class Reader(Consumer):
    """Takes the items that leave a run.

    While it collects it asks for more by itself; otherwise the caller grants
    demand as it consumes, so a slow caller slows the whole run.
    """

    def init(self, outlet: Outlet, sources: Sequence[Ref], *, demand: int, collect: bool) -> None:
        """Subscribe to the last stage."""
        self._outlet = outlet
        self._collect = collect
        self._collected: list[Item] = []
        self._source: Subscription | None = None
        self.subscribe_to = [{"to": ref, "max_demand": demand, "cancel": "temporary"} for ref in sources]
        self._demand = demand

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Ask by hand when the caller grants the demand."""
        self._source = source
        return None if self._collect else "manual"

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        """Pass the items to the caller, or keep them until the end."""
        if self._collect:
            self._collected.extend(events)
        else:
            self._outlet.put(events)

    def begin(self, _: None = None) -> None:
        """Grant the first demand."""
        self.grant(self._demand)

    def grant(self, count: int) -> None:
        """Ask for `count` more items."""
        if self._source is not None and not self._source.closed and not self._collect:
            ask(self._source, count)

    def take(self, items: Sequence[Item]) -> None:
        """Items that left the run before the last stage."""
        self.handle_events(items, self._source)  # type: ignore[arg-type]

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """The last stage has ended: so has the run."""
        self.abort(cause[1])

    def abort(self, reason: Any) -> None:
        """Pass on what is collected, and the reason for which the run ends."""
        if self._collected:
            self._outlet.put(self._collected)
            self._collected = []
        self._outlet.finish(reason)
        self.stop(NORMAL)

    def _on_dead(self) -> None:
        # However it ends, the caller must not wait for ever.
        self._outlet.finish(self._cell.reason if self._cell.reason != NORMAL else KILLED)
        super()._on_dead()
