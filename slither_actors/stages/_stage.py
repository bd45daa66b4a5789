"""What every stage is: a server that learns of the beginning and the end of its subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors.actors import Down, Monitor, Ref, Server
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = ["BaseStage"]

_Ended = Callable[[Subscription, str, Any], None]


class BaseStage(Server):
    """What the stages have in common. Not for users: see `Producer` and `Consumer`."""

    _watched: dict[int, tuple[Subscription, _Ended]]
    """By the monitor's id: the subscription, and what to call when its other end is down."""

    _finishing = False
    """Whether the stage has completed: it takes no more demand and no more events."""

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
        super()._begin(args, kwargs)
        if self._cell.ending is None:
            self._open()

    def _open(self) -> None:
        """Read the options, which `init` may have set."""

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

    def _is_over(self) -> bool:
        """Whether the callbacks for demand and events must not be called any more."""
        return self._finishing or self._cell.ending is not None

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
