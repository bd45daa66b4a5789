"""The public names of a package, imported when somebody asks for one.

A worker process imports packages on its way to what it needs, and would pay
for the actors and the driver's side at each start. Type checkers read the
imports under ``TYPE_CHECKING``, which the package has besides.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]], *, modules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    Args:
        package: its ``__name__``.
        homes: the names by the module of the package that defines them.
        modules: those of its modules that are public names themselves.
    """
    home_of = {name: home for home, names in homes.items() for name in names}
    home_of |= dict.fromkeys(modules, "")

    def look_up(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        if home:
            value = getattr(importlib.import_module(f"{package}.{home}"), name)
        else:
            value = importlib.import_module(f"{package}.{name}")
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return look_up, names
