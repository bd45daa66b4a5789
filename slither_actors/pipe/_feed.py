"""How items come into a pipe that runs on: they are pushed, or a producer stage has them.

Who pushes waits in its own thread until the run wants more; nobody polls. The
feed outlives the runs of its pipe, so a push goes on with the next one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from slither_actors.actors import Ref
from slither_actors.dispatch._link import enclosing_run
from slither_actors.dispatch._source import _CONTAINERS, SourceStatistics
from slither_actors.errors import PipeStoppedError, PushTimeoutError
from slither_actors.item import DEFAULT_ROUTE, Item
from slither_actors.pipe._change import wait_for_change
from slither_actors.pipe._gate import Gate
from slither_actors.pipe._link import PipeLink
from slither_actors.stages import Producer, ProducerConsumer, Subscription, ask, async_subscribe
from slither_actors.stages._control import _begin_drain, _begin_pause, _end_pause

__all__ = ["Feed", "PushSource", "StageSource", "is_within"]

_WITHIN_SECONDS = 1.0
"""How long a push without a timeout waits for room where it is a stage of the pipe itself that pushes."""

_DEMAND = 1000
"""Events of a producer on their way at one time, where they are asked for by hand."""


class Feed:
    """Where pushed items wait for demand: in the threads of those who push them."""

    def __init__(self, pipe: str, gate: Gate) -> None:
        self._pipe = pipe
        self._gate = gate
        self._changed = gate.changed
        self._source: Ref | None = None
        self._room = 0
        """Items that the present run wants."""
        self._handed = 0
        """Items that the present run was sent; some may never get out of its mailbox."""
        self._left: dict[Ref, int] = {}
        """What runs were sent that were killed, and have not noticed before the next one began."""
        self._closed = ""
        self.waiting = 0
        """Pushes that wait."""

    def push(self, items: Iterable[Any], timeout: float | None) -> int:
        """Hand items to the run as it wants them; return how many.

        Raises:
            PushTimeoutError: it did not want all of them in time.
            PipeStoppedError: it takes no more.
        """
        within = timeout is None and is_within(self)
        if within:
            timeout = _WITHIN_SECONDS
        deadline = None if timeout is None else time.monotonic() + timeout
        left = iter(items)
        # Any other may be slow: what it has given must not wait for what it has not.
        in_lots = type(items) in _CONTAINERS
        pushed = 0
        while True:
            head = list(islice(left, 1))  # read without the lock: it may be slow
            if not head:
                return pushed
            if within:
                deadline = time.monotonic() + _WITHIN_SECONDS
            room = self._await_room(deadline, timeout, pushed)
            lot = [*head, *islice(left, room - 1)] if in_lots else head
            while lot:
                sent = self._send(lot)
                pushed += sent
                lot = lot[sent:]
                if lot:
                    self._await_room(deadline, timeout, pushed)

    def _await_room(self, deadline: float | None, timeout: float | None, pushed: int) -> int:
        """Wait until there is demand, and an item may come in; return how many."""
        with self._changed:
            self.waiting += 1
            try:
                while True:
                    if self._closed:
                        raise PipeStoppedError(self._pipe, self._closed, pushed)
                    room = min(self._room, self._gate.room())
                    if room > 0:
                        return room
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        raise PushTimeoutError(
                            self._pipe, timeout or 0.0, pushed, paused=self._gate.held, within=is_within(self)
                        )
                    delay = self._gate.delay() if self._room > 0 else None
                    wait_for_change(
                        self._changed, left if delay is None else delay if left is None else min(delay, left)
                    )
            finally:
                self.waiting -= 1

    def _send(self, items: Sequence[Any]) -> int:
        """Send as many as there is room for now."""
        with self._changed:
            if self._closed or self._source is None:
                return 0
            count = min(self._room, self._gate.room(), len(items))
            if count:
                self._gate.took(count)
                self._room -= count
                self._handed += count
                self._source.send(PushSource.take, items[:count])
            return count

    def attach(self, source: Ref) -> None:
        """A run has started."""
        with self._changed:
            if self._source is not None:
                self._left[self._source] = self._handed
            self._source, self._room, self._handed = source, 0, 0

    def detach(self, source: Ref) -> int:
        """It ends; those who push wait for the next one. Returns what it was sent; 0 if that is known."""
        with self._changed:
            if self._source is not source:
                return self._left.pop(source, 0)
            self._source, self._room = None, 0
            return self._handed

    def granted(self, source: Ref, count: int) -> None:
        """A run wants more."""
        with self._changed:
            if self._source is source:
                self._room += count
                self._changed.notify_all()

    def close(self, why: str) -> None:
        """Take no more. The first word counts."""
        with self._changed:
            self._closed = self._closed or why
            self._changed.notify_all()


def is_within(feed: Feed) -> bool:
    """Whether an actor of the pipe that `feed` belongs to runs in this thread."""
    run = enclosing_run()
    live = getattr(run, "live", None)
    return live is not None and live.feed is feed


def _as_input(events: Iterable[Any]) -> list[Item]:
    """Events as items that are bound for no output yet."""
    return [
        each if each.route == DEFAULT_ROUTE else each.put_route(DEFAULT_ROUTE)
        for each in Item.wrap_many(events)
    ]


class PushSource(Producer):
    """Emits what is pushed."""

    demand = "accumulate"

    def init(self, feed: Feed, link: PipeLink) -> None:
        """Open the feed for this run."""
        self._feed = feed
        self._link = link
        self.count = 0
        """Items that came."""
        link.source = self.ref
        self._attached = True
        feed.attach(self.ref)

    def handle_demand(self, demand: int) -> list[Any]:
        """Let more be pushed."""
        self._feed.granted(self.ref, demand)
        return []

    def take(self, items: Sequence[Any]) -> None:
        """Emit pushed items."""
        self.count += len(items)
        self._link.read = self.count
        self.emit(_as_input(items))

    def drain(self, _: None = None) -> None:
        """End behind what was pushed."""
        self.complete()

    def snapshot(self, _: None = None) -> SourceStatistics:
        """Return the statistics."""
        return SourceStatistics(items=self.count)

    def terminate(self, reason: Any) -> None:
        """Leave the statistics with the run."""
        self._detach()
        self._link.finished["source"] = self.snapshot()

    def _detach(self) -> None:
        if self._attached:
            self._attached = False
            self.count = self._link.read = max(self.count, self._feed.detach(self.ref))

    def _on_dead(self) -> None:
        if hasattr(self, "_feed"):
            self._detach()  # killed, perhaps
        super()._on_dead()


class StageSource(ProducerConsumer):
    """Takes the events of a producer stage as items.

    Where a limit holds it asks by hand, for no more than may come in at any time
    from now on: what was asked for may come late, all at once.
    """

    def init(self, producer: Ref, gate: Gate, link: PipeLink) -> None:
        """Take the producer; nothing comes before `begin`, which the run calls when all of it is there."""
        self._producer = producer
        self._gate = gate
        self._link = link
        self._subscription: Subscription | None = None
        """Where a limit holds."""
        self._due = 0
        """Events that were asked for by hand and have not come."""
        self._waits = False
        """Whether it looks again when time has passed."""
        link.source = self.ref
        self.count = 0
        """Items that came."""

    def begin(self, _: None = None) -> None:
        """Subscribe to the producer. Its end is that of the run."""
        async_subscribe(self.ref, to=self._producer, cancel="permanent")

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        """Ask by hand if there is a limit."""
        if role != "producer" or not self._gate.is_limited:
            return None
        self._subscription = source
        self.ref.send(StageSource._ask)
        return "manual"

    def handle_events(self, events: Sequence[Any], source: Subscription) -> list[Item]:
        """Pass events on as items."""
        self.count += len(events)
        self._link.read = self.count
        if self._subscription is not None:
            self._due -= len(events)
            with self._gate.changed:
                self._gate.took(len(events))
            self._ask()
        return _as_input(events)

    def _ask(self, _: None = None) -> None:
        """Ask for what may come in."""
        source = self._subscription
        if source is None or source.closed or self._draining:
            return
        with self._gate.changed:
            count = min(self._gate.room(), _DEMAND) - self._due
            delay = self._gate.delay()
        if count > 0:
            self._due += count
            ask(source, count)
        elif self._due == 0 and delay is not None and not self._waits:
            self._waits = True
            self.run_after(delay, StageSource._ask_late)

    def _ask_late(self, _: None) -> None:
        self._waits = False
        self._ask()

    def hold(self, paused: bool) -> None:
        """Ask for nothing and handle nothing, or go on."""
        if paused:
            _begin_pause(self, None)
        else:
            _end_pause(self, None)
            self._ask()

    def drain(self, _: None = None) -> None:
        """Ask for no more, and end behind what came."""
        _begin_drain(self, frozenset({self.ref}))

    def snapshot(self, _: None = None) -> SourceStatistics:
        """Return the statistics."""
        return SourceStatistics(items=self.count)

    def terminate(self, reason: Any) -> None:
        """Leave the statistics with the run."""
        self._link.finished["source"] = self.snapshot()
