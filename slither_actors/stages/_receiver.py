"""The input side of a stage: subscriptions, chunks, and when to ask again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

from slither_actors.actors import NORMAL, Ref, is_abnormal
from slither_actors.actors._exits import BY_KILL
from slither_actors.errors import OptionError
from slither_actors.stages import _protocol
from slither_actors.stages._collecting import end_collecting, flush_collected, gather
from slither_actors.stages._job import Job
from slither_actors.stages._options import subscription_options
from slither_actors.stages._stage import BaseStage, refuse_coroutine
from slither_actors.stages._subscription import Subscription, SubscriptionOptions
from slither_actors.stages._unfinished import Unfinished

__all__ = ["Receiver"]

logger = logging.getLogger("slither_actors.stages")

_Chunk = tuple[Sequence[Any], int]
"""Events for one call, and how many to ask for after it, or the number of the first of them."""

_Entry = tuple[Any, Sequence[Any], tuple[str, Any] | None]
"""The subscription, and events that wait, or how a producer ended that had sent those in front. Without a
subscription: what else is to be done behind them, see `Receiver._reached`."""

_IN_CHUNKS = ("chunks", None)
"""In the last place of an entry: these are the chunks that are left of a list."""

_CUT = ("cut", None)
"""In the last place of an entry: these are chunks of a `Collector`."""

CHUNKED = (_IN_CHUNKS, _CUT)
"""The last places of entries whose events are in chunks."""


class Receiver(BaseStage):
    """A stage that has producers. Not for users: see `Consumer` and `ProducerConsumer`."""

    subscribe_to: Iterable[Any] = ()
    """Producers to subscribe to at the start, in this order: refs, names, or mappings of
    subscription options. Set on the class or in `init`."""

    _handlers = ("handle_events",)

    _producers: set[Subscription]

    _waiting: deque[_Entry]

    _cutting: tuple[Subscription, Iterator[_Chunk]] | None
    """The list of several chunks that came last, and what is not begun of it."""

    _may_hold = False
    """Whether events may have to wait for something else than demand: a class that sets it is asked by
    `_is_held` for each list."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Once for each class: these run for each chunk.
        cls._handle = Receiver._begin_chunk if cls._awaits else cls._handle_plainly
        cls._may_hold = cls._may_hold or cls._awaits
        if cls._may_hold and cls._receive is Receiver._take_in:
            cls._receive = Receiver._receive_or_hold

    # -- callbacks -----------------------------------------------------------------

    def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
        """Handle at most ``max_demand - min_demand`` events, in order; all that came, if asked by hand.

        What a producer that is gone has left in the queue of a producer-consumer comes uncut, too.

        May be ``async def``.
        """
        msg = f"{type(self).__name__} has no handle_events"
        raise NotImplementedError(msg)

    # -- the protocol ------------------------------------------------------------------

    def _open(self) -> None:
        self._producers = set()
        self._waiting = deque()
        self._cutting = None
        self._may_hold = self._may_hold  # found faster than that of the class
        for options in self._checked_producers():
            self._subscribe(options)
        super()._open()

    def _checked_producers(self) -> list[SubscriptionOptions]:
        entries = self.subscribe_to
        where = f"{type(self).__name__}.subscribe_to"
        if isinstance(entries, (str, Mapping)) or not isinstance(entries, Iterable):
            raise OptionError("subscribe_to", f"is {entries!r:.200}; allowed is a list of producers")
        mappings = [entry if isinstance(entry, Mapping) else {"to": entry} for entry in entries]
        checked = [subscription_options(mapping, where=where) for mapping in mappings]
        for options in checked:
            self._check_subscribing(options, where)
        return checked

    @classmethod
    def _check_subscribing(cls, options: SubscriptionOptions, where: str) -> None:
        """Refuse what consumers of the class cannot do."""

    def _subscribe(
        self, options: SubscriptionOptions, replaces: tuple[Subscription, Any] | None = None
    ) -> Subscription:
        subscription = Subscription(self.ref, options)
        self._producers.add(subscription)
        producer: Ref = options.to
        subscription.watch = self._watch_end(subscription, producer, self._source_ended)
        # Before the callback: it may ask.
        if replaces is None:
            producer.send(_protocol.subscribe, subscription)
        else:
            producer.send(_protocol.resubscribe, (subscription, *replaces))
        subscription.manual = self._welcome("producer", subscription, "automatic", "manual") == "manual"
        if not subscription.manual and self._cell.ending is None:
            producer.send(_protocol.ask, (subscription, subscription.demand.max_demand))
        return subscription

    # -- events that wait ------------------------------------------------------------------

    def _is_held(self) -> bool:
        """Whether no event may be handled now; a stage that says so calls `_go_on` later."""
        return self._on_hold or (self._lane is not None and not self._lane.has_room)

    def _is_at_its_end(self) -> bool:
        """Whether no coroutine is begun any more: what it made would come behind the end."""
        return self._finishing and self._awaits

    def _is_idle(self) -> bool:
        """Whether no event is being handled."""
        return self._lane is None or self._lane.is_idle

    def _may_leave(self) -> bool:
        """Whether what a producer has sent is done, and its end can be dealt with."""
        return self._is_idle()

    def _is_wanted(self) -> bool:
        """Whether there is demand for what events become."""
        return True

    def _go_on(self) -> None:
        """Handle what waits, as far as it is wanted."""
        waiting = self._waiting
        while waiting and not self._is_over() and not self._is_held():
            subscription, events, cause = waiting[0]
            are_events = cause is None or cause in CHUNKED
            if not (self._is_wanted() if are_events else self._may_leave()):
                return
            waiting.popleft()
            if cause is None and subscription.closed and not self._awaits:
                # As in GenStage: there is nobody left to ask. Coroutines keep their chunks, and with them
                # what runs at one time.
                self._take_whole(subscription, events)
            elif cause is None:
                self._take_in(subscription, events)
            elif cause is _IN_CHUNKS:
                self._take_chunks(subscription, events)
            elif cause is _CUT:
                self._take_cut(subscription, events[0])
            else:
                self._leave(subscription, *cause)

    # -- events that came -------------------------------------------------------------------

    def _take_in(self, subscription: Subscription, events: Sequence[Any]) -> None:
        """Handle a list, chunk by chunk, and ask for more after each."""
        if subscription.manual:
            self._take_whole(subscription, events)
            return
        ask = subscription.demand.take(len(events))
        if ask is None:
            self._take_many(subscription, events)
            return
        unfinished = self._handle(events, subscription)
        if unfinished is not None:
            unfinished.subscription, unfinished.ask = subscription, ask
        elif ask and not subscription.closed:
            subscription.producer_put((_protocol.ask, (subscription, ask)))

    _receive = _take_in

    def _take_whole(self, subscription: Subscription, events: Sequence[Any]) -> None:
        """Handle a list that nothing is asked for after."""
        unfinished = self._handle(events, subscription)
        if unfinished is not None:
            unfinished.subscription = subscription

    def _receive_or_hold(self, subscription: Subscription, events: Sequence[Any]) -> None:
        if self._waiting or self._is_held() or self._is_at_its_end():
            self._waiting.append((subscription, events, None))
        else:
            self._take_in(subscription, events)

    def _take_many(self, subscription: Subscription, events: Sequence[Any]) -> None:
        demand = subscription.demand
        chunks = demand.split(events)
        if demand.excess:
            logger.error("%s received %d events in excess", self._cell.describe(), demand.excess)
        self._take_chunks(subscription, chunks)

    def _take_chunks(self, subscription: Subscription, chunks: Sequence[_Chunk]) -> None:
        cell = self._cell
        left = iter(chunks)
        self._cutting = subscription, left
        for chunk, ask in left:
            unfinished = self._handle(chunk, subscription)
            if unfinished is not None:
                unfinished.subscription, unfinished.ask = subscription, ask
                if self._is_held() or not self._is_wanted():
                    rest = [*left]
                    if rest:
                        self._waiting.appendleft((subscription, rest, _IN_CHUNKS))
                    return
                continue
            # `_is_over`, which would take longer.
            if self._finishing or cell.ending is not None or cell.doom is BY_KILL:
                return
            if ask and not subscription.closed:
                subscription.producer_put((_protocol.ask, (subscription, ask)))

    def _handle_plainly(self, events: Sequence[Any], subscription: Subscription) -> Unfinished | None:
        """Handle a chunk. What is returned is not finished yet: it asks for more when it is."""
        returned = self.handle_events(events, subscription)
        if returned is not None:
            self._handler_returned(returned)
        return None

    _handle = _handle_plainly

    def _handler_returned(self, returned: Any) -> None:
        refuse_coroutine(self, "handle_events", returned)
        logger.error("%s is a consumer and returned events; they are dropped", self._cell.describe())

    def _begin_chunk(self, events: Sequence[Any], subscription: Subscription) -> Unfinished | None:
        """Start a coroutine that handles a chunk. There is room for it."""
        job = Job(
            self,
            "handle_events",
            (events, subscription),
            call=self.handle_events,
            finish=self._finish_chunk,
        )
        assert self._lane is not None
        self._lane.start(job)
        return job

    def _finish_chunk(self, job: Job) -> None:
        if not self._is_over():
            if job.result is not None:
                self._handler_returned(job.result)
            self._call_over(job)

    def _lane_moved(self) -> None:
        self._go_on()
        if self._draining:
            self._look_if_drained()

    # -- events that are collected or acknowledged --------------------------------------------

    _gather = gather
    _flush_collected = flush_collected

    def _take_or_hold(self, subscription: Subscription, chunks: Iterable[_Chunk]) -> None:
        left = iter(chunks)
        self._cutting = subscription, left
        for chunk in left:
            if self._is_over():
                return
            if self._waiting or self._is_held() or not self._is_wanted():
                self._waiting.append((subscription, [chunk], _CUT))
            else:
                self._take_cut(subscription, chunk)

    def _take_cut(self, subscription: Subscription, chunk: _Chunk) -> None:
        if subscription.leaving:
            return
        events, first = chunk
        subscription.begun = first + len(events)
        unfinished = self._handle(events, subscription)
        if unfinished is None:
            subscription.handled(first, len(events))
        else:
            unfinished.subscription, unfinished.chunk = subscription, (first, len(events))

    # -- the end of a producer ---------------------------------------------------------------

    def _source_ended(self, subscription: Subscription, kind: str, reason: Any) -> None:
        """Nothing more comes: the producer has cancelled or is down. The first news counts."""
        if subscription.closed:
            return
        subscription.closed = True
        self._unwatch_end(subscription.watch)
        self._producers.discard(subscription)
        if subscription.collector is not None:
            end_collecting(self, subscription, subscription.collector, kind)
        self._source_left(subscription, kind, reason)
        if subscription.leaving:
            self._go_on()  # what is left may have waited for what was dropped

    def _source_left(self, subscription: Subscription, kind: str, reason: Any) -> None:
        """The end of a producer waits behind the events that it has sent."""
        if self._waiting or self._is_held() or not self._may_leave():
            self._waiting.append((subscription, (), (kind, reason)))
        else:
            self._leave(subscription, kind, reason)

    def _leave(self, subscription: Subscription | None, kind: str, reason: Any) -> None:
        if subscription is None:
            self._reached(kind, reason)
            return
        self.handle_cancel((kind, reason), subscription)
        if self._draining and not is_abnormal(reason):
            self._look_if_drained()  # other producers may have more
            return
        if reason != "already_subscribed" and subscription.options.ends_with(reason):
            self._end_with_source(reason)

    def _end_with_source(self, reason: Any) -> None:
        self.stop(reason)

    def _reached(self, kind: str, what: Any) -> None:
        """All is handled that waited in front of what was put behind it."""
        if kind == "drained":
            self._look_if_drained()

    # -- control ------------------------------------------------------------------------

    def _begin_pause(self) -> None:
        super()._begin_pause()
        # On the object, as events may have to wait from now on.
        self._may_hold = True
        if type(self)._receive is Receiver._take_in:
            self._receive = self._receive_or_hold  # type: ignore[method-assign]

    def _end_pause(self) -> None:
        super()._end_pause()
        self._may_hold = type(self)._may_hold
        vars(self).pop("_receive", None)
        self._go_on()

    def _begin_drain(self, together: frozenset[Ref]) -> None:
        super()._begin_drain(together)
        for source in tuple(self._producers):
            if source.producer not in together:
                # What was not begun goes back, where it is kept; nobody is to handle it twice.
                source.leaving = source.handover is not None
                source.producer_put((_protocol.cancel, (source, NORMAL)))
        self._put_behind("drained")

    def _put_behind(self, kind: str, what: Any = None) -> None:
        """Have `_reached` called when all that waits now is handled."""
        if self._waiting or self._is_held() or not self._is_idle():
            self._waiting.append((None, (), (kind, what)))
        else:
            self._reached(kind, what)

    def _look_if_drained(self) -> None:
        if self._producers or self._waiting:
            return
        if self._message_lane is None or self._message_lane.is_idle:
            self._end_with_source(NORMAL)

    def _count_asked_of(self) -> dict[Subscription, int]:
        """Events asked of each producer that have not come."""
        return {source: source.demand.outstanding for source in tuple(self._producers) if not source.manual}

    def _count_in_children(self) -> int:
        """Events that were given to children which have not ended."""
        return 0

    def _count_waiting(self) -> int:
        """Events that came and are not handled yet."""
        return sum(count for _, count in self._each_waiting())

    def _each_waiting(self) -> Iterator[tuple[Subscription, int]]:
        """Yield how many events of a subscription wait in one place. From any thread."""
        for subscription, events, cause in tuple(self._waiting):
            if cause is None:
                yield subscription, len(events)
            elif cause in CHUNKED:
                yield subscription, sum(len(chunk) for chunk, _ in events)
        for each in tuple(self._producers):
            yield each, len(each.collector or ())
        if self._cutting is not None:
            source, left = self._cutting
            yield source, sum(len(chunk) for chunk, _ in copy(left))
