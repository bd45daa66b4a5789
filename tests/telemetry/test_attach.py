"""Attaching and detaching."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.errors import OptionError

Call = tuple[str, Any, dict[str, Any], dict[str, Any]]


@pytest.fixture(autouse=True)
def nobody_listens_afterwards() -> Iterator[None]:
    yield
    left = [name for name, signal in telemetry.EVENTS.items() if signal.receivers]
    for name in left:
        telemetry.EVENTS[name]._clear_state()
    assert not left


def write(sender: object = None, count: int = 1) -> None:
    telemetry.emit(telemetry.STORE_WRITE, sender, measurements={"count": count}, metadata={"store": "S"})


def test_a_function_gets_event_sender_measurements_and_metadata() -> None:
    """The signature is ``fn(event, sender, measurements, metadata)``."""
    calls: list[Call] = []
    sender = object()
    with telemetry.attach("slither.store.write", lambda *call: calls.append(call)):
        write(sender, 3)
    assert calls == [("slither.store.write", sender, {"count": 3}, {"store": "S"})]


def test_a_signal_is_as_good_as_its_name() -> None:
    """Constants and names can be mixed in one list."""
    handle = telemetry.attach([telemetry.STORE_WRITE, "slither.supervisor.gave_up"], print)
    handle.detach()
    assert handle.events == ("slither.store.write", "slither.supervisor.gave_up")


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("slither.dispatch.*", 6),
        ("slither.pipe.*", 7),
        ("slither.*.exception", 5),
        ("*", len(telemetry.EVENTS)),
    ],
)
def test_a_pattern_stands_for_all_events_that_match(pattern: str, count: int) -> None:
    """A star stands for any text."""
    with telemetry.attach(pattern, print) as handle:
        assert len(handle.events) == count


def test_an_event_that_is_named_twice_is_told_once() -> None:
    """Overlapping patterns do not double the calls."""
    calls: list[Call] = []
    with telemetry.attach(["slither.store.*", "slither.store.write"], lambda *call: calls.append(call)):
        write()
    assert len(calls) == 1


def test_an_unknown_event_names_near_ones() -> None:
    """A typing mistake is an error at once and not silence for ever."""
    with pytest.raises(
        OptionError, match=r"slither\.dispach\.batch\.stop.*near ones: slither\.dispatch\.batch\.stop"
    ):
        telemetry.attach("slither.dispach.batch.stop", print)


@pytest.mark.parametrize("events", ["slither.nothing.*", [], [3], ""])
def test_events_that_match_nothing_are_refused(events: Any) -> None:
    """An empty subscription is always a mistake."""
    with pytest.raises(OptionError):
        telemetry.attach(events, print)


def test_nothing_is_attached_when_one_event_is_unknown() -> None:
    """All or nothing."""
    with pytest.raises(OptionError):
        telemetry.attach(["slither.store.write", "slither.store.wrote"], print)
    assert not telemetry.STORE_WRITE.receivers


def test_a_coroutine_function_is_refused() -> None:
    """Nobody would await it."""

    async def receiver(*_: object) -> None: ...

    with pytest.raises(OptionError, match="plain function"):
        telemetry.attach("*", receiver)


def test_a_dropped_handle_stays_attached() -> None:
    """A function written in place is held strongly, unlike blinker's default."""
    calls: list[Call] = []
    telemetry.attach("slither.store.write", lambda *call: calls.append(call))
    gc.collect()
    write()
    assert len(calls) == 1
    telemetry.STORE_WRITE._clear_state()


def test_detaching_twice_is_harmless() -> None:
    """`detach` is idempotent, also under ``with``."""
    with telemetry.attach("*", print) as handle:
        handle.detach()
        assert not handle.attached
    handle.detach()


def test_two_handles_of_one_function_are_independent() -> None:
    """Detaching one leaves the other."""
    calls: list[Call] = []

    def receiver(*call: Any) -> None:
        calls.append(call)

    with (
        telemetry.attach("slither.store.write", receiver),
        telemetry.attach("slither.store.write", receiver) as second,
    ):
        write()
        second.detach()
        write()
    assert len(calls) == 3


def test_threads_attach_detach_and_emit_together() -> None:
    """No call is lost by a handle that stays, whatever the others do meanwhile."""
    counts = [0] * 3
    rounds = 300
    start = threading.Barrier(6)

    def churn() -> None:
        start.wait()
        for _ in range(rounds):
            with telemetry.attach("slither.store.*", lambda *_: None):
                write()

    def tell(index: int) -> None:
        def receiver(
            _event: str, sender: Any, _measurements: dict[str, Any], _metadata: dict[str, Any]
        ) -> None:
            if sender == f"teller {index}":
                counts[index] += 1

        start.wait()
        with telemetry.attach("slither.store.write", receiver):
            for _ in range(rounds):
                write(f"teller {index}")

    threads = [threading.Thread(target=churn) for _ in range(3)]
    threads += [threading.Thread(target=tell, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [rounds] * 3
