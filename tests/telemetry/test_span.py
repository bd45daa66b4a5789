"""Spans: a start, then a stop or an exception."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.telemetry import (
    STORE_RELOAD_EXCEPTION,
    STORE_RELOAD_START,
    STORE_RELOAD_STOP,
    attach,
    span,
)

Call = tuple[str, Any, dict[str, Any], dict[str, Any]]


@pytest.fixture
def calls() -> Iterator[list[Call]]:
    seen: list[Call] = []
    with attach("slither.store.reload.*", lambda *call: seen.append(call)):
        yield seen


def reload_span(**metadata: Any) -> span:
    return span(STORE_RELOAD_START, STORE_RELOAD_STOP, STORE_RELOAD_EXCEPTION, "sender", metadata)


def test_a_block_that_ends_well_is_a_start_and_a_stop(
    calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start has the time of day, the stop the seconds that passed on the monotonic clock."""
    clock = iter([10.0, 12.5])
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with reload_span(store="S"):
        pass
    assert calls == [
        ("slither.store.reload.start", "sender", {"system_time": 1000.0}, {"store": "S"}),
        ("slither.store.reload.stop", "sender", {"duration": 2.5}, {"store": "S"}),
    ]


def test_what_the_block_adds_is_in_the_closing_event_only(calls: list[Call]) -> None:
    """Results are known at the end; the caller's dict is not touched."""
    given = {"store": "S"}
    with span(STORE_RELOAD_START, STORE_RELOAD_STOP, STORE_RELOAD_EXCEPTION, None, given) as metadata:
        metadata["rows"] = 3
    assert given == {"store": "S"}
    assert [call[3] for call in calls] == [{"store": "S"}, {"store": "S", "rows": 3}]


def test_an_exception_is_told_and_goes_on(calls: list[Call]) -> None:
    """``kind`` and ``reason`` are added; nothing is swallowed."""
    error = ValueError("bad row")
    with pytest.raises(ValueError, match="bad row"), reload_span(store="S"):
        raise error
    event, _, measurements, metadata = calls[1]
    assert event == "slither.store.reload.exception"
    assert set(measurements) == {"duration"}
    assert metadata == {"store": "S", "kind": "error", "reason": error}


def test_an_exit_is_told_as_an_exit(calls: list[Call]) -> None:
    """Anything that is not an `Exception` is an end from outside."""
    with pytest.raises(KeyboardInterrupt), reload_span():
        raise KeyboardInterrupt
    assert calls[1][3]["kind"] == "exit"


def test_a_listener_that_comes_late_gets_the_full_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock runs whether or not anyone listens at the start."""
    clock = iter([1.0, 5.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    seen: list[Call] = []
    with reload_span():
        handle = attach(STORE_RELOAD_STOP, lambda *call: seen.append(call))
    handle.detach()
    assert seen[0][2] == {"duration": 4.0}


def test_a_finished_span_does_not_keep_the_exception() -> None:
    """Its traceback would pin the frames of the failed block."""
    used = reload_span()

    class OopsError(Exception):
        pass

    def fail() -> weakref.ref[OopsError]:
        with attach("slither.store.reload.*", lambda *_: None):
            try:
                with used:
                    raise OopsError
            except OopsError as error:
                return weakref.ref(error)

    gone = fail()
    gc.collect()
    assert gone() is None
