"""What every stage is: a server that learns of the beginning and the end of its subscriptions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slither_actors.actors import Down, Monitor, Ref, Server
from slither_actors.actors._exits import BY_KILL
from slither_actors.actors._interrupts import calls_out
from slither_actors.stages._async_server import AsyncServer, refuse_coroutine
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["BaseStage", "refuse_coroutine"]

logger = logging.getLogger("slither_actors.stages")

_Ended = Callable[[Subscription, str, Any], None]


class BaseStage(AsyncServer):
    """What the stages have in common. Not for users: see `Producer` and `Consumer`."""

    _watched: dict[int, tuple[Subscription, _Ended]]
    """By the monitor's id: the subscription, and what to call when its other end is down."""

    _finishing = False
    """Whether the stage has completed: it takes no more demand and no more events."""

    _on_hold = False
    """Whether it is held by `pause`."""

    _draining = False
    """Whether it ends when it has finished what is in it."""

    # -- callbacks -----------------------------------------------------------------

    def handle_subscribe(self, role: str, options: SubscriptionOptions, source: Subscription) -> str | None:
        """Learn of a new subscription; `role` is the other side's, ``"consumer"`` or ``"producer"``.

        On the side of the consumer, return ``"manual"`` to ask by hand, with `ask`.
        """
        return None

    def handle_cancel(self, cause: tuple[str, Any], source: Subscription) -> None:
        """Learn of the end of a subscription; `cause` is ``("cancel" | "down", reason)``."""

    # -- for the two sides ---------------------------------------------------------

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._watched = {}
        # Those of the class, which Python finds faster in the object: they are looked at for each chunk.
        self._lane = None
        self._finishing = False
        super()._begin(args, kwargs)
        if self._cell.ending is None:
            self._open()

    def _open(self) -> None:
        """Read the options, which `init` may have set."""
        self._open_lane()

    def _welcome(self, role: str, subscription: Subscription, *allowed: str) -> str | None:
        """Call `handle_subscribe`, and crash if it returns what it must not."""
        mode = self.handle_subscribe(role, subscription.options, subscription)
        if mode is not None and mode not in allowed:
            words = ", ".join(["None", *map(repr, allowed)])
            msg = (
                f"{type(self).__name__}.handle_subscribe returned {mode!r} for a {role}; allowed are {words}"
            )
            raise ValueError(msg)
        return mode

    # -- control -------------------------------------------------------------------

    def _begin_pause(self) -> None:
        """Call neither `handle_demand` nor `handle_events` until `_end_pause`."""
        self._on_hold = True

    def _end_pause(self) -> None:
        self._on_hold = False

    def _begin_drain(self, together: frozenset[Ref]) -> None:
        """End when all that is in the stage is finished. `together` are the stages that do so now."""
        self._draining = True
        if self._on_hold:
            self._end_pause()

    def _take_info(self, info: Any) -> None:
        """Deliver an info behind all events that are in the stage."""
        self.handle_info(info)

    # -- the end -------------------------------------------------------------------

    def _ends_silently(self) -> bool:
        kind = type(self)
        return (
            kind.terminate is Server.terminate
            and kind._on_end is BaseStage._on_end
            and kind._on_dead is BaseStage._on_dead
            and not self.own_thread
            and "terminate" not in vars(self)
            and not self._has_unfinished()
        )

    @calls_out
    def _on_end(self, reason: Any) -> None:
        try:
            self._end_unfinished(killed=False)
        finally:
            super()._on_end(reason)

    def _on_dead(self) -> None:
        try:
            self._end_unfinished(killed=True)
        except BaseException:
            logger.exception("%s: what it had not finished raised when it was ended", self._cell.describe())
        super()._on_dead()

    def _is_over(self) -> bool:
        """Whether the callbacks for demand and events must not be called any more."""
        cell = self._cell
        # A kill, for which nothing else of a list waits: what was not begun may be somebody else's by now.
        return self._finishing or cell.ending is not None or cell.doom is BY_KILL

    def _watch_end(self, subscription: Subscription, ref: Ref, ended: _Ended) -> Monitor:
        watch = self.monitor(ref)
        self._watched[watch.id] = (subscription, ended)
        return watch

    def _unwatch_end(self, watch: Monitor | None) -> None:
        if watch is not None:
            watch.cancel()
            self._watched.pop(watch.id, None)

    def _on_info(self, message: Any) -> None:
        if type(message) is Down:
            entry = self._watched.pop(message.monitor.id, None)
            if entry is not None:
                subscription, ended = entry
                ended(subscription, "down", message.reason)
                return
        self.handle_info(message)
