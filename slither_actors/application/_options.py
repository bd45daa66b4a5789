"""The options of an application, checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from slither_actors.actors import ChildSpec
from slither_actors.actors._child_spec import specs_of
from slither_actors.config import build, one_of, shown, wait_seconds
from slither_actors.errors import OptionError
from slither_actors.pool import PoolOptions
from slither_actors.store import Store

__all__ = ["checked_children", "checked_on_zombies", "checked_pools", "checked_seconds", "checked_stores"]

_WHERE: Final = "Application"
_ON_ZOMBIES: Final = one_of("warn", "exit")


def checked_stores(stores: Any) -> list[type[Store]]:
    """Classes of stores, each once."""
    if isinstance(stores, type) or not isinstance(stores, Iterable):
        raise OptionError(
            "stores", f"is {shown(stores)}; allowed is a list of Store subclasses", where=_WHERE
        )
    found: list[type[Store]] = []
    for store in stores:
        if not (isinstance(store, type) and issubclass(store, Store)):
            raise OptionError("stores", f"has {shown(store)}; allowed are subclasses of Store", where=_WHERE)
        if store in found:
            raise OptionError("stores", f"has {store.__name__} twice", where=_WHERE)
        found.append(store)
    return found


def checked_children(children: Any) -> list[ChildSpec]:
    """What a supervisor takes as its children."""
    return specs_of(children, _WHERE)


def checked_seconds(option: str, seconds: Any) -> float:
    """A time that something has."""
    return float(wait_seconds.check(option, seconds, _WHERE))


def checked_pools(pools: Any) -> dict[str, dict[str, Any]]:
    """The options of each pool by its name."""
    if not isinstance(pools, Mapping):
        raise OptionError(
            "pools",
            f"is {shown(pools)}; allowed is a mapping of names to workers: {{'default': 2}}",
            where=_WHERE,
        )
    return {name: _pool_options(name, given) for name, given in pools.items()}


def _pool_options(name: Any, given: Any) -> dict[str, Any]:
    if not isinstance(name, str) or not name:
        raise OptionError("pools", f"has the name {shown(name)}; allowed are texts", where=_WHERE)
    if isinstance(given, Mapping):
        options = dict(given)
    elif isinstance(given, int) and not isinstance(given, bool):
        options = {"workers": given}
    else:
        problem = f"has {shown(given)} for {name!r}; allowed are a number of workers or a mapping of options"
        raise OptionError("pools", problem, where=_WHERE)
    build(PoolOptions, options, where=f"{_WHERE}, pool {name!r}")
    return options


def checked_on_zombies(choice: Any) -> str:
    """One of the two words."""
    return str(_ON_ZOMBIES.check("on_zombies", choice, _WHERE))
