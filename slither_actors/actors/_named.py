"""A name as a handle: whoever has it now is meant."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.actors._names import KeyHolder, whereis
from slither_actors.actors._ref import Ref
from slither_actors.errors import NotRegisteredError, OptionError

__all__ = ["Named", "named"]


@attrs.frozen
class Named:
    """Reaches the actor that has `name` at the moment of each use. Usable from any thread.

    A restarted server has a new `Ref` and its old name. Between its end and
    its restart nobody has it: a call raises then, a cast goes nowhere. OTP: a registered name as a server.
    """

    name: object

    @property
    def ref(self) -> Ref:
        """The actor that has the name now.

        Raises:
            NotRegisteredError: no live actor has it.
        """
        ref = whereis(self.name)
        if ref is None:
            raise NotRegisteredError(self.name)
        return ref

    def is_alive(self) -> bool:
        """Whether a live actor has the name."""
        return whereis(self.name) is not None

    def call(self, message: Any, timeout: float | None = 5.0) -> Any:
        """As `Ref.call`; the call goes to one incarnation and fails with it.

        Raises:
            NotRegisteredError: no live actor has the name.
        """
        return self.ref.call(message, timeout)

    def cast(self, message: Any) -> None:
        """As `Ref.cast`; if nobody has the name it does nothing."""
        ref = whereis(self.name)
        if ref is not None:
            ref.cast(message)

    def info(self, message: Any) -> None:
        """As `Ref.info`; if nobody has the name it does nothing."""
        ref = whereis(self.name)
        if ref is not None:
            ref.info(message)

    def register_actor(self, ref: Ref, key: Any, value: Any = None) -> None:
        """As `RegistryRef.register_actor`, where the actor is a `Registry`.

        Raises:
            NotRegisteredError: no live registry has the name.
        """
        self._registry.register_actor(ref, key, value)

    def whereis(self, key: Any) -> Ref | None:
        """As `RegistryRef.whereis`, where the actor is a `Registry`.

        Raises:
            NotRegisteredError: no live registry has the name.
        """
        return self._registry.whereis(key)

    @property
    def _registry(self) -> KeyHolder:
        ref = self.ref
        if not isinstance(ref, KeyHolder):
            raise OptionError("name", f"is a key in {ref}, which is not a Registry", where=str(self.name))
        return ref


def named(name: object) -> Named:
    """Return a handle to whoever is registered under `name`, which nobody needs to be yet. Never raises.

    The name may be one in a registry: ``named((registry, key))``.
    """
    return Named(name)
