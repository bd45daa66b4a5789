"""Sources that note what they are told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slither_actors.pipe import Ack, AckSource, Delivery

__all__ = ["ListSource"]


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
        """Place to error, after checking that each that was read was acknowledged once."""
        counts = Counter(ack.token for ack in self.acks)
        assert counts == Counter(range(self.read))
        return {ack.token: ack.error for ack in self.acks}

    def wait_for(self, count: int) -> list[Ack]:
        with self.told:
            assert self.told.wait_for(lambda: len(self.acks) >= count, timeout=10)
        return self.acks
