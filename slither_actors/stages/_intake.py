"""What a stage does with ordinary messages while its buffer is full: it keeps them, in their order.

Calls, casts, infos, and Pykka's asks and tells may make it emit. Demand,
subscriptions, cancels, exits, `Down` and requests of the library are handled
meanwhile, so that the buffer can empty. What is kept still counts as the
mailbox's: where that has a bound, those who send feel it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from slither_actors.actors import NO_REPLY, Down, Exit, Request
from slither_actors.actors._bounded_mailbox import is_bounded
from slither_actors.actors._handlers import _on_call, _on_cast, _on_envelope, _on_info
from slither_actors.actors._message import Message
from slither_actors.stages import _protocol

if TYPE_CHECKING:
    from slither_actors.stages._emitter import Emitter

__all__ = ["Intake"]

_SLICE = 64
"""The most messages handled before others have their turn."""

_HOOKS = ("handle_call", "handle_cast", "_on_info", "_on_envelope")


class Intake:
    """The ordinary messages that wait for room in the buffer of one stage. Used in the stage only."""

    def __init__(self) -> None:
        self.closed = False
        """Whether the buffer is full."""
        self.held: deque[tuple[Message, bool]] = deque()
        """The messages, and whether they count as the mailbox's."""
        self.in_turn = False
        """Whether what was kept runs now: it must not be put behind what came later, again and again."""
        self.times_closed = 0
        self._hooked = self._releasing = False

    # -- opening and closing -------------------------------------------------------

    def look(self, stage: Emitter) -> None:
        """Open or close, as the buffer says."""
        full = stage._buffer.is_full
        if full and not self.closed:
            self.closed = True
            self.times_closed += 1
            self._hook(stage)
        elif not full and self.closed:
            self.closed = False
            self._release_soon(stage)
        lane = stage._message_lane
        if lane is not None:
            lane.hold(self.closed)

    def _hook(self, stage: Emitter) -> None:
        # On the object, so that a stage that is not full looks for nothing.
        if self._hooked:
            return
        self._hooked = True
        for name in _HOOKS:
            setattr(stage, name, _HOLDERS[name].__get__(stage))
        box = _box(stage)
        if box is not None:
            box.keeping = True

    def _unhook(self, stage: Emitter) -> None:
        self._hooked = False
        for name in _HOOKS:
            vars(stage).pop(name, None)
        box = _box(stage)
        if box is not None:
            box.keeping = False

    def hold(self, stage: Emitter, message: Message) -> None:
        """Keep the message that was taken last."""
        box = _box(stage)
        self.held.append((message, box is not None and box.keep()))

    def hold_more(self, function: Any, argument: Any) -> None:
        """Have the library's ``function(stage, argument)`` run behind what is kept."""
        self.held.append(((function, argument), False))

    def _release_soon(self, stage: Emitter) -> None:
        if not self._releasing:
            self._releasing = True
            stage._cell.put((_protocol.release, None))

    def release(self, stage: Emitter) -> None:
        """Handle what was kept, as long as there is room."""
        self._releasing = False
        for _ in range(_SLICE):
            if self.closed or not self.held or stage._cell.ending is not None:
                break
            message, counted = self.held.popleft()
            self._unhook(stage)
            if counted:
                stage._cell.inbox.leave()  # type: ignore[attr-defined]
            self.in_turn = True
            try:
                message[0](stage, message[1])
            finally:
                self.in_turn = False
                if self.held:
                    self._hook(stage)
        if not self.closed:
            if self.held:
                self._release_soon(stage)
            else:
                self._unhook(stage)

    def end(self, stage: Emitter) -> None:
        """The stage ends: answer what was kept, and let those go who wait for the mailbox."""
        self._unhook(stage)
        held, self.held = self.held, deque()
        for message, _ in held:
            stage._on_rejected(message, stage._cell.reason)
        box = _box(stage)
        if box is not None:
            box.forget()


def _box(stage: Emitter) -> Any:
    """The mailbox, if it is bounded."""
    inbox = stage._cell.inbox
    return inbox if hasattr(inbox, "keeping") else None


# -- in the place of the callbacks -----------------------------------------------------


def _hold_call(stage: Emitter, message: Any, request: Request) -> Any:
    stage._intake.hold(stage, (_on_call, request))  # type: ignore[union-attr]
    return NO_REPLY


def _hold_cast(stage: Emitter, message: Any) -> None:
    stage._intake.hold(stage, (_on_cast, message))  # type: ignore[union-attr]


def _hold_info(stage: Emitter, message: Any) -> None:
    if type(message) in (Down, Exit):
        type(stage)._on_info(stage, message)
    else:
        stage._intake.hold(stage, (_on_info, message))  # type: ignore[union-attr]


def _hold_envelope(stage: Emitter, envelope: Any) -> None:
    if not is_bounded((_on_envelope, envelope)):
        type(stage)._on_envelope(stage, envelope)
    else:
        stage._intake.hold(stage, (_on_envelope, envelope))  # type: ignore[union-attr]


_HOLDERS: dict[str, Any] = dict(
    zip(_HOOKS, (_hold_call, _hold_cast, _hold_info, _hold_envelope), strict=True)
)
