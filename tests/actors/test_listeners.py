"""Who hears of the changes of a registry."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.actors import Ref, Registered, Registry, Supervisor, Unregistered, whereis
from slither_actors.actors._cell import Cell
from slither_actors.errors import NameTakenError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, in_thread, settle


@pytest.fixture
def busy_switching() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def end(actor: Ref) -> None:
    """Kill the actor and wait until it has ended."""
    actor.kill()
    assert actor.join(LONG)


def test_listeners_hear_of_every_change() -> None:
    """In the order of the changes, the owner's end included."""
    log = Log()
    listener = Probe.start(log)
    registry = Registry.start(keys="unique", listeners=[listener])
    one, two = Quiet.start(), Quiet.start()
    registry.register_actor(one, "a", 1)
    registry.register_actor(two, "b", 2)
    registry.unregister_actor(one, "a")
    end(two)
    assert log.take(4) == [
        Registered(registry, "a", one, 1),
        Registered(registry, "b", two, 2),
        Unregistered(registry, "a", one),
        Unregistered(registry, "b", two),
    ]


def test_a_listener_hears_before_it_is_sent_what_follows() -> None:
    """What the caller sends after it has registered comes after the registration."""
    log = Log()
    listener = Probe.start(log)
    registry = Registry.start(listeners=[listener])
    actor = Quiet.start()
    for key in range(100):
        registry.register_actor(actor, key)
        listener.cast(key)
        assert isinstance(log.get(), Registered)
        assert log.get() == key


def test_a_listener_may_be_a_name() -> None:
    """Whoever has the name at the moment is told; nobody is fine."""
    log = Log()
    registry = Registry.start(listeners=["listener"])
    actor = Quiet.start()
    registry.register_actor(actor, "a")
    Probe.start(log, name="listener")
    registry.register_actor(actor, "b")
    assert log.get() == Registered(registry, "b", actor, None)


@pytest.mark.usefixtures("busy_switching")
def test_listeners_hear_of_a_key_in_turns() -> None:
    """A key that passes from hand to hand is never taken twice without being left between."""
    log = Log()
    registry = Registry.start(listeners=[Probe.start(log)])

    def pass_on() -> None:
        for _ in range(100):
            actor = Quiet.start()
            while True:
                try:
                    registry.register_actor(actor, "baton")
                    break
                except NameTakenError:
                    continue
            end(actor)

    for join in [in_thread(pass_on) for _ in range(3)]:
        join()
    heard = log.take(600)
    for taken, left in zip(heard[::2], heard[1::2], strict=True):
        assert isinstance(taken, Registered)
        assert left == Unregistered(registry, "baton", taken.ref)


class SlowCell:
    """Stands for the cell of a listener to which the first message takes a while."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.sent = 0
        self.first, self.second = threading.Event(), threading.Event()

    def put(self, message: Any) -> None:
        self.sent += 1
        if self.sent == 1:
            self.first.set()
            self.second.wait(0.2)  # time for the other one to overtake, if it can
        else:
            self.second.set()
        self.cell.put(message)


def test_a_change_is_not_told_before_the_one_that_was_first() -> None:
    """Also if whoever made the first one is slow to tell; who made the second one returns when both are."""
    log = Log()
    listener = Probe.start(log)
    cell = SlowCell(listener._cell)
    ref = Ref(listener._cell)
    ref._cell = cell  # type: ignore[assignment]
    registry = Registry.start(listeners=[ref])
    actor = Quiet.start()
    slow = in_thread(lambda: registry.register_actor(actor, "a"))
    assert cell.first.wait(LONG)
    registry.register_actor(actor, "b")
    assert cell.sent == 2
    slow()
    assert [event.key for event in log.take(2)] == ["a", "b"]


@pytest.mark.parametrize("overflow", ["block", "raise", "drop_new", "drop_old"])
def test_a_full_listener_keeps_nobody_waiting_and_misses_nothing(overflow: str) -> None:
    """Neither the registry nor an owner that ends; news are let in as a `Down` is."""
    log = Log()
    cls = type("Full", (Probe,), {"mailbox_size": 1, "mailbox_overflow": overflow})
    listener = cls.start(log)
    gate = Gate()
    listener.cast(gate)
    gate.wait()
    listener.cast("the one for which there is room")
    registry = Registry.start(listeners=[listener])
    owner, other = Quiet.start(), Quiet.start()
    for key in range(4):
        in_thread(lambda key=key: registry.register_actor(owner, key))()
    owner.kill()
    assert owner.join(LONG)
    in_thread(lambda: registry.register_actor(other, 0))()
    assert listener.statistics().dropped == 0
    gate.open()
    assert log.get() == "the one for which there is room"
    heard = log.take(9)
    assert [type(event) for event in heard] == [Registered] * 4 + [Unregistered] * 4 + [Registered]
    assert [event.key for event in heard] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_a_listener_may_unregister_who_it_hears_of() -> None:
    """In the middle of the news; and it hears of that as well."""
    log = Log()

    class Bouncer(Quiet):
        def handle_info(self, message: Any) -> None:
            log.add(message)
            if isinstance(message, Registered):
                message.registry.unregister_actor(message.ref, message.key)  # type: ignore[attr-defined]

    registry = Registry.start(listeners=[Bouncer.start()])
    guest = Quiet.start()
    registry.register_actor(guest, "door")
    assert log.take(2) == [Registered(registry, "door", guest, None), Unregistered(registry, "door", guest)]
    assert registry.count() == 0


class Comparing:
    """A name of which each one that looks equal has to be compared, which may raise."""

    broken = False

    def __hash__(self) -> int:
        return 17

    def __eq__(self, other: object) -> bool:
        if self.broken:
            raise LookupError("cannot be compared")
        return type(other) is Comparing


def test_a_listener_whose_name_cannot_be_compared_hears_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is logged; the others hear, and who registers or ends knows nothing of it."""
    log = Log()
    holder = Quiet.start(name=Comparing())
    registry = Registry.start(listeners=[Comparing(), Probe.start(log)])
    owner = Quiet.start()
    monkeypatch.setattr(Comparing, "broken", True)
    registry.register_actor(owner, "a")
    owner.kill()
    assert owner.join(LONG)
    assert log.take(2) == [Registered(registry, "a", owner, None), Unregistered(registry, "a", owner)]
    assert "is told nothing" in caplog.text
    settle(holder)


def test_the_news_of_an_abandoned_actor_are_told() -> None:
    """It is fenced; that its entries are gone is the registry's to say, whoever's thread it is in."""
    log = Log()
    registry = Registry.start(listeners=[Probe.start(log)])
    gate, over = Gate(), Gate()
    tree = Supervisor.start([Quiet.child_spec(name="stuck", shutdown=0, restart="temporary")])
    stuck = whereis("stuck")
    assert stuck is not None
    victim = Quiet.start()

    def hang(_: Any) -> None:
        gate()
        victim._cell.die("killed")
        over.arrived.set()

    registry.register_actor(victim, "a")
    stuck.cast(hang)
    gate.wait()
    tree.stop("shutdown")
    gate.open()
    over.wait()
    assert log.take(2) == [Registered(registry, "a", victim, None), Unregistered(registry, "a", victim)]
