"""However a run over a source that delivers again ends, each delivery is acknowledged once."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import Pipe, PipeError, run_pipe, stage, start_pipe, stream_pipe
from slither_actors.actors import Ref
from slither_actors.dispatch._stream import stages_of
from slither_actors.errors import OptionError
from slither_actors.pipe import Delivery, RunHandle
from slither_actors.pipe._ack_keeper import AckKeeper
from tests.pipe.ack_sources import ListSource


class Same(Pipe):
    same = stage(lambda item: item.payload)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slither_actors.dispatch._source._CLOSE_SECONDS", 0.05)


class Blocking(ListSource):
    """Gives some elements, and the last one when `may_give` is set, whatever it is told."""

    def __init__(self) -> None:
        super().__init__(range(3))
        self.blocks, self.may_give = threading.Event(), threading.Event()

    def deliveries(self, stopping: threading.Event) -> Iterator[Delivery]:
        yield from super().deliveries(stopping)
        self.blocks.set()
        self.may_give.wait(20)
        self.read += 1
        yield Delivery("late", 3)


def actor_of(run: Ref, name: str) -> Ref:
    """One of those of a run."""
    return run if name == "run" else dict(run.run(stages_of))[name]


@pytest.mark.parametrize("killed", ["run", "source", "same", "reader"])
def test_what_is_read_after_an_actor_of_the_run_was_killed_goes_back_once(killed: str) -> None:
    """The source gave it when its run had let go of it."""
    source = Blocking()
    with stream_pipe(Same, source) as stream:
        assert next(stream).payload == 0
        assert source.blocks.wait(10)
        actor_of(stream._plan.link.run, killed).kill()
        with pytest.raises(PipeError):
            list(stream)
    source.wait_until_closed()
    assert 3 not in {ack.token for ack in source.acks}
    source.may_give.set()
    source.wait_for(4)
    assert source.errors.keys() == {0, 1, 2, 3}
    assert [ack.token for ack in source.acks if ack.interrupted][-1] == 3
    assert source.closed == 1


@pytest.mark.parametrize("way", ["close", "timeout", "cancel", "halt"])
def test_what_is_read_after_the_end_of_the_run_goes_back_once(way: str) -> None:
    """Whatever ended it."""

    class Halts(Pipe):
        @stage
        def halt(item: Any) -> Any:  # noqa: N805
            if way == "halt":
                assert source.blocks.wait(10)
                raise ValueError("enough")
            return item.payload

    source, handle = Blocking(), RunHandle()
    if way == "close":
        with stream_pipe(Halts, source) as stream:
            next(stream)
            assert source.blocks.wait(10)
    else:
        options: dict[str, Any] = {"timeout": 0.2} if way == "timeout" else {"handle": handle}
        timer = threading.Timer(0.2, handle.cancel)
        timer.start()
        with pytest.raises(PipeError):
            run_pipe(Halts, source, **options)
        timer.cancel()
    source.wait_until_closed()
    source.may_give.set()
    source.wait_for(4)
    assert source.errors.keys() == {0, 1, 2, 3}
    assert source.closed == 1


def test_a_run_that_is_killed_acknowledges_what_is_left_as_interrupted() -> None:
    """Its supervisor gets no chance to say so."""
    came, began, may_go_on = threading.Event(), threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield 0
        came.wait(20)
        yield 1
        yield from itertools.repeat(2, 5000)

    class P(Pipe):
        @stage
        def wait(item: Any) -> Any:  # noqa: N805
            if item.payload == 1:
                began.set()
                may_go_on.wait(20)
            return item.payload

    source = ListSource(numbers())
    with stream_pipe(P, source) as stream:
        assert next(stream).payload == 0
        came.set()
        assert began.wait(10)
        stream._plan.link.run.kill()  # type: ignore[union-attr]
        with pytest.raises(PipeError):
            list(stream)
    source.wait_until_closed()
    may_go_on.set()
    assert source.errors[1] is not None
    assert {0: False, 1: True}.items() <= {ack.token: ack.interrupted for ack in source.acks}.items()


# -- who has the source ----------------------------------------------------------------


def test_a_run_that_never_began_does_not_let_the_next_one_in_too_early() -> None:
    """The one before it has the source still."""
    may_close = threading.Event()

    class Slow(ListSource):
        def close(self) -> None:
            may_close.wait(20)
            super().close()

    source = Slow([])
    first = AckKeeper(source, "the first", has_reader=False)
    first.start()
    first.leave("run")
    second = AckKeeper(source, "the second", has_reader=False, after=first)
    second.leave("run")  # it was killed before it began
    third = AckKeeper(source, "the third", has_reader=False, after=second)
    turn = threading.Event()
    third.call_at_turn(turn.set)
    assert not turn.wait(0.05)
    assert not second.wait(0.0)
    may_close.set()
    assert turn.wait(10)
    assert second.wait(10)


# -- sources that are broken -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("ack_size", 0), ("ack_size", "many"), ("ack_seconds", None), ("beat_seconds", -1), ("rate_limit", 10)],
)
def test_wrong_numbers_of_a_source_are_refused_at_the_start(name: str, value: Any) -> None:
    """Later they would end the thread that acknowledges, and nothing would ever be done."""
    source = ListSource([1])
    setattr(source, name, value)
    with pytest.raises(OptionError, match=name):
        run_pipe(Same, source)
    with pytest.raises(OptionError, match=name):
        start_pipe(Same, source=source)


def test_the_longest_times_are_no_error() -> None:
    """The platform cannot wait so long at one time."""
    source = ListSource([1, 2])
    source.ack_seconds = source.beat_seconds = 1e300
    run_pipe(Same, source)
    assert source.errors == {0: None, 1: None}


def test_a_source_whose_methods_have_no_name_may_raise(caplog: pytest.LogCaptureFixture) -> None:
    """And its run goes on, up to `close`."""
    source = ListSource([1])
    source.acknowledge = functools.partial(_refuse)  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR, "slither_actors.pipe"):
        run_pipe(Same, source)
    assert "of its source raised" in caplog.text
    assert source.closed == 1


def _refuse(acks: Any) -> None:
    raise ConnectionError("gone")


def test_a_log_handler_that_raises_takes_no_acknowledgement_away() -> None:
    """Those behind the one that was to be logged are given."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("the disk is full")

    class Once(ListSource):
        ack_size = 1

        def acknowledge(self, acks: Any) -> None:
            if acks[0].token == 0:
                raise ConnectionError("gone")
            super().acknowledge(acks)

    source, handler = Once([1, 2, 3]), Broken()
    logger = logging.getLogger("slither_actors.pipe")
    logger.addHandler(handler)
    try:
        run_pipe(Same, source)
    finally:
        logger.removeHandler(handler)
    assert [ack.token for ack in source.acks] == [1, 2]
    assert source.closed == 1
