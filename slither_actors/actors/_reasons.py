"""Exit reasons: why an actor ended, as OTP names it.

A reason is ``"normal"``, ``"shutdown"``, ``("shutdown", term)``, ``"killed"``, ``"noproc"``, or a `Crash`.
Whoever asks "must this be restarted?" or "must I die too?" asks `is_abnormal`.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.core import KILLED, NOPROC, NORMAL, SHUTDOWN, is_abnormal
from slither_actors.errors import class_name

if TYPE_CHECKING:
    from types import TracebackType

    from slither_actors.actors._ref import Ref

__all__ = [
    "KILLED",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "Crash",
    "Down",
    "Exit",
    "cause_of",
    "context_of",
    "is_abnormal",
    "without_frames",
    "without_own_frames",
]

_RUNTIME = "slither_actors.actors."


@attrs.frozen
class Crash:
    """An exception that a callback did not handle.

    The traceback is kept as text: a traceback object would keep every frame's
    locals alive, for as long as anybody remembers the reason.
    """

    exception: BaseException = attrs.field(eq=False)
    """The exception, without its traceback."""

    traceback_text: str = attrs.field(repr=False, eq=False)
    """The formatted traceback, causes included. It begins with the actor's own code."""

    @classmethod
    def of(cls, exception: BaseException) -> Crash:
        """Make the reason from a live exception and free what its frames hold."""
        try:
            frames = _below_the_runtime(exception.__traceback__)
            text = "".join(traceback.format_exception(type(exception), exception, frames))
        except BaseException as broken:  # noqa: BLE001 - a user's __str__ may raise anything
            text = f"{class_name(exception)} (its text could not be made: {class_name(broken)})\n"
        return cls(without_frames(exception), text)

    def __str__(self) -> str:
        try:
            return f"{class_name(self.exception)}: {self.exception}"
        except BaseException:  # noqa: BLE001 - as above
            return class_name(self.exception)


def _below_the_runtime(frames: TracebackType | None) -> TracebackType | None:
    """Leave out the frames that are above every callback: nobody learns from them, and each takes 20 µs."""
    below = frames
    while below is not None and str(below.tb_frame.f_globals.get("__name__")).startswith(_RUNTIME):
        below = below.tb_next
    return frames if below is None else below


def without_frames(exception: BaseException) -> BaseException:
    """Free what the frames of an exception hold, of its causes and contexts too; return it."""
    seen: set[int] = set()
    links: list[BaseException | None] = [exception]
    while links:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        # Not by assignment: the class may be frozen, as that of a dataclass.
        BaseException.with_traceback(link, None)
        links += (cause_of(link), _CONTEXT.__get__(link))
        # Not `isinstance`, which would ask an exception of another class for its `__class__`.
        if issubclass(type(link), BaseExceptionGroup):
            links += _MEMBERS.__get__(link)
    return exception


_CAUSE: Any = BaseException.__dict__["__cause__"]
_CONTEXT: Any = BaseException.__dict__["__context__"]
_MEMBERS: Any = BaseExceptionGroup.__dict__["exceptions"]


def cause_of(exception: BaseException) -> BaseException | None:
    """Return what an exception was raised from; not by its attribute, which its class may have redefined."""
    cause: BaseException | None = _CAUSE.__get__(exception)
    return cause


def context_of(exception: BaseException) -> BaseException | None:
    """Return what was handled when an exception was raised."""
    context: BaseException | None = _CONTEXT.__get__(exception)
    return context


def without_own_frames(exception: BaseException, context: BaseException | None) -> BaseException:
    """Make an exception ready to be raised again, as if `context` was handled when it was the first time."""
    BaseException.with_traceback(exception, None)
    _CONTEXT.__set__(exception, context)
    return exception


@attrs.frozen
class Down:
    """A monitored actor has ended; arrives in ``handle_info``.

    Its name and its registry entries are free by then. OTP: erlang, ``monitor/2``, the message ``DOWN``.
    """

    monitor: Any
    """What `Server.monitor` returned."""

    ref: Ref
    """The actor that ended."""

    reason: Any
    """Its exit reason; ``"noproc"`` if it was dead before the monitor was set."""


@attrs.frozen
class Exit:
    """An exit signal, as a message: what an actor with `trap_exit` gets in ``handle_info``.

    OTP: erlang, ``process_flag(trap_exit, true)``, the message ``EXIT``.
    """

    ref: Ref | None
    """The actor that sent the signal or whose end it is; None for a plain thread."""

    reason: Any
