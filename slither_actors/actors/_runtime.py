"""The runtime of this process: the default scheduler, the timers, the end, a fork."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from slither_actors.actors import _exits, _forked_cells, _life, _runner, _scheduler
from slither_actors.actors._awaited import Awaited, EndOf
from slither_actors.actors._reasons import KILLED, SHUTDOWN
from slither_actors.actors._scheduler import FORKED, Runner, Scheduler
from slither_actors.actors._timers import TimerThread
from slither_actors.config import a_function
from slither_actors.errors import (
    AbandonedError,
    CallCycleError,
    ForkedRuntimeError,
    NotRunningError,
    ThreadLimitError,
)
from slither_actors.telemetry._log import GuardedLog

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._request import Request

__all__ = [
    "blocking",
    "current_cell",
    "hand_over",
    "inline",
    "interruptible",
    "is_fenced",
    "join",
    "refuse_zombie",
    "scheduler",
    "timers",
    "wait_for",
]

logger = GuardedLog("slither_actors.actors")

EXIT_SECONDS = 5.0
"""How long the exit of the program waits for the actors that are still alive."""

_STUCK_SECONDS = 0.5
"""How long the exit waits for threads to end when there are some that will not."""

_LAST_WORDS = 0.1
"""Seconds for an actor that was killed at the end, if there are any left of the above."""

scheduler = Scheduler(target=_scheduler.default_target())
"""Runs every actor that has no thread of its own."""

timers = TimerThread()

closers: list[Callable[[float], object]] = []
"""Called at exit, after the last actor has ended, with the seconds that are left: they end the threads
of the floors above."""

_local = _runner.local


class inline:  # noqa: N801 - used as a function, and on a hot path
    """Run a block as `cell`, whose token the caller holds, in a thread that may run another actor.

    The other actor waits meanwhile for `request`, which is one to `cell`. It begins when the object is
    made and ends with `leave`, or with the ``with`` block that it is given to.
    """

    __slots__ = ("_before", "_outer", "cell", "runner")

    def __init__(self, cell: Cell, request: Request) -> None:
        self.cell = cell
        outer = self._outer = getattr(_local, "runner", None)
        if outer is None:
            self.runner = None
        else:
            self.runner = outer.runner
            if outer.cell is not None:
                self._before = outer.cell.waiting_on
                outer.cell.waiting_on = request
        _local.runner = self

    def leave(self) -> None:
        """Go on as whoever ran in this thread before."""
        outer = _local.runner = self._outer
        if outer is not None and outer.cell is not None:
            outer.cell.waiting_on = self._before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.leave()


def current_cell() -> Cell | None:
    """Return the actor whose callback runs in this thread."""
    frame = getattr(_local, "runner", None)
    return None if frame is None else frame.cell


def is_fenced() -> bool:
    """Whether the code that asks runs in an actor that was abandoned. Asked while there are any."""
    cell = current_cell()
    return cell is not None and cell.id in _life.zombie_cells


def refuse_zombie() -> None:
    """Raise for an actor that was abandoned.

    Raises:
        AbandonedError: the code that asks runs in one.
    """
    cell = current_cell()
    if cell is not None and cell.id in _life.zombie_cells:
        raise AbandonedError(cell.describe())


def wait_for(request: Request) -> Cell | None:
    """Note that the current actor, which is returned, waits for the answer to `request`.

    A call whose answer was put off closes no cycle: anybody may have its sender and give the answer.

    Raises:
        CallCycleError: who is asked waits, directly or not, for the current actor.
        ExitPendingError: the current actor is to end.
        AbandonedError: it was abandoned.
    """
    caller = current_cell()
    if caller is None:
        return None
    if _life.zombie_cells:
        refuse_zombie()
    caller.waiting_on = request
    if caller.doom is not None:
        error = caller.pending_exit()
        if error is not None:
            caller.waiting_on = None
            request.settle(error)
            raise error
    path, link = [caller], request
    while not link.answered and not link.cell.dead and link not in (link.cell.deferred or ()):
        if link.cell in path:
            if link.cell is not caller:
                break
            caller.waiting_on = None
            raise CallCycleError([cell.describe() for cell in (*path, caller)])
        path.append(link.cell)
        following = link.cell.waiting_on
        if following is None:
            break
        link = following
    return caller


def blocking() -> None:
    """Let the other actors go on in another thread; call it before a wait that may last.

    Not needed: without it the scheduler finds out within about 10 ms. Outside of an actor it does nothing.
    """
    hand_over(None)


def hand_over(awaited: Awaited | None) -> None:
    """As `blocking`, before a wait of the library's own.

    Raises:
        ThreadLimitError: all threads wait for actors, and there may be no further one.
        ForkedRuntimeError: this is the child of a fork.
    """
    frame = getattr(_local, "runner", None)
    if frame is None:
        if scheduler.forked:
            raise ForkedRuntimeError(FORKED)  # nobody is here to end the wait
    elif (runner := frame.runner) is not None:
        threads: Scheduler = runner.scheduler
        if not threads.hand_over(runner, awaited):
            raise ThreadLimitError(frame.cell.describe(), len(threads.runners), threads.thread_limit)


@contextlib.contextmanager
def interruptible(wake: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Have `wake` called if the actor that waits in the block is to end meanwhile.

    For waits that are no calls. `wake` ends the wait, from any thread. Then the block calls what the
    context manager gives it, which raises; one that has got what it waited for need not. In a plain
    thread all this does nothing.

    Raises:
        ExitPendingError: the actor is to end, at the beginning of the block or when it asks.
        AbandonedError: the actor was abandoned.
    """
    if not callable(wake):
        a_function.check("wake", wake, "interruptible")
    cell = current_cell()
    if cell is None:
        yield _go_on
        return
    if _life.zombie_cells:
        refuse_zombie()
    before, cell.wake = cell.wake, wake
    try:
        refuse_doomed(cell)
        yield partial(refuse_doomed, cell)
    finally:
        cell.wake = before
        runner = _local.runner.runner
        if runner is not None:
            runner.awaits = None


