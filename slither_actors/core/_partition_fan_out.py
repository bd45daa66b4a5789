"""Each event to a consumer of its partition.

The demand of all consumers is pooled: the producer cannot see whose it is.
So events arrive for partitions that have not asked, and are queued here; there
are never more queued than the consumers of all partitions have asked for
together, and a partition that does not drain its queue slows the others down.
As in GenStage, that is the only limit unless there is a `buffer_size`.

In a partition with several consumers the events go to the highest demand, as
in `DemandFanOut`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from slither_actors.config import shown
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
from slither_actors.core._partition import (
    LeastRoom,
    Partition,
    PartitionHash,
    QueuedInfo,
    QueueKeep,
    hash_of,
    partition_names,
)
from slither_actors.errors import OptionError

__all__ = ["PartitionFanOut", "PartitionHash"]

K = TypeVar("K", bound=Hashable)


class PartitionFanOut(Generic[K]):
    """See `slither_actors.core.FanOut` for the contract."""

    # In every state: demand of all partitions + _pending ==
    # _waiting + _held + _returning + queued events.
    __slots__ = (
        "_by_key",
        "_discarded",
        "_hash",
        "_held",
        "_least",
        "_max_consumers",
        "_partitions",
        "_pending",
        "_queue_limit",
        "_returning",
        "_waiting",
        "outbox",
    )

    def __init__(
        self,
        partitions: int | Iterable[Hashable],
        hash: PartitionHash | None = None,  # noqa: A002
        *,
        max_consumers: int | None = 1,
        buffer_size: int | None = None,
        buffer_keep: QueueKeep = "block",
    ) -> None:
        """Make partitions 0 to ``partitions - 1``, or those named.

        Without `hash` the partition is ``hash(event) % partitions``, which needs
        numbered partitions and hashable events, and for text and bytes differs
        from one interpreter to the next.

        Args:
            partitions: their number, or their names.
            hash: the partition of an event.
            max_consumers: how many a partition takes; 1 as in GenStage 1.3, None is no limit.
            buffer_size: the most events queued for one partition; None is no limit but the demand, as
                in GenStage.
            buffer_keep: what is done when a queue is full. ``"block"``: the producer is asked for no
                more events than the fullest partition has room for, so none is too many; only where a
                consumer leaves, those on their way for it are queued beyond the size. ``"first"`` and
                ``"last"``: the others are dropped, told and made up for. ``"error"``: the stage ends.

        Raises:
            OptionError: no partition, one twice, names without a `hash`, or a wrong value.
        """
        names = partition_names(partitions)
        if hash is None and names != list(range(len(names))):
            raise OptionError("hash", "is required when partitions are not numbered from 0")
        if hash is not None and not callable(hash):
            raise OptionError("hash", f"is {shown(hash)}; allowed is a function of one event, or None")
        _check_limits(max_consumers, buffer_size, buffer_keep)
        self.outbox: list[FanOutDecision] = []
        self._hash = hash if hash is not None else hash_of(len(names))
        self._partitions: dict[Hashable, Partition[K]] = {
            name: Partition(name, buffer_size, buffer_keep) for name in names
        }
        self._by_key: dict[K, Partition[K]] = {}
        self._max_consumers = max_consumers
        self._queue_limit = (buffer_size, buffer_keep)
        self._least: LeastRoom[K] | None = None
        if buffer_size is not None and buffer_keep == "block":
            self._least = LeastRoom(self._partitions.values(), buffer_size)
        # Demand that consumers now gone have left; and what the producer still owes to all.
        self._pending = 0
        self._waiting = 0
        # Demand that the producer does not hear of yet; and what a Reask will tell it.
        self._held = 0
        self._returning = 0
        self._discarded = 0

    # -- consumers -----------------------------------------------------------

    def subscribe(
        self, key: K, options: Mapping[str, Any] = NO_OPTIONS, *, consumer: Hashable = None
    ) -> None:
        """Take a consumer of the partition in the option ``partition``."""
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
        if self._max_consumers is not None and partition.consumers >= self._max_consumers:
            holders = ", ".join(repr(other) for other, its in self._by_key.items() if its is partition)
            free = [each for each in self._partitions.values() if each.consumers < self._max_consumers]
            what = f"option 'partition' is {name!r}, which is taken by {holders}; "
            allowed = f"allowed are {', '.join(repr(each.name) for each in free)}" if free else "none is free"
            raise SubscriptionRefusedError("bad_options", what + allowed)
        partition.sharing.subscribe(key)
        partition.consumers += 1
        self._by_key[key] = partition

    def ask(self, key: K | None, count: int, buffered: int = 0) -> int:
        """Send what is queued for the partition; pool the demand."""
        if key is None:
            # The events that this gives back reached nobody.
            self._returning -= count
            self._waiting += count
            return count
        partition = self._by_key[key]
        wanted = count - self._drain(partition, key, count)
        if wanted:
            partition.demand += wanted
            partition.sharing.ask(key, wanted)
        covered = min(self._pending, count)
        self._pending -= covered
        return self._pass_on(count - covered)

    def _drain(self, partition: Partition[K], key: K, count: int) -> int:
        queue = partition.queue
        sent = 0
        while queue.length and sent < count:
            events, infos = queue.take(count - sent)
            sent += len(events)
            self.outbox.append(Deliver(key, events))
            self._let_go(infos)
        return sent

    def cancel(self, key: K, buffered: int = 0) -> int:
        """Forget a consumer: its demand stays owed.

        The last one of a partition leaves its queue, which is dropped and made up for.
        """
        partition = self._leave(key)
        dropped = 0 if partition.consumers else partition.queue.length
        if dropped:
            self._discarded += dropped
            self.outbox.append(Discarded(partition.name, dropped, "cancelled"))
            while partition.queue.length:
                self._let_go(partition.queue.take(dropped)[1])
        if self._least is not None:
            self._least.shrunk(partition)
        return self._pass_on(dropped)

    def _leave(self, key: K) -> Partition[K]:
        partition = self._by_key.pop(key)
        partition.consumers -= 1
        left = partition.sharing.demand_of(key)
        partition.sharing.cancel(key)
        partition.demand -= left
        self._pending += left
        return partition

    def give_back(self, key: K, events: Sequence[Any], buffered: int = 0) -> tuple[int, Sequence[Any], int]:
        """Forget a consumer, whose `events` go to the others of its partition or in front of its queue.

        The queue is kept, for whoever comes next. The demand that the events met is owed again.
        """
        partition = self._leave(key)
        self._pending += len(events)
        deliveries, rest = partition.sharing.dispatch(events)
        partition.demand -= len(events) - len(rest)
        self.outbox += [Deliver(other, share) for other, share in deliveries]
        partition.queue.put_back(rest)
        if self._least is not None:
            self._least.shrunk(partition)
        return self._pass_on(0), NO_EVENTS, 0

    def _pass_on(self, more: int) -> int:
        """Return the demand, of `more` and of what is held, that the producer is to hear of now."""
        self._held += more
        count = self._passable()
        self._held -= count
        self._waiting += count
        return count

    def _passable(self) -> int:
        if self._least is None or not self._held:
            return self._held
        # All that is on its way may belong to the fullest partition.
        return max(0, min(self._held, self._least.now() - self._waiting - self._returning))

    # -- events --------------------------------------------------------------

    def dispatch(self, events: Sequence[Any]) -> tuple[list[tuple[K, Sequence[Any]]], Sequence[Any]]:
        """Sort as many events as there is pooled demand into the partitions."""
        size = len(events)
        count = min(size, self._waiting)
        if not count:
            return [], events
        self._waiting -= count
        deliveries: list[tuple[K, Sequence[Any]]] = []
        for partition, share in self._sort(events if count == size else events[:count]).items():
            sent, rest = partition.sharing.dispatch(share)
            partition.demand -= len(share) - len(rest)
            deliveries += sent
            if rest:
                self._queue(partition, rest)
            if self._least is not None:
                self._least.shrunk(partition)
        self._give_back()
        return deliveries, events[count:] if count < size else NO_EVENTS

    def _queue(self, partition: Partition[K], events: Sequence[Any]) -> None:
        dropped = partition.store(events)
        if dropped:
            self._held += dropped
            self._discarded += dropped
            self.outbox.append(Discarded(partition.name, dropped, "overflow", *self._queue_limit))
            self._let_go(partition.queue.released())

    def _give_back(self) -> None:
        """Have the producer asked again for what reached nobody, and for what there is room for now."""
        count = self._passable()
        if count:
            self._held -= count
            self._returning += count
            self.outbox.append(Reask(None, count))

    def _sort(self, events: Sequence[Any]) -> dict[Partition[K], list[Any]]:
        shares: dict[Partition[K], list[Any]] = {}
        choose, find = self._hash, self._partitions.get
        dropped = strayed = 0
        for event in events:
            try:
                choice = choose(event)
            except Exception as error:
                error.add_note(f"raised by a PartitionFanOut's hash function, for the event {shown(event)}")
                raise
            if choice is None:
                dropped += 1
                continue
            try:
                changed, name = choice
            except (TypeError, ValueError):
                msg = f"the hash function must return (event, partition) or None, not {shown(choice)}"
                raise TypeError(msg) from None
            try:
                partition = find(name)
            except TypeError:  # unhashable
                partition = None
            if partition is None:
                strayed += 1
                self.outbox.append(Discarded(name, 1, "unknown"))
            else:
                shares.setdefault(partition, []).append(changed)
        if dropped:
            self.outbox.append(Discarded(None, dropped, "none"))
        self._discarded += strayed
        self._held += dropped + strayed
        return shares

    def _find(self, name: Any) -> Partition[K] | None:
        try:
            return self._partitions.get(name)
        except TypeError:  # unhashable
            return None

    def info(self, message: Any) -> bool:
        """Deliver at once, or after the events now queued for any partition."""
        backed_up = [partition.queue for partition in self._partitions.values() if partition.queue.length]
        queued = QueuedInfo(message, len(backed_up))
        for queue in backed_up:
            queue.store_info(queued)
        return not backed_up

    def _let_go(self, infos: Sequence[QueuedInfo]) -> None:
        for info in infos:
            info.queues -= 1
            if not info.queues:
                self.outbox.append(DeliverInfo(info.message))

    def statistics(self) -> FanOutStatistics[K]:
        """Return a snapshot for the dashboard and for tests."""
        return FanOutStatistics(
            outstanding={key: its.sharing.demand_of(key) for key, its in self._by_key.items()},
            owed=self._pending,
            queued=sum(partition.queue.length for partition in self._partitions.values()),
            held=self._held,
            discarded=self._discarded,
        )

    def queued(self) -> dict[Hashable, int]:
        """Return how many events are queued for each partition."""
        return {name: partition.queue.length for name, partition in self._partitions.items()}


def _check_limits(max_consumers: Any, buffer_size: Any, buffer_keep: Any) -> None:
    for option, value, least in (("max_consumers", max_consumers, 1), ("buffer_size", buffer_size, 0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise OptionError(option, f"is {value!r}; allowed is an integer of at least {least}, or None")
    if buffer_keep not in ("block", "first", "last", "error"):
        raise OptionError("buffer_keep", f"is {buffer_keep!r}; allowed are 'block', 'first', 'last', 'error'")
