"""The picture of a running graph."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Ref, Server
from slither_actors.actors._zombie import bury
from slither_actors.errors import OptionError
from slither_actors.stages import (
    BroadcastFanOut,
    Consumer,
    GraphEdge,
    GraphStage,
    PartitionFanOut,
    RoundRobinFanOut,
    StageGraph,
    Subscription,
    ask,
    async_info,
    async_subscribe,
    cancel,
    graph,
    sync_subscribe,
)
from slither_actors.stages import _graph as graph_module
from tests.stages.probes import SECONDS, Middle, Silent, Sink, Source, ended, inside, settle, until


def still(**options: Any) -> Ref:
    """Start a source that owes all that it is asked for beyond its limit."""
    return Source.start(completes=False, **options)


class Stuck(Sink):
    """Stays in its handler until it is let go."""

    fails = False

    def init(self, **options: Any) -> None:
        super().init(**options)
        self.go = threading.Event()
        self.inside = threading.Event()

    def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        self.inside.set()
        self.go.wait(SECONDS)
        if self.fails:
            raise ValueError("broken")


def between(picture: StageGraph, producer: Ref, consumer: Ref) -> GraphEdge:
    (found,) = [e for e in picture.edges if (e.producer, e.consumer) == (producer.id, consumer.id)]
    return found


def test_a_graph_is_found_from_any_of_its_stages() -> None:
    """Upstream and downstream: two sources, a join, a fork."""
    left, right, middle = still(), still(), Middle.start()
    sinks = [Sink.start() for _ in range(2)]
    for source in (left, right):
        sync_subscribe(middle, to=source)
    for sink in sinks:
        sync_subscribe(sink, to=middle)
    settle(left, right, middle, *sinks)
    pictures = [graph(ref, timeout=SECONDS) for ref in (left, right, middle, *sinks)]
    assert all(picture == pictures[0] for picture in pictures)
    picture = pictures[0]
    assert picture.complete
    assert [stage.id for stage in picture.stages] == [ref.id for ref in (left, right, middle, *sinks)]
    assert [stage.kind for stage in picture.stages] == [
        "producer", "producer", "producer_consumer", "consumer", "consumer"
    ]  # fmt: skip
    assert {stage.state for stage in picture.stages} == {"idle"}
    assert len(picture.edges) == 4
    assert graph(left, Sink.start(), timeout=SECONDS) != picture


def test_stages_are_given_by_name_as_well() -> None:
    """And what is no stage is refused, with what is allowed."""
    Source.start(name="the source")
    assert "'the source'" in graph("the source").stages[0].name
    for wrong in ("nobody", Server.start(), 3, []):
        with pytest.raises(OptionError, match="refs and names of stages"):
            graph(wrong)  # type: ignore[arg-type]


def test_no_stage_is_a_graph_without_stages() -> None:
    """Nothing is asked."""
    picture = graph()
    assert (picture.stages, picture.edges, picture.complete) == ((), (), True)
    assert picture.describe() == "0 stages, 0 subscriptions"


def test_the_numbers_add_up_while_nothing_moves() -> None:
    """On each edge the demand is open at the producer, on its way, or answered by events on their way."""
    source, middle, sink = Silent.start(), Middle.start(), Sink.start()
    sync_subscribe(middle, to=source, max_demand=10, min_demand=3, cancel="temporary")
    sync_subscribe(sink, to=middle, max_demand=4)
    settle(source, middle, sink)
    inside(source, lambda stage: stage.emit(range(2)))
    settle(source, middle, sink)
    first = between(graph(sink), source, middle)
    assert (first.max_demand, first.min_demand, first.cancel, first.manual) == (10, 3, "temporary", False)
    assert (first.demand, first.open, first.asked, first.in_flight) == (8, 8, 0, 0)
    middle.suspend()
    inside(source, lambda stage: stage.emit(range(3)))
    first = between(graph(sink), source, middle)
    assert (first.demand, first.open, first.in_flight) == (8, 5, 3)
    source.suspend()
    async_subscribe(middle, to=source)
    ask(inside(sink, lambda stage: next(iter(stage._producers))), 7)
    picture = graph(sink)
    second = between(picture, middle, sink)
    assert (second.demand, second.open, second.asked) == (4, 4, 7)
    assert [stage.state for stage in picture.stages] == ["suspended", "suspended", "idle"]
    assert picture.stage(middle.id).mailbox == 3


@pytest.mark.parametrize("delivery", ["at_most_once", "at_least_once"])
def test_events_that_are_collected_are_in_flight(delivery: str) -> None:
    """In the consumer, and on their way to it."""
    source, sink = still(limit=3), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10, min_demand=5, max_wait=1000, delivery=delivery)
    settle(source, sink)
    assert between(graph(sink, timeout=SECONDS), source, sink).in_flight == 3
    with suspension(sink):
        inside(source, lambda stage: stage.emit([3]))
        assert between(graph(sink, timeout=SECONDS), source, sink).in_flight == 4


@contextlib.contextmanager
def suspension(ref: Ref) -> Iterator[None]:
    """Have a stage handle nothing meanwhile."""
    ref.suspend()
    yield
    ref.resume()


def test_what_waits_behind_events_is_no_event() -> None:
    """An info to a stage that holds events back."""
    source, middle = still(limit=4), Middle.start()
    sync_subscribe(middle, to=source, max_demand=4, min_demand=0)
    settle(source, middle)
    async_info(middle, "behind")
    picture = graph(middle, timeout=SECONDS)
    assert picture.complete
    assert between(picture, source, middle).in_flight == 4


def test_events_that_wait_in_a_stage_are_in_flight_and_those_in_its_buffer_are_not() -> None:
    """A producer-consumer without demand holds back what came; a producer keeps what nobody asked for."""
    source, middle = Silent.start(buffer_size=50), Middle.start()
    sync_subscribe(middle, to=source, max_demand=10)
    settle(source, middle)
    inside(source, lambda stage: stage.emit(range(13)))
    settle(source, middle)
    picture = graph(middle)
    edge = between(picture, source, middle)
    assert (edge.demand, edge.open, edge.in_flight) == (10, 0, 10)
    assert picture.stage(middle.id).waiting == 10
    buffered = picture.stage(source.id)
    assert (buffered.buffered, buffered.buffer_size, buffered.unmet) == (3, 50, 0)


def test_options_and_queues_of_partitions_are_shown() -> None:
    """Numbers and text as they are; functions by name."""
    parted = Silent.start(dispatcher=functools.partial(PartitionFanOut, ["a", "b"], lambda e: (e, "b")))
    sinks = [Sink.start(mode=mode) for mode in (None, "manual")]
    for sink, name in zip(sinks, "ab", strict=True):
        sync_subscribe(sink, to=parted, partition=name)
    settle(parted, *sinks)
    inside(parted, lambda stage: stage.emit(range(5)))
    picture = graph(parted)
    by_hand = between(picture, parted, sinks[1])
    assert (by_hand.options, by_hand.partition, by_hand.manual) == ({"partition": "b"}, "'b'", True)
    assert (by_hand.demand, by_hand.open, by_hand.ever_asked) == (None, 0, False)
    stage = picture.stage(parted.id)
    assert (stage.queued, stage.fan_out, stage.coupled) == ({"'b'": 5}, "PartitionFanOut", "partition")
    told = Silent.start(dispatcher=BroadcastFanOut)
    sync_subscribe(sinks[0], to=told, selector=lambda event: event)
    settle(sinks[0], told)
    assert "<lambda>" in between(graph(told), told, sinks[0]).options["selector"]


def test_a_picture_survives_json() -> None:
    """All that is in it: numbers, text, None."""
    source, sink = still(dispatcher=functools.partial(PartitionFanOut, 1)), Sink.start()
    sync_subscribe(sink, to=source, partition=0, other=object())
    settle(source, sink)
    picture = graph(sink)
    back = json.loads(json.dumps(picture.to_dict()))
    stages = tuple(GraphStage(**stage) for stage in back["stages"])
    edges = tuple(GraphEdge(**edge) for edge in back["edges"])
    assert StageGraph(stages=stages, edges=edges, complete=back["complete"]) == picture


def test_a_stage_stuck_in_its_handler_is_shown_and_hides_nobody() -> None:
    """With its line; the call takes the one deadline, however many are stuck."""
    source, middle = Source.start(1000), Middle.start()
    stuck = [Stuck.start() for _ in range(3)]
    for each in stuck:
        sync_subscribe(each, to=middle, max_demand=4)
    sync_subscribe(middle, to=source, max_demand=12)
    for each in stuck:
        assert each._cell.actor.inside.wait(SECONDS)
    began = time.monotonic()
    picture = graph(stuck[0], timeout=0.2)
    assert time.monotonic() - began < 5
    assert not picture.complete
    assert len(picture.stages) == 5
    for each in stuck:
        stage = picture.stage(each.id)
        assert (stage.state, stage.answered) == ("no answer", False)
        assert stage.busy is not None
        assert stage.busy >= 0.2
        assert "test_graph.py" in stage.where
        assert "handle_events" in stage.where
        assert between(picture, middle, each).demand is not None
    for each in stuck:
        each._cell.actor.go.set()


def test_what_is_behind_a_stuck_stage_is_found() -> None:
    """Downstream too, by what can be read from outside."""

    class StuckMiddle(Middle):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
            inside_it.set()
            go.wait(SECONDS)
            return events

    go, inside_it = threading.Event(), threading.Event()
    source, middle, sink = still(limit=1), StuckMiddle.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    settle(middle)
    sync_subscribe(middle, to=source)
    assert inside_it.wait(SECONDS)
    picture = graph(source, timeout=0.1)
    assert picture.stage(sink.id).answered
    assert between(picture, middle, sink).open == 1000
    go.set()


def test_what_only_the_answers_tell_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that were subscribed while others were asked."""
    source, middle, sink = still(), Middle.start(), Sink.start()
    sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source)
    settle(source, middle, sink)
    monkeypatch.setattr(graph_module, "subscriptions_of", lambda ref: (frozenset(), frozenset()))
    assert len(graph(middle, timeout=SECONDS).edges) == 2


