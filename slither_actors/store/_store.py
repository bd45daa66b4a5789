"""`Store`: tables, how they are loaded, and views on them, in one class body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from slither_actors.bridge import View, ViewOptions
from slither_actors.errors import StoreError
from slither_actors.store._load import LoadTables
from slither_actors.store._pointer import Pointer
from slither_actors.store._remote import attach
from slither_actors.store._rows import SetRows
from slither_actors.store._statistics import StoreStatistics, TableStatistics
from slither_actors.store._table import Table

__all__ = ["Store", "pointer_of", "views_of"]


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

    Writes queue behind a reload and are then applied to the new tables. A
    store whose `load` takes long sets this higher.
    """

    _pointer: ClassVar[Pointer]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        declared = _declared(cls, lambda value: isinstance(value, Table))
        reserved = sorted(set(declared) & set(vars(Store)))
        if reserved:
            msg = f"store {cls.__name__}: {reserved[0]!r} is the name of a Store method, not for a table"
            raise StoreError(msg)
        cls._pointer = Pointer(key=_key(cls), name=cls.__name__, tables=tuple(declared), attach=attach)
        for name, table in declared.items():
            setattr(cls, name, table.bound(cls, name, cls._pointer, write_timeout=cls.write_timeout))

    def load(self, tables: LoadTables) -> None:
        """Fill the tables. Override; runs in the store's server, at its start and on each reload.

        The tables are new, empty, and seen by nobody until this returns. If it
        raises, a start fails and a reload leaves the old tables in place.
        ``self.features`` is still what all others see: the old tables.
        """

    @classmethod
    def reload(cls, timeout: float | None = None) -> None:
        """Run `load` on fresh tables and swap them in, all at once or not at all.

        Waits until it is done, at most `timeout` seconds. Writes that arrive
        meanwhile wait their turn and then apply to the new tables.

        Raises:
            StoreLoadError: `load` raised; the old tables stay.
            CallTimeoutError: it takes longer; it goes on nevertheless.
        """
        cls._pointer.write(("reload",), timeout)

    @classmethod
    def statistics(cls) -> StoreStatistics:
        """What the store holds at the moment. In the driver only: a worker's tables are there."""
        pointer, now = cls._pointer, cls._pointer.now
        here = pointer.is_published and not pointer.is_attached
        return StoreStatistics(
            store=pointer.name,
            running=here and pointer.server.is_alive(),
            tables=tuple(
                _table_statistics(name, rows, now.loaded.count)
                for name, rows in zip(pointer.tables, now.rows, strict=True)
            )
            if here
            else (),
            loads=now.loaded.count,
            loaded_at=now.loaded.at,
            load_seconds=now.loaded.seconds,
        )


def pointer_of(store: type[Store]) -> Pointer:
    """The reference through which `store` is read and written."""
    return store._pointer


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


def _table_statistics(name: str, rows: Any, loads: int) -> TableStatistics:
    assert isinstance(rows, SetRows)
    version = rows.version
    return TableStatistics(name=name, rows=rows.size(), version=version, writes=version - loads)
