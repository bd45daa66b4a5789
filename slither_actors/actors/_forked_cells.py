"""The actors as the child of a fork has them: they can be looked at, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from slither_actors.actors import _life
from slither_actors.actors._cell import Cell

__all__ = ["after_fork_in_child"]


def after_fork_in_child(current: Cell | None, forked: Callable[..., None]) -> None:
    """Make every use of an actor an error, and the rest usable: another thread may have held the lock."""
    _life.after_fork_in_child()
    for name in ("__init__", "put", "put_control", "end_here", "monitor", "link", "unlink", "join"):
        for kind in (Cell, *Cell.__subclasses__()):
            setattr(kind, name, forked)
    if current is not None:
        # The actor that forked goes on with its message in both processes, with the next in the parent only.
        current.dead = current.attention = True
