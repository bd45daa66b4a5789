"""What the tests look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slither_actors import Item, telemetry

__all__ = ["Events", "Reads", "in_outputs", "payloads"]


def payloads(items: Iterable[Item]) -> list[Any]:
    """The payloads, in order."""
    return [item.payload for item in items]


def in_outputs(outputs: Mapping[str, Iterable[Item]]) -> dict[str, list[Any]]:
    """Output to payloads."""
    return {name: payloads(items) for name, items in outputs.items()}


class Reads:
    """An input that has no end, or one of `count`, and knows how far it was read."""

    def __init__(self, count: int | None = None) -> None:
        self.count = count
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        while self.count is None or self.read < self.count:
            self.read += 1
            yield self.read - 1


class Events:
    """Keeps events while its ``with`` block runs: name, sender, measurements, metadata."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.seen: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = []

    def __enter__(self) -> Events:
        self._handle = telemetry.attach(
            self.names, lambda *event: self.seen.append((event[0], event[1], event[2], event[3]))
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.detach()

    def of(self, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Measurements and metadata of the events of one name."""
        return [(measured, about) for event, _, measured, about in self.seen if event == name]
