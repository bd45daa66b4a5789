"""Names and keys whose hash or comparison is slow, waits or raises: their own users pay, nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors.actors import (
    Ref,
    Registry,
    RegistryRef,
    Supervisor,
    _life,
    named,
    when_named,
    whereis,
)
from slither_actors.actors._names import _waits
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, in_thread, settle


class Slow:
    """A key that waits at the gate for its hash, or when it is compared with another."""

    gate: Gate | None = None

    def __init__(self, where: str) -> None:
        self.where = where

    def __hash__(self) -> int:
        if self.where == "hash":
            self.wait()
        return 29

    def __eq__(self, other: object) -> bool:
        if "eq" in (self.where, getattr(other, "where", "")):
            self.wait()
        return False

    def wait(self) -> None:
        if Slow.gate is not None:
            Slow.gate()


class Counting:
    """A key that counts its hashes."""

    hashed = 0

    def __hash__(self) -> int:
        self.hashed += 1
        return 31


@pytest.fixture
def registry() -> Iterator[RegistryRef]:
    ref = Registry.start()
    yield ref
    ref.stop("shutdown")


def uses(registry: RegistryRef, key: Any, owner: Ref) -> dict[str, Callable[[], Any]]:
    """Everything one does with a name or key."""
    return {
        "start": lambda: Quiet.start(name=key),
        "whereis": lambda: whereis(key),
        "call": lambda: named(key).cast(1),
        "when_named": lambda: when_named(key, owner, lambda *_: None, timeout=LONG),
        "via": lambda: Quiet.start(name=(registry, key)),
        "register": lambda: registry.register_actor(owner, key),
        "unregister": lambda: registry.unregister_actor(owner, key),
        "lookup": lambda: registry.lookup(key),
    }


@pytest.mark.parametrize("where", ["hash", "eq"])
@pytest.mark.parametrize("use", uses(None, None, None))  # type: ignore[arg-type]
def test_a_slow_key_keeps_nobody_else_waiting(registry: RegistryRef, where: str, use: str) -> None:
    """Other actors start, end, take names and keys meanwhile, and it arrives in the end."""
    owner = Quiet.start()
    for other in (Slow(""), Slow("")):  # with which it has to be compared
        Quiet.start(name=other)
        Quiet.start(name=(registry, other))
    key = Slow(where)
    gate = Slow.gate = Gate()
    try:
        slow = in_thread(uses(registry, key, owner)[use])
        gate.wait()

        def others() -> None:
            other = Quiet.start(name="other")
            registry.register_actor(other, "other")
            assert whereis("other") is registry.whereis("other") is other
            other.kill()
            assert other.join(LONG)
            assert whereis("other") is None is registry.whereis("other")

        done = threading.Thread(target=others, daemon=True)
        done.start()
        done.join(LONG / 4)
        assert not done.is_alive()
    finally:
        gate.open()
        Slow.gate = None
    slow()


def test_an_actor_ends_without_asking_its_names(registry: RegistryRef) -> None:
    """What their hash was is known; how many more there are of it does not matter."""
    name, key = Counting(), Counting()
    ref = Quiet.start(name=name)
    registry.register_actor(ref, key)
    hashed = name.hashed, key.hashed
    ref.kill()
    assert ref.join(LONG)
    assert (name.hashed, key.hashed) == hashed


def test_a_restart_under_a_slow_name() -> None:
    """A supervisor restarts under a name whose hash is slow now: others are not concerned."""
    key = Slow("hash")
    tree = Supervisor.start([Quiet.child_spec(name=key, id=1), Quiet.child_spec(name="fast", id=2)])
    ref, fast = whereis(key), whereis("fast")
    assert ref is not None
    assert fast is not None
    gate = Slow.gate = Gate()
    ref.kill()
    assert ref.join(LONG)
    gate.wait()  # in the supervisor, which restarts it
    settle(fast)
    other = Quiet.start(name="another")
    other.kill()
    assert other.join(LONG)
    gate.open()
    Slow.gate = None
    tree.call(("which_children",))
    assert whereis(key) not in (None, ref)
    tree.stop("shutdown")


class Raising:
    """A key that cannot be compared when it is `broken`."""

    broken = False

    def __hash__(self) -> int:
        return 37

    def __eq__(self, other: object) -> bool:
        if self.broken:
            raise LookupError("cannot be compared")
        return self is other


def test_a_key_that_cannot_be_compared_changes_nothing(
    registry: RegistryRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is its user's; nothing is left of the attempt."""
    holder, owner = Quiet.start(name=Raising()), Quiet.start()
    registry.register_actor(holder, Raising())
    monkeypatch.setattr(Raising, "broken", True)
    waits = len(_waits)
    for use in uses(registry, Raising(), owner).values():
        with pytest.raises(LookupError):
            use()
    assert registry.count() == 1
    assert not owner._cell.links
    assert len(_waits) == waits
    assert not owner._cell.timers
    settle(owner)


