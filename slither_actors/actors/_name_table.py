"""The names of live actors. Usable from any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.actors import _life
from slither_actors.core import KeySlot, KeyTable

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["claim_name", "find_name", "free_name"]

names: KeyTable[Cell] = KeyTable()
"""Who has which name. Changed under the lock over all lives, under which no code of any name runs."""

slots: dict[Cell, KeySlot[Cell]] = {}
"""Where each one's name is in it."""


def claim_name(name: object, cell: Cell) -> Cell:
    """Give `cell` the name if it is free; return who has it."""
    place = None
    while True:
        place = names.find(name, place)  # before the lock: code of the name runs
        with _life.lock:
            if not names.is_valid(place):
                continue
            if place.slot is None:
                slots[cell] = names.insert(place, cell)
                cell.name = name
                return cell
            return place.slot.content


def find_name(name: object) -> Cell | None:
    """Return the live cell of that name."""
    slot = names.get(name)
    return None if slot is None or slot.content.dead else slot.content


def free_name(cell: Cell) -> None:
    """Take the name of a cell that has ended off the table. The lock is held."""
    slot = slots.pop(cell, None)
    if slot is not None:
        names.remove(slot)
