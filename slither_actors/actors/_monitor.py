"""The watch of one actor over another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slither_actors.actors import _life
from slither_actors.actors._reasons import Down

if TYPE_CHECKING:
    from slither_actors.actors._actor import Actor
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._ref import Ref

__all__ = ["Monitor"]


class Monitor:
    """A watch over another actor, until its `Down` arrives or `cancel` is called; see `Server.monitor`.

    OTP: erlang, ``monitor/2``.
    """

    __slots__ = ("_target", "_watcher", "id")

    def __init__(self, watcher: Cell, target: Cell) -> None:
        self.id = _life.next_number()
        self._watcher: Cell | None = watcher
        self._target = target

    def cancel(self) -> None:
        """Take the watch back, from any thread; a second time does nothing.

        A `Down` that is on its way is dropped too. OTP: erlang, ``demonitor(MonitorRef, [flush])``.
        """
        with _life.lock:
            self.forget()
            self._watcher = None
            if self._target.monitors is not None:
                self._target.monitors.pop(self.id, None)

    def forget(self) -> None:
        """Take the monitor off its watcher's list. The lock is held."""
        watcher = self._watcher
        if watcher is not None and watcher.watching is not None:
            watcher.watching.discard(self)

    def deliver(self, ref: Ref, reason: Any) -> None:
        """Send the `Down` to the watcher."""
        watcher = self._watcher
        if watcher is not None:
            watcher.put((_down, (self, Down(self, ref, reason))))

    def abolish(self) -> None:
        """The watcher has ended. The lock is held."""
        self._watcher = None
        if self._target.monitors is not None:
            self._target.monitors.pop(self.id, None)

    def take(self) -> bool:
        """Whether the `Down` is still wanted, asked in the watcher; only the first time."""
        wanted = self._watcher is not None
        self._watcher = None
        return wanted


def _down(actor: Actor, argument: tuple[Monitor, Down]) -> None:
    monitor, down = argument
    if monitor.take():
        actor._on_info(down)
