"""How many workers a pool has: which slots are added and dropped, and how many workers start at one time.

A slot whose worker is of no use yet is dropped first, then idle ones, and busy
ones last; of equals the one with the highest number. New slots take the lowest
free numbers, so what depends on the number, such as the processor that a
worker is bound to, stays evenly spread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count, islice
from typing import Final

import attrs

from slither_actors.core._slot import SlotState

__all__ = ["Change", "change_of_size", "may_start"]

_RANK: Final = {
    SlotState.STOPPED: 0,
    SlotState.WAITING: 0,
    SlotState.STOPPING: 1,
    SlotState.STARTING: 2,
    SlotState.RETIRING: 3,
    SlotState.IDLE: 4,
    SlotState.BUSY: 5,
}


@attrs.frozen
class Change:
    """What makes a pool as large as it is to be."""

    add: tuple[int, ...] = ()
    """Numbers of slots to make."""

    drop: tuple[int, ...] = ()
    """Numbers of slots to give up, in this order."""


def change_of_size(slots: Mapping[int, SlotState], workers: int) -> Change:
    """Return what turns these slots, by number, into as many as `workers`."""
    if workers >= len(slots):
        free = (number for number in count() if number not in slots)
        return Change(add=tuple(islice(free, workers - len(slots))))
    ranked = sorted(slots, key=lambda number: (_RANK[slots[number]], -number))
    return Change(drop=tuple(ranked[: len(slots) - workers]))


def may_start(states: Iterable[SlotState], start_batch: int) -> int:
    """How many further workers may start now, where as many as `start_batch` start at one time."""
    return max(0, start_batch - sum(state is SlotState.STARTING for state in states))
