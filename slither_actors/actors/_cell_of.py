"""The actor that is meant by a ref of the user's."""

from __future__ import annotations

from typing import Any

from slither_actors.actors._cell import Cell
from slither_actors.config import shown
from slither_actors.errors import OptionError

__all__ = ["cell_of"]


def cell_of(ref: Any, where: str, option: str = "ref") -> Cell:
    """Return the cell of a ref.

    Args:
        ref: what was given.
        where: the method that it was given to.
        option: the name of the parameter.

    Raises:
        OptionError: it is no ref; None, for example, which `whereis` returns for a name that nobody has.
    """
    try:
        cell = ref._cell
    except Exception:  # noqa: BLE001 - it may be anything
        cell = None
    if isinstance(cell, Cell):
        return cell
    raise OptionError(option, f"is {shown(ref)}; allowed is the ref of an actor", where=where)
