"""The registry: actors under keys, until they end."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.actors import (
    Down,
    Ref,
    Registry,
    RegistryRef,
    Supervisor,
    whereis,
)
from slither_actors.errors import (
    ActorError,
    ActorExitError,
    NameTakenError,
    NotRegisteredError,
    OptionError,
    StartError,
)
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread, settle


@pytest.fixture
def unique() -> RegistryRef:
    return Registry.start(keys="unique")


@pytest.fixture
def duplicate() -> RegistryRef:
    return Registry.start(keys="duplicate")


@pytest.fixture
def busy_switching() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def register(actor: Ref, registry: RegistryRef, key: Any, value: Any = None) -> None:
    """Have the actor register itself."""
    actor.call(lambda _: registry.register(key, value))


def end(actor: Ref) -> None:
    """Kill the actor and wait until it has ended."""
    actor.kill()
    assert actor.join(LONG)


# -- entries ---------------------------------------------------------------------


def test_an_actor_is_found_with_its_value(unique: RegistryRef) -> None:
    """`register` is for the calling actor."""
    actor = Quiet.start()
    register(actor, unique, "cache", 7)
    assert unique.lookup("cache") == [(actor, 7)]
    assert unique.whereis("cache") is actor


def test_nobody_is_found_under_a_free_key(unique: RegistryRef) -> None:
    """No entry is no error."""
    assert unique.lookup("cache") == []
    assert unique.whereis("cache") is None


def test_a_taken_key_names_its_holder(unique: RegistryRef) -> None:
    """The error has the holder's ref, so that whoever lost can use it."""
    first, second = Quiet.start(), Quiet.start()
    unique.register_actor(first, "cache")
    with pytest.raises(NameTakenError, match="'cache' is taken by Quiet") as caught:
        unique.register_actor(second, "cache")
    assert caught.value.ref is first
    assert unique.keys(second) == []


def test_an_actor_cannot_take_its_unique_key_twice(unique: RegistryRef) -> None:
    """The holder is told that it is itself."""
    actor = Quiet.start()
    unique.register_actor(actor, "cache", 1)
    with pytest.raises(NameTakenError):
        unique.register_actor(actor, "cache", 2)
    assert unique.lookup("cache") == [(actor, 1)]


def test_duplicate_keys_keep_the_order_of_registration(duplicate: RegistryRef) -> None:
    """Any number of actors, and an actor any number of times."""
    first, second = Quiet.start(), Quiet.start()
    duplicate.register_actor(first, "topic", 1)
    duplicate.register_actor(second, "topic", 2)
    duplicate.register_actor(first, "topic", 3)
    assert duplicate.lookup("topic") == [(first, 1), (second, 2), (first, 3)]


def test_unregister_removes_what_the_caller_has_under_the_key(duplicate: RegistryRef) -> None:
    """Its other keys and the other actors stay."""
    first, second = Quiet.start(), Quiet.start()
    for actor, key in ((first, "a"), (first, "a"), (first, "b"), (second, "a")):
        duplicate.register_actor(actor, key)
    first.call(lambda _: duplicate.unregister("a"))
    assert duplicate.lookup("a") == [(second, None)]
    assert duplicate.keys(first) == ["b"]


def test_unregister_without_an_entry_does_nothing(unique: RegistryRef) -> None:
    """It is safe to say twice."""
    holder, other = Quiet.start(), Quiet.start()
    unique.register_actor(holder, "cache")
    unique.unregister_actor(other, "cache")
    assert unique.whereis("cache") is holder


def test_unregister_match_looks_at_the_value(duplicate: RegistryRef) -> None:
    """Of several entries under a key, those that match go."""
    actor = Quiet.start()
    for value in (1, 2, 3):
        duplicate.register_actor(actor, "a", value)
    actor.call(lambda _: duplicate.unregister_match("a", lambda value: value > 1))
    assert duplicate.values("a", actor) == [1]


def test_a_free_key_can_be_taken_again(unique: RegistryRef) -> None:
    """Unregistering frees it at once."""
    first, second = Quiet.start(), Quiet.start()
    unique.register_actor(first, "cache")
    unique.unregister_actor(first, "cache")
    unique.register_actor(second, "cache")
    assert unique.whereis("cache") is second


def test_keys_and_values_of_an_actor(duplicate: RegistryRef) -> None:
    """A key is listed as often as the actor is registered under it."""
    actor = Quiet.start()
    for key, value in (("a", 1), ("b", 2), ("a", 3)):
        duplicate.register_actor(actor, key, value)
    assert duplicate.keys(actor) == ["a", "b", "a"]
    assert duplicate.values("a", actor) == [1, 3]


