"""`StoreSupervisor`: one server per store, each restarted on its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slither_actors.actors import Failure, Supervisor
from slither_actors.errors import StartError, StoreError
from slither_actors.store._server import StoreServer
from slither_actors.store._store import Store

__all__ = ["StoreSupervisor"]


class StoreSupervisor(Supervisor):
    """Start and watch a `StoreServer` for each store, in the given order.

    A store that does not load fails the start; its `StoreLoadError` is in the
    chain of causes. Readers do not notice a server's restart, nor this one's.
    Give a list, and what `ensure` starts is added to it, so that a restart of
    this supervisor has those stores back as well.
    """

    def init(self, stores: Iterable[type[Store]] = (), **options: Any) -> None:  # type: ignore[override]
        """Start the servers; `options` are those of `Supervisor.init`."""
        self._stores = stores if isinstance(stores, list) else list(stores)
        super().init([StoreServer.child_spec(store) for store in self._stores], **options)

    def ensure(self, store: type[Store]) -> Failure | None:
        """Start a store that has no server yet: ``stores.run(StoreSupervisor.ensure, FeatureStore)``.

        One that does not load raises its `StoreLoadError` there, and is not kept.
        """
        spec = StoreServer.child_spec(store)
        known = next((child for child in self._children if child.id == spec.id), None)
        try:
            if known is None:
                self._do_start_child(spec, ())
                self._stores.append(store)
            elif known.ref is None and not known.restarting:
                self._do_restart_child(spec.id)
        except StartError as error:
            return Failure(error.__cause__ if isinstance(error.__cause__, StoreError) else error)
        return None
