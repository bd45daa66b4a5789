"""Redis Streams as the input of pipes: ``pip install slither-actors[redis]``."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from slither_actors.config import build, positive_int, positive_seconds, seconds_or_none
from slither_actors.core import RateLimit
from slither_actors.errors import safe_text
from slither_actors.errors._text import class_name, encodable
from slither_actors.pipe import Ack, AckSource, Delivery

__all__ = ["RedisStream", "texts"]

logger = logging.getLogger("slither_actors.contrib")

_BEATS = 3
"""How often a message is claimed anew while it is worked at, in the time after which another consumer may."""

_RETRIES = 5
"""How often the client tries a command again when the connection is lost."""

_ANSWER_SECONDS = 10.0
"""How long a server may take to answer, beyond what it is asked to wait, before it counts as gone."""

_AGAIN_SECONDS = 0.5
"""How long reading waits while the server cannot be reached."""

_Message = tuple[bytes, Mapping[Any, Any]]


def texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Decode the fields of a message as UTF-8."""
    return {_text(name): _text(value) for name, value in fields.items()}


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _age(number: bytes | str) -> list[int]:
    """The id of a message as what it is ordered by."""
    return [int(part) for part in _text(number).split("-")]


def _unique() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


@attrs.frozen(kw_only=True)
class _Options:
    stream: str
    group: str
    consumer: str = attrs.field(factory=_unique)
    start: str = "0"
    min_idle_seconds: float = attrs.field(default=30.0, validator=positive_seconds)
    max_deliveries: int = attrs.field(default=3, validator=positive_int)
    dead_letters: str | None = None
    delete: bool = False
    poll_seconds: float = attrs.field(default=0.1, validator=positive_seconds)
    idle_seconds: float | None = attrs.field(default=None, validator=seconds_or_none)
    fetch_size: int = attrs.field(default=100, validator=positive_int)
    ack_size: int = attrs.field(default=100, validator=positive_int)
    ack_seconds: float = attrs.field(default=0.2, validator=positive_seconds)
    rate_limit: RateLimit | None = None
    decode: Callable[[Mapping[bytes, bytes]], Any] = texts


