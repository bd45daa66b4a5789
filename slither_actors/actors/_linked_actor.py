"""What an actor with OTP's contract can do for itself: links, monitors, timers, watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slither_actors.actors import _runtime
from slither_actors.actors._actor import Actor
from slither_actors.actors._cell import Monitor, zombie_cells
from slither_actors.actors._cell_of import cell_of
from slither_actors.actors._handlers import _on_info
from slither_actors.config import a_function

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref
    from slither_actors.actors._timers import Timer

__all__ = ["LinkedActor"]


class LinkedActor(Actor):
    """An actor that may be told of the end of others, of time, and of what comes to a descriptor.

    All of it is for the actor's own callbacks, and ends with the actor.
    """

    def monitor(self, ref: Ref) -> Monitor:
        """Be told by exactly one `Down`, in `handle_info`, when the other actor ends.

        It comes at once, with the reason ``"noproc"``, if the actor is dead. Each call is a monitor of its
        own; `Monitor.cancel` takes it back. OTP: erlang, ``monitor/2``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        return cell_of(ref, "monitor").monitor(self._cell)

    def link(self, ref: Ref) -> None:
        """Die with the other actor, and it with this one, unless they trap exits.

        An end with the reason ``"normal"`` does not count. If the other is dead, this one gets an exit
        signal ``"noproc"``. A second link changes nothing. OTP: erlang, ``link/1``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.link(cell_of(ref, "link"))

    def unlink(self, ref: Ref) -> None:
        """Undo `link`, whoever made it; without one it does nothing.

        From now on the other's end has no effect on this actor. If it has ended already, the exit signal of
        the link, or the `Exit` message where exits are trapped, is dropped from the mailbox; what it sent
        by `Ref.exit` is no matter of the link and still arrives. Too late is only an `unlink` after a wait
        has been ended for that signal, by an `ExitPendingError`.

        OTP: erlang, ``unlink/1``, and the flush of ``{'EXIT', Id, _}`` that its page advises.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.unlink(cell_of(ref, "unlink"))

    def send_after(self, seconds: float, message: Any, *, period: float | None = None) -> Timer:
        """Have `handle_info` called with `message` in `seconds`, and then every `period` seconds.

        Args:
            seconds: 0 or less is as soon as possible, as a message of its own.
            message: any object.
            period: seconds between the messages; None is one message. An actor that is busy gets one for
                all the periods that it missed.

        Returns:
            What cancels it. It ends with the actor.

        Raises:
            OptionError: `seconds` is no finite number, or `period` not more than 0.

        OTP: erlang, ``send_after/3``; timer, ``send_interval/2``.
        """
        if zombie_cells:
            _runtime.refuse_zombie()
        return _runtime.timers.start(self._cell, seconds, (_on_info, message), period)

    def run_after(
        self, seconds: float, function: Callable[[Any, Any], object], argument: Any = None
    ) -> Timer:
        """Have ``function(self, argument)`` run as a message in `seconds`; otherwise as `send_after`."""
        if zombie_cells:
            _runtime.refuse_zombie()
        if not callable(function):
            a_function.check("function", function, self._cell.describe())
        return _runtime.timers.start(self._cell, seconds, (function, argument))

    def watch(self, fd: int, function: Callable[[Any, int], object]) -> None:
        """Have ``function(self, fd)`` run as a message whenever `fd` becomes readable or ends.

        It has to read until that would block, and then call `rearm`. The watch ends with the actor; the
        descriptor stays the caller's to close, after `unwatch`.

        Raises:
            OSError: the descriptor cannot be waited for; a regular file, say.
        """
        self._watch(self._cell.scheduler.poller.watch, fd, function)

    def watch_write(self, fd: int, function: Callable[[Any, int], object]) -> None:
        """Have ``function(self, fd)`` run once, when `fd` becomes writable."""
        self._watch(self._cell.scheduler.poller.watch_write, fd, function)

    def _watch(self, watch: Callable[..., None], fd: int, function: Callable[[Any, int], object]) -> None:
        if zombie_cells:
            _runtime.refuse_zombie()
        cell = self._cell
        watch(fd, cell, function)
        if cell.watches is None:
            cell.watches = set()
        cell.watches.add(fd)
        cell.scheduler.watch_changed()

    def rearm(self, fd: int) -> None:
        """Listen to `fd` again after it was read until that would block."""
        if zombie_cells:
            _runtime.refuse_zombie()
        self._cell.scheduler.poller.rearm(fd)

    def unwatch(self, fd: int) -> None:
        """Stop listening; call it before the descriptor is closed."""
        if self._cell.watches is not None:
            self._cell.watches.discard(fd)
        self._cell.scheduler.poller.unwatch(fd, self._cell)
