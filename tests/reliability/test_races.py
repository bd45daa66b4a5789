"""Monitors, links, calls, names and registrations against the death of the other side, ten thousand times."""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import threading
import time
from functools import partial
from typing import Any

import pytest

from slither_actors.actors import (
    BRUTAL_KILL,
    KILLED,
    NO_REPLY,
    NOPROC,
    NORMAL,
    Crash,
    Down,
    Exit,
    Ref,
    Registered,
    Registry,
    RegistryRef,
    Server,
    Supervisor,
    when_named,
    whereis,
)
from slither_actors.actors._name_table import names, slots
from slither_actors.actors._names import _waits
from slither_actors.errors import ActorExitError, CallTimeoutError, NameTakenError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread, settle
from tests.reliability import seeded

TIMES = 10_000


class Watcher(Server):
    """Collects what it is told."""

    trap_exit = True

    def init(self) -> None:
        self.told: list[Any] = []

    def handle_call(self, request: Any, sender: Any) -> Any:
        return request(self)

    def handle_cast(self, message: Any) -> None:
        self.told.append(message)

    def handle_info(self, message: Any) -> None:
        self.told.append(message)


class Speaker(Server):
    """Says how often it spoke, until the end that it is told to have."""

    def init(self, listener: Ref) -> None:
        self.listener = listener

    def handle_cast(self, end: str) -> None:
        for number in range(3):
            self.listener.cast((self.ref, number))
        if end == "crash":
            raise LookupError
        self.stop(end)


def end_all(targets: list[Ref]) -> None:
    for number, target in enumerate(targets):
        (target.kill, target.exit, lambda target=target: target.stop(block=False))[number % 3]()


def all_told(watcher: Ref, count: int = 0) -> list[Any]:
    """What it was told, once that are so many: an actor is dead a moment before those who watch are told."""
    deadline = time.monotonic() + LONG
    while True:
        told: list[Any] = watcher.call(lambda actor: [*actor.told], LONG)
        if len(told) >= count or time.monotonic() > deadline:
            return told


