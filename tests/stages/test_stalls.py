"""Who holds back a running graph: one stall of each kind, planted, and the server that watches."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest

from slither_actors import telemetry
from slither_actors.actors import Ref, Server, Supervisor
from slither_actors.errors import OptionError, StartError
from slither_actors.stages import (
    BroadcastFanOut,
    PartitionFanOut,
    Stall,
    StallWatch,
    Subscription,
    ask,
    find_stalls,
    from_async_iterable,
    graph,
    pause,
    stalls,
    sync_subscribe,
)
from slither_actors.stages import _stalls as stalls_module
from tests.stages.probes import SECONDS, Middle, Silent, Sink, Source, inside, seen, settle, until


class Stuck(Sink):
    """Stays in its handler from the first event on."""

    def init(self, wait: Callable[[], Any], **options: Any) -> None:
        super().init(**options)
        self.wait = wait
        self.entered = threading.Event()

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        self.entered.set()
        self.wait()


class StuckCoroutine(Stuck):
    async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:  # type: ignore[override]
        self.entered.set()
        await asyncio.sleep(SECONDS)


class Mute(Server):
    def init(self, wait: Callable[[], Any]) -> None:
        self.wait = wait

    def handle_call(self, request: Any, sender: Any) -> None:
        self.wait()


@pytest.fixture
def wait() -> Iterator[Callable[[], Any]]:
    """What a handler that does not return calls; it does at the end of the test."""
    go = threading.Event()
    yield lambda: go.wait(SECONDS)
    go.set()


Wait = Callable[[], Any]
Planted = tuple[Ref, tuple[Ref, ...]]
"""The culprit, and all stages of the graph."""


def chain(sink: Ref, **options: Any) -> Planted:
    source, middle = Source.start(10**6), Middle.start()
    sync_subscribe(sink, to=middle, **options)
    sync_subscribe(middle, to=source, max_demand=20)
    return sink, (source, middle, sink)


def handler(wait: Wait) -> Planted:
    return chain(Stuck.start(wait))


def coroutine(wait: Wait) -> Planted:
    return chain(StuckCoroutine.start(wait))


def answer(wait: Wait) -> Planted:
    mute = Mute.start(wait)
    return chain(Stuck.start(lambda: mute.call("?", SECONDS)))


def manual(wait: Wait) -> Planted:
    return chain(Sink.start(mode="manual"))


def owes(wait: Wait) -> Planted:
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    return source, (source, middle, sink)


def broadcast(wait: Wait) -> Planted:
    source, culprit, other = (
        Source.start(10**6, dispatcher=BroadcastFanOut),
        Sink.start(mode="manual"),
        Sink.start(),
    )
    for sink in (culprit, other):
        sync_subscribe(sink, to=source)
    return culprit, (source, culprit, other)


def partition(wait: Wait) -> Planted:
    by_half = functools.partial(PartitionFanOut, 2)
    source, other = Source.start(10**6, dispatcher=by_half), Sink.start()
    culprit = Sink.start(mode="manual")
    for number, sink in enumerate((culprit, other)):
        sync_subscribe(sink, to=source, partition=number, max_demand=10)
    return culprit, (source, culprit, other)


def partition_alone(wait: Wait) -> Planted:
    source, sink = Source.start(10**6, dispatcher=functools.partial(PartitionFanOut, 2)), Sink.start()
    sync_subscribe(sink, to=source, partition=1, max_demand=10)
    return source, (source, sink)


def suspended(wait: Wait) -> Planted:
    culprit, stages = chain(Sink.start())
    stages[1].suspend()
    return stages[1], stages


def paused(wait: Wait) -> Planted:
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    pause(middle)
    inside(source, lambda stage: stage.emit(range(2000)))
    return middle, (source, middle, sink)


def accumulates(wait: Wait) -> Planted:
    source, sink = Source.start(10, demand="accumulate"), Sink.start()
    sync_subscribe(sink, to=source)
    return source, (source, sink)


def no_consumers(wait: Wait) -> Planted:
    source, middle = Source.start(10**6), Middle.start()
    sync_subscribe(middle, to=source)
    return middle, (source, middle)


def no_producers(wait: Wait) -> Planted:
    middle, sink = Middle.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    return middle, (middle, sink)


def cycle(wait: Wait) -> Planted:
    first, second = Middle.start(), Middle.start()
    sync_subscribe(first, to=second)
    sync_subscribe(second, to=first)
    return first, (first, second)


PLANTED = [
    handler, coroutine, answer, manual, owes, broadcast, partition, partition_alone, suspended, paused,
    accumulates, no_consumers, no_producers, cycle,
]  # fmt: skip
KINDS = {"coroutine": "handler", "partition_alone": "partition", "suspended": "paused"}


@pytest.mark.parametrize("plant", PLANTED)
def test_the_culprit_is_named_and_nobody_else(plant: Callable[[Wait], Planted], wait: Wait) -> None:
    """From whichever stage one looks; and as stuck, once it has lasted."""
    culprit, stages = plant(wait)
    at_work = getattr(culprit._cell.actor, "entered", None)
    if at_work is not None:
        assert at_work.wait(SECONDS)
        until(lambda: stages[1]._cell.handled >= 2)  # what the others do until they wait, too
        until(lambda: (graph(culprit, timeout=0.1).stage(culprit.id).busy or 0.0) > 0.1)
    settle(*(ref for ref in stages if ref is not culprit and not ref.statistics().suspended))
    key = (culprit.id, KINDS.get(plant.__name__, plant.__name__))
    before = graph(*stages, timeout=0.1)
    for ref in stages:
        assert [stall.key for stall in stalls(ref, handler_seconds=0.1, timeout=0.2)] == [key]
    (stall,) = stalls(stages[0], before=before, handler_seconds=0.1, timeout=0.2)
    assert stall.key == key
    assert stall.verdict == "stuck"
    assert stall.seconds is not None
    assert str(culprit) in str(stall)
    if plant not in (cycle, partition_alone, no_producers, no_consumers):
        assert stall.blocked
    assert set(stall.blocked) <= {str(ref) for ref in stages} - {str(culprit)}


def test_a_graph_that_flows_has_no_stalls() -> None:
    """Looked at again and again, with consumers that ask by hand in time, a broadcast and a partition."""

    class Asking(Sink):
        def handle_subscribe(self, role: str, options: Any, source: Subscription) -> str | None:
            ask(source, 7)
            return "manual"

        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            ask(source, len(events))

    source = Source.start(10**9, dispatcher=BroadcastFanOut)
    parted = Middle.start(dispatcher=functools.partial(PartitionFanOut, 2))
    shared = Middle.start()
    for middle in (parted, shared):
        for number in range(2):
            sync_subscribe(Asking.start(), to=middle, partition=number)
        sync_subscribe(middle, to=source, max_demand=50)
    before = graph(source, timeout=SECONDS)
    for _ in range(50):
        assert stalls(source, before=before, timeout=SECONDS) == ()


def test_what_a_second_picture_does_not_confirm_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first was torn: events passed between the answers of two stages."""
    sink, _ = manual(lambda: None)
    torn = graph(sink)
    (edge,) = (edge for edge in torn.edges if edge.consumer == sink.id)
    edges = tuple(attrs.evolve(each, in_flight=3) if each is edge else each for each in torn.edges)
    pictures = [torn, attrs.evolve(torn, edges=edges)]
    monkeypatch.setattr(stalls_module, "graph", lambda *refs, timeout: pictures.pop(0))
    assert stalls(sink) == ()


