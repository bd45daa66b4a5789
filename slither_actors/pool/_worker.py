"""The worker process: one loop, one batch at a time.

It knows nothing of actors and imports none of them. It reads a frame, runs
it, answers, and reads the next; while a batch runs, a call back to the driver
reads the same socket and keeps what is not its answer for later.

Whatever a user's function raises, `SystemExit` included, is the batch's error
and the worker goes on. The worker ends when it is told to, and at once when
its socket ends: then the driver is gone. A worker that is busy at that moment
is killed by the driver's guard, see `_guard`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from slither_actors.errors import NotRunningError, PayloadError, ResultError, ViewError
from slither_actors.pool import _wire as wire
from slither_actors.pool._board import Board
from slither_actors.pool._defined import Defined
from slither_actors.pool._driver_line import DriverLine, Hear, flush, leave
from slither_actors.pool._function import resolve, run_hook
from slither_actors.pool._log_levels import LogLevels
from slither_actors.pool._mapped import MappedSegments, SegmentError
from slither_actors.pool._outlet import Outlet, quiet_outlet
from slither_actors.pool._payloads import ErrorRecord, dumps, explain_pickle, loads
from slither_actors.pool._settings import WorkerSettings
from slither_actors.pool._sharing import open_batch, pack_results
from slither_actors.pool._surroundings import ResidentMemory, settle_in

if TYPE_CHECKING:
    from slither_actors.context import Context
    from slither_actors.pool._adapter import Adapter

__all__ = ["Worker", "current_worker", "in_worker", "main"]

_NO_CONTEXT: Final = -1
_NOT_RESULTS: Final = (str, bytes, bytearray, memoryview, set, frozenset, Mapping)
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM)
_PEAK_EVERY: Final = 1.0
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024

_current: Worker | None = None


def main(
    sock: socket.socket,
    board_fd: int,
    segment_sock: socket.socket | None = None,
    log: socket.socket | None = None,
    levels: LogLevels | None = None,
) -> None:
    """Body of the process; returns when the driver says stop.

    Args:
        sock: the connection to the driver.
        board_fd: the page that both share.
        segment_sock: where descriptors of shared memory come from, if they do.
        log: where log records go; None leaves `logging` as it is.
        levels: what the driver's loggers want to hear.
    """
    global _current  # noqa: PLW0603
    board = Board(board_fd)
    board.close_fd()
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    outlet = Outlet(board)
    outlet.take_streams()
    if log is not None and levels is not None:
        outlet.take_logging(log, levels)
    _current = Worker(sock, board, outlet, segment_sock)
    os.register_at_fork(
        before=_hold_signals, after_in_parent=_release_signals, after_in_child=_current.after_fork_in_child
    )
    _current.serve()


def in_worker() -> bool:
    """Whether this process is a worker of a pool."""
    return _current is not None


def current_worker() -> Worker:
    """Return this process's worker.

    Raises:
        NotRunningError: this is not a worker process.
    """
    if _current is None:
        raise NotRunningError("this is not a worker process")
    return _current


class Worker:
    """This process as its user's code sees it: which batch runs, and the way back to the driver."""

    def __init__(
        self,
        sock: socket.socket,
        board: Board,
        outlet: Outlet = quiet_outlet,
        segment_sock: socket.socket | None = None,
    ) -> None:
        self.pool = ""
        self.slot = -1
        self.state: Any = SimpleNamespace()
        """What the pool's ``init`` hook returned; until then, and if that was None, an empty namespace."""
        self._settings = WorkerSettings(pool="", slot=-1)
        self._memory: ResidentMemory | None = None
        self._retiring = False
        self._board = board
        self._mapped = MappedSegments(segment_sock)
        self._line = DriverLine(sock, self._mapped)
        self._outlet = outlet
        self._forked = False
        self._defined = Defined(board)
        self._context_index = _NO_CONTEXT
        """Which of the contexts is that of the batch that runs."""
        self._peak_due = 0.0
        self._adapter: Adapter | None = None

    # -- for the user's code -----------------------------------------------------

    @property
    def context(self) -> Context | None:
        """The context of the batch that runs.

        Raises:
            PayloadError: it cannot be unpickled in a worker.
        """
        context = self._defined.contexts.get(self._context_index)
        if isinstance(context, bytes):
            context = self._defined.load_context(self._context_index, self)
        return context

    @property
    def session_id(self) -> str | None:
        """The session of the batch that runs."""
        context = self.context
        return None if context is None else context.session_id

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Ask the driver, wait, and return its answer. From any thread while a batch runs.

        Raises:
            PayloadError: an argument or the answer cannot be pickled.
            NotRunningError: no batch is running.
            Exception: what the driver failed with.
        """
        return self._line.call(name, dumps((name, args, kwargs), f"arguments of {name}"))

    def call_view(
        self, session_id: str | None, name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> Any:
        """Call a view of a session in the driver, and return its result. From any thread while a batch runs.

        Raises:
            ViewError: there is none, it raised or took too long, or what it is given or returns cannot cross.
            NotRunningError: no batch is running.
        """
        try:
            body = dumps(("view", (session_id, name, arguments), keywords), "call")
        except PayloadError:
            problem = explain_pickle({**dict(enumerate(arguments)), **keywords}, "arguments")
            raise ViewError(name, f"was given what cannot be pickled: {problem}") from None
        try:
            return self._line.call(f"view {name!r}", body)
        except PayloadError as error:
            raise ViewError(name, f"was called, but {error}") from error

    @property
    def is_running(self) -> bool:
        """Whether a batch runs, and so whether the driver can be called."""
        return self._line.is_running

    def listen(self, hear: Hear) -> None:
        """Have `hear` called with all news that the driver sends, see `DriverLine.listen`."""
        self._line.listen(hear)

    # -- the loop ------------------------------------------------------------------

    def serve(self) -> None:
        """Run until told to stop."""
        while True:
            kind, ref, body = self._line.next()
            if kind == wire.RUN:
                self._run(ref, body)
            elif kind == wire.DEFINE:
                self._defined.define(ref, body)
            elif kind == wire.RUN_ENVELOPE:
                self._run(ref, body, kind)
            elif kind == wire.FORGET:
                self._forget(ref)
            elif kind == wire.INIT:
                if not self._initialize(body):
                    return
            elif kind == wire.STOP:
                self._finish()
                return

    def _initialize(self, body: bytes | bytearray) -> bool:
        settings: WorkerSettings = pickle.loads(body)  # from our own driver
        self._settings, self.pool, self.slot = settings, settings.pool, settings.slot
        step, commands = 0, b""
        try:
            settle_in(settings)
            step = 1
            state = None if settings.init is None else run_hook(settings.init, self)
            if state is not None:
                self.state = state
            step = 2
            if settings.adapter is not None:
                commands = self._install(settings.adapter)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker cannot start
            if self._forked:
                leave()
            self._line.send(wire.START_FAILED, step, ErrorRecord.of(error, own_files=_OWN_FILES).dumps())
            return False
        if self._forked:  # the user's code forked and the child came back with us
            leave()
        if settings.max_rss:
            self._memory = ResidentMemory()
        self._line.send(wire.READY, 0, commands)
        return True

    def _install(self, adapter: bytes) -> bytes:
        """Make the adapter; return its commands with their timeouts, for the driver."""
        from slither_actors.pool._adapter import install  # noqa: PLC0415 - most workers have none

        self._adapter = install(adapter, self)
        return pickle.dumps(self._adapter.commands)

    def _finish(self) -> None:
        """The end in order: the adapter and the exit hook have their turns."""
        if self._adapter is not None:
            self._end(1, self._adapter.close)
        if self._settings.exit is not None:
            self._end(0, partial(run_hook, self._settings.exit, self))

    def _end(self, step: int, run: Callable[[], object]) -> None:
        record = None
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the worker ends
            record = ErrorRecord.of(error, own_files=_OWN_FILES).dumps()
        if self._forked:
            leave()
        if record is not None:
            self._line.send(wire.EXIT_FAILED, step, record)
        flush()

    def _forget(self, segment: int) -> None:
        try:
            self._mapped.forget(segment)
        except EOFError:
            leave()

    def _run(self, ref: int, body: bytes | bytearray, form: int = wire.RUN) -> None:
        board = self._board
        if self._retiring or not board.begin(ref):
            board.end()
            self._line.send(wire.SKIPPED, ref)
            return
        held = None
        try:
            kind, answer, held = self._work(ref, body, form)
        except BaseException as error:  # noqa: BLE001 - a SystemExit of the user's code ends the batch, not us
            kind, answer = wire.FAILED, ErrorRecord.of(error, own_files=_OWN_FILES).dumps()
        if self._forked:  # the user's code forked and the child came back with us
            leave()
        flush()
        if self._outlet.said:
            self._outlet.settle()
            self._line.send(wire.SAID, ref)
        if self._memory is not None and self._memory.read() > self._settings.max_rss:
            self._retiring = True
            self._line.send(wire.OVERGROWN, ref)
        self._line.send(kind, ref, answer)
        board.end()
        del held  # what a destructor does here is nobody's batch
        if self._mapped.in_use:
            self._mapped.give_back()

    def _work(self, ref: int, body: bytes | bytearray, form: int) -> tuple[int, bytes, object]:
        """Run the batch; return the kind and the body of the answer, and what to keep until it is sent."""
        segment, room = 0, None
        if form == wire.RUN:
            batch = loads(body, "the payloads", "worker")
        else:
            batch, segment, room = self._open(body)
        target_index, context_index, payloads = batch
        known = self._defined.functions.get(target_index)
        if known is None:
            known = self._defined.load_function(target_index, ref)
        name, function, asks = known
        count = len(payloads)
        self._context_index = context_index
        try:
            context = self.context if asks else None
            self._line.is_running = True
            results = _as_list(function(payloads, context), name)
        finally:
            self._line.is_running = False
            self._context_index = _NO_CONTEXT
        if len(results) != count:
            msg = f"{name} returned {len(results)} results for {count} payloads"
            raise ResultError(msg)
        self._note_peak()
        return *pack_results(results, segment, room), (payloads, results)

    def _open(self, body: bytes | bytearray) -> tuple[Any, int, memoryview | None]:
        try:
            return open_batch(body, self._mapped)
        except EOFError:
            leave()
        except SegmentError as error:
            self._line.send(wire.LOST_SEGMENT, error.segment)
            raise PayloadError(str(error)) from None

    def _note_peak(self) -> None:
        now = time.monotonic()
        if now >= self._peak_due:
            self._peak_due = now + _PEAK_EVERY
            self._board.note_peak_memory(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT)

    def after_fork_in_child(self) -> None:
        """A child of the worker is not the worker: it has no socket and is ended as any process."""
        self._forked = True
        with contextlib.suppress(OSError):
            self._line.close()
            self._mapped.close()
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _release_signals()


def _hold_signals() -> None:
    """Before a fork: what is sent to the child before it has its handlers has to wait, not to be ignored."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _IGNORED)


def _as_list(results: Any, name: str) -> list[Any]:
    if isinstance(results, list):
        return results
    if isinstance(results, _NOT_RESULTS) or not hasattr(results, "__iter__"):
        msg = (
            f"{name} returned {_article(results)}; one result per payload, in a list, is wanted: "
            "it gets a list of payloads, and not one"
        )
        raise ResultError(msg)
    return list(results)


def _article(value: object) -> str:
    return "None" if value is None else f"a {type(value).__qualname__}"


_OWN_FILES: Final = frozenset(
    {
        each.__code__.co_filename
        for each in (main, Defined.load_function, resolve, dumps, pack_results, MappedSegments.use)
    }
    | {os.path.join(os.path.dirname(__file__), "_adapter.py")}  # noqa: PTH118, PTH120 - pathlib takes its time
)
