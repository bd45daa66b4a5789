"""`SQLite`: the declaration of a file behind a store, and the files that this process has open.

Nothing of the standard library's ``sqlite3`` is imported before a store with a
backing starts, so a store in memory pays for none of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from slither_actors.config import Rule, integer, number, one_of
from slither_actors.errors import OptionError, StoreBackingError

if TYPE_CHECKING:
    from slither_actors.store._pointer import Pointer
    from slither_actors.store._sqlite import SQLiteFile

__all__ = ["SQLite", "checked_backing", "close_files", "identity_of", "open_file"]

_PATH = Rule(
    "allowed is the path of a file",
    lambda value: isinstance(value, str | os.PathLike) and str(value) not in ("", ":memory:"),
)


@attrs.frozen
class SQLite:
    """Write a store through to an SQLite file: ``backing = SQLite("features.db")`` in its body.

    A write is acknowledged, and seen by readers, once it is in the file. One
    application at a time may have the file open.
    """

    path: str | os.PathLike[str] = attrs.field(validator=_PATH)
    """The file; made where there is none. A relative path is resolved when the store starts."""

    synchronous: Literal["normal", "full"] = attrs.field(
        default="normal", kw_only=True, validator=one_of("normal", "full")
    )
    """What an acknowledged write survives.

    ``"normal"``: the death of the process, however it dies. After a power cut
    the last writes may be missing, and the file is whole. ``"full"``: a power
    cut as well, at the price of waiting for the disk once per group of writes.
    """

    serializer: Literal["pickle", "json"] = attrs.field(
        default="pickle", kw_only=True, validator=one_of("pickle", "json")
    )
    """How keys and values are stored: pickle protocol 5, which runs code when it is read, or JSON.

    With JSON a value that would come back as another one (a tuple, a key that
    is no string in a dict) is refused when it is written.
    """

    version: int = attrs.field(default=1, kw_only=True, validator=integer(0))
    """The version of the rows' own shape. A file with another one is refused."""

    busy_seconds: float = attrs.field(
        default=5.0, kw_only=True, validator=number("allowed is a number of seconds of at least 0")
    )
    """How long a write waits for another program that has the file locked, a backup for example."""


def checked_backing(value: Any, store: str) -> None:
    """Check what a store's body says of its backing.

    Raises:
        OptionError: it is neither None nor an `SQLite`.
    """
    if value is not None and not isinstance(value, SQLite):
        raise OptionError(
            "backing", f"is {value!r}; allowed are None and SQLite(path)", where=f"store {store}"
        )


def identity_of(path: Path) -> tuple[int, int] | None:
    """Which file has this name; None where none has. For a look before each commit."""
    try:
        found = os.stat(path)  # noqa: PTH116 - half as long as Path.stat
    except OSError:
        return None
    return found.st_dev, found.st_ino


_lock = threading.Lock()
_open: dict[str, SQLiteFile] = {}
"""The open files of this process, by their real paths: a process's own locks do not keep it out."""


def open_file(backing: SQLite, pointer: Pointer) -> SQLiteFile:
    """Open the file of a store, taking it from a server of that store that died.

    Raises:
        StoreBackingError: it is damaged, of another kind, or open elsewhere.
    """
    from slither_actors.store._sqlite import SQLiteFile  # noqa: PLC0415 - see above

    path = os.path.realpath(os.fspath(backing.path))
    with _lock:
        before = _open.get(path)
        if before is not None:
            if before.store_key != pointer.key:
                problem = (
                    f"is the file of store {before.store}, which runs in this process; give each its own"
                )
                raise StoreBackingError(pointer.name, path, problem)
            before.close()
            del _open[path]
        file = SQLiteFile(backing, Path(path), pointer)
        _open[path] = file
        return file


def close_files(wanted: Callable[[SQLiteFile], bool]) -> None:
    """Close those of the open files that are `wanted`."""
    with _lock:
        for path, file in list(_open.items()):
            if wanted(file):
                file.close()
                del _open[path]
