"""The list of events."""

import itertools
import re
from collections.abc import Iterator

import pytest

from slither_actors import telemetry
from tests.reference_tables import rows_of
from tests.test_docs import DOCS

NAMES = [
    "slither.dispatch.batch.start",
    "slither.dispatch.batch.stop",
    "slither.dispatch.batch.exception",
    "slither.dispatch.breaker.open",
    "slither.dispatch.breaker.half_open",
    "slither.dispatch.breaker.close",
    "slither.pipe.run.start",
    "slither.pipe.run.stop",
    "slither.pipe.run.exception",
    "slither.pipe.stage.start",
    "slither.pipe.stage.stop",
    "slither.pipe.stage.exception",
    "slither.pipe.lost",
    "slither.store.write",
    "slither.store.reload.start",
    "slither.store.reload.stop",
    "slither.store.reload.exception",
    "slither.bridge.view.start",
    "slither.bridge.view.stop",
    "slither.bridge.view.exception",
    "slither.actor.crash",
    "slither.actor.zombie",
    "slither.supervisor.child.start",
    "slither.supervisor.child.exit",
    "slither.supervisor.child.restart",
    "slither.supervisor.gave_up",
    "slither.pool.worker.start",
    "slither.pool.worker.exit",
    "slither.pool.worker.recycle",
    "slither.stage.buffer.overflow",
    "slither.stage.redelivery",
    "slither.stage.undeliverable",
    "slither.stage.stall.start",
    "slither.stage.stall.stop",
]


def test_the_events_are_those_of_the_design() -> None:
    """Names are a public promise: dashboards match on them."""
    assert sorted(telemetry.EVENTS) == sorted(NAMES)


def test_a_constant_is_named_after_its_event() -> None:
    """``slither.store.write`` is ``telemetry.STORE_WRITE``."""
    for name, signal in telemetry.EVENTS.items():
        assert signal.name == name
        assert getattr(telemetry, name.removeprefix("slither.").replace(".", "_").upper()) is signal


def test_every_event_documents_its_keys() -> None:
    """A user learns the keys from the signal itself."""
    for signal in telemetry.EVENTS.values():
        assert "measurements" in (signal.__doc__ or "")
        assert "metadata" in (signal.__doc__ or "")


def test_the_list_of_events_is_read_only() -> None:
    """Nobody adds an event that `attach` would then accept."""
    assert not hasattr(telemetry.EVENTS, "__setitem__")


def keys_of(event: str) -> set[str]:
    """The keys that the signal's text has."""
    text = telemetry.EVENTS[event].__doc__ or ""
    _, measurements, metadata = re.split(": measurements |; metadata ", text.removesuffix("."))
    return {*measurements.split(", "), *metadata.split(", ")}


def in_manual() -> Iterator[tuple[str, set[str]]]:
    """Each event of the table, written out, with all words of its row that may be keys."""
    for row in rows_of((DOCS / "telemetry.md").read_text(), "event"):
        names = re.findall(r"`([^`]+)`", row[0])
        words = {word for cell in row[1:] for word in re.findall(r"`([^`]+)`", cell)}
        full = itertools.accumulate(
            names, lambda last, name: name if "." in name else f"{last.rpartition('.')[0]}.{name}"
        )
        yield from ((name, words) for name in full)


def test_the_manual_has_every_event() -> None:
    """Once, in the table."""
    assert sorted(name for name, _ in in_manual()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_manual_has_every_key(name: str) -> None:
    """Those of the signal's own text."""
    assert keys_of(name) - dict(in_manual())[name] == set()
