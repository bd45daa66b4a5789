"""Each event to the consumer of its partition.

The demand of all consumers is pooled: the producer cannot see whose it is.
So events arrive for partitions that have not asked, and are queued here; there
are never more queued than the consumers of all partitions have asked for
together, and a partition that does not drain its queue slows the others down.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from slither_actors.core._buffer import Buffer
from slither_actors.core._fan_out import (
    NO_EVENTS,
    NO_OPTIONS,
    Deliver,
    DeliverInfo,
    Discarded,
    FanOutDecision,
    FanOutStatistics,
    Reask,
    SubscriptionRefusedError,
)
from slither_actors.errors import OptionError

__all__ = ["PartitionFanOut", "PartitionHash"]

K = TypeVar("K", bound=Hashable)

PartitionHash = Callable[[Any], "tuple[Any, Hashable] | None"]
"""``hash(event)`` returns ``(event, partition)``, the event changed or not, or None to drop it."""


class _Partition(Generic[K]):
    """A partition: either demand or queued events, never both."""

    __slots__ = ("demand", "key", "name", "queue")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.key: K | None = None
        self.demand = 0
        self.queue = Buffer(None)


class _QueuedInfo:
    """An info in the queues of several partitions; due when the last of them has let it go."""

    __slots__ = ("message", "queues")

    def __init__(self, message: Any, queues: int) -> None:
        self.message = message
        self.queues = queues


class PartitionFanOut(Generic[K]):
    """See `slither_actors.core.FanOut` for the contract."""

    # In every state: demand of all partitions + _pending == _waiting + queued events
    # (+ what a Reask in the outbox or on its way will add to _waiting).
    __slots__ = ("_by_key", "_hash", "_partitions", "_pending", "_waiting", "outbox")

    def __init__(self, partitions: int | Iterable[Hashable], hash: PartitionHash | None = None) -> None:  # noqa: A002
        """Make partitions 0 to ``partitions - 1``, or those named.

        Without `hash` the partition is ``hash(event) % partitions``, which needs
        numbered partitions and hashable events, and for text and bytes differs
        from one interpreter to the next.

        Raises:
            OptionError: no partition, one twice, or names without a `hash`.
        """
        names = _partition_names(partitions)
        if hash is None and names != list(range(len(names))):
            raise OptionError("hash", "is required when partitions are not numbered from 0")
        self.outbox: list[FanOutDecision] = []
        self._hash = hash if hash is not None else _hash_of(len(names))
        self._partitions: dict[Hashable, _Partition[K]] = {name: _Partition(name) for name in names}
        self._by_key: dict[K, _Partition[K]] = {}
        # Demand that consumers now gone have left; and what the producer still owes to all.
        self._pending = 0
        self._waiting = 0

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Take the one consumer of the partition in the option ``partition``."""
        if key in self._by_key:
            raise SubscriptionRefusedError("already_subscribed", f"{key!r} is subscribed already")
        known = ", ".join(repr(name) for name in self._partitions)
        if options.get("partition") is None:
            raise SubscriptionRefusedError(
                "bad_options", f"option 'partition' is required; allowed are {known}"
            )
        name = options["partition"]
        partition = self._find(name)
        if partition is None:
            raise SubscriptionRefusedError(
                "bad_options", f"option 'partition' is {name!r}; allowed are {known}"
            )
        if partition.key is not None:
            raise SubscriptionRefusedError("bad_options", f"partition {name!r} is taken by {partition.key!r}")
        partition.key = key
        self._by_key[key] = partition

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Send what is queued for the partition; pool the demand."""
        if key is None:
            # The events that this gives back belonged to no partition.
            self._waiting += count
            return count
        partition = self._by_key[key]
        partition.demand += count - self._drain(partition, count)
        covered = min(self._pending, count)
        self._pending -= covered
        self._waiting += count - covered
        return count - covered

    def _drain(self, partition: _Partition[K], count: int) -> int:
        queue = partition.queue
        sent = 0
        while queue.length and sent < count:
            events, infos = queue.take(count - sent)
            sent += len(events)
            self.outbox.append(Deliver(partition.key, events))
            self._let_go(infos)
        return sent

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Forget a consumer: its demand stays owed, the events queued for it are dropped and made up for."""
        partition = self._by_key.pop(key)
        partition.key = None
        self._pending += partition.demand
        partition.demand = 0
        dropped = partition.queue.length
        if dropped:
            self.outbox.append(Discarded(partition.name, dropped, "cancelled"))
            while partition.queue.length:
                self._let_go(partition.queue.take(dropped)[1])
            self._waiting += dropped
        return dropped

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Sort as many events as there is pooled demand into the partitions."""
        size = len(events)
        count = min(size, self._waiting)
        if not count:
            return [], events
        self._waiting -= count
        deliveries: list[tuple[K, Sequence[Any]]] = []
        for partition, share in self._sort(events if count == size else events[:count]).items():
            now = min(len(share), partition.demand)
            if now and partition.key is not None:
                partition.demand -= now
                deliveries.append((partition.key, share[:now] if now < len(share) else share))
            partition.queue.store(share[now:] if now else share)
        return deliveries, events[count:] if count < size else NO_EVENTS

    def _sort(self, events: Sequence[Any]) -> dict[_Partition[K], list[Any]]:
        shares: dict[_Partition[K], list[Any]] = {}
        choose = self._hash
        dropped = strayed = 0
        for event in events:
            choice = choose(event)
            if choice is None:
                dropped += 1
                continue
            try:
                changed, name = choice
            except (TypeError, ValueError):
                msg = f"the hash function must return (event, partition) or None, not {choice!r}"
                raise TypeError(msg) from None
            partition = self._find(name)
            if partition is None:
                strayed += 1
                self.outbox.append(Discarded(name, 1, "unknown"))
            else:
                shares.setdefault(partition, []).append(changed)
        if dropped:
            self.outbox.append(Discarded(None, dropped, "none"))
        if dropped or strayed:
            self.outbox.append(Reask(None, dropped + strayed))
        return shares

    def _find(self, name: Any) -> _Partition[K] | None:
        try:
            return self._partitions.get(name)
        except TypeError:  # unhashable
            return None

    def info(self, message: Any) -> bool:
        """Deliver at once, or after the events now queued for any partition."""
        backed_up = [partition.queue for partition in self._partitions.values() if partition.queue.length]
        queued = _QueuedInfo(message, len(backed_up))
        for queue in backed_up:
            queue.store_info(queued)
        return not backed_up

    def _let_go(self, infos: Sequence[_QueuedInfo]) -> None:
        for info in infos:
            info.queues -= 1
            if not info.queues:
                self.outbox.append(DeliverInfo(info.message))

    def statistics(self) -> FanOutStatistics[K]:
        """Return a snapshot for the dashboard and for tests."""
        return FanOutStatistics(
            outstanding={key: partition.demand for key, partition in self._by_key.items()},
            owed=self._pending,
            queued=sum(partition.queue.length for partition in self._partitions.values()),
        )


def _partition_names(partitions: Any) -> list[Hashable]:
    if isinstance(partitions, int) and not isinstance(partitions, bool):
        names: list[Hashable] = list(range(partitions))
    elif isinstance(partitions, Iterable) and not isinstance(partitions, (str, bytes)):
        names = list(partitions)
    else:
        names = []
    if not names or len(set(names)) < len(names) or None in names:
        raise OptionError(
            "partitions",
            f"is {partitions!r}; allowed are a number of at least 1 and a list of different names",
        )
    return names


def _hash_of(count: int) -> PartitionHash:
    def choose(event: Any) -> tuple[Any, Hashable]:
        return event, hash(event) % count

    return choose
