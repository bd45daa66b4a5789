"""`Caller`: an actor that runs one call of a worker at a time, beside the pool.

A call that may take its time runs in a caller of its pool, so a slow one holds
up nobody but the worker that waits for it. An idle caller takes the next call:
to start an actor for each would cost as much as all the rest of a call. One
that is inside a view that does not return is missed by nobody, as the next
call finds or starts another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.actors import Down, Server
from slither_actors.actors._runtime import current_cell

if TYPE_CHECKING:
    from slither_actors.actors import Ref
    from slither_actors.actors._cell import Cell

__all__ = ["run_aside"]

_KEPT = 8
"""Idle callers of a pool that wait for a call; more end as they become idle."""

_idle: dict[int, list[Ref]] = {}
"""By the number of their pool. Only the pool takes one out, any caller puts itself back."""


def run_aside(call: Callable[[], None]) -> None:
    """Run `call` in a caller of the actor that asks, or in one for this call alone. Never waits."""
    cell = current_cell()
    idle = None if cell is None else _idle.get(cell.id)
    while idle:
        try:
            caller = idle.pop()
        except IndexError:
            break
        if not caller._cell.dead:  # somebody may have ended it
            caller._cell.put((_run, call))
            return
    Caller.start(cell).send(_run, call)


class Caller(Server):
    """Runs calls of a pool's workers, until the pool ends."""

    def init(self, pool: Cell | None) -> None:
        """Know for whom; without a pool, for one call."""
        self._idle: list[Ref] | None = None
        if pool is not None:
            self._pool = pool.id
            self._idle = _idle.setdefault(pool.id, [])
            self.monitor(pool.ref)

    def handle_info(self, message: Any) -> None:
        """The pool has ended, and nobody asks any more."""
        if isinstance(message, Down):
            self._idle = None
            _idle.pop(self._pool, None)
            self.stop()
        else:
            super().handle_info(message)

    def run(self, call: Callable[[], None]) -> None:
        """Run one call and wait for the next, if there are not enough who do."""
        call()
        idle = self._idle
        if idle is None or len(idle) >= _KEPT:
            self.stop()
        else:
            idle.append(self.ref)


_run = Caller.run
