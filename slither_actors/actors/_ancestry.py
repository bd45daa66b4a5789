"""Who started an actor with a link, who started that one, and so on up.

OTP's ``$ancestors`` is a list that each start copies, with all who have ended.
Here an actor keeps its parent, who keeps its own: an actor that starts its
successor and ends would keep every one before it. So with each start those go
who have ended and whose child, next in the line, has ended as well. What is
left of an actor's line is whoever is alive and, of each of these and of the
actor itself, the parent: as long as the actors that are alive, whatever happened before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell

__all__ = ["ancestors", "below", "depth"]


def below(parent: Cell) -> Cell:
    """Return the parent of a new actor, its line shortened.

    From any thread without a lock: each step takes one out that has ended, and whoever is
    left out by two threads has ended as well.
    """
    each = parent
    while (above := each.parent) is not None:
        further = above.parent
        if above.dead and further is not None and further.dead:
            above.parent = further.parent
        else:
            each = above
    return parent


def ancestors(cell: Cell) -> list[Cell]:
    """Return the line, the parent first, with whoever of the dead is left of it."""
    found, each = [], cell.parent
    while each is not None:
        found.append(each)
        each = each.parent
    return found


def depth(cell: Cell) -> int:
    """How many live ancestors there are."""
    return sum(not each.dead for each in ancestors(cell))