def test_update_value_returns_new_and_old(unique: RegistryRef) -> None:
    """The owner changes its value in place."""
    actor = Quiet.start()
    register(actor, unique, "cache", 1)
    assert actor.call(lambda _: unique.update_value("cache", lambda value: value + 1)) == (2, 1)
    assert unique.lookup("cache") == [(actor, 2)]


def test_only_the_owner_may_update(unique: RegistryRef) -> None:
    """Another actor has no such entry, and the function does not run."""
    owner, other = Quiet.start(), Log()
    unique.register_actor(owner, "cache", 1)

    def try_it(_: Any) -> None:
        with pytest.raises(NotRegisteredError, match="is not registered under 'cache'"):
            unique.update_value("cache", other.add)

    Quiet.start().call(try_it)
    assert other.rest() == []


def test_an_update_does_not_bring_back_what_it_unregistered(unique: RegistryRef) -> None:
    """The function may do anything; the entry has to be there when it returns."""
    actor = Quiet.start()
    register(actor, unique, "cache", 1)

    def try_it(_: Any) -> None:
        with pytest.raises(NotRegisteredError):
            unique.update_value("cache", lambda _: unique.unregister("cache"))

    actor.call(try_it)
    assert unique.count() == 0


@pytest.mark.parametrize("method", ["whereis", "update_value"])
def test_one_value_a_key_needs_unique_keys(duplicate: RegistryRef, method: str) -> None:
    """With duplicate keys there is no answer."""

    def try_it(_: Any) -> None:
        with pytest.raises(OptionError, match=f"{method} needs unique keys"):
            getattr(duplicate, method)(*["key", int][: 1 if method == "whereis" else 2])

    Quiet.start().call(try_it)


def test_dispatch_runs_in_the_caller_with_all_entries(duplicate: RegistryRef) -> None:
    """One call for a topic: the classic use is to send to each."""
    log = Log()
    actors = [Probe.start(log) for _ in range(2)]
    for number, actor in enumerate(actors):
        duplicate.register_actor(actor, "topic", number)
    threads = []

    def publish(entries: list[tuple[Ref, Any]]) -> None:
        threads.append(threading.current_thread())
        for ref, number in entries:
            ref.cast(("news", number))

    duplicate.dispatch("topic", publish)
    assert sorted(log.take(2)) == [("news", 0), ("news", 1)]
    assert threads == [threading.current_thread()]


def test_dispatch_to_nobody_does_not_run(duplicate: RegistryRef) -> None:
    """The function never sees an empty list."""
    duplicate.dispatch("topic", crash)


def test_counts_and_selections(duplicate: RegistryRef) -> None:
    """By key and value, or over all entries."""
    one, two = Quiet.start(), Quiet.start()
    for actor, key, value in ((one, "a", 1), (two, "a", 2), (two, "b", 3)):
        duplicate.register_actor(actor, key, value)
    assert duplicate.count() == 3
    assert duplicate.match("a", lambda value: value > 1) == [(two, 2)]
    assert duplicate.count_match("a") == 2
    assert duplicate.count_match("a", lambda value: value > 1) == 1
    assert duplicate.select() == [("a", one, 1), ("a", two, 2), ("b", two, 3)]
    assert duplicate.select(lambda key, ref, _: key == "a" and ref is two) == [("a", two, 2)]
    assert duplicate.count_select(lambda _key, ref, _value: ref is two) == 2


def test_a_plain_thread_has_nothing_to_register(unique: RegistryRef) -> None:
    """The error says what to use instead."""
    with pytest.raises(ActorError, match="register_actor"):
        unique.register("cache")


def test_unknown_keys_are_refused() -> None:
    """The allowed values are in the message."""
    with pytest.raises(StartError, match="allowed are 'unique', 'duplicate'"):
        Registry.start(keys="single")


def test_a_registry_can_be_found_by_its_name() -> None:
    """Also by one that its supervisor has restarted."""
    tree = Supervisor.start([Registry.child_spec(keys="unique", name="cells")])
    registry = whereis("cells")
    assert isinstance(registry, RegistryRef)
    end(registry)
    while (registry := whereis("cells")) is None:
        tree.call(("which_children",))
    assert isinstance(registry, RegistryRef)
    assert registry.lookup("x") == []
    tree.stop("shutdown")


