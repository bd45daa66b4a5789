"""`Slither.Telemetry`: the events, their measurements and their metadata."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Application,
    DispatchError,
    InlineExecutor,
    Pipe,
    PipeError,
    dispatch,
    router,
    run_pipe,
    stage,
    telemetry,
    workers,
)
from slither_actors.errors import OptionError, StoreLoadError
from tests.slither import work
from tests.slither.reading import Events
from tests.slither.work import FeatureStore

BATCH = {"batch_ref", "batch_size", "executor", "pipe", "stage"}
STAGE = {"pipe", "stage", "type"}


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Application]:
    with Application(stores=[FeatureStore], pools={"default": 1}) as running:
        yield running


class Scoring(Pipe):
    """A stage of each kind."""

    prepare = stage(lambda item: item.payload)
    predict = workers(InlineExecutor(work.reject_seven), batch_size=2)
    classify = router(high=lambda item: item.payload > 10)


def test_every_event_of_slither_is_there() -> None:
    """The tables of events, each under its name with dots."""
    documented = """
        dispatch.batch.start dispatch.batch.stop dispatch.batch.exception
        store.write store.reload.start store.reload.stop
        pipe.run.start pipe.run.stop pipe.run.exception
        pipe.stage.start pipe.stage.stop pipe.stage.exception
        bridge.view.start bridge.view.stop
    """
    assert [name for name in documented.split() if f"slither.{name}" not in telemetry.EVENTS] == []


# -- dispatch --------------------------------------------------------------------------------------


def test_a_batch_tells_its_start_and_its_stop() -> None:
    """``[:slither, :dispatch, :batch, :start]`` and ``:stop``: who, how large, when, how long."""
    with Events("slither.dispatch.batch.*") as events:
        dispatch.run([1, 2, 3], executor=InlineExecutor(work.double), batch_size=2)
    starts, stops = events.of("slither.dispatch.batch.start"), events.of("slither.dispatch.batch.stop")
    assert [(about["batch_ref"], about["batch_size"]) for _, about in starts] == [(0, 2), (1, 1)]
    assert abs(starts[0][0]["system_time"] - time.time()) < 60
    assert all(0 <= measured["duration"] < 60 for measured, _ in stops)
    assert all(set(about) >= BATCH for _, about in [*starts, *stops])
    assert starts[0][1]["pipe"] is None


def test_a_batch_tells_its_exception() -> None:
    """``[:slither, :dispatch, :batch, :exception]``: duration, kind and reason in the place of the stop."""
    with Events("slither.dispatch.batch.*") as events, pytest.raises(DispatchError):
        dispatch.run([7], executor=InlineExecutor(work.reject_seven))
    ((measured, about),) = events.of("slither.dispatch.batch.exception")
    assert set(about) >= {*BATCH, "kind", "reason"}
    assert (about["kind"], str(about["reason"])) == ("error", "seven")
    assert measured["duration"] >= 0
    assert events.of("slither.dispatch.batch.stop") == []


def test_an_exit_is_told_from_an_error() -> None:
    """``kind``: what is no `Exception`, a `SystemExit` say, is an ``"exit"``; also as the kind of a batch."""

    def leave(batch: Any) -> Any:
        raise SystemExit(3)

    executor = dispatch.ThreadExecutor(leave, threads=1)
    with Events("slither.dispatch.batch.exception") as events, pytest.raises(DispatchError):
        dispatch.run([1], executor=executor)
    ((_, about),) = events.of("slither.dispatch.batch.exception")
    assert (about["kind"], type(about["reason"])) == ("exit", SystemExit)


def test_a_batch_of_a_pipe_names_pipe_and_stage() -> None:
    """``[:slither, :dispatch, :batch, …]``, metadata ``pipe`` and ``stage``."""
    with Events("slither.dispatch.batch.stop") as events:
        run_pipe(Scoring, [1, 2])
    ((_, about),) = events.of("slither.dispatch.batch.stop")
    assert (about["pipe"], about["stage"]) == ("Scoring", "predict")
    assert "reject_seven" in about["executor"]


# -- pipes -----------------------------------------------------------------------------------------


def test_a_run_tells_its_start_and_its_stop() -> None:
    """``[:slither, :pipe, :run, :start]`` and ``:stop``: with the number of items, and the duration."""
    with Events("slither.pipe.run.*") as events:
        run_pipe(Scoring, [1, 2, 3])
    ((started, at_start),) = events.of("slither.pipe.run.start")
    ((stopped, at_stop),) = events.of("slither.pipe.run.stop")
    assert "system_time" in started
    assert stopped["duration"] > 0
    assert (at_start["pipe"], at_start["input_count"]) == ("Scoring", 3)
    assert (at_stop["pipe"], at_stop["input_count"]) == ("Scoring", 3)


def test_a_run_over_an_endless_input_tells_how_much_it_took() -> None:
    """``input_count``: not known at the start where the input has no length, and counted at the stop."""
    with Events("slither.pipe.run.*") as events:
        run_pipe(Scoring, iter([1, 2, 3]))
    assert events.of("slither.pipe.run.start")[0][1]["input_count"] is None
    assert events.of("slither.pipe.run.stop")[0][1]["input_count"] == 3


def test_a_run_tells_its_exception() -> None:
    """``[:slither, :pipe, :run, :exception]``: duration, kind and reason."""
    with Events("slither.pipe.run.*") as events, pytest.raises(PipeError):
        run_pipe(Scoring, [7])
    ((measured, about),) = events.of("slither.pipe.run.exception")
    assert set(about) >= {"pipe", "input_count", "kind", "reason"}
    assert (about["kind"], str(about["reason"])) == ("error", "seven")
    assert "duration" in measured
    assert events.of("slither.pipe.run.stop") == []


def test_every_stage_tells_its_start_and_its_stop() -> None:
    """``[:slither, :pipe, :stage, :start]`` and ``:stop``: pipe, stage and the type of the stage."""
    with Events("slither.pipe.stage.*") as events:
        run_pipe(Scoring, [1])
    for name, measure in (("start", "system_time"), ("stop", "duration")):
        found = events.of(f"slither.pipe.stage.{name}")
        assert {(about["stage"], about["type"]) for _, about in found} == {
            ("prepare", "function"),
            ("predict", "workers"),
            ("classify", "router"),
        }
        assert all(measure in measured and set(about) >= STAGE for measured, about in found)


def test_a_stage_that_fails_tells_its_exception() -> None:
    """``[:slither, :pipe, :stage, :exception]``: in the read-me's list; with kind and reason."""
    with Events("slither.pipe.stage.*") as events, pytest.raises(PipeError):
        run_pipe(Scoring, [7])
    found = [about for _, about in events.of("slither.pipe.stage.exception") if about["stage"] == "predict"]
    assert len(found) == 1
    assert (found[0]["kind"], str(found[0]["reason"])) == ("error", "seven")