def test_a_lock_whose_key_cannot_be_compared_is_the_callers_mistake(registry: RegistryRef) -> None:
    """The registry lives, with everything in it; who waits gets its lock."""
    good, bad = Raising(), Raising()
    gate = Gate()
    owner = Quiet.start()
    registry.register_actor(owner, "key")
    holder = in_thread(lambda: registry.lock(good, gate))
    gate.wait()
    good.broken = True
    with pytest.raises(LookupError, match="cannot be compared"):
        registry.lock(bad, print)
    gate.open()
    holder()
    good.broken = False
    assert registry.lock(bad, lambda: 1) == 1
    settle(owner)


def test_the_finalizer_of_a_value_runs_without_the_lock(registry: RegistryRef) -> None:
    """The end of its owner lets go of it, and what it does then may take its time."""
    log = Log()

    class Value:
        def __del__(self) -> None:
            log.add(_life.lock._is_owned())  # type: ignore[attr-defined]

    owner = Quiet.start()
    registry.register_actor(owner, "a", Value())
    registry.register_actor(owner, "b", Value())
    registry.unregister_actor(owner, "a")
    owner.kill()
    assert owner.join(LONG)
    assert log.take(2) == [False, False]


def test_many_of_one_hash(registry: RegistryRef) -> None:
    """Each is found, and goes with its owner."""
    keys = [Raising() for _ in range(50)]
    owners = [Quiet.start() for _ in keys]
    for owner, key in zip(owners, keys, strict=True):
        registry.register_actor(owner, key)
    for place, owner in enumerate(owners):
        assert [registry.whereis(key) for key in keys] == [None] * place + owners[place:]
        owner.kill()
        assert owner.join(LONG)
    assert registry.count() == 0


def test_of_many_of_one_hash_that_come_at_once_each_is_found(registry: RegistryRef) -> None:
    """Each thread's place is out of date again and again."""
    log = Log()
    keys = [[Raising() for _ in range(25)] for _ in range(4)]

    def register(mine: list[Raising]) -> None:
        for key in mine:
            owner = Probe.start(log)
            registry.register_actor(owner, key)
            assert registry.whereis(key) is owner

    for join in [in_thread(lambda mine=mine: register(mine)) for mine in keys]:
        join()
    assert registry.count() == 100


def test_a_start_that_fails_after_it_took_its_name_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here who waits for a name of the same hash cannot be compared with it."""
    waiter, name = Quiet.start(), Raising()
    when_named(Raising(), waiter, lambda *_: None, timeout=LONG)
    with monkeypatch.context() as patch:
        patch.setattr(Raising, "broken", True)
        with pytest.raises(LookupError):
            Quiet.start(name=name)
    assert whereis(name) is None
    again = Quiet.start(name=name)
    assert whereis(name) is again
    waiter.kill()
    assert waiter.join(LONG)
