"""`Application`, and the default one of scripts."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from slither_actors.actors import SHUTDOWN, DynamicSupervisorRef, Ref, SupervisorRef, whereis
from slither_actors.application._signals import SignalGuard
from slither_actors.application._tree import (
    POOLS,
    ROOT,
    SlitherSupervisor,
    await_remains,
    children,
    is_inside,
    kill,
    pool_spec,
    root_cause,
)
from slither_actors.config import build
from slither_actors.dispatch import _default
from slither_actors.errors import (
    ActorExitError,
    ChildError,
    NotRunningError,
    OptionError,
    PoolError,
    StartError,
)
from slither_actors.pool import PoolOptions
from slither_actors.store import Store

__all__ = ["Application"]

logger = logging.getLogger("slither_actors.application")

_STOP_SECONDS = 15.0
_HURRY_SECONDS = 1.0
_WHERE = "Application"

_lock = threading.RLock()
"""Guards which application runs. Held while one starts or stops."""

_current: Application | None = None

_exiting = False
"""Set at exit: from then on no default application is started."""


class Application:
    """Stores, pools and the supervisor of runs, started and stopped together.

    Use it as a context manager around the program, or call `start` and `stop`.

    Args:
        stores: store classes, loaded in this order before anything else runs.
        pools: worker processes per named pool: a number, or a mapping of the pool's options.
            By default one pool, ``"default"``, with a worker per processor; none if it is empty.

    Raises:
        OptionError: an option is wrong.
    """

    def __init__(self, *, stores: Iterable[type[Store]] = (), pools: Mapping[str, Any] | None = None) -> None:
        self._stores = _checked_stores(stores)
        self._pools = _checked_pools({"default": {}} if pools is None else pools)
        self._lazy = False
        self._root: SupervisorRef | None = None
        self._signals = SignalGuard()

    # -- life ------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the tree: stores first, then the pools. If anything fails, nothing is left behind.

        Raises:
            NotRunningError: another application runs, or the program is ending.
            StoreLoadError: a store did not load.
            WorkerStartError: a pool could not start a worker.
        """
        global _current  # noqa: PLW0603 - one application per process
        with _lock:
            if _exiting:
                msg = "the program is ending and starts nothing any more"
                raise NotRunningError(msg)
            if _current is not None:
                if _current.running and not _current._lazy:
                    msg = "an application runs already in this process; stop it first"
                    raise NotRunningError(msg)
                if _current._lazy and _current.running and _runs():
                    msg = (
                        "runs of the default application are going on, and starting this one would end them; "
                        "start the application before the first run, or read or close those first"
                    )
                    raise NotRunningError(msg)
                _current.stop()
            self._root = self._start_tree()
            _current = self
        return self

    def _start_tree(self) -> SupervisorRef:
        pools = {} if self._lazy else self._pools
        try:
            root = SlitherSupervisor.start(children(self._stores, pools), name=ROOT)
        except StartError as error:
            await_remains(pools, _STOP_SECONDS)
            raise root_cause(error) from error
        except KeyboardInterrupt:
            await_remains(pools, _HURRY_SECONDS if self._signals.hurried else _STOP_SECONDS)
            raise
        assert isinstance(root, SupervisorRef)
        return root

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        """Stop the runs, then the pools, then the stores. Stopping again does nothing.

        While another thread stops it, this waits for that. In an actor of the
        tree, a stage for example, which cannot wait for its own end, it returns
        at once and the rest follows.
        """
        root = self._root
        if root is not None and is_inside(root):
            root.stop(SHUTDOWN, block=False)
            return
        with _lock:
            self._stop(timeout)

    def _stop(self, timeout: float) -> None:
        global _current  # noqa: PLW0603
        root, self._root = self._root, None
        if _current is self:
            _current = None
        if root is None:
            return
        root.stop(SHUTDOWN, block=False)
        try:
            ended = root.join(0.0 if self._signals.hurried else timeout)
        except KeyboardInterrupt:
            kill(root)
            raise
        if not ended:
            kill(root)
            if not self._signals.hurried:
                logger.critical("the application did not stop within %g s and is killed", timeout)
        await_remains(self._pools, _HURRY_SECONDS)

    @property
    def running(self) -> bool:
        """Whether the tree is up."""
        return self._root is not None and self._root.is_alive()

    @property
    def root(self) -> SupervisorRef:
        """The root supervisor, to look at the tree.

        Raises:
            NotRunningError: the application does not run.
        """
        if self._root is None:
            msg = "the application is not running"
            raise NotRunningError(msg)
        return self._root

    def pool(self, name: str = "default") -> Ref:
        """Return the pool of that name.

        Raises:
            PoolError: there is none.
        """
        return _default.pool_of(name)

    def __enter__(self) -> Self:
        self._signals.install()
        try:
            return self.start()
        except BaseException:
            self._signals.restore()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._signals.restore()


def _checked_stores(stores: Any) -> list[type[Store]]:
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


def _checked_pools(pools: Any) -> dict[str, dict[str, Any]]:
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


def _runs() -> int:
    """How many runs are going on."""
    pipes = whereis(_default.PIPES)
    if isinstance(pipes, DynamicSupervisorRef):
        with contextlib.suppress(ActorExitError):  # it ends at this moment, and its runs with it
            return pipes.count_children().active
    return 0


# -- the default application ---------------------------------------------------------


def _start_default() -> None:
    with _lock:
        if _current is None or not _current.running:
            application = Application()
            application._lazy = True
            application.start()


def _start_default_pool(name: str) -> None:
    if _current is not None and not _current._lazy:
        return  # without the lock: a stage that asks for a pool may be what a stop waits for
    with _lock:
        _start_default()
        application = _current
        pools = whereis(POOLS)
        if application is None or not application._lazy or not isinstance(pools, SupervisorRef):
            return
        if name not in application._pools:
            msg = (
                f"there is no pool {name!r}; the default application has 'default' only. "
                f"Use Application(pools={{{name!r}: 2}})"
            )
            raise PoolError(msg)
        with contextlib.suppress(ChildError):
            pools.start_child(pool_spec(name, application._pools[name]))


def _stop_at_exit() -> None:
    global _exiting  # noqa: PLW0603
    _exiting = True
    if _current is not None:
        _current.stop()


_default.provide(pipes=_start_default, pool=_start_default_pool)
atexit.register(_stop_at_exit)