def test_options_are_checked() -> None:
    """At the call, by name."""
    with pytest.raises(OptionError, match="handler_seconds"):
        stalls(Source.start(), handler_seconds=-1)
    with pytest.raises(OptionError, match="timeout"):
        graph(Source.start(), timeout=None)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="stalls: option 'timeout' is -1;"):
        stalls(Source.start(), timeout=-1)
    with pytest.raises(OptionError, match="stalls: option 'before'"):
        stalls(Source.start(), before=())  # type: ignore[arg-type]
    for options in ({"every": 0}, {"every": float("inf")}, {"timeout": "1"}, {"handler_seconds": None}):
        with pytest.raises(StartError) as failed:
            StallWatch.start(Source.start(), **options)
        assert next(iter(options)) in str(failed.value.__cause__)
    with pytest.raises(StartError):
        StallWatch.start()


def test_a_producer_that_waits_for_the_next_element_is_at_work() -> None:
    """While its elements come it owes none, however slowly; one whose iterator is silent does."""
    more = asyncio.Event()

    async def slow() -> AsyncIterator[int]:
        for number in itertools.count():
            await more.wait()
            more.clear()
            yield number

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        source, sink = from_async_iterable(slow(), loop=loop), Sink.start()
        sync_subscribe(sink, to=source, max_demand=10)
        settle(source)
        until(lambda: graph(source, timeout=SECONDS).stage(source.id).state == "working")
        before = graph(source, timeout=SECONDS)
        assert before.stage(source.id).running == 1
        loop.call_soon_threadsafe(more.set)
        until(lambda: seen(sink, "events") == [0])
        assert stalls(source, before=before, handler_seconds=0, timeout=SECONDS) == ()
        before = graph(source, timeout=SECONDS)
        (stall,) = stalls(source, before=before, handler_seconds=0, timeout=SECONDS)
        assert (stall.kind, stall.stage) == ("owes", source.id)
        source.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()


