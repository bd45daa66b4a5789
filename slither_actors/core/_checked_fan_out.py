"""What a fan-out of a user's own does, checked call by call.

The library's fan-outs are trusted and run as they are. Any other is wrapped, so
that what it raises or returns by mistake ends the stage with an error that
names it, and does not surface later in a consumer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeVar, cast, get_args

from slither_actors.core._broadcast_fan_out import BroadcastFanOut
from slither_actors.core._demand_fan_out import DemandFanOut
from slither_actors.core._fan_out import (
    NO_OPTIONS,
    Deliver,
    FanOut,
    FanOutDecision,
    FanOutStatistics,
    SubscriptionRefusedError,
)
from slither_actors.core._partition_fan_out import PartitionFanOut
from slither_actors.core._round_robin_fan_out import RoundRobinFanOut
from slither_actors.core._weighted_fan_out import WeightedFanOut
from slither_actors.errors import FanOutError

__all__ = ["CheckedFanOut", "checked_fan_out", "missing_in_fan_out"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_TRUSTED = (DemandFanOut, BroadcastFanOut, PartitionFanOut, RoundRobinFanOut, WeightedFanOut)
_METHODS = ("subscribe", "ask", "cancel", "dispatch", "info", "statistics")
_DECISIONS = tuple(getattr(kind, "__origin__", kind) for kind in get_args(FanOutDecision))


def missing_in_fan_out(candidate: object) -> str:
    """Say what `candidate` lacks of a fan-out, such as ``method 'cancel'``; nothing if it is one."""
    for name in _METHODS:
        # A subclass of the protocol has every method; those of the protocol itself do nothing.
        written = getattr(type(candidate), name, None) is not getattr(FanOut, name)
        if not callable(getattr(candidate, name, None)) or not written:
            return f"method {name!r}"
    return "" if type(getattr(candidate, "outbox", None)) is list else "list 'outbox'"


def checked_fan_out(fan_out: FanOut[K]) -> FanOut[K]:
    """Return one of the library's as it is, any other in a `CheckedFanOut`."""
    kind: type = type(fan_out)
    # By the class itself: a subclass is the user's.
    return fan_out if kind in _TRUSTED else cast("FanOut[K]", CheckedFanOut(fan_out))


class CheckedFanOut(Generic[K]):
    """See `slither_actors.core.FanOut` for the contract. A `FanOutError` says how it was broken."""

    def __init__(self, fan_out: FanOut[K]) -> None:
        self.fan_out = fan_out
        """The user's."""
        self._keys: set[K] = set()

    @property
    def outbox(self) -> list[FanOutDecision]:
        """The user's, after a look at it."""
        outbox = self.fan_out.outbox
        if type(outbox) is not list:
            self._complain("outbox", outbox, "a list of decisions")
        for decision in outbox:
            if not isinstance(decision, _DECISIONS):
                self._complain("outbox", decision, "Deliver, DeliverInfo, Reask, DemandMismatch or Discarded")
            if isinstance(decision, Deliver):
                self._check_delivery("outbox", (decision.key, decision.events))
        return outbox

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Call the user's, which may refuse the consumer."""
        self._call("subscribe", lambda: self.fan_out.subscribe(key, options, consumer=consumer))
        self._keys.add(key)

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Return the demand that the user's returned."""
        if key is not None and key not in self._keys:
            raise KeyError(key)
        return self._demand("ask", lambda: self.fan_out.ask(key, count, buffered))

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Return the demand that the user's returned."""
        self._keys.remove(key)
        return self._demand("cancel", lambda: self.fan_out.cancel(key, buffered))

    def give_back(self, key: K, events: Sequence[Any], buffered: int = 0) -> tuple[int, Sequence[Any], int]:
        """Return what the user's returned. One that has no such method is told of a cancel only."""
        give_back = getattr(self.fan_out, "give_back", None)
        if give_back is None:
            return self.cancel(key, buffered), events, 0
        self._keys.remove(key)
        returned: Any = self._call("give_back", lambda: give_back(key, events, buffered))
        allowed = "(demand, events, dropped), the events to dispatch again and the number of others"
        if type(returned) is not tuple or len(returned) != 3 or not _is_events(returned[1]):
            self._complain("give_back", returned, allowed)
        if type(returned[2]) is not int or not 0 <= returned[2] <= len(events):
            self._complain("give_back", returned, allowed)
        return self._demand("give_back", lambda: returned[0]), returned[1], returned[2]

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Return the deliveries and the leftovers that the user's returned."""
        returned: Any = self._call("dispatch", lambda: self.fan_out.dispatch(events))
        allowed = "(deliveries, leftovers), a list of (key, events) and the events to buffer"
        if type(returned) is not tuple or len(returned) != 2:
            self._complain("dispatch", returned, allowed)
        deliveries, leftovers = returned
        if not isinstance(deliveries, (list, tuple)) or not _is_events(leftovers):
            self._complain("dispatch", returned, allowed)
        if len(leftovers) > len(events):
            self._complain("dispatch", returned, f"no more leftovers than the {len(events)} events")
        for delivery in deliveries:
            self._check_delivery("dispatch", delivery)
        return list(deliveries), leftovers

    def info(self, message: Any) -> bool:
        """Return what the user's returned."""
        now = self._call("info", lambda: self.fan_out.info(message))
        if not isinstance(now, bool):
            self._complain("info", now, "True (deliver it at once) or False (it comes through the outbox)")
        return now

    def statistics(self) -> FanOutStatistics[K]:
        """Return what the user's returned."""
        numbers = self._call("statistics", self.fan_out.statistics)
        if not isinstance(numbers, FanOutStatistics):
            self._complain("statistics", numbers, "FanOutStatistics")
        return numbers

    def _demand(self, method: str, function: Callable[[], int]) -> int:
        demand = self._call(method, function)
        if isinstance(demand, bool) or not isinstance(demand, int) or demand < 0:
            self._complain(method, demand, "the demand to meet now, an integer of at least 0")
        return demand

    def _check_delivery(self, where: str, delivery: Any) -> None:
        if type(delivery) is not tuple or len(delivery) != 2 or not _is_events(delivery[1]):
            self._complain(where, delivery, "(key, events), the events a list, tuple or range")
        try:
            known = delivery[0] in self._keys
        except TypeError:
            known = False
        if not known:
            self._complain(where, delivery[0], "the key of a consumer that is subscribed")

    def _call(self, method: str, function: Callable[[], T]) -> T:
        try:
            return function()
        except Exception as error:
            if method == "subscribe" and isinstance(error, SubscriptionRefusedError):
                raise
            msg = f"the fan-out {type(self.fan_out).__qualname__} raised in {method!r}: {error!r:.300}"
            raise FanOutError(msg) from error

    def _complain(self, where: str, returned: object, allowed: str) -> NoReturn:
        name = type(self.fan_out).__qualname__
        msg = f"the fan-out {name} gave {returned!r:.200} in {where}; expected is {allowed}"
        raise FanOutError(msg)


def _is_events(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
