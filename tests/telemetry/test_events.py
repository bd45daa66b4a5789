"""The list of events."""

from slither_actors import telemetry

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
