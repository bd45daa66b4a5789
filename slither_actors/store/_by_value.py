"""How tables get to workers that cannot import their store: it was written in an interactive session.

The class goes by value then, and its tables go as parts of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from slither_actors.pool._payloads import main_can_be_imported

if TYPE_CHECKING:
    from slither_actors.store._kinds import TableOptions
    from slither_actors.store._pointer import Pointer
    from slither_actors.store._table import Table

__all__ = ["arrived", "can_be_imported"]


def can_be_imported(store: type) -> bool:
    """Whether a worker finds the class by its name."""
    if store.__module__ == "__main__" and not main_can_be_imported():
        return False
    found: Any = sys.modules.get(store.__module__)
    for name in store.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is store


def arrived(  # noqa: PLR0917 - arguments of a pickle have no names
    kind: type[Table[Any, Any]],
    options: TableOptions,
    store: type,
    name: str,
    pointer: Pointer,
    write_timeout: float | None,
) -> Table[Any, Any]:
    """The handle of a table whose class may not have it yet."""
    return kind.unbound(options).bound(store, name, pointer, write_timeout=write_timeout)
