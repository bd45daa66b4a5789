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

Signals. Ctrl-C is what it is in any program: a `KeyboardInterrupt` in the main
thread, which leaves the ``with`` block, and an exit status of 130. SIGTERM
becomes `Terminated` there while a ``with`` block runs, unless the program has
a handler of its own: runs, pools and stores are stopped in order, and the exit
status is 143. A second one of either kind does not wait for that any more.
Workers heed neither signal; their driver ends them.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from slither_actors.actors import (
    SHUTDOWN,
    Ref,
    Supervisor,
    SupervisorRef,
    TaskSupervisor,
    whereis,
)
from slither_actors.actors._runtime import current_cell
from slither_actors.bridge import ViewRegistry, answer
from slither_actors.config import build
from slither_actors.dispatch import _default
from slither_actors.errors import ChildError, NotRunningError, OptionError, PoolError, StartError
from slither_actors.pipe import STORES, PipeSupervisor
from slither_actors.pool import Pool, PoolOptions
from slither_actors.store import Store, StoreSupervisor, retire
from slither_actors.store._store import pointer_of

__all__ = ["Application", "Terminated"]

logger = logging.getLogger("slither_actors.application")

_ROOT = "slither"
_LOADERS = "slither.loaders"
_POOLS = "slither.pools"
_STOP_SECONDS = 15.0
_WHERE = "Application"

_lock = threading.RLock()
"""Guards which application runs. Held while one starts or stops."""

_current: Application | None = None

_exiting = False
"""Set at exit: from then on no default application is started."""


class Terminated(SystemExit, KeyboardInterrupt):
    """The program was told to end by SIGTERM. Raised in the main thread, inside of ``with Application()``.

    A `KeyboardInterrupt`, so that what handles Ctrl-C handles it; a
    `SystemExit`, so that the program ends without a traceback and its status
    is 143, which is 128 and the number of the signal.
    """


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
        self._stores = _checked_stores(stores)
        self._pools = _checked_pools({"default": {}} if pools is None else pools)
        self._lazy = False
        self._root: SupervisorRef | None = None
        self._signals = contextlib.ExitStack()

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
                _current.stop()
            self._root = self._start_tree()
            _current = self
        return self

    def _start_tree(self) -> SupervisorRef:
        pools = {} if self._lazy else self._pools
        children = [
            LoaderSupervisor.child_spec(name=_LOADERS),
            ViewRegistry.child_spec(),
            # A list of its own: stores that are started on demand are added to it.
            StoreSupervisor.child_spec(list(self._stores), name=STORES),
            PoolSupervisor.child_spec(
                [_pool_spec(name, given) for name, given in pools.items()], name=_POOLS
            ),
            PipeSupervisor.child_spec(name=_default.PIPES),
        ]
        try:
            root = SlitherSupervisor.start(children, name=_ROOT)
        except StartError as error:
            _retire_stores()
            raise _root_cause(error) from error
        except KeyboardInterrupt:
            self._await_remains()
            raise
        assert isinstance(root, SupervisorRef)
        return root

    def _await_remains(self) -> None:
        """Wait for what had been started when a signal broke the start off."""
        for name in (_default.PIPES, _POOLS, *map(_default.pool_name, self._pools), STORES, _LOADERS):
            ref = whereis(name)
            if ref is not None:
                ref.join(_STOP_SECONDS)
        _retire_stores()

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        """Stop the runs, then the pools, then the stores. Stopping again does nothing.

        While another thread stops it, this waits for that. In an actor of the
        tree, a stage for example, which cannot wait for its own end, it returns
        at once and the rest follows.
        """
        root = self._root
        if root is not None and _is_inside(root):
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
            ended = root.join(timeout)
        except KeyboardInterrupt:
            _kill(root)
            raise
        if not ended:
            logger.critical("the application did not stop within %g s and is left behind", timeout)
            _kill(root)
        _retire_stores()

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
        with contextlib.ExitStack() as signals:
            signals.enter_context(_terminated_by(signal.SIGTERM))
            self.start()
            self._signals = signals.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._signals:
            self.stop()


@contextlib.contextmanager
def _terminated_by(number: signal.Signals) -> Iterator[None]:
    """Turn the signal into `Terminated` while the block runs.

    Outside of the main thread, and where the program has a handler of its own, nothing is changed.
    """
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    signal.signal(number, _terminate)
    try:
        yield
    finally:
        if signal.getsignal(number) is _terminate:
            signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, _: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _is_inside(root: SupervisorRef) -> bool:
    """Whether the code that asks runs in an actor of the tree."""
    cell = current_cell()
    while cell is not None and cell is not root._cell:
        cell = cell.parent
    return cell is not None


def _kill(root: SupervisorRef) -> None:
    """Do not wait for anybody: what the tree holds is ended as its owners die."""
    pools = [ref for ref in (whereis(_POOLS), whereis(_default.PIPES)) if ref is not None]
    for ref in (root, *pools):
        ref.kill()


def _retire_stores() -> None:
    """Forget the tables of stores whose server has ended: they must not be read as if it still ran."""
    waiting = list(Store.__subclasses__())
    while waiting:
        store = waiting.pop()
        waiting += store.__subclasses__()
        pointer = pointer_of(store)
        if pointer.is_published and not pointer.server.is_alive():
            retire(store)


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
    global _exiting  # noqa: PLW0603
    _exiting = True
    if _current is not None:
        _current.stop()


_default.provide(pipes=_start_default, pool=_start_default_pool)
atexit.register(_stop_at_exit)
