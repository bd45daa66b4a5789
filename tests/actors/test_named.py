"""Names as handles: each use reaches whoever has the name now."""

from __future__ import annotations

import sys
import time

import pytest

from slither_actors.actors import Registry, Supervisor, named, when_named, whereis
from slither_actors.actors._names import _waits
from slither_actors.errors import (
    ActorExitError,
    NameTakenError,
    NotRegisteredError,
    OptionError,
    StartError,
)
from tests.actors.probes import LONG, Gate, Log, Quiet, crash, in_thread, settle


def test_a_handle_reaches_the_actor_of_that_name() -> None:
    """By call, cast and info; `ref` is the actor itself."""
    log = Log()
    handle = named("probe")
    ref = Quiet.start(log, name="probe")
    assert handle.ref is ref
    assert handle.is_alive()
    assert handle.call("echo") == "echo"
    handle.cast("cast")
    handle.info("info")
    settle(ref)
    assert log.rest() == ["cast", "info"]


def test_a_restarted_server_is_reached_again() -> None:
    """A ref means one incarnation, a name whoever has it."""
    tree = Supervisor.start([Quiet.child_spec(name="restarted")])
    handle = named("restarted")
    before = handle.ref
    with pytest.raises(ActorExitError):
        handle.call(crash)
    deadline = time.monotonic() + LONG
    while not handle.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert handle.ref is not before
    assert handle.call("again", LONG) == "again"
    tree.stop("shutdown")


def test_a_name_that_nobody_has() -> None:
    """A call and `ref` raise; a cast and an info do nothing, as to a dead actor."""
    handle = named("nobody")
    assert not handle.is_alive()
    handle.cast(1)
    handle.info(1)
    with pytest.raises(NotRegisteredError, match="no actor is registered under 'nobody'") as caught:
        handle.call(1)
    assert caught.value.key == "nobody"
    with pytest.raises(LookupError):
        _ = handle.ref


def test_handles_of_one_name_are_equal() -> None:
    """They are values: keys of a dict, for instance."""
    assert named("x") == named("x")
    assert len({named("x"), named("x"), named(("x", 1))}) == 2


# -- names in a registry -------------------------------------------------------------


def test_a_name_may_be_a_key_in_a_registry() -> None:
    """The server is there before its `init` runs, under that key and no other name."""
    registry = Registry.start()
    seen: list[object] = []
    ref = Quiet.start(at_start=lambda probe: seen.append(registry.whereis("a")), name=(registry, "a"))
    assert seen == [ref]
    assert registry.whereis("a") is whereis((registry, "a")) is ref
    assert ref.name == "a"
    assert whereis("a") is None
    handle = named((registry, "a"))
    assert handle.ref is ref
    assert handle.call("echo") == "echo"
    ref.stop()
    assert not handle.is_alive()
    handle.cast("nobody")
    with pytest.raises(NotRegisteredError):
        handle.call("nobody")


def test_a_key_that_is_taken_is_refused_with_its_holder() -> None:
    """As a plain name is; nothing is started."""
    registry = Registry.start()
    for name in ((registry, "a"), "plain"):
        holder = Quiet.start(name=name)
        with pytest.raises(NameTakenError) as caught:
            Quiet.start(name=name)
        assert caught.value.ref is holder
        assert holder.call("alive") == "alive"
    assert registry.count() == 1


def test_a_start_that_fails_frees_the_key() -> None:
    """So that the next one may have it."""
    registry = Registry.start()
    with pytest.raises(StartError):
        Quiet.start(at_start=crash, name=(registry, "a"))
    assert registry.count() == 0
    assert Quiet.start(name=(registry, "a")).is_alive()


def test_children_have_their_keys_again_after_a_restart_of_the_registry() -> None:
    """The registry is named in their specs, as a ref means one incarnation."""
    tree = Supervisor.start(
        [
            Registry.child_spec(name="rooms", id="rooms"),
            Quiet.child_spec(name=(named("rooms"), "lobby"), id="lobby"),
        ],
        strategy="rest_for_one",
    )
    handle = named((named("rooms"), "lobby"))
    before = handle.ref
    assert before is tree.child("lobby")  # type: ignore[attr-defined]
    named("rooms").ref.kill()
    deadline = time.monotonic() + LONG
    while whereis(handle.name) in (None, before):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert handle.call("again", LONG) == "again"


def test_a_registry_that_does_not_run_has_no_names() -> None:
    """To look there finds nobody, to start there is an error that says so."""
    registry = Registry.start()
    registry.stop()
    assert whereis((registry, "a")) is None
    assert whereis((named("rooms"), "a")) is None
    with pytest.raises(ActorExitError):
        Quiet.start(name=(registry, "a"))
    with pytest.raises(NotRegisteredError, match="'rooms'"):
        Quiet.start(name=(named("rooms"), "a"))


def test_what_cannot_be_a_name_in_a_registry() -> None:
    """Keys that are not unique, and the name of another actor."""
    duplicate = Registry.start(keys="duplicate")
    with pytest.raises(OptionError, match="unique"):
        Quiet.start(name=(duplicate, "a"))
    assert duplicate.count() == 0
    other = Quiet.start(name="no registry")
    with pytest.raises(OptionError, match="not a Registry"):
        Quiet.start(name=(named("no registry"), "a"))
    with pytest.raises(OptionError, match="listen"):
        when_named((Registry.start(), "a"), other, lambda actor, _: None, timeout=0)


def test_other_pairs_are_plain_names() -> None:
    """As they were."""
    ref = Quiet.start(name=("room", 1))
    assert whereis(("room", 1)) is ref
    assert named(("room", 1)).ref is ref


def test_a_wait_goes_with_its_waiter() -> None:
    """Thousands that died while they waited leave nothing behind, in the names or in the clock."""
    before = len(_waits)
    for number in range(3000):
        waiter = Quiet.start()
        when_named(f"never {number % 7}", waiter, lambda *_: None, bytearray(1000), timeout=LONG)
        waiter.kill()
        assert waiter.join(LONG)
    assert len(_waits) == before
    assert not [slot for slot in _waits._by_key.slots() if str(slot.key).startswith("never")]


def test_a_dead_actor_waits_for_nothing() -> None:
    """Neither for the name nor for the end of the time."""
    waiter = Quiet.start()
    waiter.kill()
    assert waiter.join(LONG)
    when_named("never", waiter, lambda *_: None, timeout=LONG)
    assert not _waits.of(waiter._cell)
    assert not waiter._cell.timers


def test_a_busy_waiter_is_told_once_of_a_name_that_comes_and_goes() -> None:
    """Its mailbox does not grow with each new holder."""
    log = Log()
    waiter = Quiet.start()
    gate = Gate()
    waiter.cast(gate)
    gate.wait()
    when_named("restless", waiter, lambda *_: log.add("told"), timeout=LONG)
    for _ in range(20):
        holder = Quiet.start(name="restless")
        holder.kill()
        assert holder.join(LONG)
    assert waiter.statistics().mailbox == 1
    gate.open()
    assert log.get() == "told"
    settle(waiter)
    assert log.rest() == []


def test_waits_and_names_at_one_time_miss_nothing() -> None:
    """Whichever comes first, the function runs soon, and once."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(300):
            log, waiter = Log(), Quiet.start()
            wait = in_thread(
                lambda number=number, waiter=waiter, log=log: when_named(
                    ("race", number), waiter, lambda *_: log.add(1), timeout=10 * LONG
                )
            )
            holder = Quiet.start(name=("race", number))
            wait()
            assert log.get() == 1
            for ref in (holder, waiter):
                ref.kill()
    finally:
        sys.setswitchinterval(interval)
