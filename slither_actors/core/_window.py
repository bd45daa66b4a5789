"""Admission window for batched dispatch.

The window decides two things and performs no I/O:

* may another batch start now? (``max_in_flight``)
* which finished batches may be handed to the caller? (``ordering``)

A finished batch that waits for an earlier one keeps its slot until it is
released. A stalled first batch therefore stops admission instead of letting
held results pile up.
"""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

import attrs

__all__ = ["Ordering", "Window", "WindowStatistics"]

R = TypeVar("R")


class Ordering(enum.Enum):
    """The order in which finished batches reach the caller."""

    PRESERVE = "preserve"
    AS_COMPLETED = "as_completed"


@attrs.frozen(kw_only=True)
class WindowStatistics:
    """What a `Window` held at one moment. Returned by `Window.statistics`."""

    max_in_flight: int
    """The limit the window was created with."""

    running: int
    """Batches started and not yet finished."""

    held: int
    """Batches finished and waiting for an earlier batch."""

    peak: int
    """The largest ``running + held`` seen so far; never above the limit."""


@attrs.define(on_setattr=attrs.setters.NO_OP)  # three assignments a batch need no validator
class Window(Generic[R]):
    """Track the batches of one dispatch run.

    Not thread-safe: the owning actor is the only caller.
    """

    max_in_flight: int = attrs.field(validator=attrs.validators.ge(1))
    ordering: Ordering = Ordering.PRESERVE
    _running: set[int] = attrs.field(factory=set, init=False)
    _held: dict[int, R] = attrs.field(factory=dict, init=False)
    _next_ref: int = attrs.field(default=0, init=False)
    _next_release: int = attrs.field(default=0, init=False)
    _peak: int = attrs.field(default=0, init=False)

    room: int = attrs.field(init=False)
    """How many batches may start now."""

    @room.default
    def _all_of_it(self) -> int:
        return self.max_in_flight

    @property
    def has_room(self) -> bool:
        """Whether `start` may be called now."""
        return self.room > 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is running or held, so that every batch started has been released."""
        return self.room == self.max_in_flight

    def start(self) -> int:
        """Admit one batch and return its reference.

        References count up from zero in input order.
        """
        if self.room <= 0:
            msg = f"window is full: {self.max_in_flight} batches in flight"
            raise RuntimeError(msg)
        ref = self._next_ref
        self._next_ref += 1
        self._running.add(ref)
        self.room = room = self.room - 1
        self._peak = max(self._peak, self.max_in_flight - room)
        return ref

    def finish(self, ref: int, result: R) -> list[tuple[int, R]]:
        """Record one outcome; return every batch that may now be released."""
        self._running.remove(ref)
        if self.ordering is Ordering.AS_COMPLETED:
            self.room += 1
            return [(ref, result)]
        if ref == self._next_release and not self._held:
            self._next_release += 1
            self.room += 1
            return [(ref, result)]
        self._held[ref] = result
        released = []
        while self._next_release in self._held:
            released.append((self._next_release, self._held.pop(self._next_release)))
            self._next_release += 1
        self.room += len(released)
        return released

    def statistics(self) -> WindowStatistics:
        """Return a snapshot for the dashboard and for tests."""
        return WindowStatistics(
            max_in_flight=self.max_in_flight,
            running=len(self._running),
            held=len(self._held),
            peak=self._peak,
        )
