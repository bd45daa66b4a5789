"""The options of an application, checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from slither_actors.actors import ChildSpec
from slither_actors.config import build
from slither_actors.errors import OptionError
from slither_actors.pool import PoolOptions
from slither_actors.store import Store

__all__ = ["checked_children", "checked_on_zombies", "checked_pools", "checked_seconds", "checked_stores"]

_WHERE: Final = "Application"


def checked_stores(stores: Any) -> list[type[Store]]:
    """Classes of stores, each once."""
    if isinstance(stores, type) or not isinstance(stores, Iterable):
        raise OptionError(
            "stores", f"is {stores!r:.200}; allowed is a list of Store subclasses", where=_WHERE
        )
    found: list[type[Store]] = []
    for store in stores:
        if not (isinstance(store, type) and issubclass(store, Store)):
            raise OptionError("stores", f"has {store!r:.200}; allowed are subclasses of Store", where=_WHERE)
        if store in found:
            raise OptionError("stores", f"has {store.__name__} twice", where=_WHERE)
        found.append(store)
    return found


def checked_children(children: Any) -> list[ChildSpec]:
    """What a supervisor takes as its children."""
    if not isinstance(children, Iterable):
        raise OptionError(
            "children", f"is {children!r:.200}; allowed is a list of child specs and servers", where=_WHERE
        )
    return [ChildSpec.of(child) for child in children]


def checked_seconds(seconds: Any) -> float:
    """The drain timeout."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise OptionError(
            "drain_timeout", f"is {seconds!r:.200}; allowed are seconds, 0 and more", where=_WHERE
        )
    return float(seconds)


def checked_pools(pools: Any) -> dict[str, dict[str, Any]]:
    """The options of each pool by its name."""
    if not isinstance(pools, Mapping):
        raise OptionError(
            "pools", f"is {pools!r:.200}; allowed is a mapping of names to workers", where=_WHERE
        )
    return {name: _pool_options(name, given) for name, given in pools.items()}


def _pool_options(name: Any, given: Any) -> dict[str, Any]:
    if not isinstance(name, str) or not name:
        raise OptionError("pools", f"has the name {name!r:.200}; allowed are texts", where=_WHERE)
    if isinstance(given, Mapping):
        options = dict(given)
    elif isinstance(given, int) and not isinstance(given, bool):
        options = {"workers": given}
    else:
        problem = f"has {given!r:.200} for {name!r}; allowed are a number of workers or a mapping of options"
        raise OptionError("pools", problem, where=_WHERE)
    build(PoolOptions, options, where=f"{_WHERE}, pool {name!r}")
    return options


def checked_on_zombies(choice: Any) -> str:
    """One of the two words."""
    if choice not in ("warn", "exit"):
        raise OptionError("on_zombies", f"is {choice!r:.200}; allowed are 'warn' and 'exit'", where=_WHERE)
    return str(choice)
