"""What a worker is told once: the targets and the contexts of its batches.

A DEFINE frame puts one of them at an index, and the batches name it by that
index. This is the driver's side, which chooses the indices; `_defined` is the
worker's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from slither_actors.context import Context
from slither_actors.pool import _wire as wire
from slither_actors.pool._job import Job
from slither_actors.pool._payloads import dumps
from slither_actors.pool._target import Target

__all__ = ["Definitions"]

_PLACES: Final = 64

Write = Callable[[int, int, bytes], object]
"""Sends a frame: its kind, its reference, its body."""


class Definitions:
    """The targets and the contexts that one worker has. Its lane is the only caller."""

    __slots__ = ("_contexts", "_targets", "last")

    def __init__(self) -> None:
        self.last: tuple[Target | None, Context | None, int, int] = (None, None, 0, 0)
        """Target and context of the last batch, and their indices: mostly those of the next one too."""
        self._targets = _Places()
        self._contexts = _Places()

    def of(self, job: Job, write: Write) -> tuple[int, int]:
        """Return the indices of a job's target and context (0 for none); the worker is told what it lacks.

        Raises:
            PayloadError: one of them cannot be pickled.
        """
        target = self._targets.find(job.target)
        if target is None:
            kind = wire.TIMED_TARGET if job.target.timed else wire.TARGET
            body = kind + job.target.dumps()
            target = self._targets.add(job.target)
            write(wire.DEFINE, target, body)
        context = 0
        if job.context is not None:
            found = self._contexts.find(job.context)
            if found is None:
                body = wire.CONTEXT + _dump_context(job.context)
                found = self._contexts.add(job.context)
                write(wire.DEFINE, found, body)
            context = found
        self.last = (job.target, job.context, target, context)
        return target, context


class _Places:
    """Which values are at which index: a table of fixed size.

    The least recently used place is written over, so runs that come and go
    do not pile up in the worker. Entries are told apart by identity.
    """

    __slots__ = ("_entries", "_last", "_last_index")

    def __init__(self) -> None:
        self._entries: dict[int, tuple[int, object]] = {}
        self._last: object = None
        self._last_index = 0

    def find(self, value: object) -> int | None:
        """Return the index at which the value is."""
        if value is self._last:
            return self._last_index
        entry = self._entries.pop(id(value), None)
        if entry is None:
            return None
        self._entries[id(value)] = entry  # now the most recent
        self._last, self._last_index = value, entry[0]
        return entry[0]

    def add(self, value: object) -> int:
        """Choose an index for a new value; what was there is forgotten."""
        if len(self._entries) < _PLACES:
            index = len(self._entries) + 1
        else:
            index, _ = self._entries.pop(next(iter(self._entries)))
        self._entries[id(value)] = (index, value)  # the strong reference keeps the id from being reused
        self._last, self._last_index = value, index
        return index


def _dump_context(context: Context) -> bytes:
    return dumps(attrs.evolve(context, stores={}), "context")
