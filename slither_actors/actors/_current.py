"""Which actor runs in this thread, and below whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slither_actors.actors import _runtime

if TYPE_CHECKING:
    from slither_actors.actors._actor import Actor

__all__ = ["current_actors"]


def current_actors() -> Iterator[Actor]:
    """Yield the actor whose callback runs in this thread, its parent, and so on; none in a plain thread.

    A parent is who started it with a link. An ancestor that has ended is left out once the line goes on
    below it, unless it is the parent of a live one: a line is no longer than twice those who live.
    OTP: the ``$ancestors`` of proc_lib.
    """
    cell = _runtime.current_cell()
    while cell is not None:
        yield cell.actor
        cell = cell.parent