# -- the server ------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, ["name"], Server], ids=["nothing", "a list", "no stage"])
def test_a_watch_of_what_is_no_stage_does_not_start(wrong: Any) -> None:
    """It would crash at each look, and its supervisor with it."""
    given = Server.start() if wrong is Server else wrong
    with pytest.raises(StartError, match="StallWatch: option 'stages' has"):
        StallWatch.start(given)


def test_the_watch_tells_each_stall_once_and_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """In the log and by telemetry; and it answers what is so now."""
    source, sink = Source.start(10**6, completes=False), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    settle(source, sink)
    events: list[tuple[str, Any]] = []
    told = {"start": threading.Event(), "stop": threading.Event()}

    def note(event: str, sender: object, measurements: Any, metadata: Any) -> None:
        events.append((event.rpartition(".")[2], metadata | measurements))
        told[events[-1][0]].set()

    with telemetry.attach("slither.stage.stall.*", note):
        watch = StallWatch.start(source, every=0.01, timeout=2.0)
        assert told["start"].wait(SECONDS)
        until(lambda: watch.statistics().handled > 5)
        (now,) = watch.call("stalls")
        assert isinstance(now, Stall)
        assert now.key == (sink.id, "manual")
        ask(subscription, 10**9)
        assert told["stop"].wait(SECONDS)
    assert [name for name, _ in events] == ["start", "stop"]
    first, last = (details for _, details in events)
    assert (first["kind"], first["stage"]) == ("manual", str(sink))
    assert "never asked" in first["sentence"]
    assert "stages.ask" in first["advice"]
    assert last["duration"] > 0
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING and str(sink) in r.message]
    assert len(warnings) == 2
    assert "over after" in warnings[1]


def test_the_watch_follows_names_over_restarts() -> None:
    """A stage that is not there is left out; its successor is found by its name."""
    source = Source.child_spec(10, name="watched source", completes=False)
    watching = StallWatch.child_spec("nobody", "watched source", every=0.01)
    tree = Supervisor.start([source, watching], max_restarts=5)
    watch = next(child.ref for child in tree.which_children() if child.id == "StallWatch")
    assert watch is not None

    def culprit() -> int | None:
        return next((stall.stage for stall in watch.call("stalls")), None)

    until(culprit)
    before = culprit()
    first = next(child.ref for child in tree.which_children() if child.id == "Source")
    assert first is not None
    assert first.id == before
    first.kill()
    until(lambda: culprit() not in (None, before))
    assert watch.is_alive()


def test_pictures_may_be_kept_and_judged_later() -> None:
    """`find_stalls` needs no stage."""
    source = Source.start(1)
    before = graph(source)
    source.stop()
    (stall,) = find_stalls(before, before)
    assert stall.kind == "no_consumers"
