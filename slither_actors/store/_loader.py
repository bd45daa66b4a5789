"""`StoreLoader`: runs a store's ``load`` beside its server, which goes on with writes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import attrs

from slither_actors.actors import Ref, Request, Server
from slither_actors.errors import StoreLoadError
from slither_actors.store._rows import SetRows
from slither_actors.store._writer import Change

__all__ = ["FreshTables", "RunningReload", "StoreLoader"]


@attrs.frozen(eq=False)
class FreshTables:
    """What a load has brought."""

    rows: tuple[SetRows, ...]
    """Those of each table, seen by nobody yet."""

    instance: Any
    seconds: float
    is_new: bool = attrs.field(default=True, kw_only=True)
    """Whether the file behind the store has other rows."""


@attrs.define(eq=False)
class RunningReload:
    """The server's side of a load that runs beside it."""

    callers: list[Request]
    told: AbstractContextManager[Any]
    """Entered; closes the events of the reload."""

    changes: list[Change] = attrs.field(factory=list)
    """What was written to the old tables since it began."""


class StoreLoader(Server):
    """Loads a store once, tells its server, and ends. Linked to the server: neither outlives a crash."""

    def init(self, server: Ref, load: Callable[[], FreshTables], told: AbstractContextManager[Any]) -> None:
        """Begin with the first message, so that the server does not wait for it."""
        self._server = server
        self._load = load
        self._told = told
        self.ref.send(StoreLoader.load)

    def load(self, _: None) -> None:
        """Load, hand the tables or the error to the server, and end."""
        try:
            loaded: FreshTables | StoreLoadError = self._load()
        except StoreLoadError as error:
            loaded = error
        except BaseException as error:
            # The server ends of it too, and closes no events.
            self._told.__exit__(type(error), error, error.__traceback__)
            raise
        self._server.send(_finish, loaded)
        self.stop()


def _finish(server: Any, loaded: FreshTables | StoreLoadError) -> None:
    server.finish_reload(loaded)