def test_a_monitor_against_the_end_is_one_down() -> None:
    """With the reason, or noproc; never two, never none."""
    watcher = Watcher.start()
    for _ in range(10):
        targets = [Quiet.start() for _ in range(TIMES // 10)]
        ending = in_thread(lambda targets=targets: end_all(targets))  # type: ignore[misc]
        monitors = watcher.call(lambda actor, targets=targets: [*map(actor.monitor, targets)], LONG)
        ending()
        assert all(target.join(LONG) for target in targets)
        told = all_told(watcher, len(targets))
        assert {down.monitor for down in told} == set(monitors)
        assert len(told) == len(targets)
        assert {down.reason for down in told} <= {KILLED, NOPROC, NORMAL, "shutdown"}
        watcher.call(lambda actor: actor.told.clear())
    assert not watcher._cell.watching


def test_a_cancelled_monitor_is_silent_from_then_on() -> None:
    """Cancel against the end: when it has returned, no `Down` arrives any more."""
    watcher = Watcher.start()

    def monitor_and_cancel(actor: Any, targets: list[Ref]) -> int:
        for handle in [*map(actor.monitor, targets)]:
            handle.cancel()
        return len(actor.told)

    for _ in range(10):
        targets = [Quiet.start() for _ in range(TIMES // 10)]
        ending = in_thread(lambda targets=targets: end_all(targets))  # type: ignore[misc]
        watcher.call(lambda actor, targets=targets: monitor_and_cancel(actor, targets), LONG)
        ending()
        assert all(target.join(LONG) for target in targets)
        assert all_told(watcher) == []
    assert not watcher._cell.watching


def test_a_link_against_the_end_is_one_exit() -> None:
    """And an `unlink` that returned before the end means none at all."""
    watcher = Watcher.start()
    for _ in range(5):
        targets = [Quiet.start() for _ in range(TIMES // 10)]
        ending = in_thread(lambda targets=targets: end_all(targets))  # type: ignore[misc]
        watcher.call(lambda actor, targets=targets: [*map(actor.link, targets)][:0], LONG)
        ending()
        assert all(target.join(LONG) for target in targets)
        told = all_told(watcher, len(targets))
        assert len(told) == len(targets)
        assert {message.ref for message in told} == set(targets)
        assert all(type(message) is Exit for message in told)
        watcher.call(lambda actor: actor.told.clear())
    assert not watcher._cell.links


def test_down_is_never_ahead_of_what_was_said_before() -> None:
    """Of an actor's casts and its `Down`, the `Down` is the last; links, which are told as well, too."""
    watcher = Watcher.start()
    for _ in range(5):
        speakers = [Speaker.start(watcher) for _ in range(500)]
        watcher.call(
            lambda actor, all_=speakers: [(actor.monitor(one), actor.link(one)) for one in all_][:0], LONG
        )
        for number, speaker in enumerate(speakers):
            speaker.cast(("crash", "normal", "shutdown")[number % 3])
        assert all(speaker.join(LONG) for speaker in speakers)
        heard: dict[Ref, list[Any]] = {}
        for message in all_told(watcher, 5 * len(speakers)):
            ref, what = message if type(message) is tuple else (message.ref, type(message))
            heard.setdefault(ref, []).append(what)
        assert len(heard) == len(speakers)
        for said in heard.values():
            assert said[:3] == [0, 1, 2]
            assert set(said[3:]) == {Down, Exit}
            assert len(said) == 5
        watcher.call(lambda actor: actor.told.clear())


# -- calls -----------------------------------------------------------------------------


class Echo(Server):
    def handle_call(self, request: Any, sender: Any) -> Any:
        return request

    def handle_cast(self, message: Any) -> None:
        crash()


class InlineEcho(Echo):
    inline_calls = True


@pytest.mark.parametrize("kind", [Echo, InlineEcho])
def test_a_call_against_the_end_is_answered(kind: type[Echo]) -> None:
    """By the reply or by the reason, from threads and from actors, however the server ends; none hangs."""
    chance = seeded()
    ends = [Ref.kill, Ref.exit, lambda ref: ref.stop(block=False), lambda ref: ref.cast("crash")]
    current = [kind.start()]
    over = threading.Event()

    def destroy() -> int:
        count, deadline = 0, time.monotonic() + 3
        while count < TIMES // 10 and time.monotonic() < deadline:
            ref = current[0]
            current[0] = kind.start()
            chance.choice(ends)(ref)
            count += 1
            ref.join(LONG)
        over.set()
        return count

    def call(_: Any = None) -> dict[str, int]:
        outcomes: dict[str, int] = {}
        for number in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
            try:
                assert current[0].call(number, LONG) == number
                outcome = "reply"
            except ActorExitError as error:
                outcome = "crash" if isinstance(error.reason, Crash) else error.reason
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        return outcomes

    destroying = in_thread(destroy)
    callers = [Quiet.start() for _ in range(2)]
    calling = [in_thread(call), in_thread(call)]
    calling += [in_thread(lambda one=one: one.call(call, LONG)) for one in callers]  # type: ignore[misc]
    assert destroying() > 1
    outcomes = [join() for join in calling]
    assert set().union(*outcomes) <= {"reply", "crash", NORMAL, "shutdown", KILLED, NOPROC}
    assert set().union(*outcomes) > {"reply"}


def test_a_reply_at_the_last_moment_is_a_reply_or_a_timeout() -> None:
    """Never both: the caller's own mailbox stays empty, and the next call gets its own answer."""
    watcher, gate = Watcher.start(), threading.Event()
    server = Quiet.start()

    def calls(_: Any) -> dict[str, int]:
        outcomes = {"reply": 0, "timeout": 0}
        for number in range(3000):
            try:
                assert server.call(lambda _, number=number: number, (number % 50) * 1e-6) == number
                outcomes["reply"] += 1
            except CallTimeoutError:
                outcomes["timeout"] += 1
        return outcomes

    outcomes = watcher.call(calls, LONG)
    assert sum(outcomes.values()) == 3000
    assert outcomes["timeout"]
    assert server.call("in step", LONG) == "in step"
    assert all_told(watcher) == []
    assert not server._cell.deferred
    gate.set()


def test_a_deferred_reply_against_timeout_and_end_is_one_outcome() -> None:
    """Three threads race for each request: the one that replies, the clock, the one that kills."""
    counts = {"reply": 0, "timeout": 0, "end": 0}
    for number in range(500):
        requests = Log()

        class Deferring(Server):
            def handle_call(self, request: Any, sender: Any) -> Any:
                requests.add(sender)  # noqa: B023 - the class is of this round
                return NO_REPLY

        server = Deferring.start()
        replying = in_thread(lambda requests=requests, number=number: requests.get().reply(number))  # type: ignore[misc]
        ending = in_thread(server.kill)
        try:
            assert server.call("later", (number % 20) * 1e-4) == number
            counts["reply"] += 1
        except CallTimeoutError:
            counts["timeout"] += 1
        except ActorExitError as error:
            counts["end"] += error.reason in (KILLED, NOPROC)
        ending()
        requests.add(Answered())  # for the thread, if the call never arrived
        replying()
        assert not server._cell.deferred
    assert sum(counts.values()) == 500


class Answered:
    def reply(self, _: Any) -> None:
        pass


# -- names ------------------------------------------------------------------------------


def test_ten_thousand_registrations_leave_no_entry() -> None:
    """Of names and of keys, by several threads, whichever way the holders end."""
    registry = Registry.start(keys="duplicate")
    assert isinstance(registry, RegistryRef)
    serial = itertools.count()

    def cycle() -> None:
        for number in range(TIMES // 4):
            ref = Quiet.start(name=("name", next(serial)))
            registry.register_actor(ref, number % 7)
            registry.register_actor(ref, ("own", number))
            end_all([ref])

    for join in [in_thread(cycle) for _ in range(4)]:
        join()
    settle(Quiet.start())
    for ref, _ in [entry for key in range(7) for entry in registry.lookup(key)]:
        assert ref.join(LONG)
    assert registry.count() == 0
    table = registry._cell.actor._table  # type: ignore[attr-defined]
    assert (table._all, table._by_key.slots(), table._by_owner) == ({}, [], {})
    assert not registry._cell.actor._owners  # type: ignore[attr-defined]
    for held in (
        registry._cell.links,
        registry._cell.monitors,
        registry._cell.watching,
        names,
        slots,
        _waits,
    ):
        assert not held


class Colliding:
    """A key that has the hash of all others, and a slow comparison now and then."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return 5

    def __eq__(self, other: object) -> bool:
        if self.number == 3:
            time.sleep(0)
        return isinstance(other, Colliding) and other.number == self.number


class Mirror(Server):
    """Keeps what it hears of a registry, and what cannot be."""

    def init(self) -> None:
        self.rows: dict[Any, Ref] = {}
        self.wrong: list[Any] = []

    def handle_call(self, request: Any, sender: Any) -> Any:
        return dict(self.rows), list(self.wrong)

    def handle_info(self, event: Any) -> None:
        key = getattr(event.key, "number", event.key)
        if isinstance(event, Registered):
            if key in self.rows:
                self.wrong.append(event)
            self.rows[key] = event.ref
        elif self.rows.pop(key, None) is not event.ref:
            self.wrong.append(event)


def test_keys_of_one_hash_come_and_go() -> None:
    """Names, keys and names in a registry, while their holders die: each has one holder, who is found."""
    mirror = Mirror.start(name=Colliding(-1))
    registry = Registry.start(listeners=[Colliding(-1)])

    chance = seeded()

    def cycle(seed: int) -> None:
        own = random.Random(seed)
        for number in range(TIMES // 20):
            key = Colliding(own.randrange(4)) if number % 3 else f"plain {number % 5}"
            name = (None, key, (registry, key))[number % 4 % 3]
            try:
                ref = Quiet.start(name=name)
            except NameTakenError:
                continue
            assert name is None or whereis(name) is ref
            killer = in_thread(ref.kill) if number % 2 else ref.kill
            with contextlib.suppress(NameTakenError, ActorExitError):
                registry.register_actor(ref, key)
                registry.unregister_actor(ref, key)
            with contextlib.suppress(ActorExitError):
                when_named(Colliding(9), ref, lambda *_: None, timeout=LONG)
            killer()
            assert ref.join(LONG)
            assert name is None or whereis(name) is not ref

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for join in [in_thread(partial(cycle, chance.randrange(2**32))) for _ in range(4)]:
            join()
    finally:
        sys.setswitchinterval(interval)
    assert registry.count() == 0
    assert not registry._cell.actor._table._by_key.slots()  # type: ignore[attr-defined]
    assert [slot.content.ref for slot in names.slots()] == [mirror]
    assert not _waits
    assert mirror.call(None, LONG) == ({}, [])
    mirror.stop()


def test_a_name_goes_from_hand_to_hand() -> None:
    """When its holder's `Down` arrives it is free, also if the holder was abandoned in a handler."""
    registry = Registry.start(keys="unique")
    assert isinstance(registry, RegistryRef)
    supervisor: Any = Supervisor.start([], max_zombies=1000)
    seen, gates = Log(), []

    class Successor(Probe):
        def handle_info(self, message: Any) -> None:
            seen.add((whereis("name"), registry.whereis("key"), message.reason))

    for _ in range(10):
        holder = supervisor.start_child(Quiet.child_spec(id="holder", name="name", shutdown=BRUTAL_KILL))
        registry.register_actor(holder, "key")
        successor = Successor.start()
        successor.call(lambda probe, holder=holder: [probe.monitor(holder), None][-1])
        gates.append(Gate())
        holder.cast(gates[-1])
        gates[-1].wait()
        supervisor.terminate_child("holder")
        assert seen.get() == (None, None, KILLED)
        registry.register_actor(successor, "key")
        registry.unregister_actor(successor, "key")
        supervisor.delete_child("holder")
        successor.stop()
    for gate in gates:
        gate.open()
    assert registry.count() == 0
    supervisor.stop()