# -- the end of an owner ---------------------------------------------------------


def test_entries_go_with_their_owner(duplicate: RegistryRef) -> None:
    """All of them, and nothing is kept."""
    actor = Quiet.start()
    for key in "aab":
        duplicate.register_actor(actor, key)
    end(actor)
    assert duplicate.count() == 0
    assert not duplicate.lookup("a")
    assert not duplicate.select()
    assert not duplicate.keys(actor)
    server = duplicate._cell.actor
    assert isinstance(server, Registry)
    assert not server._owners
    assert not duplicate._cell.watching


def test_the_name_is_free_while_the_registry_is_busy(unique: RegistryRef) -> None:
    """Nothing waits for the registry's own mailbox."""
    gate = Gate()
    unique.send(lambda _, __: gate())
    gate.wait()
    first, second = Quiet.start(), Quiet.start()
    unique.register_actor(first, "cache")
    end(first)
    assert unique.lookup("cache") == []
    unique.register_actor(second, "cache")
    assert unique.whereis("cache") is second
    gate.open()


def test_the_name_is_free_when_the_down_arrives(unique: RegistryRef) -> None:
    """Whoever hears of the end may take the key; it was watched before it registered."""
    log = Log()

    class Heir(Quiet):
        def handle_info(self, message: Any) -> None:
            assert isinstance(message, Down)
            unique.register("cache")
            log.add("taken")

    for _ in range(50):
        owner = Quiet.start()
        heir = Heir.start()
        heir.call(lambda probe, owner=owner: probe.monitor(owner) and None)
        register(owner, unique, "cache")
        owner.kill()
        assert log.get() == "taken"
        end(heir)


def test_an_actor_that_has_ended_cannot_be_registered(unique: RegistryRef) -> None:
    """It could never be removed again."""
    actor = Quiet.start()
    end(actor)
    with pytest.raises(ActorExitError):
        unique.register_actor(actor, "cache")
    assert unique.count() == 0


@pytest.mark.usefixtures("busy_switching")
def test_registration_and_death_at_one_time_leave_nothing(unique: RegistryRef) -> None:
    """1,000 races: whichever comes first, no entry of a dead actor is left or seen."""
    wrong: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for ref, value in unique.lookup("cache"):
                # The entry may end after the look-up; what must not be is one that was never alive.
                if value != ref.id:
                    wrong.append("value of another")

    reader = in_thread(read)
    for _ in range(1000):
        actor = Quiet.start()
        killer = in_thread(actor.kill)
        with contextlib.suppress(ActorExitError):
            unique.register_actor(actor, "cache", actor.id)
        killer()
        assert actor.join(LONG)
        assert unique.lookup("cache") == []
        assert unique.count() == 0
    stop.set()
    reader()
    assert not wrong
    server = unique._cell.actor
    assert isinstance(server, Registry)
    assert not server._owners


@pytest.mark.usefixtures("busy_switching")
def test_of_many_that_want_a_key_one_gets_it(unique: RegistryRef) -> None:
    """Races of four, while the holder before them dies."""
    for _ in range(100):
        holder = Quiet.start()
        unique.register_actor(holder, "cache")
        rivals = [Quiet.start() for _ in range(4)]
        joins = [in_thread(functools.partial(rush, unique, rival, holder)) for rival in rivals]
        holder.kill()
        winners = [rival for rival, join in zip(rivals, joins, strict=True) if join()]
        assert unique.lookup("cache") == [(winner, None) for winner in winners]
        assert len(winners) == 1
        for rival in rivals:
            end(rival)


def rush(registry: RegistryRef, rival: Ref, before: Ref) -> bool:
    """Try to get the key until it has passed on; True if to `rival`."""
    while True:
        try:
            registry.register_actor(rival, "cache")
        except NameTakenError as error:
            if error.ref is not before:
                return False
        else:
            return True


# -- the end of the registry --------------------------------------------------------


def test_a_registry_that_crashes_takes_its_owners_with_it(unique: RegistryRef) -> None:
    """Its entries are lost; only a restart registers the owners again."""
    owner, bystander = Quiet.start(), Quiet.start()
    register(owner, unique, "cache")
    end(unique)
    assert owner.join(LONG)
    assert owner.exit_reason == "killed"
    settle(bystander)


