"""Who is told of the changes of a registry, in their order, and without keeping anybody waiting.

News are the library's messages, as a `Down` is: a mailbox that is full lets
them in too. So neither the registry nor an owner that ends ever waits for a
listener, and a listener misses nothing, however slow it is. Elixir's registry
sends them the same way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

import attrs

from slither_actors.actors._cell import Cell
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._names import whereis
from slither_actors.actors._ref import Ref
from slither_actors.config import has_hash, shown
from slither_actors.errors import OptionError, safe_text
from slither_actors.telemetry._log import GuardedLog

__all__ = ["Listeners", "Registered", "Unregistered"]

logger = GuardedLog("slither_actors.actors")


@attrs.frozen
class Registered:
    """An actor was registered; arrives in the ``handle_info`` of a registry's listeners.

    Elixir: Registry, "Listeners".
    """

    registry: Ref
    key: Any
    ref: Ref
    value: Any


@attrs.frozen
class Unregistered:
    """An actor was unregistered or has ended; arrives in the ``handle_info`` of a registry's listeners.

    Elixir: Registry, "Listeners".
    """

    registry: Ref
    key: Any
    ref: Ref


class _News:
    """One event, on its way."""

    __slots__ = ("event", "targets")

    def __init__(self, event: Registered | Unregistered, targets: list[Cell] | None) -> None:
        self.event = event
        self.targets = targets
        """Who gets it, once that was found out."""


class Listeners:
    """The listeners of one registry, and what they have not been told yet. Usable from any thread."""

    def __init__(self, given: Any) -> None:
        self._listeners = _checked(given)
        refs = [listener for listener in self._listeners if isinstance(listener, Ref)]
        self._always = [ref._cell for ref in refs] if len(refs) == len(self._listeners) else None
        """Whom to tell, if that does not change: no name is among the listeners."""
        self._news: deque[_News] = deque()
        # Reentrant: the collector may run a finalizer that uses actors at any place.
        self._lock = threading.RLock()
        self._sending = False

    def note(self, event: Registered | Unregistered) -> None:
        """Something has changed; the lock under which it did is held."""
        if self._listeners:
            self._news.append(_News(event, self._always))

    def tell(self) -> None:
        """Send what was noted, in its order; when this returns it has been sent, by whomever."""
        while self._news:
            try:
                first = self._news[0]
            except IndexError:  # another thread has sent it
                return
            if first.targets is None:
                # Without a lock: a name may be slow to compare. Two threads may both do it, and
                # either may be right; what follows sends an event once.
                first.targets = self._find()
            if not self._send():
                return

    def _send(self) -> bool:
        """Send as far as it is known to whom; False in the middle of doing so."""
        news = self._news
        with self._lock:
            if self._sending:  # a finalizer, in this thread
                return False
            self._sending = True
            try:
                while news and (targets := news[0].targets) is not None:
                    try:
                        for cell in targets:
                            cell.put((_info, news[0].event))
                    finally:
                        # Not before it is sent: who finds no news goes on, and may send something itself.
                        news.popleft()
            finally:
                self._sending = False
        return True

    def _find(self) -> list[Cell]:
        found = []
        for listener in self._listeners:
            ref = listener if isinstance(listener, Ref) else _whereis(listener)
            if ref is not None:
                found.append(ref._cell)
        return found


@calls_out
def _info(listener: Any, event: Registered | Unregistered) -> None:
    # Not the function of `Ref.info`, which a bounded mailbox refuses when it is full.
    listener._on_info(event)


def _whereis(name: object) -> Ref | None:
    try:
        return whereis(name)
    except Exception as error:
        logger.error(
            "a registry's listener %s is told nothing: its name cannot be looked up",
            safe_text(name, repr),
            exc_info=error,
        )
        return None


def _checked(listeners: Any) -> tuple[Ref | object, ...]:
    """Refs, and what can be names."""
    if isinstance(listeners, (str, bytes, Ref)) or not isinstance(listeners, Iterable):
        raise OptionError("listeners", f"is {shown(listeners)}; allowed is a list of refs and names")
    found = tuple(listeners)
    for listener in found:
        if not has_hash(listener):
            problem = f"has {shown(listener)}; allowed are refs and names, which have a hash"
            raise OptionError("listeners", problem)
    return found