def test_a_stage_that_was_abandoned_in_its_handler_is_not_waited_for() -> None:
    """It is dead, and will never answer."""
    stuck = Stuck.start()
    actor = stuck._cell.actor
    sync_subscribe(stuck, to=still(limit=1))
    assert actor.inside.wait(SECONDS)
    stuck.kill()
    bury(stuck._cell)
    began = time.monotonic()
    assert graph(stuck, timeout=600).stage(stuck.id).state == "dead"
    assert time.monotonic() - began < SECONDS / 2
    actor.go.set()


def test_a_stage_that_waits_for_an_answer_says_of_whom() -> None:
    """The call that it is in."""

    class Mute(Server):
        def handle_call(self, request: Any, sender: Any) -> Any:
            go.wait(SECONDS)

    class Asking(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            asked.set()
            mute.call("?", SECONDS)

    go, asked = threading.Event(), threading.Event()
    mute, sink = Mute.start(), Asking.start()
    sync_subscribe(sink, to=Source.start(1))
    assert asked.wait(SECONDS)
    until(lambda: sink._cell.waiting_on is not None)
    assert graph(sink, timeout=0.1).stage(sink.id).waits_for == str(mute)
    go.set()


def test_a_stage_that_dies_while_it_is_asked_ends_the_wait() -> None:
    """It is shown as dead, with its reason; one that was dead before as well."""
    source, stuck = still(limit=1), Stuck.start()
    sync_subscribe(stuck, to=source)
    actor = stuck._cell.actor
    assert actor.inside.wait(SECONDS)
    pictures: list[StageGraph] = []
    looking = threading.Thread(target=lambda: pictures.append(graph(source, timeout=600)))
    looking.start()
    until(lambda: stuck._cell.control)
    actor.fails = True
    actor.go.set()
    looking.join(SECONDS)
    (picture,) = pictures
    gone = picture.stage(stuck.id)
    assert gone.state == "dead"
    assert "broken" in gone.exit_reason
    assert not picture.complete
    assert graph(stuck, timeout=600).stage(stuck.id).state == "dead"


def test_a_stage_is_asked_once_whatever_leads_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred edges between twenty stages: twenty questions."""
    asked: list[Ref] = []
    look = graph_module.look
    monkeypatch.setattr(graph_module, "look", lambda ref, stage: asked.append(ref) or look(ref, stage))
    sources, sinks = [still() for _ in range(10)], [Sink.start() for _ in range(10)]
    for source in sources:
        for sink in sinks:
            sync_subscribe(sink, to=source)
    picture = graph(sources[0], *sinks, timeout=SECONDS)
    assert len(picture.edges) == 100
    assert sorted(ref.id for ref in asked) == [ref.id for ref in (*sources, *sinks)]


def test_a_thousand_consumers_and_a_chain_of_hundreds_are_one_picture() -> None:
    """In well under the time that it may take; the text lists some and counts the rest."""
    source = still()
    last = source
    for _ in range(300):
        middle = Middle.start()
        sync_subscribe(middle, to=last)
        last = middle
    sinks = [Sink.start() for _ in range(1000)]
    for sink in sinks:
        sync_subscribe(sink, to=last)
    picture = graph(sinks[-1], timeout=SECONDS)
    assert picture.complete
    assert (len(picture.stages), len(picture.edges)) == (1301, 1300)
    text = picture.describe(limit=5)
    assert "and 995 more" in text
    assert text.index(str(source)) < text.index(str(last))
    assert len(picture.mermaid().splitlines()) == 2602


def test_a_stage_may_look_at_the_graph_that_it_is_in() -> None:
    """It does not wait for itself."""

    class Looking(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            pictures.append(graph(self.ref, timeout=SECONDS))
            self.got.set()

    pictures: list[StageGraph] = []
    source, sink = still(limit=1), Looking.start()
    got = sink._cell.actor.got
    sync_subscribe(sink, to=source)
    assert got.wait(SECONDS)
    assert pictures[0].complete
    assert len(pictures[0].stages) == 2


def test_a_stage_that_looks_and_is_to_end_does_not_go_on_looking() -> None:
    """The wait ends with the stage, not after the timeout."""

    class Looking(Sink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            self.got.set()
            graph(stuck, timeout=600)

    stuck, sink = Stuck.start(), Looking.start()
    sync_subscribe(stuck, to=still(limit=1))
    assert stuck._cell.actor.inside.wait(SECONDS)
    sync_subscribe(sink, to=still(limit=1))
    until(lambda: stuck._cell.control)
    began = time.monotonic()
    sink.exit("enough")
    assert ended(sink) == "enough"
    assert time.monotonic() - began < SECONDS / 2
    stuck._cell.actor.go.set()


def test_a_fan_out_that_raises_when_it_is_looked_at_ends_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Its numbers are unknown, and the log says why."""

    class Broken(RoundRobinFanOut[Any]):
        def statistics(self) -> Any:
            raise ValueError("no numbers")

    source, sink = still(dispatcher=Broken), Sink.start()
    sync_subscribe(sink, to=source)
    settle(source, sink)
    picture = graph(sink)
    assert between(picture, source, sink).open is None
    assert picture.stage(source.id).unmet is None
    assert source.is_alive()
    assert "no numbers" in caplog.text


def test_a_cancelled_subscription_is_gone_from_the_picture() -> None:
    """And the other part of the graph with it."""
    source, sink = still(), Sink.start()
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    cancel(subscription)
    settle(source, sink)
    assert [stage.id for stage in graph(sink).stages] == [sink.id]


class Running(Consumer):
    async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        await self.wait()

    async def wait(self) -> None:
        raise NotImplementedError


def test_coroutines_are_counted_and_timed() -> None:
    """A stage answers while they run."""

    class Waiting(Running):
        def init(self) -> None:
            self.started = threading.Event()

        async def wait(self) -> None:
            import asyncio

            self.started.set()
            await asyncio.sleep(SECONDS)

    source, sink = still(limit=1), Waiting.start()
    sync_subscribe(sink, to=source)
    assert sink._cell.actor.started.wait(SECONDS)
    stage = graph(source).stage(sink.id)
    assert (stage.state, stage.running, stage.answered) == ("working", 1, True)
    assert stage.busy is not None
    assert stage.call is not None


def test_the_text_says_what_is_not_as_usual() -> None:
    """Stages behind their producers, their subscriptions below."""
    source, sink = still(name="feed"), Sink.start()
    sync_subscribe(sink, to=source, max_demand=10)
    settle(source, sink)
    assert graph(sink).describe().splitlines() == [
        "2 stages, 1 subscription",
        f"Source 'feed' <{source.id}> · producer · idle",
        f"  └→ Sink <{sink.id}> · demand 5 to 10 · permanent · 10 open · 0 in flight",
        f"Sink <{sink.id}> · consumer · idle",
    ]


def test_the_chart_cannot_be_broken_by_a_name() -> None:
    """What Mermaid could read as its own is written as a number."""
    source, sink = still(name='"]\n--> x %%{init}%% <script>'), Sink.start()
    sync_subscribe(sink, to=source)
    source.suspend()
    chart = graph(sink).mermaid().splitlines()
    assert chart[0] == "flowchart LR"
    assert len(chart) == 6
    assert chart[1].count('"') == 2
    assert not set("%{}[]<>") & set(chart[1].split('"')[1].replace("<br/>", ""))
    assert chart[-1] == f"    class s{source.id} held"


def test_a_cycle_is_listed_too() -> None:
    """Each stage once."""
    first, second = Middle.start(), Middle.start()
    sync_subscribe(first, to=second)
    sync_subscribe(second, to=first)
    settle(first, second)
    lines = graph(first).describe().splitlines()
    assert [line.split(" · ")[0] for line in lines[1:]] == [
        str(first), f"  └→ {second}", str(second), f"  └→ {first}"
    ]  # fmt: skip
