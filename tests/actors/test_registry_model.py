"""The registry against a list of rows, whoever registers, ends, listens and locks in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from slither_actors.actors import Exit, Ref, Registered, Registry, Server, Unregistered
from slither_actors.actors._registry_locks import Claim, unlock
from slither_actors.actors._request import Request
from slither_actors.errors import ActorExitError, SlitherError
from tests.actors.probes import crash
from tests.actors.scripted import QUICK, SOAK
from tests.actors.simulation import Simulation

KEYS = st.sampled_from("ab")
VALUES = st.integers(0, 2)
PLACE = st.integers(0, 3)


class Owner(Server):
    """Runs what it is told and notes what it is sent."""

    def init(self, traps: bool = False) -> None:
        self.trap_exit = traps  # type: ignore[misc]
        self.seen: list[Any] = []

    def handle_cast(self, function: Callable[[], None]) -> None:
        function()

    def handle_info(self, message: Any) -> None:
        self.seen.append(message)


@attrs.define(eq=False)
class Lock:
    """One claim, in the model and in the registry."""

    key: str
    who: Ref
    claim: Claim
    request: Request


class RegistryMachine(RuleBasedStateMachine):
    """A registry, the actors that use it, two listeners, and what should be there."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation()
        self.registry: Any = None
        self.owners: list[Ref] = []
        self.ear = Owner.start()
        self.heard: dict[Ref, list[Any]] = {self.ear: []}
        self.rows: list[tuple[str, Ref, int]] = []
        self.locks: list[Lock] = []

    def teardown(self) -> None:
        self.simulation.close()

    # -- the model -------------------------------------------------------------------

    def note(self, event: Any) -> None:
        for ref, heard in self.heard.items():
            if ref.is_alive():
                heard.append(event)

    def drop(self, owner: Ref, wanted: Callable[[tuple[str, Ref, int]], bool]) -> None:
        gone = [row for row in self.rows if row[1] is owner and wanted(row)]
        for row in gone:
            self.rows.remove(row)
            self.note(Unregistered(self.registry, row[0], owner))

    def first(self, key: str) -> Lock | None:
        return next((lock for lock in self.locks if lock.key == key), None)

    # -- the actors --------------------------------------------------------------------

    def within(self, owner: Ref, function: Callable[[], Any]) -> Any:
        """Run something in an actor; an error is its name."""
        outcome: list[Any] = []

        def body() -> None:
            try:
                outcome.append(function())
            except SlitherError as error:
                outcome.append(type(error).__name__)

        owner.cast(body)
        assert self.simulation.run(owner._cell)
        return outcome[0]

    def alive(self, place: int) -> Ref:
        alive = [owner for owner in self.owners if owner.is_alive()]
        return alive[place % len(alive)]

    @property
    def anybody(self) -> bool:
        return self.registry is not None and any(owner.is_alive() for owner in self.owners)

    @precondition(lambda self: self.registry is None)
    @rule(keys=st.sampled_from(["unique", "duplicate"]))
    def begin(self, keys: Any) -> None:
        self.keys = keys
        self.registry = Registry.start(keys=keys, listeners=[self.ear, "ear"])
        for _ in range(2):
            self.owner_starts(traps=False)

    @precondition(lambda self: sum(owner.is_alive() for owner in self.owners) < 3)
    @rule(traps=st.booleans())
    def owner_starts(self, traps: bool) -> None:
        self.owners.append(Owner.start(traps))

    @precondition(lambda self: self.registry is not None)
    @rule()
    def the_named_listener_comes_or_goes(self) -> None:
        named = [ref for ref in self.heard if ref.name == "ear" and ref.is_alive()]
        if named:
            self.end(named[0], "kill")
        else:
            self.heard[Owner.start(name="ear")] = []

    def end(self, ref: Ref, how: str) -> None:
        if how == "kill":
            ref.kill()
        else:
            ref.cast(crash if how == "crash" else ref._cell.actor.stop)
        self.simulation.run_all()
        assert not ref.is_alive()

    @precondition(lambda self: self.anybody)
    @rule(place=PLACE, how=st.sampled_from(["kill", "crash", "stop"]))
    def owner_ends(self, place: int, how: str) -> None:
        owner = self.alive(place)
        self.drop(owner, lambda _: True)
        self.end(owner, how)
        for lock in [lock for lock in self.locks if lock.who is owner]:
            self.locks.remove(lock)

    @precondition(lambda self: self.anybody)
    @rule(how=st.sampled_from(["kill", "crash", "stop"]))
    def registry_ends(self, how: str) -> None:
        """Owners go with it: their entries are lost. Who has none is not concerned."""
        owners = {row[1] for row in self.rows}
        alive = [owner for owner in self.owners if owner.is_alive()]
        if how == "stop":
            self.registry.stop(block=False)
        else:
            self.registry.send(lambda _registry, _: crash()) if how == "crash" else self.registry.kill()
        self.simulation.run_all()
        for owner in alive:
            traps = owner._cell.actor.trap_exit
            assert owner.is_alive() == (owner not in owners or traps or how == "stop")
            told = [message for message in owner._cell.actor.seen if isinstance(message, Exit)]
            assert (self.registry in [message.ref for message in told]) == (traps and owner in owners)
        with pytest.raises(ActorExitError):
            self.registry.lookup("a")
        self.registry, self.rows, self.locks = None, [], []

    # -- entries -----------------------------------------------------------------------

    @precondition(lambda self: self.anybody)
    @rule(place=PLACE, value=VALUES)
    def register_under_all_keys(self, place: int, value: int) -> None:
        for key in "ab":
            self.register(place, key, value, True)

    @precondition(lambda self: self.anybody)
    @rule(place=PLACE, key=KEYS, value=VALUES, itself=st.booleans())
    def register(self, place: int, key: str, value: int, itself: bool) -> None:
        owner = self.alive(place)
        if itself:
            outcome = self.within(owner, lambda: self.registry.register(key, value))
        else:
            outcome = self.outcome(lambda: self.registry.register_actor(owner, key, value))
        if self.keys == "unique" and any(row[0] == key for row in self.rows):
            assert outcome == "NameTakenError"
        else:
            assert outcome is None
            self.rows.append((key, owner, value))
            self.note(Registered(self.registry, key, owner, value))

    @precondition(lambda self: self.registry and not all(owner.is_alive() for owner in self.owners))
    @rule(key=KEYS)
    def register_the_dead(self, key: str) -> None:
        dead = next(owner for owner in self.owners if not owner.is_alive())
        assert self.outcome(lambda: self.registry.register_actor(dead, key)) in (
            ["ActorExitError"] if self.keys == "duplicate" else ["ActorExitError", "NameTakenError"]
        )

    @precondition(lambda self: self.anybody)
    @rule(place=PLACE, key=KEYS, value=st.none() | VALUES, itself=st.booleans())
    def unregister(self, place: int, key: str, value: int | None, itself: bool) -> None:
        owner = self.alive(place)
        if value is not None:
            self.within(owner, lambda: self.registry.unregister_match(key, lambda v: v == value))
        elif itself:
            self.within(owner, lambda: self.registry.unregister(key))
        else:
            self.registry.unregister_actor(owner, key)
        self.drop(owner, lambda row: row[0] == key and value in (None, row[2]))

    @precondition(lambda self: self.anybody)
    @rule(place=PLACE, key=KEYS)
    def update_value(self, place: int, key: str) -> None:
        owner = self.alive(place)
        outcome = self.within(owner, lambda: self.registry.update_value(key, lambda value: value + 10))
        row = next((row for row in self.rows if row[:2] == (key, owner)), None)
        if self.keys == "duplicate":
            assert outcome == "OptionError"
        elif row is None:
            assert outcome == "NotRegisteredError"
        else:
            assert outcome == (row[2] + 10, row[2])
            self.rows[self.rows.index(row)] = (key, owner, row[2] + 10)

    @staticmethod
    def outcome(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except SlitherError as error:
            return type(error).__name__

    # -- locks ---------------------------------------------------------------------------

    @precondition(lambda self: self.anybody)
    @rule(place=PLACE, key=KEYS)
    def claim(self, place: int, key: str) -> None:
        """Ask for a lock as `lock` does, without waiting for it."""
        owner, first = self.alive(place), self.first(key)
        if any(lock.who is owner and self.first(lock.key) is not lock for lock in self.locks):
            return  # it waits for a lock, so it cannot ask for another
        claim = Claim(key, owner._cell)
        request = self.simulation.ask(self.registry, ("lock", claim))
        self.simulation.run_all()
        if first is not None and first.who is owner:
            with pytest.raises(SlitherError, match="already"):
                request.result()
            self.registry.send(unlock, claim)
            self.simulation.run_all()
        else:
            self.locks.append(Lock(key, owner, claim, request))

    @precondition(lambda self: self.registry and self.locks)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """The holder is done, or one that waits gives up."""
        lock = data.draw(st.sampled_from(self.locks))
        self.registry.send(unlock, lock.claim)
        self.simulation.run_all()
        self.locks.remove(lock)

    # -- what is compared ------------------------------------------------------------------

    @invariant()
    def every_view_has_the_rows(self) -> None:
        if self.registry is None:
            return
        registry, rows = self.registry, self.rows
        assert registry.count() == len(rows)
        assert registry.select() == rows
        for key in "abc":
            found = [(owner, value) for k, owner, value in rows if k == key]
            assert registry.lookup(key) == found
            assert registry.match(key, lambda value: value > 0) == [row for row in found if row[1] > 0]
            dispatched: list[Any] = []
            registry.dispatch(key, dispatched.append)
            assert dispatched == ([found] if found else [])
            if self.keys == "unique":
                assert registry.whereis(key) is (found[0][0] if found else None)
        for owner in self.owners:
            assert registry.keys(owner) == [key for key, who, _ in rows if who is owner]
            assert registry.values("a", owner) == [v for k, who, v in rows if (k, who) == ("a", owner)]

    @invariant()
    def the_registry_holds_on_to_owners_only(self) -> None:
        """By a link and a watch, as long as they have entries or claims."""
        if self.registry is None:
            return
        cell, owners = self.registry._cell, {row[1]._cell for row in self.rows}
        assert (cell.links or set()) == owners
        assert cell.actor._owners.keys() == owners
        for owner in self.owners:
            if owner.is_alive():
                assert len(owner._cell.monitors or ()) == (owner._cell in owners) + sum(
                    lock.who is owner for lock in self.locks
                )

    @invariant()
    def the_listeners_heard_it_all(self) -> None:
        self.simulation.run_all()
        for ref, heard in self.heard.items():
            assert ref._cell.actor.seen == heard

    @invariant()
    def the_first_claim_of_a_key_has_its_lock(self) -> None:
        for lock in self.locks:
            assert lock.request.answered == (self.first(lock.key) is lock)


RegistryMachine.TestCase.settings = QUICK
TestRegistry = RegistryMachine.TestCase


@pytest.mark.soak
def test_for_long() -> None:
    """The same, with many more and longer stories."""
    run_state_machine_as_test(RegistryMachine, settings=SOAK)
