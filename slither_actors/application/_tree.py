"""The tree of an application: its supervisors, their children, and how none of it is left behind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from slither_actors.actors import ChildSpec, Ref, Supervisor, SupervisorRef, TaskSupervisor, _runtime, whereis
from slither_actors.actors._runtime import current_cell
from slither_actors.bridge import ViewRegistry, answer
from slither_actors.dispatch import _default
from slither_actors.errors import StartError
from slither_actors.pipe import STORES, PipeSupervisor
from slither_actors.pool import Pool
from slither_actors.store import Store, StoreSupervisor, retire
from slither_actors.store._store import pointer_of

__all__ = ["LoaderSupervisor", "PoolSupervisor", "SlitherSupervisor"]

ROOT = "slither"
LOADERS = "slither.loaders"
POOLS = "slither.pools"

_ORPHAN_SECONDS = 10.0
"""How long a new `PoolSupervisor` waits for the pools of a dead one: they are ending."""

_HURRY_SECONDS = 0.5
"""How long the end of a program waits for its actors after a second signal."""


class SlitherSupervisor(Supervisor):
    """The root of the tree."""


class LoaderSupervisor(TaskSupervisor):
    """Runs the loads of stores."""


class PoolSupervisor(Supervisor):
    """Holds a `Pool` per named pool."""

    def init(self, specs: Iterable[ChildSpec] = (), **options: Any) -> None:  # type: ignore[override]
        """Start the pools, those of a predecessor that was killed having ended: they hold the names."""
        specs = list(specs)
        for spec in specs:
            pool = whereis(_default.pool_name(str(spec.id)))
            if pool is not None and _is_orphan(pool):
                pool.join(_ORPHAN_SECONDS)
        super().init(specs, **options)


def _is_orphan(ref: Ref) -> bool:
    parent = ref._cell.parent
    return parent is not None and parent.dead


def children(stores: Iterable[type[Store]], pools: Mapping[str, Mapping[str, Any]]) -> list[ChildSpec]:
    """The children of the root, in the order of their start."""
    specs = [pool_spec(name, options) for name, options in pools.items()]
    return [
        LoaderSupervisor.child_spec(name=LOADERS),
        ViewRegistry.child_spec(),
        # A list of its own: stores that are started on demand are added to it.
        StoreSupervisor.child_spec(list(stores), name=STORES),
        PoolSupervisor.child_spec(specs, name=POOLS),
        PipeSupervisor.child_spec(name=_default.PIPES),
    ]


def pool_spec(name: str, options: Mapping[str, Any]) -> ChildSpec:
    """A pool as a child, named for the runs that look for it."""
    return Pool.child_spec(
        name, id=name, name=_default.pool_name(name), calls=answer, shutdown=None, **options
    )


def root_cause(error: StartError) -> BaseException:
    """The failure of the child that made the tree's start fail."""
    cause: BaseException = error
    while isinstance(cause, StartError) and cause.__cause__ is not None:
        cause = cause.__cause__
    return cause


def is_inside(root: SupervisorRef) -> bool:
    """Whether the code that asks runs in an actor of the tree."""
    cell = current_cell()
    while cell is not None and cell is not root._cell:
        cell = cell.parent
    return cell is not None


def kill(root: SupervisorRef) -> None:
    """Wait for nobody: what the tree holds is ended as its owners die."""
    parts = [whereis(name) for name in (POOLS, _default.PIPES)]
    for ref in (root, *parts):
        if ref is not None:
            ref.kill()
    _runtime.EXIT_SECONDS = min(_runtime.EXIT_SECONDS, _HURRY_SECONDS)


def await_remains(pools: Iterable[str], timeout: float) -> None:
    """Wait for what a root leaves that did not come to stop it: one that was killed, or never was up."""
    deadline = time.monotonic() + timeout
    for name in (_default.PIPES, POOLS, *map(_default.pool_name, pools), STORES, LOADERS):
        ref = whereis(name)
        if ref is not None:
            ref.join(max(0.0, deadline - time.monotonic()))
    _retire_stores()


def _retire_stores() -> None:
    """Forget the tables of stores whose server has ended: they must not be read as if it still ran."""
    waiting = list(Store.__subclasses__())
    while waiting:
        store = waiting.pop()
        waiting += store.__subclasses__()
        pointer = pointer_of(store)
        if pointer.is_published and not pointer.server.is_alive():
            retire(store)
