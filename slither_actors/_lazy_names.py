"""The public names of a package, imported when somebody asks for one.

A worker process imports packages on its way to what it needs, and would pay
for the actors and the driver's side at each start. Type checkers read the
imports under ``TYPE_CHECKING``, which the package has besides.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

__all__ = ["lazy_names"]


_turn = threading.RLock()
"""Held by the thread that imports. Our modules import one another, and two threads that begin at two ends of
that are each given what the other one has half imported."""


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
        # A module of ours that is being imported must not wait: who has the turn may wait for that module.
        with contextlib.nullcontext() if _is_ours(sys._getframe(1)) else _turn:
            if home:
                value = getattr(importlib.import_module(f"{package}.{home}"), name)
            else:
                value = importlib.import_module(f"{package}.{name}")
            setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return look_up, names


def _is_ours(asks: FrameType | None) -> bool:
    """Whether code of this package asks, past the import system."""
    while asks is not None and str(asks.f_globals.get("__name__")).startswith("importlib."):
        asks = asks.f_back
    return asks is not None and str(asks.f_globals.get("__name__")).startswith("slither_actors.")


def _after_fork_in_child() -> None:
    global _turn  # noqa: PLW0603 - the thread that has it may not be here
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
