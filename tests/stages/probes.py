"""Stages that note what happens to them, and ways to look at them without sleeping."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from slither_actors.actors import Ref
from slither_actors.errors import ActorExitError
from slither_actors.stages import Consumer, Producer, ProducerConsumer, Subscription

T = TypeVar("T")

SECONDS = 20.0
"""How long to wait for what must happen. Nothing waits this long unless it is broken."""


class Noting:
    """Notes the beginning and the end of subscriptions. `options` are set on the stage."""

    def note(self, options: dict[str, Any]) -> None:
        self.joined: list[str] = []
        self.left: list[tuple[str, Any]] = []
        self.sources: list[Subscription] = []
        self.mode: str | None = None
        for name, value in options.items():
            setattr(self, name, value)

    def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
        self.joined.append(role)
        self.sources.append(source)
        return self.mode if role == "producer" else None

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        self.left.append(cause)


class Source(Noting, Producer):
    """Counts from 0 up to `limit`, and then completes or, with ``completes=False``, owes the rest."""

    completes = True
    handle_cancel = Noting.handle_cancel

    def init(self, limit: int = 0, **options: Any) -> None:
        self.limit = limit
        self.next = 0
        self.demands: list[int] = []
        self.note(options)

    def handle_demand(self, demand: int) -> range:
        self.demands.append(demand)
        first, self.next = self.next, min(self.limit, self.next + demand)
        if self.next == self.limit and self.completes:
            self.complete()
        return range(first, self.next)


class Silent(Source):
    """Notes what is asked for and emits only what it is told to."""

    def handle_demand(self, demand: int) -> None:  # type: ignore[override]
        self.demands.append(demand)


class Middle(Noting, ProducerConsumer):
    """Turns every event into what `function` returns for a list of them."""

    def init(self, function: Callable[[Sequence[Any]], Iterable[Any]] = lambda e: e, **options: Any) -> None:
        self.function = function
        self.batches: list[list[Any]] = []
        self.note(options)

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Iterable[Any]:
        self.batches.append(list(events))
        return self.function(events)


class Sink(Noting, Consumer):
    """Keeps what it gets, list by list. `got` is set when `expected` events are there."""

    expected = 0

    def init(self, **options: Any) -> None:
        self.batches: list[list[Any]] = []
        self.count = 0
        self.got = threading.Event()
        self.note(options)

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        self.batches.append(list(events))
        self.count += len(events)
        if self.expected and self.count >= self.expected:
            self.got.set()

    @property
    def events(self) -> list[Any]:
        return [event for batch in self.batches for event in batch]


def inside(ref: Ref, function: Callable[[Any], T]) -> T:
    """Run ``function(stage)`` in the stage, behind all that was sent to it, and return the result."""
    result: T = ref.run(lambda stage, _: function(stage), None, SECONDS)
    return result


def seen(ref: Ref, attribute: str) -> Any:
    """Return a copy of what the stage has noted; also after its end."""
    settle(ref, rounds=1)
    value = getattr(ref._cell.actor, attribute)
    return list(value) if isinstance(value, list) else value


def settle(*refs: Ref, rounds: int = 10) -> None:
    """Let the stages exchange the messages that are under way: mailboxes are first in, first out."""
    for _ in range(rounds):
        for ref in refs:
            # One that has ended, or ends just now, has nothing to exchange any more.
            with contextlib.suppress(ActorExitError):
                inside(ref, lambda stage: None)


def until(condition: Callable[[], Any]) -> None:
    """Wait for what no message of a stage tells of: a coroutine at work, a stage that was killed."""
    waiting = threading.Event()
    for _ in range(int(SECONDS / 0.005)):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError(condition)


def ended(ref: Ref) -> Any:
    """Wait for the end of a stage and return its reason."""
    assert ref.join(SECONDS), f"{ref} has not ended"
    return ref.exit_reason
