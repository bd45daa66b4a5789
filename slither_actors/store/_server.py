"""`StoreServer`: the one writer of a store's tables.

A write is a call to it, so writes are serialised; where the server is idle the
call runs in the caller's thread and costs no switch. What may take long is
not for that path: `load` runs in the server's own turn, also for a reload. A
function given to `Table.update` does run in the caller's thread and holds the
other writers up (never a reader) for as long as it takes.

A reload is one message: writes that arrive meanwhile queue behind it and then
apply to the new tables. Writes acknowledged before it are gone, as after a
restart, unless `load` brings them back.

When the server dies the pointer keeps the tables, so readers go on with those
until its successor has loaded. A server that is stopped (reason ``"normal"``)
takes its tables with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slither_actors import bridge, telemetry
from slither_actors.actors import NO_REPLY, NORMAL, ChildSpec, Failure, Server
from slither_actors.errors import StoreLoadError
from slither_actors.store._access import StoreAccess
from slither_actors.store._load import LoadTables
from slither_actors.store._store import Store, pointer_of, views_of
from slither_actors.store._writer import Writer

__all__ = ["StoreServer", "retire"]

_COUNTED = frozenset(["put", "put_new", "update", "increment", "delete", "take", "bulk_insert", "clear"])


class StoreServer(Server):
    """Loads a store, performs its writes, and reloads it. One per store class."""

    inline_calls = True

    def init(self, store: type[Store]) -> None:
        """Load the store and publish its tables.

        Raises:
            StoreLoadError: `load` raised; what was published before stays.
            ViewError: another store has a global view of the same name.
        """
        self._store = store
        self._pointer = pointer_of(store)
        self._pointer.claim(self, self.ref)
        self._writer = Writer(self._pointer, self)
        writer = self._writer
        self._operations: dict[str, Callable[..., Any]] = {
            "put": writer.put,
            "put_new": writer.put_new,
            "update": writer.update,
            "increment": writer.increment,
            "delete": writer.delete,
            "take": writer.take,
            "bulk_insert": writer.bulk_insert,
            "clear": writer.clear,
            "snapshot": writer.snapshot,
            "get_many": writer.get_many,
        }
        was_published = self._pointer.is_published
        try:
            self._load()
            access = StoreAccess(self._pointer, write_timeout=store.write_timeout)
            bridge.register_tables(self._pointer.key, access)
            bridge.SESSIONS.add_global(view for view in views_of(store) if view.options.scope == "global")
        except BaseException:
            if not was_published:
                retire(store, owner=self)
            raise

    @classmethod
    def child_spec(cls, store: type[Store], **options: Any) -> ChildSpec:  # type: ignore[override]
        """Describe the server of one store as a supervisor's child, known by the store's key."""
        return super().child_spec(store, **{"id": pointer_of(store).key, **options})

    def handle_call(self, request: Any, sender: Any) -> Any:
        """Perform ``(operation, index, *arguments)``. What it raises is the caller's, not a crash."""
        operation = request[0]
        if operation == "reload":
            # As a message of its own: this call may be running in its caller's thread.
            self.ref.send(_reload, sender)
            return NO_REPLY
        try:
            reply = self._operations[operation](*request[1:])
        except Exception as error:  # noqa: BLE001 - an unhashable key, a user's function
            return Failure(error)
        if telemetry.STORE_WRITE.receivers and operation in _COUNTED:
            self._tell_write(operation, request[1], reply)
        return reply

    def terminate(self, reason: Any) -> None:
        """Take the tables away where the server was stopped, and leave them where it failed."""
        if reason == NORMAL:
            retire(self._store, owner=self)

    def reload(self, sender: Any) -> None:
        """Load fresh tables and answer `sender`. Called in the server."""
        metadata = {"store": self._pointer.name}
        events = (telemetry.STORE_RELOAD_START, telemetry.STORE_RELOAD_STOP, telemetry.STORE_RELOAD_EXCEPTION)
        try:
            with telemetry.span(*events, self._store, metadata):
                self._load()
        except StoreLoadError as error:
            sender.fail(error)
        else:
            sender.reply()

    def _load(self) -> None:
        began = time.monotonic()
        tables = LoadTables(self._pointer.tables)
        try:
            instance = self._store()
            instance.load(tables)
        except Exception as error:
            raise StoreLoadError(self._pointer.name, error) from error
        self._writer.install(tables.seal(), instance, at=time.time(), seconds=time.monotonic() - began)

    def _tell_write(self, operation: str, index: int, reply: Any) -> None:
        # The number of rows for those that write many, one for those that write one.
        count = reply if operation in ("bulk_insert", "clear") else 1
        telemetry.emit(
            telemetry.STORE_WRITE,
            self._store,
            measurements={"count": count},
            metadata={"store": self._pointer.name, "table": self._pointer.tables[index]},
        )


def retire(store: type[Store], *, owner: object | None = None) -> None:
    """Forget a store's tables and views: reads raise `NotRunningError` from now on.

    For the application, after the store's server has ended. With an `owner`
    nothing happens where another server has claimed the store since.
    """
    pointer = pointer_of(store)
    if pointer.retire(owner):
        bridge.unregister_tables(pointer.key)
        bridge.SESSIONS.remove_global(pointer.key)


def _reload(server: StoreServer, sender: Any) -> None:
    server.reload(sender)
