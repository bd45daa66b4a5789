"""`Store`: tables, how they are loaded, and views on them, in one class body."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, TypeVar

from slither_actors.bridge import View, ViewOptions
from slither_actors.config import wait_seconds_or_none
from slither_actors.errors import OptionError, StoreError
from slither_actors.store._backing import SQLite, checked_backing
from slither_actors.store._load import LoadTables
from slither_actors.store._pointer import Pointer
from slither_actors.store._remote import attach
from slither_actors.store._statistics import StoreStatistics, store_statistics
from slither_actors.store._table import Table
from slither_actors.store._transaction import CollectedWrites

__all__ = ["Store", "handles_of", "is_published", "pointer_of", "views_of"]

R = TypeVar("R")

_DURING_RELOAD = ("queue", "refuse", "merge")


class Store:
    """Shared state with one writer and readers that never wait.

    Subclass it, declare tables, fill them in `load`, and mark with ``@view``
    what workers may call::

        class FeatureStore(Store):
            features = Table()

            def load(self, tables):
                tables.features.insert([("user:42", {"tier": "gold"})])

            @view
            def lookup_feature(self, key):
                return self.features.get(key)

    The tables are read and written through the class. Instances are the
    library's: each load runs on a new one, which is published together with
    the tables that it filled, so what ``load`` sets on ``self`` is what the
    views of the same tables see.
    """

    write_timeout: ClassVar[float | None] = 5.0
    """Seconds that a write waits for its turn; None waits for ever.

    Writes queue behind a reload and are then applied to the new tables, unless
    `during_reload` says otherwise. A store whose `load` takes long sets this higher.
    """

    during_reload: ClassVar[Literal["queue", "refuse", "merge"]] = "queue"
    """What happens to writes that come while the store is reloaded.

    ``"queue"``: they wait and apply to the new tables. ``"refuse"``: they raise
    `StoreReloadingError` at once. ``"merge"``: they apply to the old tables at
    once, and the rows that they changed are changed in the new tables as well,
    before those are published.
    """

    backing: ClassVar[SQLite | None] = None
    """A file that the tables are written through to, or None: they live in memory only."""

    _pointer: ClassVar[Pointer]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        declared = _declared(cls, lambda value: isinstance(value, Table))
        reserved = sorted(set(declared) & {*vars(Store), "_pointer"})
        if reserved:
            msg = f"store {cls.__name__}: {reserved[0]!r} is the name of a Store method, not for a table"
            raise StoreError(msg)
        checked_backing(cls.backing, cls.__name__)
        wait_seconds_or_none.check("write_timeout", cls.write_timeout, f"store {cls.__name__}")
        if cls.during_reload not in _DURING_RELOAD:
            allowed = ", ".join(map(repr, _DURING_RELOAD))
            problem = f"is {cls.during_reload!r}; allowed are {allowed}"
            raise OptionError("during_reload", problem, where=f"store {cls.__name__}")
        cls._pointer = Pointer(
            key=_key(cls),
            name=cls.__name__,
            tables=tuple(declared),
            attach=attach,
            kinds=tuple(table.options for table in declared.values()),
        )
        for name, table in declared.items():
            setattr(cls, name, table.bound(cls, name, cls._pointer, write_timeout=cls.write_timeout))

    def load(self, tables: LoadTables) -> Iterable[tuple[str, Any, Any]] | None:
        """Fill the tables. Override; runs in the store's server, at its start and on each reload.

        The tables are new, empty, and seen by nobody until this returns. If it
        raises, a start fails and a reload leaves the old tables in place.
        ``self.features`` is still what all others see: the old tables.

        It may be a generator of rows, each ``(table's name, key, value)``, or
        return them. A store with a `backing` that has its rows from the file
        gets `restore` instead at its start.
        """

    def restore(self, tables: LoadTables) -> None:
        """Look at the rows that were found in the `backing`. Override it if there is anything to do.

        Called in the place of `load` at each start but the first. What it
        changes in the tables is written to the file. If it raises, the start fails.
        """

    @classmethod
    def reload(cls, timeout: float | None = None) -> None:
        """Run `load` on fresh tables and swap them in, all at once or not at all.

        Waits until it is done, at most `timeout` seconds. `during_reload` says
        what becomes of writes that arrive meanwhile.

        Raises:
            StoreLoadError: `load` raised; the old tables stay.
            CallTimeoutError: it takes longer; it goes on nevertheless.
        """
        cls._pointer.write(("reload",), timeout)

    @classmethod
    def transact(cls, function: Callable[..., R], *arguments: Any) -> R:
        """Return ``function(tx, *arguments)``, whose writes to ``tx.features`` are all done, or none.

        It runs in the store's server, with no other write in between, and
        reads its own writes through ``tx``. Readers see the tables before or
        after it. If it raises, nothing has happened and the caller gets the
        error. Keep it short: other writers wait for it, and each table that it
        writes more than one row of is copied. It may be run once only, so it
        may do other things; from a worker it has to be a function that can be pickled.

        Raises:
            CallTimeoutError: no answer within `write_timeout`; it may still happen.
            StoreError: ``tx`` was used after the function had returned.
        """
        result: R = cls._pointer.write(("transact", function, arguments), cls.write_timeout)
        return result

    @classmethod
    def transaction(cls) -> CollectedWrites:
        """Collect writes and do them all at the end of a ``with`` block, or none.

        ``with FeatureStore.transaction() as tx: tx.features.put(key, value)``.
        Nothing is sent before the end of the block, nor if it raises. What the
        writes returned is in ``tx.results`` afterwards; reads in the block see
        the tables as they were. For reads of its own writes see `transact`.
        """
        return CollectedWrites(cls._pointer, handles_of(cls), cls.write_timeout)

    @classmethod
    def statistics(cls) -> StoreStatistics:
        """What the store holds at the moment, also in a worker, which asks the driver.

        Not for each row that is read: the sample of `TableStatistics.bytes` takes
        some 30 ns for each row that there is.
        """
        pointer = cls._pointer
        if pointer.is_attached or (not pointer.is_published and attach(pointer)):
            found: StoreStatistics = pointer.server.call(("store_statistics",))
            return found
        return store_statistics(pointer)


def pointer_of(store: type[Store]) -> Pointer:
    """The reference through which `store` is read and written."""
    return store._pointer


def is_published(store: type[Store]) -> bool:
    """Whether `store` has tables to read. One that was refused as it was made has none."""
    pointer = vars(store).get("_pointer")
    return isinstance(pointer, Pointer) and pointer.is_published


def handles_of(store: type[Store]) -> tuple[Table[Any, Any], ...]:
    """The tables of `store`, in the order of the class body."""
    return tuple(getattr(store, name) for name in store._pointer.tables)


def views_of(store: type[Store]) -> tuple[View, ...]:
    """The views that `store` declares, callable without an instance.

    Each runs on the instance whose tables are published when it is called.
    """
    marked = _declared(store, lambda value: ViewOptions.of(value) is not None)
    return tuple(_view(store, name, function) for name, function in marked.items())


def _view(store: type[Store], name: str, function: Callable[..., Any]) -> View:
    pointer = store._pointer

    def call(*arguments: Any, **keywords: Any) -> Any:
        instance = pointer.now.instance
        if instance is None:
            pointer.attach_or_fail()
        return function(instance, *arguments, **keywords)

    return View.of(name, function, function=call, source=pointer.key, sender=store)


def _declared(cls: type, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """The attributes of `cls` and its bases that are `wanted`, in the order of the class bodies."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            found.pop(name, None)
            if wanted(value):
                found[name] = value
    return found


def _key(cls: type) -> str:
    # A worker runs the driver's main module under another name.
    module = "__main__" if cls.__module__ == "__mp_main__" else cls.__module__
    return f"{module}:{cls.__qualname__}"
