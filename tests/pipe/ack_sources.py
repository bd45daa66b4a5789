"""Sources that note what they are told."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from slither_actors.pipe import Ack, AckSource, Delivery

__all__ = ["ListSource", "MemoryQueue"]


class ListSource(AckSource):
    """Delivers the elements of a list, or of any iterable; the token is the place."""

    ack_seconds = 0.02

    def __init__(self, payloads: Iterable[Any]) -> None:
        self.payloads = payloads
        self.read = 0
        self.lots: list[list[Ack]] = []
        self.told = threading.Condition()
        self.closed = 0

    def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
        for place, payload in enumerate(self.payloads):
            self.read += 1
            yield Delivery(payload, place)

    def acknowledge(self, acks: Sequence[Ack]) -> None:
        with self.told:
            self.lots.append(list(acks))
            self.told.notify_all()

    def close(self) -> None:
        with self.told:
            self.closed += 1
            self.told.notify_all()

    def wait_until_closed(self) -> None:
        with self.told:
            assert self.told.wait_for(lambda: self.closed, timeout=10)

    @property
    def acks(self) -> list[Ack]:
        return [ack for lot in self.lots for ack in lot]

    @property
    def errors(self) -> dict[int, BaseException | None]:
        """Place to error, after checking that each that was read was acknowledged once.

        One that the source gives just when its run has ended comes back a moment after `close`.
        """
        with self.told:
            self.told.wait_for(lambda: len(self.acks) >= self.read, timeout=10)
        counts = Counter(ack.token for ack in self.acks)
        assert counts == Counter(range(self.read))
        return {ack.token: ack.error for ack in self.acks}

    def wait_for(self, count: int) -> list[Ack]:
        with self.told:
            assert self.told.wait_for(lambda: len(self.acks) >= count, timeout=10)
        return self.acks


class MemoryQueue(AckSource):
    """A queue without an end, for any number of runs one after the other; what is not done comes again."""

    ack_seconds = 0.01

    def __init__(self, payloads: Iterable[Any], *, ends: bool = False, gives_up: bool = False) -> None:
        self.waiting = deque(enumerate(payloads))
        self.ends = ends
        """Whether a run ends when nothing waits."""
        self.gives_up = gives_up
        """Whether what failed does not come again."""
        self.out: dict[int, Any] = {}
        """What is delivered and not acknowledged, by token."""
        self.done: Counter[int] = Counter()
        self.failed: list[tuple[int, BaseException]] = []
        self.given_back: list[int] = []
        self.runs = self.closed = 0
        self.broken: list[str] = []
        """What did not go as promised."""
        self.changed = threading.Condition()

    def put(self, payloads: Iterable[Any]) -> None:
        with self.changed:
            first = len(self.waiting) + len(self.out) + len(self.done)
            self.waiting.extend(enumerate(payloads, first))
            self.changed.notify_all()

    def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
        with self.changed:
            if self.closed < self.runs:
                self.broken.append("a run reads before the one before it is closed")
            self.runs += 1
            self.changed.notify_all()
        while not stopping.is_set():
            with self.changed:
                if not self.waiting:
                    if self.ends:
                        return
                    self.changed.wait(0.005)
                    continue
                token, payload = self.waiting.popleft()
                if token in self.out:
                    self.broken.append(f"{token} is delivered twice at one time")
                self.out[token] = payload
            yield Delivery(payload, token)

    def acknowledge(self, acks: Sequence[Ack]) -> None:
        with self.changed:
            for ack in acks:
                if ack.token not in self.out:
                    self.broken.append(f"{ack.token} is acknowledged twice")
                payload = self.out.pop(ack.token, None)
                if ack.error is None:
                    self.done[ack.token] += 1
                    continue
                if ack.interrupted:
                    self.given_back.append(ack.token)
                else:
                    self.failed.append((ack.token, ack.error))
                if ack.interrupted or not self.gives_up:
                    self.waiting.append((ack.token, payload))
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed += 1
            self.changed.notify_all()

    def wait_until(self, true: Callable[[], Any], timeout: float = 10) -> None:
        with self.changed:
            assert self.changed.wait_for(true, timeout)
        assert not self.broken
