"""The application: the tree that pipes, dispatch runs, stores and views live in.

::

    SlitherSupervisor                 one_for_one
    ├── LoaderSupervisor              tasks of store loads
    ├── ViewRegistry                  session to views
    ├── StoreSupervisor               a StoreServer per store
    ├── PoolSupervisor                a Pool per named pool
    └── PipeSupervisor                a supervisor per run

One application runs in a process at a time. A script that starts none gets a
default one when it first needs it, with one pool of a worker per processor,
which is started when the first batch needs it; it is stopped at exit.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, Self

from slither_actors.actors import (
    SHUTDOWN,
    Ref,
    Supervisor,
    SupervisorRef,
    TaskSupervisor,
    whereis,
)
from slither_actors.bridge import ViewRegistry, answer
from slither_actors.dispatch import _default
from slither_actors.errors import ChildError, NotRunningError, OptionError, PoolError, StartError
from slither_actors.pipe import STORES, PipeSupervisor
from slither_actors.pool import Pool
from slither_actors.store import Store, StoreSupervisor

__all__ = ["Application"]

logger = logging.getLogger("slither_actors.application")

_ROOT = "slither"
_POOLS = "slither.pools"
_STOP_SECONDS = 15.0

_lock = threading.RLock()
"""Guards which application runs. Held while one starts or stops."""

_current: Application | None = None


class SlitherSupervisor(Supervisor):
    """The root of the tree."""


class LoaderSupervisor(TaskSupervisor):
    """Runs the loads of stores."""


class PoolSupervisor(Supervisor):
    """Holds a `Pool` per named pool."""


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
        self._stores = list(stores)
        for store in self._stores:
            if not (isinstance(store, type) and issubclass(store, Store)):
                raise OptionError("stores", f"has {store!r:.200}; allowed are subclasses of Store")
        given_pools = {"default": {}} if pools is None else pools
        self._pools = {name: _pool_options(name, given) for name, given in given_pools.items()}
        self._lazy = False
        self._root: SupervisorRef | None = None

    # -- life ------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the tree: stores first, then the pools.

        Raises:
            NotRunningError: another application runs.
            StoreLoadError: a store did not load.
            WorkerStartError: a pool could not start a worker.
        """
        global _current  # noqa: PLW0603 - one application per process
        with _lock:
            if _current is not None:
                if not _current._lazy:
                    msg = "an application runs already in this process; stop it first"
                    raise NotRunningError(msg)
                _current.stop()
            self._root = self._start_tree()
            _current = self
        return self

    def _start_tree(self) -> SupervisorRef:
        pools = {} if self._lazy else self._pools
        children = [
            LoaderSupervisor.child_spec(name="slither.loaders"),
            ViewRegistry.child_spec(),
            StoreSupervisor.child_spec(self._stores, name=STORES, shutdown=None),
            PoolSupervisor.child_spec(
                [_pool_spec(name, options) for name, options in pools.items()], name=_POOLS, shutdown=None
            ),
            PipeSupervisor.child_spec(name=_default.PIPES, shutdown=None),
        ]
        try:
            root = SlitherSupervisor.start(children, name=_ROOT)
        except StartError as error:
            raise _root_cause(error) from error
        assert isinstance(root, SupervisorRef)
        return root

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        """Stop the runs, then the pools, then the stores. Stopping again does nothing."""
        global _current  # noqa: PLW0603
        with _lock:
            root, self._root = self._root, None
            if _current is self:
                _current = None
            if root is None or not root.is_alive():
                return
            root.stop(SHUTDOWN, block=False)
            if not root.join(timeout):
                logger.critical("the application did not stop within %g s and is left behind", timeout)
                root.kill()

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
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def stop_on_signals(*signals: signal.Signals) -> Iterator[None]:
    """Turn the given signals (SIGTERM by default) into `KeyboardInterrupt` while the block runs.

    A program that is told to end then leaves its ``with Application(...)`` in
    order. Outside of the main thread, or where the program has handlers of its
    own, nothing is changed.
    """
    wanted = signals or (signal.SIGTERM,)
    previous: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in wanted:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                previous[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _pool_options(name: str, given: Any) -> dict[str, Any]:
    if isinstance(given, int) and not isinstance(given, bool):
        return {"workers": given}
    if isinstance(given, Mapping):
        return dict(given)
    raise OptionError(
        "pools", f"has {given!r:.200} for {name!r}; allowed are a number of workers or a mapping of options"
    )


def _pool_spec(name: str, options: Mapping[str, Any]) -> Any:
    return Pool.child_spec(
        name, id=name, name=_default.pool_name(name), calls=answer, shutdown=None, **options
    )


def _root_cause(error: StartError) -> BaseException:
    """The failure of the child that made the tree's start fail."""
    cause: BaseException = error
    while isinstance(cause, StartError) and cause.__cause__ is not None:
        cause = cause.__cause__
    return cause


# -- the default application ---------------------------------------------------------


def _start_default() -> None:
    with _lock:
        if _current is None:
            application = Application()
            application._lazy = True
            application.start()


def _start_default_pool(name: str) -> None:
    with _lock:
        _start_default()
        application = _current
        pools = whereis(_POOLS)
        if application is None or not application._lazy or not isinstance(pools, SupervisorRef):
            return
        if name not in application._pools:
            msg = (
                f"there is no pool {name!r}; the default application has 'default' only. "
                f"Use Application(pools={{{name!r}: 2}})"
            )
            raise PoolError(msg)
        with contextlib.suppress(ChildError):
            pools.start_child(_pool_spec(name, application._pools[name]))


def _stop_at_exit() -> None:
    if _current is not None:
        _current.stop()


_default.provide(pipes=_start_default, pool=_start_default_pool)
atexit.register(_stop_at_exit)
