"""Watching the messages of one actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from slither_actors.actors._message import Message, describe_message
from slither_actors.actors._ref import Ref
from slither_actors.config import Rule, a_function
from slither_actors.telemetry._log import GuardedLog

__all__ = ["Trace", "TracedMessage", "trace"]

logger = GuardedLog("slither_actors.actors")

_REF = Rule("allowed is the ref of an actor", lambda value: isinstance(value, Ref))


@attrs.frozen(kw_only=True)
class TracedMessage:
    """A message that an actor is about to handle."""

    ref: Ref
    """The actor."""

    kind: str
    """``"call"``, ``"cast"``, ``"info"``, ``"stop"``, ``"exit_signal"``, ``"link_exit"``, ``"down"``, or a
    function's name."""

    text: str
    """The message's `repr`, 500 characters at the most."""


class Trace:
    """A running `trace`; a context manager that stops it at the end of the block. OTP: sys, ``install/2``."""

    def __init__(self, ref: Ref, function: Callable[[TracedMessage], object]) -> None:
        self.ref = ref
        self._function = function
        ref._cell.add_tracer(self._tell)

    def stop(self) -> None:
        """Tell no more messages. A second time does nothing."""
        self.ref._cell.remove_tracer(self._tell)

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def _tell(self, message: Message) -> None:
        kind, text = describe_message(message)
        try:
            self._function(TracedMessage(ref=self.ref, kind=kind, text=text))
        except Exception as error:
            self.stop()
            logger.error("the trace of %s raised and is stopped", self.ref, exc_info=error)


def trace(ref: Ref, function: Callable[[TracedMessage], object]) -> Trace:
    """Call ``function(traced_message)`` before each message that the actor handles, in the actor's thread.

    For debugging: calls to a traced server never run in the caller's thread, and
    a slow `function` slows the actor. Nobody else pays. One that raises is
    logged and stopped. OTP: sys, ``trace/2``.

    Raises:
        OptionError: `ref` is no ref, or `function` cannot be called.
    """
    _REF.check("ref", ref, "trace")
    a_function.check("function", function, f"trace of {ref}")
    return Trace(ref, function)
