"""The tree of an application: its supervisors, their children, and how none of it is left behind."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from slither_actors.actors import (
    SHUTDOWN,
    ChildSpec,
    Crash,
    DynamicSupervisorRef,
    Ref,
    Server,
    Supervisor,
    SupervisorRef,
    TaskSupervisor,
    _runtime,
    whereis,
    zombies,
)
from slither_actors.actors._cell import Cell, live_cells
from slither_actors.actors._runtime import current_cell
from slither_actors.actors._zombie import abandon
from slither_actors.bridge import ViewRegistry, answer
from slither_actors.dispatch import _default
from slither_actors.errors import ActorExitError, StartError
from slither_actors.pipe import STORES, PipeSupervisor
from slither_actors.pool import Pool
from slither_actors.store import Store, StoreSupervisor, retire
from slither_actors.store._store import is_published, pointer_of

__all__ = ["LoaderSupervisor", "PoolSupervisor", "SlitherSupervisor"]

ROOT = "slither"
LOADERS = "slither.loaders"
POOLS = "slither.pools"

_ORPHAN_SECONDS = 10.0
"""How long a new `PoolSupervisor` waits for the pools of a dead one: they are ending."""

ZOMBIE_STATUS: Final = 70
"""The exit status of a program whose actors could not be stopped, if it wants to tell: EX_SOFTWARE."""

logger = logging.getLogger("slither_actors.application")

_HURRY_SECONDS = 0.4
"""How long the end of a program waits for its actors after a second signal."""

_WORDS_SECONDS = 0.005
"""What an actor gets in any case to note that the one it waits for has gone."""


class SlitherSupervisor(Supervisor):
    """The root of the tree."""

    gave_up = ""
    """Why it ended by itself."""

    def _give_up(self, child: Any, reason: Any, why: str) -> None:
        self.gave_up = why
        super()._give_up(child, reason, why)

    def _remains(self) -> Server:
        remains = super()._remains()
        vars(remains)["gave_up"] = self.gave_up
        return remains


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


def children(
    stores: Iterable[type[Store]], pools: Mapping[str, Mapping[str, Any]], others: Iterable[ChildSpec]
) -> list[ChildSpec]:
    """The children of the root, in the order of their start."""
    specs = [pool_spec(name, options) for name, options in pools.items()]
    return [
        LoaderSupervisor.child_spec(name=LOADERS),
        ViewRegistry.child_spec(),
        # A list of its own: stores that are started on demand are added to it.
        StoreSupervisor.child_spec(list(stores), name=STORES),
        PoolSupervisor.child_spec(specs, name=POOLS),
        PipeSupervisor.child_spec(name=_default.PIPES),
        *others,
    ]


def pool_spec(name: str, options: Mapping[str, Any]) -> ChildSpec:
    """A pool as a child, named for the runs that look for it."""
    return Pool.child_spec(
        name, id=name, name=_default.pool_name(name), calls=answer, shutdown=None, **options
    )


def root_cause(error: StartError) -> BaseException:
    """The failure of the child that made the tree's start fail, with a note of where it was."""
    start, cause = error, error.__cause__
    while isinstance(cause, StartError) and cause.__cause__ is not None:
        start, cause = cause, cause.__cause__
    if cause is None:
        return error
    if isinstance(start.reason, Crash) and start.reason.exception is cause:
        # Its frames are gone, so that nobody keeps what they hold.
        with contextlib.suppress(Exception):  # of a class of somebody's own
            cause.add_note(f"\nIn the actor:\n{start.reason.traceback_text}".rstrip())
    return cause


def is_inside(root: SupervisorRef) -> bool:
    """Whether the code that asks runs in an actor of the tree."""
    cell = current_cell()
    return cell is not None and _is_below(cell, root)


def kill(root: SupervisorRef) -> None:
    """Wait for nobody: what the tree holds is ended as its owners die."""
    parts = [whereis(name) for name in (POOLS, _default.PIPES)]
    for ref in (root, *parts):
        if ref is not None:
            ref.kill()
    _runtime.EXIT_SECONDS = min(_runtime.EXIT_SECONDS, _HURRY_SECONDS)


def end_now(root: SupervisorRef) -> None:
    """Have every actor of the tree end, all at one time; abandon those that do not at once."""
    _runtime.EXIT_SECONDS = min(_runtime.EXIT_SECONDS, _HURRY_SECONDS)
    below = [cell for cell in reversed(live_cells()) if _is_below(cell, root)]
    for cell in below:
        cell.order_end(SHUTDOWN)
    deadline = time.monotonic() + _HURRY_SECONDS / 2
    # The youngest first: who waits for one that is abandoned goes on.
    for cell in below:
        if not cell.join(max(_WORDS_SECONDS, deadline - time.monotonic())):
            abandon(cell)


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
    for store in running_stores():
        if not pointer_of(store).server.is_alive():
            retire(store)


def running_stores() -> list[type[Store]]:
    """The stores that have tables to read."""
    found: dict[type[Store], None] = {}
    waiting = list(Store.__subclasses__())
    while waiting:
        store = waiting.pop(0)
        waiting += store.__subclasses__()
        if is_published(store):
            found[store] = None
    return list(found)


def drain(timeout: float, hurried: Callable[[], bool]) -> None:
    """Have the inputs of all runs end, and wait until the runs have."""
    deadline = time.monotonic() + timeout
    told: set[Ref] = set()
    while not hurried() and (left := deadline - time.monotonic()) > 0:
        runs = _runs()
        for run in runs:
            if run not in told:
                told.add(run)
                run.send(run.actor_class.drain)
        if not runs:
            return
        runs[0].join(left)
    if runs := _runs():
        logger.warning(
            "%d runs had not finished what was in flight and are stopped: %s",
            len(runs),
            ", ".join(map(str, runs)),
        )


def _runs() -> list[Ref]:
    pipes = whereis(_default.PIPES)
    if isinstance(pipes, DynamicSupervisorRef):
        with contextlib.suppress(ActorExitError):
            return [info.ref for info in pipes.which_children() if info.ref is not None]
    return []


def zombies_of(root: SupervisorRef) -> list[Ref]:
    """The actors of an ended tree whose handlers run on, abandoned ones and those nobody waited for."""
    below = [cell for cell in live_cells() if _is_below(cell, root)]
    deadline = time.monotonic() + _HURRY_SECONDS / 2
    for cell in below:
        cell.join(max(0.0, deadline - time.monotonic()))
    abandoned = [info.actor for info in zombies() if _is_below(info.actor._cell, root)]
    return [*abandoned, *(cell.ref for cell in below if not cell.dead)]


def warn_of_zombies(root: SupervisorRef) -> None:
    """Say which actors could not be stopped, if there are any."""
    found = zombies_of(root)
    if found:
        names = ", ".join(map(str, found[:5])) + (", …" if len(found) > 5 else "")
        logger.warning(
            "%d actors are still inside handlers that do not return, and cannot be stopped: %s. "
            "Work that may hang belongs in a worker process.",
            len(found),
            names,
        )


def _is_below(cell: Cell, root: SupervisorRef) -> bool:
    above: Cell | None = cell
    while above is not None and above is not root._cell:
        above = above.parent
    return above is not None
