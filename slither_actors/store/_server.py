"""`StoreServer`: the one writer of a store's tables.

A write is a call to it, so writes are serialised; where the server is idle the
call runs in the caller's thread and costs no switch. What may take long is
not for that path: `load` runs in the server's own turn, also for a reload. A
function given to `Table.update` does run in the caller's thread and holds the
other writers up (never a reader) for as long as it takes.

Unless the store declares otherwise a reload is one message: writes that arrive
meanwhile queue behind it and then apply to the new tables. To refuse or to
merge them the server has to be free, so `load` then runs in an actor beside it
(`_loader`). Writes acknowledged before a reload are gone, as after a restart,
unless `load` brings them back.

A store with a file behind it is restored from that instead of loaded, at each
start but the first; its writes go the way that `_commits` describes.

When the server dies the pointer keeps the tables, so readers go on with those
until its successor has loaded. A server that is stopped (reason ``"normal"``)
takes its tables with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

from slither_actors import bridge, telemetry
from slither_actors.actors import NO_REPLY, NORMAL, ChildSpec, Failure, Request, Server
from slither_actors.errors import StoreBackingError, StoreLoadError, StoreReloadingError, TableFullError
from slither_actors.store._access import StoreAccess
from slither_actors.store._backing import close_files, open_file
from slither_actors.store._bounded_rows import Bounded
from slither_actors.store._commits import Commits
from slither_actors.store._feed import KEEP_SECONDS
from slither_actors.store._load import LoadTables
from slither_actors.store._loader import FreshTables, RunningReload, StoreLoader
from slither_actors.store._rows import QUERIES, SetRows
from slither_actors.store._store import Store, handles_of, pointer_of, views_of
from slither_actors.store._sweeper import Sweeper
from slither_actors.store._told import Told
from slither_actors.store._writer import WRITES, Change, Writer, changed_rows

__all__ = ["StoreServer", "retire"]

_WRITTEN = telemetry.STORE_WRITE


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
        self._sweeper = Sweeper(self)
        self._writer = Writer(self._pointer, self, self._sweeper.wake)
        self._operations: dict[str, Callable[[tuple[Any, ...]], Any]] = {}
        """What is done at once, in place. All else is for `_perform_aside`."""
        self._told = Told(self._pointer, self, self._writer) if self._pointer.feed is not None else None
        """Told of the changes of replicated tables."""
        self._running: RunningReload | None = None
        self._reloads: list[Request] = []
        """Callers of reloads that came while one was running aside."""
        told, later = self._tell_changes, partial(self.ref.send, _flush)
        self._commits = Commits(self._pointer, self, self._writer, handles_of(store), told=told, later=later)
        was_published = self._pointer.is_published
        try:
            if store.backing is not None:
                self._commits.file = open_file(store.backing, self._pointer)
            self._install(self._restored() or self._loaded())
            self._choose_operations()
            keep = partial(self.ref.send, _keep_snapshot)
            access = StoreAccess(self._pointer, write_timeout=store.write_timeout, keep=keep)
            bridge.register_tables(self._pointer.key, access)
            bridge.SESSIONS.declare(self._pointer.key, views_of(store))
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
        perform = self._operations.get(operation)
        if perform is None:
            return self._perform_aside(request, sender)
        try:
            reply = perform(request)
        except Exception as error:  # noqa: BLE001 - an unhashable key, a user's function
            return Failure(error)
        if _WRITTEN.receivers and operation in WRITES:
            self._tell_write(operation, request[1], reply)
        return reply

    def terminate(self, reason: Any) -> None:
        """Take the tables away where the server was stopped, and leave them where it failed."""
        self._commits.flush()
        close_files(lambda file: file is self._commits.file)
        if reason == NORMAL:
            retire(self._store, owner=self)

    def reload(self, sender: Request) -> None:
        """Load fresh tables and answer `sender`. Called in the server."""
        self._commits.flush()
        if self._running is not None:
            self._reloads.append(sender)
        elif self._store.during_reload == "queue":
            try:
                with self._told_reload():
                    self._install(self._loaded())
            except StoreLoadError as error:
                sender.fail(error)
            else:
                sender.reply()
        else:
            self._load_aside([sender])

    def _told_reload(self) -> AbstractContextManager[Any]:
        """The events around a reload. In whatever thread it runs."""
        events = (telemetry.STORE_RELOAD_START, telemetry.STORE_RELOAD_STOP, telemetry.STORE_RELOAD_EXCEPTION)
        return telemetry.span(*events, self._store, {"store": self._pointer.name})

    # -- writes that are drafted -----------------------------------------------

    def _choose_operations(self) -> None:
        # A file, and a reload beside the server, want to know of each changed row.
        in_place = WRITES if self._commits.file is None and self._running is None else frozenset()
        operations = {name: self._writer.operation(name) for name in QUERIES | in_place}
        if self._told is not None:
            operations["replicate"] = lambda _: self._writer.replicated()
            operations |= self._told.around({name: operations[name] for name in in_place})
        self._operations = operations

    def _perform_aside(self, request: Any, sender: Request) -> Any:
        if request[0] == "reload":
            # As a message of its own: this call may be running in its caller's thread.
            self.ref.send(_reload, sender)
            return NO_REPLY
        if self._running is not None and self._store.during_reload == "refuse":
            return Failure(StoreReloadingError(self._pointer.name))
        return self._commits.perform(request, sender, is_last=not self._cell.inbox)

    def flush(self) -> None:
        """Commit the writes that wait for it. Called in the server."""
        self._commits.flush()

    def forget_snapshot(self) -> None:
        """Nobody has asked for the workers' snapshot for a while. Called in the server."""
        if self._pointer.feed is not None:
            self._pointer.feed.forget_snapshot()

    def sweep(self, index: int) -> float:
        """Remove rows of a table that are over; for the sweeper. Returns when to come again."""
        earliest = self._commits.sweep(index)
        if self._told is not None:
            self._told.nudge()
        return earliest

    # -- loading -----------------------------------------------------------------

    def _load_aside(self, callers: list[Request]) -> None:
        told = self._told_reload()
        told.__enter__()
        self._running = RunningReload(callers, told)
        self._choose_operations()
        StoreLoader.start_link(self.ref, self._loaded, told)

    def finish_reload(self, loaded: FreshTables | StoreLoadError) -> None:
        """Publish what was loaded aside, if it was, and answer who waits. Called in the server."""
        self._commits.flush()
        running, self._running = self._running, None
        assert running is not None
        self._choose_operations()
        error: StoreLoadError | None = None
        try:
            with ExitStack() as events:
                events.push(running.told)
                if isinstance(loaded, StoreLoadError):
                    raise loaded
                self._install(loaded, running.changes)
        except StoreLoadError as failure:
            error = failure
        for caller in running.callers:
            caller.reply() if error is None else caller.fail(error)
        if self._reloads:
            callers, self._reloads = self._reloads, []
            self._load_aside(callers)

    def _restored(self) -> FreshTables | None:
        file = self._commits.file
        if file is None or not file.is_loaded:
            return None
        began = time.monotonic()
        found = file.read()
        loaded = [table.rows for table in found]
        tables = LoadTables(
            self._pointer.tables, loaded, self._pointer.kinds, [table.ends for table in found]
        )
        counts = [(len(table.rows), len(table.ends)) for table in found]
        try:
            instance = self._store()
            tables.take(instance.restore(tables), "restore")  # type: ignore[func-returns-value]
            is_new = tables.changed
            ends = tables.ends
            rows = self._writer.build(tables.seal(), ends)
        except Exception as error:
            raise StoreLoadError(self._pointer.name, error) from error
        # Also where rows of a file that had no ends get theirs, or a limit has become smaller.
        kinds = zip(rows, counts, self._pointer.kinds, strict=True)
        for made, (count, ending), kind in kinds:
            is_new = is_new or (kind.is_bounded and not len(made.live) == count == ending)
        return FreshTables(rows, instance, time.monotonic() - began, is_new=is_new)

    def _loaded(self) -> FreshTables:
        began = time.monotonic()
        tables = LoadTables(self._pointer.tables, kinds=self._pointer.kinds)
        try:
            instance = self._store()
            tables.take(instance.load(tables), "load")
            rows = self._writer.build(tables.seal())
        except Exception as error:
            raise StoreLoadError(self._pointer.name, error) from error
        return FreshTables(rows, instance, time.monotonic() - began)

    def _install(self, loaded: FreshTables, changes: Sequence[Change] = ()) -> None:
        rows = self._merged(loaded.rows, changes) if changes else loaded.rows
        if self._commits.file is not None and loaded.is_new:
            try:
                self._commits.file.replace(rows)
            except StoreBackingError as error:
                raise StoreLoadError(self._pointer.name, error) from error
        self._writer.install(rows, loaded.instance, at=time.time(), seconds=loaded.seconds)
        if self._told is not None:
            self._told.installed()

    def _merged(self, loaded: tuple[SetRows, ...], changes: Sequence[Change]) -> tuple[SetRows, ...]:
        rows = changed_rows(loaded, changes, mine=True)
        try:
            for each in rows:
                if isinstance(each, Bounded):
                    each.make_room()
        except TableFullError as error:
            raise StoreLoadError(self._pointer.name, error) from error
        return rows

    # -- telling -------------------------------------------------------------------

    def _tell_changes(self, changes: Sequence[Change]) -> None:
        if self._told is not None:
            self._told.note(changes)
        if self._running is not None:
            self._running.changes += changes
        if _WRITTEN.receivers:
            counts: dict[int, int] = {}
            for _, index, *_ in changes:
                counts[index] = counts.get(index, 0) + 1
            for index, count in counts.items():
                self._emit_write(index, count)

    def _tell_write(self, operation: str, index: int, reply: Any) -> None:
        # The number of rows for those that write many, one for those that write one.
        count = reply if operation in ("bulk_insert", "clear") else 1
        self._emit_write(index, count)

    def _emit_write(self, index: int, count: int) -> None:
        telemetry.emit(
            _WRITTEN,
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
        if store.backing is not None:
            close_files(lambda file: file.store_key == pointer.key)


def _keep_snapshot(server: StoreServer, _: None) -> None:
    server.run_after(KEEP_SECONDS, _forget_snapshot)


def _forget_snapshot(server: StoreServer, _: None) -> None:
    server.forget_snapshot()


def _reload(server: StoreServer, sender: Any) -> None:
    server.reload(sender)


def _flush(server: StoreServer, _: None) -> None:
    server.flush()