# -- stores and views --------------------------------------------------------------------------------


def test_a_write_tells_how_many_rows() -> None:
    """``[:slither, :store, :write]``: count, store and table, of single writes and of bulk inserts."""
    with Events("slither.store.write") as events:
        FeatureStore.features.put("x", 1)
        FeatureStore.user_index.bulk_insert({"a": 1, "b": 2})
        FeatureStore.features.delete("x")
    assert [
        (measured["count"], about["store"], about["table"])
        for measured, about in events.of("slither.store.write")
    ] == [
        (1, "FeatureStore", "features"),
        (2, "FeatureStore", "user_index"),
        (1, "FeatureStore", "features"),
    ]


def test_a_reload_tells_its_start_and_its_stop() -> None:
    """``[:slither, :store, :reload, :start]`` and ``:stop``."""
    with Events("slither.store.reload.*") as events:
        FeatureStore.reload()
    ((started, at_start),) = events.of("slither.store.reload.start")
    ((stopped, at_stop),) = events.of("slither.store.reload.stop")
    assert "system_time" in started
    assert "duration" in stopped
    assert at_start["store"] == at_stop["store"] == "FeatureStore"


def test_a_reload_that_fails_tells_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """``[:slither, :store, :reload, :exception]``: Slither has none."""

    def fail(self: Any, tables: Any) -> None:
        raise ConnectionError("no database")

    monkeypatch.setattr(FeatureStore, "load", fail)
    with Events("slither.store.reload.*") as events, pytest.raises(StoreLoadError):
        FeatureStore.reload()
    ((_, about),) = events.of("slither.store.reload.exception")
    assert isinstance(about["reason"], StoreLoadError)
    assert events.of("slither.store.reload.stop") == []


def test_a_view_tells_its_start_and_its_stop() -> None:
    """``[:slither, :bridge, :view, :start]`` and ``:stop``: which view, for which session."""

    class Asking(Pipe):
        stores = [FeatureStore]
        ask = workers(work.look_up)

    with Events("slither.bridge.view.*") as events:
        run_pipe(Asking, ["a"], session_id="s1")
    ((started, at_start),) = events.of("slither.bridge.view.start")
    ((stopped, at_stop),) = events.of("slither.bridge.view.stop")
    assert "system_time" in started
    assert "duration" in stopped
    assert at_start == at_stop == {"view": "lookup_feature", "session_id": "s1"}


# -- listening -----------------------------------------------------------------------------------------


def test_one_handler_may_hear_several_events() -> None:
    """``:telemetry.attach_many``: names, and patterns; it gets event, measurements and metadata."""
    heard: list[str] = []
    names = ["slither.dispatch.batch.stop", "slither.pipe.run.stop", "slither.store.write"]
    with telemetry.attach(names, lambda event, sender, measurements, metadata: heard.append(event)):
        run_pipe(Scoring, [1])
        FeatureStore.features.put("x", 1)
    FeatureStore.features.put("x", 2)
    assert sorted(heard) == sorted(names)


def test_a_handler_that_fails_is_detached(caplog: pytest.LogCaptureFixture) -> None:
    """``:telemetry``: it harms neither the run nor the other handlers, and is not called again."""
    calls: list[str] = []

    def fail(event: str, *_: Any) -> None:
        calls.append(event)
        raise ValueError("a bad handler")

    handle = telemetry.attach("slither.store.write", fail)
    with Events("slither.store.write") as events:
        FeatureStore.features.put("x", 1)
        FeatureStore.features.put("x", 2)
    assert len(calls) == 1
    assert not handle.attached
    assert len(events.seen) == 2


def test_an_event_that_is_none_is_an_error() -> None:
    """``:telemetry.attach``: a name that nothing emits is not waited for."""
    with pytest.raises(OptionError, match="slither.pipe.run.stop"):
        telemetry.attach("slither.pipe.run.stopp", print)


def test_a_span_tells_start_and_stop_or_exception() -> None:
    """`Slither.Telemetry`, span helpers: around a block; an exception goes on."""
    signals = telemetry.STORE_RELOAD_START, telemetry.STORE_RELOAD_STOP, telemetry.STORE_RELOAD_EXCEPTION
    with Events("slither.store.reload.*") as events:
        with telemetry.span(*signals, None, {"store": "x"}):
            pass
        with pytest.raises(ValueError, match="no"), telemetry.span(*signals, None, {"store": "x"}):
            raise ValueError("no")
    assert [name.rpartition(".")[2] for name, *_ in events.seen] == ["start", "stop", "start", "exception"]
