"""Emitting: every receiver is called and none does harm."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.telemetry import STORE_RELOAD_START, STORE_WRITE, attach, emit


@pytest.fixture(autouse=True)
def nobody_listens_afterwards() -> Iterator[None]:
    yield
    for signal in telemetry.EVENTS.values():
        signal._clear_state()


def write(metadata: dict[str, Any] | None = None) -> None:
    emit(STORE_WRITE, None, measurements={"count": 1}, metadata=metadata if metadata is not None else {})


def raising(error: BaseException) -> Any:
    def receiver(*_: object, **__: object) -> None:
        raise error

    return receiver


def test_the_guard_is_one_attribute_that_is_false_while_nobody_listens() -> None:
    """Call sites rely on it: ``if signal.receivers: emit(…)``."""
    assert not STORE_WRITE.receivers
    with attach(STORE_WRITE, print):
        assert STORE_WRITE.receivers
    assert not STORE_WRITE.receivers


def test_a_function_connected_through_blinker_gets_the_event_as_a_keyword() -> None:
    """Blinker's own way of connecting works, by sender too."""
    calls = []

    def receiver(sender: Any, **keywords: Any) -> None:
        calls.append((sender, keywords))

    STORE_WRITE.connect(receiver, sender="mine")
    emit(STORE_WRITE, "mine", measurements={"count": 1}, metadata={"table": "t"})
    emit(STORE_WRITE, "other", measurements={"count": 1}, metadata={"table": "t"})
    expected = {"event": "slither.store.write", "measurements": {"count": 1}, "metadata": {"table": "t"}}
    assert calls == [("mine", expected)]


def test_a_receiver_that_raises_is_logged_and_detached(caplog: pytest.LogCaptureFixture) -> None:
    """The log says which receiver, which event and why; the handle is off all its events."""
    handle = attach("slither.store.*", raising(ValueError("broken")))
    write()
    assert not handle.attached
    assert not STORE_WRITE.receivers
    assert not STORE_RELOAD_START.receivers
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("slither_actors.telemetry", logging.ERROR)
    assert "raising.<locals>.receiver" in record.message
    assert "slither.store.write" in record.message
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "broken"


def test_the_other_receivers_are_called_all_the_same() -> None:
    """The order of receivers is undefined, so every one is tried."""
    calls = []
    attach(STORE_WRITE, raising(ValueError()))
    attach(STORE_WRITE, lambda *_: calls.append(1))
    attach(STORE_WRITE, raising(ValueError()))
    write()
    write()
    assert calls == [1, 1]


def test_a_blinker_receiver_that_raises_is_detached_too(caplog: pytest.LogCaptureFixture) -> None:
    """Containment does not depend on the way of connecting."""
    receiver = functools.partial(raising(ValueError()))
    STORE_WRITE.connect(receiver)
    write()
    assert not STORE_WRITE.receivers
    assert "functools.partial" in caplog.text


@pytest.mark.parametrize("error", [GeneratorExit(), asyncio.CancelledError()])
def test_other_base_exceptions_are_contained(error: BaseException) -> None:
    """They concern the receiver's own generators and tasks, not the emitter."""
    attach(STORE_WRITE, raising(error))
    write()
    assert not STORE_WRITE.receivers


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_the_end_of_the_program_propagates_in_the_main_thread(error: BaseException) -> None:
    """A Ctrl-C that strikes inside a receiver is the user's, not the receiver's."""
    handle = attach(STORE_WRITE, raising(error))
    with pytest.raises(type(error)):
        write()
    assert handle.attached


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_the_end_of_the_program_is_contained_in_other_threads(error: BaseException) -> None:
    """There it would only end the actor that emitted."""
    ended_well = threading.Event()
    attach(STORE_WRITE, raising(error))

    def run() -> None:
        write()
        ended_well.set()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ended_well.is_set()
    assert not STORE_WRITE.receivers


def test_a_receiver_that_emits_its_own_event_is_cut_off() -> None:
    """Endless recursion ends as any failure does."""
    attach(STORE_WRITE, lambda *_: write())
    write()
    assert not STORE_WRITE.receivers


def test_a_receiver_cannot_change_what_others_see() -> None:
    """Measurements and metadata are copies, one set per receiver."""
    seen: list[dict[str, Any]] = []

    def vandal(_event: str, _sender: Any, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        seen.append({**measurements, **metadata})
        measurements.clear()
        metadata.clear()

    attach(STORE_WRITE, vandal)
    attach(STORE_WRITE, vandal)
    metadata = {"store": "S"}
    write(metadata)
    assert metadata == {"store": "S"}
    assert seen == [{"count": 1, "store": "S"}] * 2


def test_a_muted_signal_is_silent() -> None:
    """Blinker's `muted` is honoured."""
    calls: list[int] = []
    attach(STORE_WRITE, lambda *_: calls.append(1))
    with STORE_WRITE.muted():
        write()
    assert calls == []


def test_a_receiver_may_detach_itself_and_attach_another() -> None:
    """Receivers change while an emit goes on."""
    calls: list[str] = []

    def once(*_: object) -> None:
        handle.detach()
        attach(STORE_WRITE, lambda *_: calls.append("second"))
        calls.append("first")

    handle = attach(STORE_WRITE, once)
    write()
    write()
    assert calls == ["first", "second"]
