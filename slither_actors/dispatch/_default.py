"""Where a run finds its pool and its supervisor, started on first use if need be.

The application registers both under names. A script that never started one
gets a default application: the floor above provides it through `provide`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from slither_actors.actors import DynamicSupervisorRef, Ref, when_named, whereis
from slither_actors.errors import NotRunningError, PoolError

__all__ = ["PIPES", "find_pool", "on_pool", "pipes", "pool_name", "pool_of", "provide"]

PIPES = "slither.pipes"
"""The name of the `PipeSupervisor`."""

_RESTART_SECONDS = 10.0
"""How long a batch waits for its pool to come back before it fails."""

_starters: dict[str, Callable[..., object]] = {}


def provide(*, pipes: Callable[[], object], pool: Callable[[str], object]) -> None:
    """Tell how to start what is missing; called once, by the application floor."""
    _starters["pipes"] = pipes
    _starters["pool"] = pool


def _starter(kind: str) -> Callable[..., object]:
    if kind not in _starters:
        # By name: it is on a floor above, and nothing else may have imported it.
        importlib.import_module("slither_actors.application")
    return _starters[kind]


def pool_name(pool: str) -> tuple[str, str]:
    """The name under which a pool is registered."""
    return ("slither.pool", pool)


def find_pool(pool: str) -> Ref | None:
    """Return the pool if it runs now."""
    return whereis(pool_name(pool))


def pool_of(pool: str) -> Ref:
    """Return a running pool; start the default application's if there is none.

    Raises:
        PoolError: there is no pool of that name.
    """
    found = find_pool(pool)
    if found is None:
        _starter("pool")(pool)
        found = find_pool(pool)
    if found is None:
        msg = f"there is no pool {pool!r}: start one with Application(pools={{{pool!r}: 2}})"
        raise PoolError(msg)
    return found


def on_pool(pool: str, waiter: Ref, function: Callable[[Any, Any], object], argument: Any) -> None:
    """Send ``(function, argument)`` to `waiter` once the pool runs (again), or after a while."""
    when_named(pool_name(pool), waiter, function, argument, timeout=_RESTART_SECONDS)


def pipes() -> DynamicSupervisorRef:
    """Return the supervisor of runs; start the default application if there is none.

    Raises:
        NotRunningError: there is none and none could be started.
    """
    found = whereis(PIPES)
    if found is None:
        _starter("pipes")()
        found = whereis(PIPES)
    if not isinstance(found, DynamicSupervisorRef):
        msg = "no application runs: use `with Application(...):`"
        raise NotRunningError(msg)
    return found