def test_who_has_unregistered_survives_the_registry(unique: RegistryRef) -> None:
    """The link goes with the last entry."""
    actor = Quiet.start()
    for key in "ab":
        unique.register_actor(actor, key)
    unique.unregister_actor(actor, "a")
    assert actor._cell.links
    unique.unregister_actor(actor, "b")
    assert not actor._cell.links
    end(unique)
    settle(actor)


def test_an_owner_that_comes_back_is_linked_again(unique: RegistryRef) -> None:
    """Each time that it has its first entry."""
    actor = Quiet.start()
    unique.register_actor(actor, "a")
    unique.unregister_actor(actor, "a")
    unique.register_actor(actor, "a")
    end(unique)
    assert actor.join(LONG)


def test_a_link_that_was_there_stays(unique: RegistryRef) -> None:
    """Unregistering undoes only what registering did."""
    actor = Quiet.start()
    actor.call(lambda probe: probe.link(unique))
    unique.register_actor(actor, "a")
    unique.unregister_actor(actor, "a")
    end(unique)
    assert actor.join(LONG)


def test_an_owner_does_not_take_the_registry_with_it(unique: RegistryRef) -> None:
    """The registry traps exits."""
    owner = Quiet.start()
    unique.register_actor(owner, "cache")
    owner.cast(crash)
    assert owner.join(LONG)
    assert unique.lock("x", lambda: 1) == 1


def test_a_registry_that_has_ended_answers_nothing(unique: RegistryRef) -> None:
    """An empty answer would be a lie."""
    end(unique)
    with pytest.raises(ActorExitError, match="noproc"):
        unique.lookup("cache")


# -- locks -------------------------------------------------------------------------


def test_a_lock_runs_the_function_in_the_caller(unique: RegistryRef) -> None:
    """And returns or raises what it does."""
    assert unique.lock("key", threading.current_thread) is threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        unique.lock("key", crash)
    assert unique.lock("key", lambda: "free again") == "free again"


@pytest.mark.usefixtures("busy_switching")
def test_under_a_lock_nobody_else_runs(unique: RegistryRef) -> None:
    """Threads and actors alike."""
    inside: list[int] = []
    overlaps: list[int] = []

    def work() -> None:
        inside.append(1)
        if len(inside) > 1:
            overlaps.append(1)
        inside.pop()

    def actor_work(_: Any) -> None:
        for _ in range(100):
            unique.lock("key", work)

    actors = [Quiet.start() for _ in range(2)]
    joins = [in_thread(functools.partial(actor.call, actor_work, LONG)) for actor in actors]
    joins += [in_thread(lambda: actor_work(None)) for _ in range(2)]
    for join in joins:
        join()
    assert not overlaps


def test_locks_of_different_keys_do_not_wait(unique: RegistryRef) -> None:
    """Nesting them is allowed."""
    assert unique.lock("a", lambda: unique.lock("b", lambda: 1)) == 1


def test_a_lock_of_ones_own_raises_instead_of_hanging(unique: RegistryRef) -> None:
    """And is free when the outer function has ended."""
    with pytest.raises(ActorError, match="holds the lock 'a' of Registry"):
        unique.lock("a", lambda: unique.lock("a", lambda: 1))
    assert unique.lock("a", lambda: 1) == 1


def test_a_waiting_lock_learns_of_the_end_of_the_registry(unique: RegistryRef) -> None:
    """Nobody waits for a dead registry."""
    gate = Gate()
    holder = in_thread(lambda: unique.lock("key", gate))
    gate.wait()
    waiting = in_thread(lambda: unique.lock("key", crash))
    end(unique)
    with pytest.raises(ActorExitError):
        waiting()
    gate.open()
    holder()


def test_an_abandoned_actor_loses_its_lock(unique: RegistryRef) -> None:
    """Its function never returns, and the others go on."""
    gate = Gate()
    tree = Supervisor.start([Quiet.child_spec(name="stuck", shutdown=0, restart="temporary")])
    stuck = whereis("stuck")
    assert stuck is not None
    left = Log()

    def hang() -> None:
        try:
            gate()
        finally:
            left.add("the gate")

    stuck.cast(lambda _: unique.lock("key", hang))
    gate.wait()
    tree.stop("shutdown")
    assert unique.lock("key", lambda: "free") == "free"
    assert left.rest() == []
    gate.open()


def test_an_unknown_request_is_refused(unique: RegistryRef) -> None:
    """The registry lives on."""
    with pytest.raises(ValueError, match="does not know the request 'hello'"):
        unique.call("hello")
    assert unique.count() == 0
