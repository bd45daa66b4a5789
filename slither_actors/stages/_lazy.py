"""Events that are made one by one: what a generator in a handler yields, pulled as far as it is wanted."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any

from slither_actors.stages._emitter import Emitter, as_events
from slither_actors.stages._job import Job, current_job
from slither_actors.stages._stage import refuse_coroutine
from slither_actors.stages._unfinished import OpenDemand, Unfinished

__all__ = ["Lazy", "LazyEmitter"]

_STROKE = 1024
"""The most events pulled at a time; between two strokes other messages are handled."""


class Lazy(Unfinished):
    """An iterator that a handler has returned."""

    __slots__ = ("demand", "iterator", "size")

    def __init__(self, iterator: Iterator[Any], demand: OpenDemand | None) -> None:
        super().__init__()
        self.iterator = iterator
        self.size = 0
        """The events that it is made of, in a producer-consumer."""
        self.demand = demand
        """None in a producer-consumer, which counts its demand for all calls."""

    def close(self) -> None:
        """Close a generator that was not read to its end. Anything else is its owner's to close."""
        iterator = self.iterator
        # One that runs belongs to an actor that was abandoned in it.
        if isinstance(iterator, Generator) and not getattr(iterator, "gi_running", False):
            iterator.close()


class LazyEmitter(Emitter):
    """An emitter whose handlers may return iterators. Not for users."""

    _lazy: Lazy | None = None
    """The iterator that is read now; nothing else is handled before its end."""

    def _open(self) -> None:
        self._lazy = None  # found faster than that of the class
        super()._open()

    def _emit_made(self, name: str, made: Any, demand: OpenDemand | None = None) -> Lazy | None:
        """Emit what a handler returned; return the iterator if not all of it is wanted yet."""
        if not isinstance(made, Iterator):
            refuse_coroutine(self, name, made)
            events = as_events(made, self, name)
            if events:
                self._dispatch(events)
            return None
        self._lazy = Lazy(made, demand)
        self._pull(self._lazy)
        return self._lazy

    def _room(self, lazy: Lazy) -> int:
        """How many events are wanted now."""
        raise NotImplementedError

    def _pull(self, lazy: Lazy) -> None:
        """Read as many events as are wanted."""
        wanted = min(self._room(lazy), _STROKE)
        events: list[Any] = []
        try:
            # Unlike `list`, `extend` keeps what it has when the iterator raises.
            if wanted > 0:
                events.extend(islice(lazy.iterator, wanted))
        finally:
            if events:
                if lazy.demand is not None:
                    lazy.demand.met(len(events))
                self._dispatch(events)
        if self._finishing:
            lazy.completes = True
        if len(events) < wanted:
            self._lazy = None
            self._exhausted(lazy)
        elif wanted == _STROKE and self._room(lazy) > 0:
            self.ref.send(_go_on)

    def _go_on(self) -> None:
        """Go on after a stroke, or when there is new demand."""
        if self._lazy is not None and not self._on_hold and not self._is_over():
            self._pull(self._lazy)

    def _exhausted(self, lazy: Lazy) -> None:
        """The handler's call is over."""
        self._call_over(lazy)

    def _take_yielded(self, job: Job) -> None:
        events = job.take()
        if events and not self._is_over():
            if job.demand is not None:
                job.demand.met(len(events))
            self._dispatch(events)

    def complete(self, reason: Any = "normal") -> None:
        """End once the consumers have taken what was emitted, by the callback that runs now as well.

        Neither demand nor events reach the stage any more.
        """
        job = current_job(self) if self._has_coroutines else None
        if job is None:
            super().complete(reason)
        elif job.over:
            self.ref.send(_complete, reason)
        else:
            job.completion = (reason,)

    def _completed(self, reason: Any) -> None:
        self.complete(reason)

    def _finish(self, reason: Any) -> None:
        lazy = self._lazy
        if lazy is not None and lazy.completes:
            # It was the generator that called `complete`: behind all that it yields.
            lazy.completion = (reason,)
            self._finishing = False
        else:
            super()._finish(reason)

    def _has_unfinished(self) -> bool:
        return self._lazy is not None or super()._has_unfinished()

    def _end_unfinished(self, *, killed: bool) -> None:
        lazy, self._lazy = self._lazy, None
        try:
            if lazy is not None:
                lazy.close()
        finally:
            super()._end_unfinished(killed=killed)


def _go_on(stage: LazyEmitter, _: None) -> None:
    stage._go_on()


def _complete(stage: LazyEmitter, reason: Any) -> None:
    stage.complete(reason)