class RedisStream(AckSource):
    """A consumer of a group of a Redis stream.

    A message is acknowledged (``XACK``) when all that came of it has ended. One that
    fails stays pending and comes again, to any consumer of the group, after
    ``min_idle_seconds`` (``XAUTOCLAIM``), as does one whose consumer died; after
    ``max_deliveries`` a failed one is moved to the stream of dead letters, or
    dropped if there is none. A process that lives keeps what it works at.
    """

    def __init__(self, client: Any, **options: Any) -> None:
        """Make the group, and the stream, if they are not there.

        Args:
            client: a `redis.Redis`, or the URL of a server.
            **options: ``stream`` and ``group``, which are required; ``consumer``, unique at one time (made
                of the host, the process and chance); ``start`` ("0"), from where a new group reads;
                ``min_idle_seconds`` (30.0); ``max_deliveries`` (3); ``dead_letters`` (None), a stream;
                ``delete`` (False), whether what is acknowledged is deleted from the stream; ``decode``,
                which makes the payload of a message's fields (`texts`); ``poll_seconds`` (0.1);
                ``idle_seconds`` (None), after which the input of a run ends if nothing came and nothing was
                acknowledged; ``fetch_size`` (100); ``ack_size`` (100), ``ack_seconds`` (0.2) and
                ``rate_limit``, see `AckSource`.

        Raises:
            ImportError: redis is not installed.
            OptionError: an option is wrong.
            redis.exceptions.RedisError: the server cannot be reached, or refuses.
        """
        from redis import exceptions

        self._options = build(_Options, options, where="RedisStream")
        self.ack_size, self.ack_seconds = self._options.ack_size, self._options.ack_seconds
        self.rate_limit = self._options.rate_limit
        self.beat_seconds = self._options.min_idle_seconds / _BEATS
        self._owns = isinstance(client, str)
        answer_seconds = self._options.poll_seconds + _ANSWER_SECONDS
        self._client = _connected(client, answer_seconds) if self._owns else client
        self._unreachable = (exceptions.ConnectionError, exceptions.TimeoutError)
        self._turn = threading.Lock()
        self._held: set[bytes] = set()
        """What is delivered and not acknowledged; `_turn` is held while it is used."""
        self._returned: list[bytes] = []
        """What a run gave back unfinished, pending here still; as above."""
        self._moved = 0.0
        """When something was last delivered or acknowledged."""
        self._is_closed = False
        """Whether no run has begun since the last one ended."""
        try:
            self._client.xgroup_create(
                self._options.stream, self._options.group, id=self._options.start, mkstream=True
            )
        except exceptions.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # which it is if the group exists
                raise

    def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
        """Read what others left, and what is new."""
        self._is_closed, self._moved = False, time.monotonic()
        try:
            yield from self._read(stopping)
        finally:
            if self._is_closed:  # while this was still reading
                self.close()

    def _read(self, stopping: threading.Event) -> Iterator[Delivery]:
        options = self._options
        look_at, is_lost = 0.0, False
        while not stopping.is_set():
            try:
                found = self._returned_here()
                if not found and time.monotonic() >= look_at:
                    found = self._left_by_others()
                    if not found:
                        look_at = time.monotonic() + options.min_idle_seconds / _BEATS
                found = found or self._new()
                is_lost = False
            except self._unreachable as error:
                if not is_lost:
                    logger.warning("stream %s cannot be read, and is tried again: %s", options.stream, error)
                is_lost = True
                stopping.wait(_AGAIN_SECONDS)
                continue
            if found:
                yield from self._delivered(found)
                self._moved = time.monotonic()
            elif options.idle_seconds is not None and time.monotonic() - self._moved >= options.idle_seconds:
                return

    def acknowledge(self, acks: Sequence[Ack]) -> None:
        """Acknowledge what is done; leave the rest pending, or give it up."""
        with self._turn:
            self._held.difference_update(ack.token for ack in acks)
            self._returned += [ack.token for ack in acks if ack.interrupted]
        self._moved = time.monotonic()
        self._forget([ack.token for ack in acks if ack.error is None])
        for ack in acks:  # behind the others, and one by one: what goes wrong with one is its own
            if ack.error is not None and not ack.interrupted and self._is_given_up(ack):
                self._forget([ack.token])

    def _forget(self, done: Sequence[bytes]) -> None:
        options = self._options
        if done:
            self._client.xack(options.stream, options.group, *done)
            if options.delete:
                self._client.xdel(options.stream, *done)

    def beat(self) -> None:
        """Claim what is worked at anew, so that nobody else does."""
        with self._turn:
            held = list(self._held)
        if held:
            options = self._options
            self._client.xclaim(options.stream, options.group, options.consumer, 0, held, justid=True)

    def close(self) -> None:
        """Close the connections, one in use when it is free; unless the client is the caller's."""
        self._is_closed = True
        if self._owns:
            # To cut one off could lose an answer on its way, with messages that only this consumer may have
            # for `min_idle_seconds`, and that it would know nothing of.
            self._client.connection_pool.disconnect(inuse_connections=False)

    def _returned_here(self) -> deque[_Message]:
        """Claim what a run gave back, if nobody else has it by now. That is no further attempt."""
        with self._turn:
            left, self._returned = deque(sorted(self._returned, key=_age)), []
        found: deque[_Message] = deque()
        try:
            while left and len(found) < self._options.fetch_size:
                found += self._claimed_again(left[0])
                left.popleft()
        except BaseException:
            left.extend(number for number, _ in found)
            with self._turn:
                self._held.difference_update(left)
            raise
        finally:
            with self._turn:
                self._returned += left
        return found

    def _claimed_again(self, number: bytes) -> deque[_Message]:
        options = self._options
        pending = self._client.xpending_range(
            options.stream, options.group, min=number, max=number, count=1, consumername=options.consumer
        )
        if not pending:
            return deque()
        count = pending[0]["times_delivered"]
        return self._taken(
            self._client.xclaim(
                options.stream, options.group, options.consumer, 0, [number], retrycount=count
            )
        )

    def _left_by_others(self) -> deque[_Message]:
        """Claim what has been pending for too long, also what failed here."""
        options, start = self._options, "0-0"
        self.beat()  # it may be late: to claim our own in this way would count as one more delivery of it
        while True:
            start, messages, *_ = self._client.xautoclaim(
                options.stream,
                options.group,
                options.consumer,
                int(options.min_idle_seconds * 1000),
                start_id=start,
                count=options.fetch_size,
            )
            found = self._taken(messages)
            if found or start in (b"0-0", "0-0"):
                return found

    def _new(self) -> deque[_Message]:
        options = self._options
        answer = self._client.xreadgroup(
            options.group,
            options.consumer,
            {options.stream: ">"},
            count=options.fetch_size,
            block=max(1, int(options.poll_seconds * 1000)),
        )
        streams = answer.values() if isinstance(answer, dict) else [found for _, found in answer or ()]
        return self._taken(_flat(streams))

    def _taken(self, messages: Iterable[_Message]) -> deque[_Message]:
        with self._turn:
            # Without what we have: then it was not claimed anew in time, and is now.
            found = deque(each for each in messages if each[1] is not None and each[0] not in self._held)
            self._held.update(number for number, _ in found)
        return found

    def _delivered(self, found: deque[_Message]) -> Iterator[Delivery]:
        try:
            while found:
                number, fields = found.popleft()
                try:
                    payload = self._options.decode(fields)
                except Exception as error:  # noqa: BLE001 - the user's; no other message is to suffer
                    self._refuse(Ack(number, error))
                else:
                    yield Delivery(payload, number)
        finally:
            with self._turn:  # the run ends, and nobody has seen these
                self._held.difference_update(number for number, _ in found)
                self._returned += [number for number, _ in found]

    def _refuse(self, ack: Ack) -> None:
        try:
            self.acknowledge([ack])
        except self._unreachable as error:
            logger.warning("message %s of stream %s comes again: %s", ack.token, self._options.stream, error)

    def _is_given_up(self, ack: Ack) -> bool:
        """Whether a message has been delivered too often; then it is among the dead letters now."""
        options = self._options
        pending = self._client.xpending_range(
            options.stream, options.group, min=ack.token, max=ack.token, count=1
        )
        if not pending or pending[0]["times_delivered"] < options.max_deliveries:
            return False
        error = encodable(f"{class_name(ack.error)}: {safe_text(ack.error)}")
        logger.warning("message %s of stream %s is given up: %s", _text(ack.token), options.stream, error)
        if options.dead_letters is not None:
            for _, fields in self._client.xrange(options.stream, ack.token, ack.token):
                letter = {**fields, "error": error, "id": ack.token}
                self._client.xadd(options.dead_letters, letter)
        return True


def _connected(url: str, answer_seconds: float) -> Any:
    """Return a client that connects again by itself, also where the server is gone without a word."""
    from redis import Redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

    retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), _RETRIES)
    return Redis.from_url(url, retry=retry, socket_timeout=answer_seconds)


def _flat(streams: Iterable[Any]) -> Iterator[_Message]:
    """Messages, with or without a list around those of one stream, as versions of the client differ."""
    for found in streams:
        for each in found:
            if isinstance(each, list):
                yield from each
            else:
                yield each
