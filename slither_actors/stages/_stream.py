"""Events of any producers for a loop: a plain one or one in a coroutine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.actors import Ref, whereis
from slither_actors.config import has_hash
from slither_actors.core import check_demand
from slither_actors.errors import OptionError, StreamError
from slither_actors.stages import _infos
from slither_actors.stages._options import subscription_options
from slither_actors.stages._producer import MODE, Mode, Producer
from slither_actors.stages._reading import Reading, read, read_chunks
from slither_actors.stages._stream_consumer import StreamConsumer
from slither_actors.stages._subscription import CANCEL_MODES, SubscriptionOptions

if TYPE_CHECKING:
    from slither_actors.stages._async_stream import AsyncReader

__all__ = ["Stream", "StreamStatistics", "stream"]


@attrs.frozen(kw_only=True)
class StreamStatistics:
    """What a `Stream` held at one moment. Returned by `Stream.statistics`."""

    taken: int
    """Events that the reader has got. A chunk counts when its first event is handed out."""

    waiting: int
    """Events that have come and that the reader has not got: at most `max_demand` of each producer."""

    outstanding: int
    """Events asked for that have not come, or wait."""

    producers: int
    """Subscriptions that have not ended."""

    closed: bool
    """Whether the reader has left, or had the end."""


class Stream(Iterator[Any], AsyncIterator[Any]):
    """An iterator over the events of producers, and an async iterator; see `stream`.

    For one reader: a thread or task that reads while another one waits for the
    next event gets an error. `close` and `statistics` are for any thread. It is
    a context manager, plain and async, that closes it.
    """

    def __init__(self, finder: _Finder, *, chunks: bool) -> None:
        self._reading = Reading(finder)
        self._chunks = chunks
        self._iterators: dict[int, Generator[Any, None, None]] = {}
        """By the thread that reads: one that two threads shared would fail with an error of Python's."""
        self._reader: AsyncReader | None = None

    # -- reading -----------------------------------------------------------------------

    def __iter__(self) -> Generator[Any, None, None]:
        """Return the generator of the events, the same one each time. It alone is all that a loop holds.

        Another thread has another one, which goes on where this one was left.
        """
        if self._reader is not None:
            raise _read_otherwise("async for", "for")
        thread = threading.get_ident()
        iterator = self._iterators.get(thread)
        # One that was refused because another thread waits has ended, and the stream has not.
        if iterator is None or (
            getattr(iterator, "gi_frame", None) is None and not self._reading.arrivals.closed
        ):
            iterator = (read_chunks if self._chunks else read)(self._reading)
            self._iterators[thread] = iterator
        return iterator

    def __next__(self) -> Any:
        """Return the next event, or chunk. In an actor, the other actors go on meanwhile.

        Raises:
            StopIteration: all producers have ended in order, or the stream was closed.
            StreamError: a producer ended, and the stream with it.
            ExitPendingError: the actor that reads is to end.
            RuntimeError: another thread waits for the next event.
        """
        return next(iter(self))

    def __aiter__(self) -> AsyncReader:
        """Return the async iterator over the events, the same one each time."""
        if self._iterators:
            raise _read_otherwise("for", "async for")
        if self._reader is None:
            from slither_actors.stages._async_stream import (  # noqa: PLC0415 - asyncio takes its time to import
                AsyncReader,
            )

            self._reader = AsyncReader(self._reading, chunks=self._chunks)
        return self._reader

    async def __anext__(self) -> Any:
        """Return the next event, or chunk, without blocking the event loop; raises as `__next__` does."""
        return await anext(aiter(self))

    # -- around it ---------------------------------------------------------------------

    def close(self) -> None:
        """End the stream: cancel the subscriptions with ``"normal"``. A reader that waits has its end.

        From any thread, any number of times; it waits for nothing. Of another thread that just takes an event
        the loop may have what is left of the chunk.
        """
        self._reading.end_here()
        for iterator in tuple(self._iterators.values()):
            with contextlib.suppress(ValueError):  # another thread is in it, and finds it closed
                iterator.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def consumer(self) -> Ref | None:
        """The actor that consumes for the reader; None before the first event is asked for.

        A further subscription in the middle of the stream: ``sync_subscribe(events.consumer, to=other)``.
        """
        return self._reading.arrivals.consumer

    def statistics(self) -> StreamStatistics:
        """Return what the stream holds now."""
        arrivals = self._reading.arrivals
        subscriptions = tuple(arrivals.subscriptions)
        return StreamStatistics(
            taken=self._reading.taken,
            waiting=self._reading.waiting,
            outstanding=sum(each.demand.outstanding for each in subscriptions),
            producers=len(subscriptions),
            closed=arrivals.closed,
        )


