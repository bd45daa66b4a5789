"""A real producer against a model of it: demand, events, infos, pauses and accumulation in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.stages import (
    ask,
    async_info,
    demand,
    estimate_buffered_count,
    pause,
    resume,
    statistics,
    sync_subscribe,
)
from tests.stages.probes import Silent, Sink, seen, settle


class Noting(Silent):
    """Emits what is cast to it, and notes infos."""

    def init(self, limit: int = 0, **options: Any) -> None:
        super().init(limit, **options)
        self.infos: list[int] = []

    def handle_cast(self, message: Any) -> None:
        self.emit(message)

    def handle_info(self, message: Any) -> None:
        self.infos.append(message)


class Model:
    """What the tables say, one event at a time."""

    def __init__(self, size: int, keep: str, *, accumulates: bool) -> None:
        self.size, self.keep = size, keep
        self.log: list[tuple[str, Any]] | None = [] if accumulates else None
        self.paused = False
        self.held: list[list[int]] = []
        self.buffer: list[tuple[str, int]] = []
        self.outstanding = self.unmet = self.dropped = 0
        self.got: list[int] = []
        self.demands: list[int] = []
        self.infos: list[int] = []

    @property
    def buffered(self) -> int:
        return sum(kind == "event" for kind, _ in self.buffer)

    @property
    def blocked(self) -> bool:
        return self.keep == "block" and self.buffered >= max(1, self.size)

    def logged(self) -> list[int]:
        return [event for kind, events in self.log or () if kind == "events" for event in events]

    def ask(self, count: int) -> None:
        if self.log is not None:
            self.log.append(("ask", count))
            return
        self.outstanding += count
        self.meet(count)
        while self.held and not self.blocked:
            self.emit(self.held.pop(0))

    def meet(self, count: int) -> None:
        while count and self.buffer:
            self.got.append(self.buffer.pop(0)[1])
            self.outstanding -= 1
            count -= 1
            self.free_infos()
        if count:
            self.want(count)

    def want(self, count: int) -> None:
        if self.log is not None:
            self.log.append(("demand", count))
        elif self.paused:
            self.unmet += count
        else:
            self.demands.append(count)

    def replay_ask(self, count: int) -> None:
        self.outstanding += count
        self.meet(count)

    def free_infos(self) -> None:
        while self.buffer and self.buffer[0][0] == "info":
            self.infos.append(self.buffer.pop(0)[1])

    def push(self, events: list[int]) -> None:
        """Somebody sends events to the stage."""
        if self.held or self.blocked:
            self.held.append(events)
        else:
            self.emit(events)

    def emit(self, events: list[int]) -> None:
        if self.log is not None:
            self.log.append(("events", events))
            return
        for event in events:
            if self.outstanding:
                self.outstanding -= 1
                self.got.append(event)
                continue
            if self.keep != "block" and self.buffered == self.size:
                self.dropped += 1
                if self.keep == "first" or not self.size:
                    continue
                self.buffer.pop(0)
                self.free_infos()
            self.buffer.append(("event", event))

    def info(self, number: int) -> None:
        if self.log is not None and self.logged():
            self.log.append(("info", number))
        elif self.buffer:
            self.buffer.append(("info", number))
        else:
            self.infos.append(number)

    def forward(self) -> None:
        log, self.log = self.log, None
        for kind, what in log or ():
            {
                "ask": self.replay_ask,
                "demand": self.want,
                "events": self.emit,
                "info": self.info,
            }[kind](what)

    def resume(self) -> None:
        self.paused = False
        count, self.unmet = self.unmet, 0
        if count:
            self.want(count)


class ProducerMachine(RuleBasedStateMachine):
    """Nothing is lost, doubled or overtaken, and no demand forgotten, whatever the order."""

    @initialize(
        size=st.integers(0, 6),
        keep=st.sampled_from(["first", "last", "block"]),
        accumulates=st.booleans(),
    )
    def start(self, size: int, keep: str, accumulates: bool) -> None:
        mode = "accumulate" if accumulates else "forward"
        self.source = Noting.start(buffer_size=size, buffer_keep=keep, demand=mode)
        self.sink = Sink.start(mode="manual")
        self.subscription = sync_subscribe(self.sink, to=self.source)
        self.model = Model(size, keep, accumulates=accumulates)
        self.number = 0

    @rule(count=st.integers(1, 8))
    def ask(self, count: int) -> None:
        ask(self.subscription, count)
        self.model.ask(count)

    @rule(count=st.integers(1, 9))
    def push(self, count: int) -> None:
        events = list(range(self.number, self.number + count))
        self.number += count
        self.source.cast(events)
        self.model.push(events)

    @rule()
    def info(self) -> None:
        self.number += 1
        async_info(self.source, self.number)
        self.model.info(self.number)

    @rule()
    def pause(self) -> None:
        pause(self.source)
        self.model.paused = True

    @rule()
    def resume(self) -> None:
        resume(self.source)
        self.model.resume()

    @rule()
    def accumulate(self) -> None:
        demand(self.source, "accumulate")
        if self.model.log is None:
            self.model.log = []

    @rule()
    def forward(self) -> None:
        demand(self.source, "forward")
        self.model.forward()
        # What waited for room is handled when all of the log has had its effect.
        while self.model.held and not self.model.blocked:
            self.model.emit(self.model.held.pop(0))

    @invariant()
    def the_stage_has_done_what_the_model_has(self) -> None:
        if not hasattr(self, "model"):
            return
        settle(self.source, self.sink, rounds=3)
        model, numbers = self.model, statistics(self.source)
        assert seen(self.sink, "events") == model.got
        assert seen(self.source, "demands") == model.demands
        assert seen(self.source, "infos") == model.infos
        assert estimate_buffered_count(self.source) == numbers.buffered == model.buffered
        assert numbers.logged == len(model.logged())
        assert numbers.discarded == model.dropped
        assert numbers.asked_by[self.subscription] == model.outstanding
        logged_demand = sum(what for kind, what in model.log or () if kind in ("ask", "demand"))
        assert numbers.unmet == model.unmet + logged_demand
        assert (numbers.held, numbers.blocked) == (len(model.held), model.blocked)

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.sink.stop()
            self.source.stop()


ProducerMachine.TestCase.settings = settings(stateful_step_count=40)
TestProducerMachine = ProducerMachine.TestCase
