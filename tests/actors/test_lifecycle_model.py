"""Actors that watch, link, stop and kill each other, against a model of Erlang's.

Who runs next is the machine's choice, so that a signal may overtake whatever it
is allowed to overtake. After each message everything that can be seen is compared:
who is dead and of what, who heard what in which order, who is linked, who has the name.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from slither_actors.actors import NO_REPLY, Down, Exit, Ref, Server, whereis
from slither_actors.actors._monitor import _down
from slither_actors.actors._name_table import names
from slither_actors.actors._request import Request
from slither_actors.errors import ActorExitError, NameTakenError, StartError
from tests.actors.model_actors import ModelActor, ModelCall, ModelWorld
from tests.actors.probes import crash
from tests.actors.scripted import QUICK, SOAK, name_of
from tests.actors.simulation import Simulation

MOST = 6
NAMES = ["x", "y"]
ONE = st.integers(0, MOST - 1)
REASONS = st.sampled_from(["normal", "shutdown", ("shutdown", 1), "killed", "odd"])
STARTS = st.tuples(
    st.booleans(),
    st.sampled_from([False, False, True]),
    st.sampled_from([None, None, None, None, *NAMES]),
    st.sampled_from([False] * 4 + [True]),
)
NOW = st.sampled_from([True, True, True, False])
TO_ANOTHER = ("send", "monitor", "link", "unlink", "exit", "kill")
SIGNALS = st.one_of(
    st.tuples(st.sampled_from(["send", "unlink", "kill"]), ONE),
    st.tuples(st.just("exit"), ONE, REASONS),
)
ENDS = st.one_of(
    st.tuples(st.just("stop"), REASONS),
    st.tuples(st.just("stop, then crash"), REASONS),
    st.tuples(st.just("stop twice"), REASONS, REASONS),
    st.just(("crash",)),
)


class Member(Server):
    """An actor that does what it is told and notes what it hears."""

    def init(self, refs: list[Ref], last_words: bool, fails: bool) -> None:
        if fails:
            crash()
        self.refs, self.last_words = refs, last_words
        self.number = len(refs)
        self.seen: list[tuple[Any, ...]] = []
        self.monitors: list[Any] = []
        self.deferred: list[Request] = []
        refs.append(self.ref)

    def handle_call(self, deferred: bool, sender: Request) -> Any:
        if deferred:
            self.deferred.append(sender)
        return NO_REPLY if deferred else "ok"

    def handle_info(self, message: Any) -> None:
        match message:
            case Down(_, ref, reason):
                self.seen.append(("down", number_of(ref), name_of(reason)))
            case Exit(ref, reason):
                self.seen.append(("exit", number_of(ref), name_of(reason)))
            case _:
                self.seen.append(message)

    def handle_cast(self, operation: tuple[Any, ...]) -> None:
        verb, *rest = operation
        match verb:
            case "send":
                rest[0].info(("info", self.number))
            case "monitor":
                self.monitors.append(self.monitor(rest[0]))
            case "cancel":
                for monitor in self.monitors[-1:]:
                    monitor.cancel()
            case "link":
                self.link(rest[0])
            case "unlink":
                self.unlink(rest[0])
            case "exit":
                rest[0].exit(rest[1])
            case "kill":
                rest[0].kill()
            case "start":
                self.start_another(*rest)
            case "stop":
                self.stop(rest[0])
            case "crash":
                crash()
            case "stop, then crash":
                self.stop(rest[0])
                crash()
            case "stop twice":
                self.stop(rest[0])
                self.stop(rest[1])
            case "reply":
                for sender in self.deferred[-1:]:
                    sender.reply("ok")

    def start_another(self, *how: Any) -> None:
        # One that is to end takes along what it starts; see test_pending_exits.
        if self._cell.doom is None:
            begin(self.refs, *how, linked=True)

    def terminate(self, reason: Any) -> None:
        self.seen.append(("terminate", name_of(reason)))
        if self.last_words:
            crash()


class Trapping(Member):
    trap_exit = True


def begin(
    refs: list[Ref], traps: bool, last_words: bool, name: str | None, fails: bool, *, linked: bool
) -> bool:
    kind = Trapping if traps else Member
    try:
        (kind.start_link if linked else kind.start)(refs, last_words, fails, name=name)
    except (StartError, NameTakenError):
        return False
    return True


def number_of(ref: Ref | None) -> int | None:
    return None if ref is None else ref._cell.actor.number


class Watching(Simulation):
    """Looks at each `Down` in the moment in which it is sent."""

    def add_thread(self) -> None:
        for function, argument in self.run_queue[-1].inbox:
            if function is _down:
                ref = argument[1].ref
                assert not ref.is_alive(), "told of an end before it"
                assert ref.name is None or whereis(ref.name) is not ref, "told before the name was free"
                assert all(ref is not slot.content.ref for slot in names.slots()), "the name is kept"


class LifecycleMachine(RuleBasedStateMachine):
    """Up to `MOST` actors at one time, and their model."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Watching()
        self.world = ModelWorld()
        self.refs: list[Ref] = []
        self.calls: list[tuple[ModelCall, Request]] = []

    def teardown(self) -> None:
        self.simulation.close()

    def pick(self, place: int) -> ModelActor:
        """One of the youngest, the dead included."""
        return self.world.actors[-1 - place % len(self.world.actors)]

    def pick_alive(self, place: int) -> ModelActor:
        alive = [actor for actor in self.world.actors if not actor.dead] or self.world.actors
        return alive[-1 - place % len(alive)]

    @initialize(first=STARTS, second=STARTS)
    def begin(self, first: Any, second: Any) -> None:
        for traps, last_words, name, _ in (first, second):
            self.start((traps, last_words, name, False))

    @rule(place=ONE, other=ONE)
    def one_watches_another_that_ends(self, place: int, other: int) -> None:
        """The news is on its way then."""
        watcher, target = self.pick_alive(place), self.pick_alive(other)
        for verb in ("link", "monitor"):
            self.tell_actor(watcher, (verb, target))
        if watcher is not target and not target.dead:
            target.ahead.append(("kill",))
            self.refs[target.number].kill()
            self.run(self.refs[target.number]._cell)

    @rule(how=STARTS)
    def start(self, how: Any) -> None:
        started = begin(self.refs, *how, linked=False)
        assert started == self.world.start(*how[:3], fails=how[3])

    def tell(self, place: int, operation: tuple[Any, ...], now: bool) -> None:
        """Have an actor do something when it gets to it, or now."""
        verb, *rest = operation
        if verb in TO_ANOTHER:
            operation = (verb, self.pick(rest[0]), *rest[1:])
        self.tell_actor(self.pick_alive(place), operation, now)

    def tell_actor(self, target: ModelActor, operation: tuple[Any, ...], now: bool = True) -> None:
        target.inbox.append(("do", operation))
        real = [self.refs[part.number] if isinstance(part, ModelActor) else part for part in operation]
        self.refs[target.number].cast(real)
        while now and target.inbox:
            self.run(self.refs[target.number]._cell)

    @rule(place=ONE, other=ONE, verb=st.sampled_from(["monitor", "link"]), now=NOW)
    def one_watches_another(self, place: int, other: int, verb: str, now: bool) -> None:
        self.tell(place, (verb, other), now)

    @rule(place=ONE, how=STARTS, now=NOW)
    def one_starts_another(self, place: int, how: Any, now: bool) -> None:
        self.tell(place, ("start", *how), now)

    @rule(place=ONE, verb=st.sampled_from(["stop", "exit"]), reason=REASONS)
    def a_parent_ends_or_tells_its_child_to(self, place: int, verb: str, reason: Any) -> None:
        pairs = [(a.parent, a) for a in self.world.actors if a.parent and not a.dead and not a.parent.dead]
        if pairs:
            parent, child = pairs[-1 - place % len(pairs)]
            self.tell_actor(parent, ("stop", reason) if verb == "stop" else ("exit", child, reason))

    @rule(place=ONE, operation=SIGNALS, now=NOW)
    def one_tells_another(self, place: int, operation: Any, now: bool) -> None:
        self.tell(place, operation, now)

    @rule(place=ONE, number=ONE)
    def a_watch_is_taken_back(self, place: int, number: int) -> None:
        """By a thread; its `Down` may be on its way."""
        watcher = self.pick_alive(place)
        if watcher.monitors:
            number = -1 - number % len(watcher.monitors)
            watcher.monitors[number].wanted = False
            self.refs[watcher.number]._cell.actor.monitors[number].cancel()

    @rule(place=ONE, operation=st.sampled_from([("cancel",), ("reply",)]), now=NOW)
    def one_thinks_better_of_it(self, place: int, operation: Any, now: bool) -> None:
        self.tell(place, operation, now)

    @rule(place=ONE, operation=ENDS, now=NOW)
    def one_ends(self, place: int, operation: Any, now: bool) -> None:
        self.tell(place, operation, now)

    @rule(place=ONE, verb=st.sampled_from(["exit", "stop", "kill"]), reason=REASONS)
    def one_is_told_to_end(self, place: int, verb: str, reason: Any) -> None:
        """By a thread that is no actor."""
        target = self.pick(place)
        ref = self.refs[target.number]
        if verb == "exit":
            self.world.exit(None, target, reason)
            ref.exit(reason)
        elif verb == "kill":
            target.ahead.append(("kill",))
            ref.kill()
        else:
            if not target.dead:
                target.inbox.append(("do", ("stop", reason)))
            ref.stop(reason, block=False)

    @rule(place=ONE, deferred=st.booleans())
    def call(self, place: int, deferred: bool) -> None:
        target = self.pick(place)
        call = ModelCall()
        target.inbox.append(("call", call, deferred))
        self.calls.append((call, self.simulation.ask(self.refs[target.number], deferred)))

    def ready(self) -> list[Any]:
        """Who has anything to do. The order in which the linked hear of an end is no two times the same."""
        return sorted(self.simulation.run_queue, key=lambda cell: cell.id)

    def run(self, cell: Any) -> None:
        self.world.run(self.world.actors[cell.actor.number], doomed=cell.doom is not None)
        assert self.simulation.run(cell)
        self.both_are_the_same()

    @precondition(lambda self: self.simulation.run_queue)
    @rule(data=st.data())
    def one_runs(self, data: st.DataObject) -> None:
        self.run(data.draw(st.sampled_from(self.ready())))

    @precondition(lambda self: self.simulation.run_queue)
    @rule()
    def all_run(self) -> None:
        """Until nobody has anything to do, or two that send for ever have had a while."""
        for _ in range(300):
            if not self.simulation.run_queue:
                break
            self.run(self.ready()[0])

    @invariant()
    def both_are_the_same(self) -> None:
        assert len(self.refs) == len(self.world.actors)
        for ref, model in zip(self.refs, self.world.actors, strict=True):
            cell = ref._cell
            assert cell.actor.seen == model.seen
            assert name_of(ref.exit_reason) == model.reason
            assert {other.actor.number for other in cell.links or ()} == {
                other.number for other in model.links
            }
            assert len(cell.inbox) == len(model.inbox)
            assert (cell in self.simulation.run_queue) == bool(model.inbox or model.ahead)
        for name in NAMES:
            holder = self.world.whereis(name)
            assert number_of(whereis(name)) == (None if holder is None else holder.number)
        for call, request in self.calls:
            assert outcome_of(request) == call.outcome

    @invariant()
    def the_dead_hold_nothing(self) -> None:
        for ref in self.refs:
            cell = ref._cell
            if cell.dead:
                assert not any((cell.links, cell.monitors, cell.watching, cell.deferred))
            for monitor in (cell.monitors or {}).values():
                assert not monitor._watcher.dead


def outcome_of(request: Request) -> Any:
    if not request.answered:
        return None
    try:
        return request.result()
    except ActorExitError as error:
        return name_of(error.reason)


LifecycleMachine.TestCase.settings = QUICK
TestLifecycle = LifecycleMachine.TestCase


@pytest.mark.soak
def test_for_long() -> None:
    """The same, with many more and longer stories."""
    run_state_machine_as_test(LifecycleMachine, settings=SOAK)
