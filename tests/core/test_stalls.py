"""Which stage of a picture holds back events or demand."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from slither_actors.core import GraphEdge, GraphStage, StageGraph, Stall, StallTracker, find_stalls


def stage(id: int, kind: Any = "producer_consumer", **fields: Any) -> GraphStage:
    fields = {"state": "idle", "unmet": None if kind == "consumer" else 0, **fields}
    return GraphStage(id=id, name=f"Stage <{id}>", kind=kind, **fields)


def edge(producer: int, consumer: int, **fields: Any) -> GraphEdge:
    fields = {"max_demand": 10, "min_demand": 5, "cancel": "permanent", "demand": 10, "open": 10, **fields}
    return GraphEdge(producer=producer, consumer=consumer, **fields)


def by_hand(producer: int, consumer: int, **fields: Any) -> GraphEdge:
    return edge(producer, consumer, **{"manual": True, "demand": None, "open": 0, **fields})


def graph(stages: list[GraphStage], edges: list[GraphEdge], at: float = 0.0) -> StageGraph:
    return StageGraph(stages=tuple(stages), edges=tuple(edges), at=at)


def kinds(stalls: tuple[Stall, ...]) -> list[tuple[int, str]]:
    return [stall.key for stall in stalls]


SOURCE, SINK = stage(1, "producer"), stage(2, "consumer")


def test_a_consumer_that_waits_for_events_is_not_named() -> None:
    """The producer that does nothing about its demand is; who waits for it further down is not."""
    owing = attrs.evolve(SOURCE, unmet=10)
    middle = stage(2, unmet=5)
    picture = graph([owing, middle, stage(3, "consumer")], [edge(1, 2), edge(2, 3, open=5)])
    (stall,) = find_stalls(picture)
    assert stall.key == (1, "owes")
    assert stall.blocked == ("Stage <2>",)


@pytest.mark.parametrize(
    "change",
    [{"state": "working"}, {"state": "completing"}, {"buffered": 3}, {"unmet": 0}],
    ids=lambda change: next(iter(change)),
)
def test_a_producer_that_has_something_to_do_owes_nothing(change: dict[str, Any]) -> None:
    """Messages in its mailbox, events in its buffer, or the end: it is not forgetful."""
    assert find_stalls(graph([attrs.evolve(SOURCE, **{"unmet": 10, **change}), SINK], [edge(1, 2)])) == ()


def test_demand_on_its_way_to_the_producer_is_not_owed() -> None:
    """It was put into the mailbox after the producer had looked."""
    picture = graph([attrs.evolve(SOURCE, unmet=10), SINK], [edge(1, 2, asked=5)])
    assert find_stalls(picture) == ()


@pytest.mark.parametrize(("ever_asked", "words"), [(False, "never asked"), (True, "asked for no more")])
def test_a_consumer_that_asks_by_hand_and_has_not_is_named(ever_asked: bool, words: str) -> None:
    """And told from one that has asked before."""
    (stall,) = find_stalls(graph([SOURCE, SINK], [by_hand(1, 2, ever_asked=ever_asked)]))
    assert stall.key == (2, "manual")
    assert words in stall.sentence
    assert stall.blocked == ("Stage <1>",)


def test_who_has_asked_a_producer_does_not_hold_it_up() -> None:
    """Only those of whose events none are asked for are named as waiting; and none that ends."""
    stages = [SOURCE, stage(3, "producer"), SINK]
    (stall,) = find_stalls(graph(stages, [by_hand(1, 2), by_hand(3, 2, open=5)]))
    assert stall.blocked == ("Stage <1>",)
    for state in ("completing", "dead"):
        ending: Any = attrs.evolve(SOURCE, state=state)
        assert find_stalls(graph([ending, SINK], [by_hand(1, 2)])) == ()


@pytest.mark.parametrize("change", [{"in_flight": 1}, {"asked": 1}, {"open": 1}, {"open": None}])
def test_a_consumer_by_hand_with_something_under_way_is_not_named(change: dict[str, Any]) -> None:
    """Events or demand on this subscription; or nothing is known of it."""
    assert find_stalls(graph([SOURCE, SINK], [by_hand(1, 2, **change)])) == ()


def test_a_broadcast_consumer_without_demand_blocks_the_others() -> None:
    """The others are named as those who wait; those that share by demand go on."""
    stages = [attrs.evolve(SOURCE, coupled="broadcast"), SINK, stage(3, "consumer")]
    edges = [by_hand(1, 2), edge(1, 3)]
    (stall,) = find_stalls(graph(stages, edges))
    assert stall.key == (2, "broadcast")
    assert stall.blocked == ("Stage <1>", "Stage <3>")
    (alone,) = find_stalls(graph([SOURCE, *stages[1:]], edges))
    assert (alone.key, alone.blocked) == ((2, "manual"), ())


def test_a_partition_whose_consumer_does_not_ask_is_named_with_its_queue() -> None:
    """Its events take the demand of the other partitions."""
    source = attrs.evolve(SOURCE, coupled="partition", queued={"'a'": 7})
    edges = [by_hand(1, 2, options={"partition": "a"}), edge(1, 3, options={"partition": "b"})]
    (stall,) = find_stalls(graph([source, SINK, stage(3, "consumer")], edges))
    assert stall.key == (2, "partition")
    assert "7 are queued for its partition 'a'" in stall.sentence
    (stall,) = find_stalls(graph([source, stage(3, "consumer")], edges[1:]))
    assert stall.key == (1, "partition")
    assert "7 for 'a'" in stall.sentence


def test_a_handler_is_named_once_it_runs_too_long() -> None:
    """With its line, and everybody up to the producers that can send nothing."""
    stuck = stage(3, "consumer", state="no answer", answered=False, busy=4.0, where="app.py:7 in f")
    stages = [SOURCE, stage(2), stuck]
    edges = [edge(1, 2, open=0), edge(2, 3, open=0)]
    assert find_stalls(graph(stages, edges)) == ()
    (stall,) = find_stalls(graph(stages, edges), handler_seconds=3)
    assert stall.key == (3, "handler")
    assert "app.py:7 in f" in stall.sentence
    assert "at least 4.0 s" in stall.sentence
    assert stall.blocked == ("Stage <2>", "Stage <1>")
    asking = attrs.evolve(stuck, waits_for="Store <9>")
    (stall,) = find_stalls(graph([*stages[:2], asking], edges), handler_seconds=3)
    assert stall.key == (3, "answer")
    assert "Store <9>" in stall.sentence


def test_the_time_of_a_handler_adds_up_over_two_pictures() -> None:
    """It was in the same message at both."""
    stuck = attrs.evolve(SINK, state="no answer", answered=False, busy=1.0, handled=8)
    before, now = (graph([SOURCE, stuck], [edge(1, 2, open=0)], at) for at in (0.0, 30.0))
    (stall,) = find_stalls(now, before, handler_seconds=20)
    assert stall.seconds == 31.0
    assert stall.verdict == "stuck"
    moved = graph([SOURCE, attrs.evolve(stuck, handled=9)], [edge(1, 2, open=0)], 30.0)
    assert find_stalls(moved, before, handler_seconds=20) == ()
    (stall,) = find_stalls(moved, before, handler_seconds=1)
    assert (stall.seconds, stall.verdict) == (1.0, "slow")


def test_a_coroutine_is_told_from_the_next_one() -> None:
    """The stage answers while it runs; the call says whether it is the same."""
    running = attrs.evolve(SINK, state="working", running=1, busy=40.0, call=5.0)
    before, now = (graph([SOURCE, running], [edge(1, 2, open=0)], at) for at in (0.0, 30.0))
    (stall,) = find_stalls(now, before)
    assert stall.verdict == "stuck"
    other = graph([SOURCE, attrs.evolve(running, call=6.0)], [edge(1, 2, open=0)], 30.0)
    (stall,) = find_stalls(other, before)
    assert stall.verdict == "slow"


def test_an_async_generator_owes_if_it_has_yielded_nothing_between_two_pictures() -> None:
    """It may rightly run for ever, so one picture tells nothing."""
    source = attrs.evolve(SOURCE, state="working", running=1, streams=True, unmet=5, call=1.0, handled=3)
    before, now = (graph([source, SINK], [edge(1, 2, open=5)], at) for at in (0.0, 30.0))
    assert find_stalls(now) == ()
    (stall,) = find_stalls(now, before)
    assert (stall.key, stall.verdict) == ((1, "owes"), "stuck")
    assert (
        find_stalls(graph([attrs.evolve(source, handled=4), SINK], [edge(1, 2, open=5)], 30.0), before) == ()
    )


@pytest.mark.parametrize("state", ["paused", "suspended"])
def test_a_stage_that_is_held_is_named(state: Any) -> None:
    """Whatever else it has or has not."""
    (stall,) = find_stalls(graph([SOURCE, attrs.evolve(SINK, state=state)], [edge(1, 2, open=0)]))
    assert stall.key == (2, "paused")
    assert state in stall.sentence


def test_a_producer_that_accumulates_is_named_and_owes_nothing() -> None:
    """It is told to keep its demand."""
    picture = graph([attrs.evolve(SOURCE, accumulates=True, unmet=10), SINK], [edge(1, 2)])
    assert kinds(find_stalls(picture)) == [(1, "accumulates")]


def test_loose_ends_are_named() -> None:
    """A producer without consumers, a consumer without producers; not one that ends or has ended."""
    assert kinds(find_stalls(graph([SOURCE, SINK], []))) == [(1, "no_consumers"), (2, "no_producers")]
    ending = [attrs.evolve(SOURCE, state="completing"), attrs.evolve(SINK, state="dead")]
    assert find_stalls(graph(ending, [])) == ()
    (stall,) = find_stalls(graph([attrs.evolve(SOURCE, state="completing", buffered=3)], []))
    assert stall.key == (1, "no_consumers")
    assert "its 3 events" in stall.sentence


def test_each_cycle_is_named_once() -> None:
    """By its first stage."""
    stages = [stage(n) for n in range(1, 7)]
    edges = [edge(a, b) for a, b in [(1, 2), (2, 3), (3, 2), (3, 4), (4, 5), (5, 6), (6, 4), (1, 1)]]
    cycles = [stall for stall in find_stalls(graph(stages, edges)) if stall.kind == "cycle"]
    assert [stall.stage for stall in cycles] == [1, 2, 4]
    assert cycles[2].blocked == ("Stage <5>", "Stage <6>")


def test_a_chain_of_thousands_is_searched_without_recursion() -> None:
    """From the stuck end up to the beginning."""
    size = 5000
    stages = [SOURCE, *(stage(n) for n in range(2, size)), stage(size, "consumer")]
    stages[-1] = attrs.evolve(stages[-1], state="no answer", answered=False, busy=9.0)
    (stall,) = find_stalls(graph(stages, [edge(n, n + 1, open=0) for n in range(1, size)]))
    assert len(stall.blocked) == size - 1


def test_what_lasts_is_slow_or_stuck() -> None:
    """By whether the stage has handled anything since; for a loose end that does not count."""
    before = graph([SOURCE, SINK], [by_hand(1, 2)], 10.0)
    (stall,) = find_stalls(graph([SOURCE, SINK], [by_hand(1, 2)], 25.0), before)
    assert (stall.verdict, stall.seconds) == ("stuck", 15.0)
    moved = attrs.evolve(SINK, handled=1)
    (stall,) = find_stalls(graph([SOURCE, moved], [by_hand(1, 2)], 25.0), before)
    assert stall.verdict == "slow"
    loose = graph([SOURCE], [], 10.0)
    (stall,) = find_stalls(graph([attrs.evolve(SOURCE, handled=5)], [], 25.0), loose)
    assert stall.verdict == "stuck"


def test_a_second_picture_confirms_what_the_first_may_have_torn() -> None:
    """What is not in it, or has moved in between, was events that passed between two looks."""
    now = graph([SOURCE, SINK], [by_hand(1, 2)], 10.0)
    assert kinds(find_stalls(now, again=now)) == [(2, "manual")]
    for again in (
        graph([SOURCE, SINK], [by_hand(1, 2, open=3)], 10.1),
        graph([SOURCE, attrs.evolve(SINK, handled=1)], [by_hand(1, 2)], 10.1),
    ):
        assert find_stalls(now, again=again) == ()


def test_every_kind_has_advice_and_a_sentence_with_the_name() -> None:
    """A list of many who wait is cut short."""
    names = tuple(f"S <{n}>" for n in range(9))
    stall = Stall(kind="owes", stage=1, name="Counter <1>", what="does nothing", blocked=names, seconds=3)
    assert str(stall) == (
        "Counter <1> does nothing, for at least 3.0 s; it holds up S <0>, S <1>, S <2>, S <3>, S <4> and 4 "
        "more. "
        "Have it `emit` what it owes when it can, or `complete()` if it has no more."
    )


def test_the_tracker_tells_each_stall_once_and_once_that_it_is_over() -> None:
    """From the second picture on; what comes back later is a new one."""
    tracker = StallTracker()
    bad, good = (lambda at: graph([SOURCE, SINK], [by_hand(1, 2)], at)), [edge(1, 2)]
    assert not tracker.look(bad(0)).new
    (new,) = tracker.look(bad(10)).new
    assert (new.kind, new.seconds) == ("manual", 10.0)
    assert tracker.current == (new,)
    again = tracker.look(bad(20))
    assert not again.new
    assert not again.over
    (over,) = tracker.look(graph([SOURCE, SINK], good, 30)).over
    assert (over.kind, over.seconds) == ("manual", 30.0)
    assert tracker.current == ()
    assert not tracker.look(bad(40)).new
    (new,) = tracker.look(bad(50)).new
    assert new.seconds == 10.0
    assert tracker.look(graph([SOURCE], [edge(1, 1)][:0], 60)).over


def test_a_graph_is_equal_whatever_grows_by_looking_at_it() -> None:
    """Times and counts of messages do not count."""
    busier = attrs.evolve(SINK, handled=9, busy=3.0, call=1.0)
    assert graph([SOURCE, SINK], [edge(1, 2)], 1.0) == graph([SOURCE, busier], [edge(1, 2)], 2.0)
    assert graph([SOURCE, SINK], [edge(1, 2)]) != graph([SOURCE, SINK], [edge(1, 2, in_flight=1)])
