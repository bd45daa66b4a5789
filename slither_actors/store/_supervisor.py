"""`StoreSupervisor`: one server per store, each restarted on its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slither_actors.actors import Supervisor
from slither_actors.store._server import StoreServer
from slither_actors.store._store import Store

__all__ = ["StoreSupervisor"]


class StoreSupervisor(Supervisor):
    """Start and watch a `StoreServer` for each store, in the given order.

    A store that does not load fails the start; its `StoreLoadError` is in the
    chain of causes. Readers do not notice a server's restart, nor this one's.
    """

    def init(self, stores: Iterable[type[Store]] = (), **options: Any) -> None:  # type: ignore[override]
        """Start the servers; `options` are those of `Supervisor.init`."""
        super().init([StoreServer.child_spec(store) for store in stores], **options)
