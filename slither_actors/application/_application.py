"""`Application`, and the default one of scripts."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from slither_actors.actors import (
    SHUTDOWN,
    DynamicSupervisorRef,
    SupervisorRef,
    whereis,
)
from slither_actors.actors._interrupts import is_critical
from slither_actors.actors._scheduler import FORKED
from slither_actors.application._end_watch import Word, await_end
from slither_actors.application._inbox import Inbox
from slither_actors.application._options import (
    checked_children,
    checked_on_zombies,
    checked_pools,
    checked_seconds,
    checked_stores,
)
from slither_actors.application._run import Serving
from slither_actors.application._signals import SignalGuard
from slither_actors.application._tree import (
    POOLS,
    ROOT,
    SlitherSupervisor,
    await_remains,
    children,
    end_now,
    is_inside,
    kill,
    pool_spec,
    root_cause,
    warn_of_zombies,
)
from slither_actors.dispatch import _default
from slither_actors.errors import (
    ActorExitError,
    ChildError,
    ForkedRuntimeError,
    NotRunningError,
    PoolError,
    StartError,
)
from slither_actors.pool import PoolRef
from slither_actors.store import Store

__all__ = ["Application"]

logger = logging.getLogger("slither_actors.application")

_STOP_SECONDS = 15.0
_REMAINS_SECONDS = 1.0
_HURRY_SECONDS = 0.4

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
        children: child specs and server classes of your own, started after all else and stopped first.
        drain_timeout: seconds that `run` gives what is in flight when it is told to end.
        on_zombies: what `run` does about actors whose handlers do not return, when all else has ended. The
            process is left at once in either case; its status is ``"warn"``: what it would have been, or
            ``"exit"``: 70.

    Raises:
        OptionError: an option is wrong.
    """

    def __init__(
        self,
        *,
        stores: Iterable[type[Store]] = (),
        pools: Mapping[str, Any] | None = None,
        children: Iterable[Any] = (),
        drain_timeout: float = 10.0,
        on_zombies: Literal["warn", "exit"] = "warn",
    ) -> None:
        self._stores = checked_stores(stores)
        self._pools = checked_pools({"default": {}} if pools is None else pools)
        self._children = checked_children(children)
        self.drain_timeout = checked_seconds("drain_timeout", drain_timeout)
        self.on_zombies = checked_on_zombies(on_zombies)
        self._lazy = False
        self._root: SupervisorRef | None = None
        self._signals = SignalGuard()
        self._inbox = Inbox()
        """What `run` hears. Its `put` is the one thing that may be done at any place whatever."""
        self._serving = False
        self._forked = False
        self.stop_asked = False
        """Whether the tree is to end, or was told to."""

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
                _current._halt()
            self.stop_asked = False
            self._root = self._start_tree()
            _current = self
        return self

    def _start_tree(self) -> SupervisorRef:
        pools = {} if self._lazy else self._pools
        root, failed = None, None
        try:
            root = SlitherSupervisor.start(children(self._stores, pools, self._children), name=ROOT)
        except StartError as error:
            await_remains(pools, _STOP_SECONDS)
            failed = root_cause(error)
        except KeyboardInterrupt:
            await_remains(pools, _HURRY_SECONDS if self._signals.hurried else _STOP_SECONDS)
            raise
        if failed is not None:
            try:
                # Not "from" the errors around it, of which it is the cause: that would be a circle.
                raise failed
            finally:
                failed = None
        assert isinstance(root, SupervisorRef)
        return root

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        """Stop the runs, then the pools, then the stores. Stopping again does nothing.

        While another thread stops it, this waits for that. In an actor of the
        tree, a stage for example, which cannot wait for its own end, it returns
        at once and the rest follows. So it does in a signal handler or a
        finalizer that has interrupted the runtime itself.

        Raises:
            OptionError: `timeout` is no number of at least 0.
        """
        checked_seconds("timeout", timeout)
        root = self._root
        if root is not None and (is_inside(root) or is_critical(sys._getframe(1))):
            self.request_stop()
            return
        self._halt(timeout)

    def request_stop(self) -> None:
        """Have the application end, and wait for nothing.

        From anywhere: any thread, an actor, a signal handler, a finalizer, as
        often as one likes. `run` ends as after a first signal, and returns; if
        it has not begun, it will end as soon as the tree is up. An application
        that was started otherwise loses its tree; `stop` does the rest.
        """
        self.stop_asked = True
        self._inbox.put(Word.STOP)
        root = self._root
        if not self._serving and root is not None:
            try:
                # In another thread: this one may have been interrupted in the middle of the runtime.
                _thread.start_new_thread(_ask_to_stop, (root,))
            except RuntimeError:  # there can be none
                _ask_to_stop(root)

    def _halt(self, timeout: float = _STOP_SECONDS) -> None:
        self.stop_asked = True
        root = self._root
        if root is not None:
            root.stop(SHUTDOWN, block=False)
            self._await(root, timeout)  # before the lock, for a signal may end this wait
        with _lock:
            self._stop(timeout)
            if not self._serving:
                self._inbox = Inbox()  # what was asked for has been done

    def _stop(self, timeout: float) -> None:
        root = self._root
        if root is None:
            return
        self._forget()
        if not root._cell.dead:
            kill(root)
            if not self._signals.hurried:
                logger.critical("the application did not stop within %g s and is killed", timeout)
        await_remains(self._pools, _HURRY_SECONDS if self._signals.hurried else _REMAINS_SECONDS)
        if not self._serving and not self._signals.hurried:
            warn_of_zombies(root)

    def _await(self, root: SupervisorRef, timeout: float) -> None:
        try:
            if self._signals.hurried:
                end_now(root)
            elif self._signals.shielded:
                await_end(root, timeout)
            else:
                root.join(timeout)
        except KeyboardInterrupt:
            kill(root)
            self._forget()
            raise

    def _forget(self) -> None:
        global _current  # noqa: PLW0603
        self._root = None
        if _current is self:
            _current = None

    def hurry(self) -> None:
        """Wait for nobody any more. For `run`, at a second signal."""
        self._signals.hurried = True

    def run(self) -> None:
        """Start the application if need be, park this thread until it is told to end, and stop it in order.

        SIGTERM and Ctrl-C end it, and `request_stop` does. At the first signal the inputs of the runs end;
        what is in flight has `drain_timeout` seconds; then the tree is stopped in reverse order. At the
        second one nobody is waited for, and at the third the process ends. SIGUSR1 writes what each thread
        does, and the tree, to standard error. Outside of the main thread, and for signals that the program
        handles itself, no handler is installed.

        Raises:
            Terminated: after a signal: a `SystemExit` with 128 and its number.
            ApplicationEndedError: the tree ended by itself.
            NotRunningError: another application runs, or this one is run already.
        """
        if self._serving:
            msg = "this application is run already, by another thread"
            raise NotRunningError(msg)
        replaced = self._signals.install(exits=True)
        try:
            if not self.running:
                self.start()
            serving = Serving(self, self.root, self._inbox)
            self._signals.tell(self._inbox)
            self._serving = True
            serving.serve()
            # Signals are heard for as long as this may take, and end nothing that does not end anyway.
            serving.leave_if_stuck()
        except BaseException:
            self._halt()
            raise
        finally:
            self._signals.restore(replaced)
            self._signals.tell(None)
            self._serving = False
            self._inbox = Inbox()
        serving.finish()

    @property
    def running(self) -> bool:
        """Whether the tree is up."""
        return self._root is not None and self._root.is_alive()

    @property
    def root(self) -> SupervisorRef:
        """The root supervisor, to look at the tree.

        Raises:
            NotRunningError: the application does not run.
            ForkedRuntimeError: it runs in the parent of this process.
        """
        if self._forked:
            raise ForkedRuntimeError(FORKED)
        if self._root is None:
            msg = "the application is not running"
            raise NotRunningError(msg)
        return self._root

    def pool(self, name: str = "default") -> PoolRef:
        """Return the pool of that name, to resize it or to look at it.

        Raises:
            PoolError: there is none.
        """
        found = _default.pool_of(name)
        assert isinstance(found, PoolRef)
        return found

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
        self._signals.shield(self._end_soon, begun=isinstance(error, KeyboardInterrupt))
        try:
            self._halt()
        finally:
            self._signals.restore()

    def _end_soon(self) -> None:
        """Have the tree end at once. In a signal handler: another thread sees to it."""
        root = self._root
        if root is not None:
            with contextlib.suppress(RuntimeError):  # no thread can be started: the stop takes its time
                _thread.start_new_thread(end_now, (root,))


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
        _current._halt()


def _ask_to_stop(root: SupervisorRef) -> None:
    with contextlib.suppress(ForkedRuntimeError, NotRunningError):  # nothing is left to stop
        root.stop(SHUTDOWN, block=False)


def _after_fork_in_child() -> None:
    """The application is the parent's: nothing here stops it or waits for it."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()
    if _current is not None:
        _current._forked = True
        _current._forget()


_default.provide(pipes=_start_default, pool=_start_default_pool)
atexit.register(_stop_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
