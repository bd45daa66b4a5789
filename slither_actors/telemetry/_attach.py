"""Listening to events.

A handle keeps its function attached (and alive) until it is detached, also
when the handle itself is dropped.
"""

from __future__ import annotations

import difflib
import fnmatch
import inspect
import threading
from collections.abc import Callable, Iterable
from typing import Any

from slither_actors.errors import OptionError
from slither_actors.telemetry._events import EVENTS, Signal

__all__ = ["Handle", "Receiver", "attach"]

Receiver = Callable[[str, Any, dict[str, Any], dict[str, Any]], object]
"""``fn(event, sender, measurements, metadata)``; what it returns is ignored."""

# blinker's own bookkeeping is not safe against two threads that connect and
# disconnect at once; sending needs no lock.
_connecting = threading.RLock()


class Handle:
    """One attached function. Made by `attach`; also a context manager that detaches at its end.

    Any thread may use it.
    """

    __slots__ = ("__weakref__", "attached", "events", "fn")

    def __init__(self, events: tuple[str, ...], fn: Receiver) -> None:
        self.events = events
        """The names of the events, in the order they were asked for."""
        self.fn = fn
        self.attached = True
        """False after `detach`, and after the function raised."""
        with _connecting:
            for name in events:
                EVENTS[name].connect(self, weak=False)

    def __call__(
        self, sender: Any, /, *, event: str, measurements: dict[str, Any], metadata: dict[str, Any]
    ) -> None:
        if self.attached:
            self.fn(event, sender, measurements, metadata)

    def detach(self) -> None:
        """Stop listening; again does nothing.

        A call that another thread had begun may still be running on return.
        """
        with _connecting:
            if self.attached:
                for name in self.events:
                    EVENTS[name].disconnect(self)
                self.attached = False

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        state = "attached" if self.attached else "detached"
        return f"<Handle {state} fn={self.fn!r} events={', '.join(self.events)}>"


def attach(events: str | Signal | Iterable[str | Signal], fn: Receiver) -> Handle:
    """Call `fn` for every one of `events`.

    `events` is a name, a signal, a pattern such as ``"slither.dispatch.*"``, or
    several of them. `fn` runs in the emitting thread, mostly an actor's: it has
    to be short. Its two dicts are its own. If it raises, that is logged to
    ``slither_actors.telemetry`` and the whole handle is detached.

    Raises:
        OptionError: an event that does not exist, or an `fn` that cannot be called.
    """
    if not callable(fn) or inspect.iscoroutinefunction(fn):
        raise OptionError(
            "fn", f"is {fn!r}; allowed is a plain function of (event, sender, measurements, metadata)"
        )
    wanted = [events] if isinstance(events, (str, Signal)) else list(events)
    names = dict.fromkeys(name for one in wanted for name in _names(one))
    if not names:
        raise OptionError("events", "is empty; allowed are names of events and patterns with *")
    return Handle(tuple(names), fn)


def _names(event: str | Signal) -> list[str]:
    name = event.name if isinstance(event, Signal) else event
    if name in EVENTS:
        return [name]
    if not isinstance(name, str):
        raise OptionError("events", f"has {name!r}; allowed are names of events and patterns with *")
    matches = fnmatch.filter(EVENTS, name) if "*" in name else []
    if not matches:
        near = difflib.get_close_matches(name.replace("*", ""), EVENTS, n=3, cutoff=0.4)
        hint = f"; near ones: {', '.join(near)}" if near else ""
        raise OptionError("events", f"has {name!r}, which matches no event{hint}")
    return matches
