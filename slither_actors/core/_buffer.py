"""Events that were emitted without demand, and the infos that wait behind them.

The buffer decides what is kept when it is full: the oldest events go
(``keep="last"``) or the new ones (``keep="first"``), event by event, so a list
larger than the buffer keeps its last or first part; or overflow is an error
(``keep="error"``). With ``keep="block"`` everything is kept, and `Buffer.is_full`
tells the owner to take in nothing that may become events.

An info is delivered when the events stored before it are gone, taken or
dropped; infos are not events and not counted.

Lists are stored as they are and cut when they are taken, so an emitted list
must not be changed afterwards, and its memory is freed when its last event is
taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import attrs

from slither_actors.core._joinable import join
from slither_actors.errors import BufferFullError, OptionError

__all__ = ["Buffer", "BufferStatistics", "Keep"]

Keep = Literal["first", "last", "error", "block"]

_NOTHING: tuple[Any, ...] = ()

_ENOUGH = 32
"""Events that are worth a delivery of their own: to join as many costs more than to deliver them apart."""


class _Info:
    """Marks an info among the lists of events."""

    __slots__ = ("message",)

    def __init__(self, message: Any) -> None:
        self.message = message


@attrs.frozen(kw_only=True)
class BufferStatistics:
    """What a `Buffer` held at one moment. Returned by `Buffer.statistics`."""

    length: int
    """Events now in the buffer."""

    size: int | None
    """The most it keeps; None is no limit."""

    keep: Keep
    """The end that is kept on overflow, or ``"error"`` or ``"block"``."""

    peak: int
    """The most events it has held."""

    discarded: int
    """Events dropped since the start."""


class Buffer:
    """The events of one producer that nobody has asked for yet.

    Not thread-safe: the producer is the only caller.
    """

    __slots__ = ("_discarded", "_entries", "_offset", "_peak", "_released", "keep", "length", "size")

    def __init__(self, size: int | None, keep: Keep = "last") -> None:
        """Keep at most `size` events; None is no limit, 0 keeps nothing.

        Raises:
            OptionError: a negative size, or another word for `keep`; ``"block"`` without a size.
        """
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise OptionError(
                "buffer_size", f"is {size!r}; allowed is an integer of at least 0, or None for no limit"
            )
        if keep not in ("first", "last", "error", "block"):
            raise OptionError("buffer_keep", f"is {keep!r}; allowed are 'first', 'last', 'error', 'block'")
        if keep == "block" and size is None:
            raise OptionError("buffer_size", "is None; with buffer_keep 'block' allowed is an integer")
        self.size = size
        self.keep: Keep = keep
        self.length = 0
        """Events in the buffer, infos not counted."""
        self._entries: deque[Any] = deque()
        # Events of the first entry that are taken already.
        self._offset = 0
        self._released: list[Any] = []
        self._peak = 0
        self._discarded = 0

    def __len__(self) -> int:
        return self.length

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to come, with ``keep="block"``; what comes nevertheless is kept.

        So the buffer holds at most its size and what one callback has emitted.
        """
        return self.keep == "block" and self.length >= (self.size or 1)

    def store(self, events: Sequence[Any]) -> int:
        """Append `events` and return how many events were discarded, of these or of older ones.

        Where that is not 0, infos may have come free: see `released`.

        Raises:
            BufferFullError: they do not fit, and ``keep`` is ``"error"``. None of them is stored.
        """
        count = len(events)
        if not count:
            return 0
        over = 0
        if self.size is not None and self.length + count > self.size and self.keep != "block":
            # No more than these: what was put back does not have to make room for itself.
            over = min(count, self.length + count - self.size)
            events = self._make_room(events, count, over)
            self._discarded += over
            count = len(events)
        if count:
            self._entries.append(events)
            self.length += count
            if self.length > self._peak:  # noqa: PLR1730 - a call to max costs more than the rest
                self._peak = self.length
        return over

    def put_back(self, events: Sequence[Any]) -> None:
        """Put events in front of all others: they had been taken, and come back. None is discarded for it.

        So there may be more than `size` until they are taken again.
        """
        if not events:
            return
        if self._offset:
            self._entries[0] = self._entries[0][self._offset :]
            self._offset = 0
        self._entries.appendleft(events)
        self.length += len(events)
        self._peak = max(self._peak, self.length)

    def _make_room(self, events: Sequence[Any], count: int, over: int) -> Sequence[Any]:
        if self.keep == "error":
            raise BufferFullError("the buffer", self.size or 0, over)
        if self.keep == "first":
            return events[: max(0, count - over)]
        old = min(over, self.length)
        self._skip(old)
        return events[over - old :]

    def _skip(self, count: int) -> None:
        entries = self._entries
        self.length -= count
        while count:
            have = len(entries[0]) - self._offset
            if have > count:
                self._offset += count
                return
            count -= have
            entries.popleft()
            self._offset = 0
            self._released += self._pop_infos()

    def released(self) -> list[Any]:
        """Return and forget the infos whose events were discarded: deliver them now, in this order."""
        infos, self._released = self._released, []
        return infos

    def store_info(self, message: Any) -> bool:
        """Queue an info behind the events; False when there are none: deliver it yourself at once."""
        if not self.length:
            return False
        self._entries.append(_Info(message))
        return True

    def take(self, count: int) -> tuple[Sequence[Any], Sequence[Any]]:
        """Remove up to `count` of the oldest events; return ``(events, infos)``.

        It stops at an info: `infos` are to be delivered after `events`, and then
        the rest may be taken. Short lists of events are joined, a long one is
        returned by itself. No events are returned only if there are none, or
        none are wanted.
        """
        if count <= 0 or not self.length:
            return _NOTHING, _NOTHING
        entries = self._entries
        offset = self._offset
        first = entries[0]
        have = len(first) - offset
        if have > count:
            self._offset = offset + count
            self.length -= count
            return first[offset : offset + count], _NOTHING
        entries.popleft()
        self._offset = 0
        self.length -= have
        events = first[offset:] if offset else first
        if have < count and have < _ENOUGH and entries and type(entries[0]) is not _Info:
            events = self._join(events, count - have)
        if entries and type(entries[0]) is _Info:
            return events, self._pop_infos()
        return events, _NOTHING

    def _join(self, events: Sequence[Any], missing: int) -> Sequence[Any]:
        entries = self._entries
        parts = [events]
        while missing and entries and type(entries[0]) is not _Info:
            have = len(entries[0])
            if have > missing:
                parts.append(entries[0][:missing])
                self._offset = missing
                self.length -= missing
                break
            parts.append(entries.popleft())
            self.length -= have
            missing -= have
        return join(parts)

    def _pop_infos(self) -> list[Any]:
        entries = self._entries
        infos = []
        while entries and type(entries[0]) is _Info:
            infos.append(entries.popleft().message)
        return infos

    def statistics(self) -> BufferStatistics:
        """Return a snapshot for the dashboard and for tests."""
        return BufferStatistics(
            length=self.length,
            size=self.size,
            keep=self.keep,
            peak=self._peak,
            discarded=self._discarded,
        )