def _go_on() -> None:
    """In a plain thread no wait has to end."""


def refuse_doomed(cell: Cell) -> None:
    """Raise for an actor that is to end.

    Raises:
        ExitPendingError: it is.
    """
    error = cell.pending_exit()
    if error is not None:
        raise error


def join(cell: Cell, timeout: float | None) -> bool:
    """Wait in this thread, which may be an actor's, until `cell` is dead; False if it is not in time.

    Raises:
        ExitPendingError: the actor that waits is to end.
        AbandonedError: it was abandoned.
    """
    if cell.dead:
        return True
    lock = threading.Lock()
    lock.acquire()
    with interruptible(partial(_exits.release_once, lock)) as refuse:
        hand_over(EndOf(cell))
        cell.join(timeout, lock)
        if not cell.dead:
            refuse()
    return cell.dead


def shut_down() -> None:
    """Stop what is alive, youngest first, then the threads. Runs at exit."""
    deadline = time.monotonic() + EXIT_SECONDS
    stop_actors(deadline)
    for close in (*closers, timers.close):
        close(max(0.0, deadline - time.monotonic()))
    left = _life.live_cells()
    if left or _life.zombie_cells:
        # Some threads will never end. All others have nothing to do any more.
        deadline = min(deadline, time.monotonic() + _STUCK_SECONDS)
    scheduler.close(max(0.1, deadline - time.monotonic()))
    for cell in _life.live_cells():
        logger.warning("%s did not end before the program", cell.describe())
        cell.die(KILLED)


def stop_actors(deadline: float) -> None:
    """Stop what is alive, youngest first; a tree is its root's to stop."""
    for cell in reversed(_life.live_cells()):
        if not cell.dead and (cell.parent is None or cell.parent.dead):
            try:
                cell.order_end(SHUTDOWN)
            except NotRunningError:
                # There never was a thread, and Python starts none any more: there is this one.
                _run_here()
            # Half of what is left: one that does not end must not cost the others their last callback.
            cell.join((deadline - time.monotonic()) / 2)
    left = _life.live_cells()
    for cell in left:
        cell.kill()
    for cell in left:
        # One whose wait has just ended is about to log why and to die. A thread that writes while
        # the interpreter goes away can abort the whole process.
        cell.join(min(_LAST_WORDS, max(0.0, deadline - time.monotonic())))


def _run_here() -> None:
    frame = Runner(scheduler)
    outer, _local.runner = getattr(_local, "runner", None), frame
    try:
        scheduler.put_at_rest()
        while scheduler.run_queue:
            frame.cell = scheduler.run_queue.popleft()
            frame.cell.run()
    finally:
        _local.runner = outer


def _after_fork_in_child() -> None:
    global inline  # noqa: PLW0603
    if not (scheduler.started or timers.started or _life.live_cells()):
        # Nothing ran in the parent, so nothing is lost here: a fork server that had the package
        # imported, say, whose children have a runtime of their own.
        return
    inline = _forked  # type: ignore[assignment,misc]
    _forked_cells.after_fork_in_child(current_cell(), _forked)
    for each in tuple(_scheduler.schedulers):
        each.after_fork_in_child()
    timers.after_fork_in_child()
    _local.__dict__.clear()
    atexit.unregister(shut_down)


def _forked(*_args: object, **_kwargs: object) -> None:
    raise ForkedRuntimeError(FORKED)


atexit.register(shut_down)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def own_scheduler(name: str) -> Scheduler:
    """Make a scheduler of one thread for an actor that asks for its own."""
    return Scheduler(name=name, target=1, thread_limit=1, successor=scheduler)


def interrupt(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return `error` if it is the user's Ctrl-C, which belongs to the main thread and not to an actor."""
    main = threading.current_thread() is threading.main_thread()
    return error if main and issubclass(type(error), KeyboardInterrupt) else None  # type: ignore[return-value]