class _Finder:
    """Finds the producers of a stream when it begins."""

    def __init__(self, wanted: list[dict[str, Any]], mode: Mode, producers: list[Any] | None) -> None:
        self._wanted = wanted
        self._mode = mode
        self._producers = producers

    def begin(self, found: list[SubscriptionOptions]) -> None:
        """Tell the producers, all of which are subscribed to, what to do with demand."""
        named = self._producers
        for ref in [options.to for options in found] if named is None else map(_running, named):
            if ref is not None and issubclass(ref.actor_class, Producer):
                _infos.demand(ref, self._mode)

    def __call__(self) -> list[SubscriptionOptions]:
        found = []
        for given in self._wanted:
            if _running(given["to"]) is not None:
                found.append(_options(given))
            elif given["cancel"] != "temporary":
                raise StreamError(repr(given["to"]), "noproc")
        return found


def stream(
    *subscriptions: Any,
    demand: Mode = "forward",
    producers: Iterable[Any] | None = None,
    chunks: bool = False,
) -> Stream:
    """Iterate over the events of producers, in a plain loop or in an ``async for``.

    It subscribes when the first event is asked for. From then on up to `max_demand` events of each
    producer are on their way or wait for the reader, who asks again when it wants the chunk after next:
    so a reader that is slow or stands still has no more than that in memory. The stream ends when all
    producers have ended in order. A reader that leaves early, by `break`, by an exception, by the
    cancellation of its task, cancels the subscriptions with ``"normal"`` and leaves nothing behind;
    use a ``with`` block if the stream is in a variable, which may live on. What the reader had not
    got is dropped.

    Args:
        *subscriptions: producers: refs, names, or mappings of subscription options (``to``, ``max_demand``,
            1000, ``min_demand``, half of it, ``cancel``, and options of the fan-out). `cancel` says which
            end of its producer is an error here: ``"transient"``, the default, an abnormal one;
            ``"permanent"`` any, ``"temporary"`` none. Names are looked up when the stream begins.
        demand: what `producers` are told when all are subscribed to; see `Producer.demand`.
        producers: by default, those that are subscribed to.
        chunks: iterate over sequences of at most ``max_demand - min_demand`` events, which is faster. They
            are the producer's, and may be another consumer's as well: do not change them.

    Raises:
        OptionError: an option is wrong.

    A stream that an actor begins to read ends with that actor. Source: ``GenStage.stream/2``.
    """
    if not isinstance(chunks, bool):
        raise OptionError("chunks", f"is {chunks!r:.100}; allowed are True, False", where="stream")
    MODE.check("demand", demand, "stream")
    told = None if producers is None else list(producers)
    return Stream(_Finder([_checked(each) for each in subscriptions], demand, told), chunks=chunks)


def _checked(entry: Any) -> dict[str, Any]:
    given = dict(entry) if isinstance(entry, Mapping) else {"to": entry}
    given.setdefault("cancel", "transient")
    target = given.get("to")
    if "to" in given and not isinstance(target, Ref) and has_hash(target) and whereis(target) is None:
        # The name of one that may run later.
        check_demand(given.get("max_demand"), given.get("min_demand"), where="stream")
        CANCEL_MODES.check("cancel", given["cancel"], "stream")
    else:
        _options(given)
    return given


def _options(given: Mapping[str, Any]) -> SubscriptionOptions:
    options = subscription_options(given, where="stream")
    StreamConsumer._check_subscribing(options, "stream")
    return options


def _running(target: Any) -> Ref | None:
    return target if isinstance(target, Ref) else whereis(target)


def _read_otherwise(used: str, tried: str) -> RuntimeError:
    return RuntimeError(f"the stream is read by `{used}` and cannot be read by `{tried}` as well")
