"""The reference to a registry: look-ups and changes in the caller's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from slither_actors.actors import _runtime
from slither_actors.actors._cell import Cell
from slither_actors.actors._cell_of import cell_of
from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._reasons import NOPROC
from slither_actors.actors._ref import Ref
from slither_actors.actors._registry_locks import Claim, unlock
from slither_actors.errors import ActorError, ActorExitError

if TYPE_CHECKING:
    from slither_actors.actors._registry import Registry

__all__ = ["RegistryRef"]

T = TypeVar("T")


class RegistryRef(Ref):
    """The reference to a `Registry`. Every method but `lock` works in the caller's thread, without waiting.

    All of them raise `ActorExitError` once the registry has ended. Elixir: Registry.
    """

    # -- for the actors that register ---------------------------------------------

    def register(self, key: Any, value: Any = None) -> None:
        """Register the calling actor under `key`, until it unregisters or ends.

        Under duplicate keys an actor may register any number of times.

        Raises:
            NameTakenError: the key is unique and somebody has it, perhaps the caller itself.
        """
        self._registry.add(_caller("register"), key, value)

    def register_actor(self, ref: Ref, key: Any, value: Any = None) -> None:
        """As `register`, for another actor; from any thread.

        Raises:
            NameTakenError: the key is unique and somebody has it.
            ActorExitError: the actor has ended.
        """
        _runtime.refuse_zombie()
        self._registry.add(cell_of(ref, "Registry.register_actor"), key, value)

    def unregister(self, key: Any) -> None:
        """Remove what the calling actor has under `key`; nothing is fine."""
        self._registry.withdraw(_caller("unregister"), key, None)

    def unregister_match(self, key: Any, predicate: Callable[[Any], object]) -> None:
        """Remove what the calling actor has under `key` with a value for which `predicate` holds."""
        self._registry.withdraw(_caller("unregister_match"), key, predicate)

    def unregister_actor(self, ref: Ref, key: Any) -> None:
        """As `unregister`, for another actor; from any thread."""
        _runtime.refuse_zombie()
        self._registry.withdraw(cell_of(ref, "Registry.unregister_actor"), key, None)

    def update_value(self, key: Any, function: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Replace the calling actor's value by ``function(value)``; return the new one and the old one.

        Raises:
            NotRegisteredError: the calling actor does not have the key.
            OptionError: the keys are not unique.
        """
        return self._registry.update(_caller("update_value"), key, function)

    # -- for everybody ---------------------------------------------------------------

    def whereis(self, key: Any) -> Ref | None:
        """Return the actor that has a unique key, or None.

        Raises:
            OptionError: the keys are not unique.
        """
        registry = self._registry
        registry.must_be_unique("whereis")
        for row in registry.under(key):
            return row.owner.ref
        return None

    def lookup(self, key: Any) -> list[tuple[Ref, Any]]:
        """Return each live actor under `key` with its value, in the order in which they registered."""
        return [(row.owner.ref, row.value) for row in self._registry.under(key)]

    @calls_out
    def match(self, key: Any, predicate: Callable[[Any], object]) -> list[tuple[Ref, Any]]:
        """Return what `lookup` does, where ``predicate(value)`` holds."""
        return [(ref, value) for ref, value in self.lookup(key) if predicate(value)]

    @calls_out
    def dispatch(self, key: Any, function: Callable[[list[tuple[Ref, Any]]], object]) -> None:
        """Run `function` in the caller with what `lookup` returns, unless that is empty."""
        entries = self.lookup(key)
        if entries:
            function(entries)

    def keys(self, ref: Ref) -> list[Any]:
        """Return the keys of an actor, each as often as it is registered under it."""
        return [row.key for row in self._registry.of(cell_of(ref, "Registry.keys"))]

    def values(self, key: Any, ref: Ref) -> list[Any]:
        """Return the values that an actor has under `key`."""
        cell = cell_of(ref, "Registry.values")
        return [row.value for row in self._registry.under(key) if row.owner is cell]

    @calls_out
    def select(
        self, predicate: Callable[[Any, Ref, Any], object] = lambda _key, _ref, _value: True
    ) -> list[tuple[Any, Ref, Any]]:
        """Return ``(key, ref, value)`` of every entry for which ``predicate(key, ref, value)`` holds."""
        rows = ((row.key, row.owner.ref, row.value) for row in self._registry.all())
        return [row for row in rows if predicate(*row)]

    def count(self) -> int:
        """Return how many entries there are."""
        return self._registry.count()

    def count_match(self, key: Any, predicate: Callable[[Any], object] = lambda _value: True) -> int:
        """Return how many entries `match` finds."""
        return len(self.match(key, predicate))

    def count_select(self, predicate: Callable[[Any, Ref, Any], object]) -> int:
        """Return how many entries `select` finds."""
        return len(self.select(predicate))

    @calls_out
    def lock(self, key: Any, function: Callable[[], T]) -> T:
        """Run `function` in the caller while nobody else does so under `key`; return its result.

        Lock keys are apart from the keys of entries; who comes first is first.
        An actor that is abandoned inside `function` loses the lock.

        Raises:
            ActorError: the caller holds this lock already and would wait for itself.
        """
        cell = _runtime.current_cell()
        claim = Claim(key, threading.current_thread() if cell is None else cell)
        try:
            self.call(("lock", claim), None)
            return function()
        finally:
            self.send(unlock, claim)

    @property
    def _registry(self) -> Registry:
        registry: Registry = self._cell.actor  # type: ignore[assignment]
        if self._cell.dead:
            raise ActorExitError(str(self), NOPROC)
        return registry


def _caller(method: str) -> Cell:
    cell = _runtime.current_cell()
    if cell is None:
        msg = f"{method} is for the calling actor and this is a plain thread; say which one: register_actor"
        raise ActorError(msg)
    _runtime.refuse_zombie()
    return cell
