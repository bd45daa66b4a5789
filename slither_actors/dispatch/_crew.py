"""The threads of a `ThreadExecutor`: how many there are, and what happens to one that does not return.

A thread cannot be ended from outside. One whose batch is past its timeout is
given up: the batch has failed, another thread takes its place, and it ends by
itself when the user's code returns, or comes back if it is needed. Only so
many are given up; after that the capacity shrinks, and when nothing of it is
left, what waits fails instead of waiting for ever.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._deadlines import Deadlines
from slither_actors.dispatch._executor import ExecutorStatistics
from slither_actors.errors import BatchTimeoutError, ExecutorError, ForkedRuntimeError, NotRunningError

__all__ = ["Crew"]

logger = logging.getLogger("slither_actors.dispatch")


class _Turn:
    """One batch on one thread."""

    __slots__ = ("abandoned", "batch", "ended", "thread")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.thread = threading.get_ident()
        self.abandoned = False
        self.ended = False


class Crew:
    """Threads that run batches one after the other. Usable from any thread.

    They are daemons of our own: those of `concurrent.futures` are waited for at the
    end of the program, so one stuck batch would keep it from ending.
    """

    def __init__(self, name: str, run: Callable[[Batch], None], threads: int, max_abandoned: int) -> None:
        """Make the crew; `run` runs a batch, answers it and never raises."""
        self._name = name
        self._run = run
        self._most = threads
        self._max_abandoned = max_abandoned
        # Reentrant, because the collector may run a finalizer that closes a run at any place.
        self._work = threading.Condition(threading.RLock())
        self._queue: deque[Batch] = deque()
        self._users = 0
        self._threads = 0
        self._idle = 0
        self._made = 0
        self._abandoned: set[_Turn] = set()
        self._timeouts = 0
        self._deadlines = Deadlines(self._expire)
        self._pid = os.getpid()

    # -- for the executor -----------------------------------------------------------

    def open(self) -> None:
        """Somebody more needs the threads."""
        self._refuse_fork()
        with self._work:
            self._users += 1

    def close(self) -> None:
        """Somebody does not need them any more; with the last one they end."""
        if os.getpid() != self._pid:
            return
        with self._work:
            self._users -= 1
            if self._users == 0:
                self._queue.clear()  # those who waited for them have gone
                self._work.notify_all()

    def submit(self, batch: Batch) -> None:
        """Run the batch as soon as a thread is free.

        Raises:
            NotRunningError: nobody has opened the crew.
            ExecutorError: all threads that there may be are stuck.
        """
        self._refuse_fork()
        with self._work:
            if self._users == 0:
                msg = f"{self._name} is not open: no run uses it"
                raise NotRunningError(msg)
            if self._threads == 0 and self._allowed == 0:
                raise self._exhausted()
            self._queue.append(batch)
            if self._idle >= len(self._queue):
                self._work.notify()
            elif not self._add_thread():
                self._queue.pop()
                raise ExecutorError(
                    self._name, "has no thread, and none can be started: the system has no more"
                )

    def cancel(self, batch: Batch) -> bool:
        """Do not start the batch; return whether that is so. One that runs goes on."""
        if os.getpid() == self._pid:
            with self._work:
                if batch in self._queue:
                    self._queue.remove(batch)
                    return True
        return False

    def statistics(self) -> ExecutorStatistics:
        """Return a snapshot."""
        with self._work:
            return ExecutorStatistics(
                runs=self._users,
                threads=self._threads,
                running=self._threads - self._idle,
                queued=len(self._queue),
                abandoned=len(self._abandoned),
                timeouts=self._timeouts,
            )

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            msg = f"the threads of {self._name} are not in this process, which was made by os.fork"
            raise ForkedRuntimeError(msg)

    # -- the threads ------------------------------------------------------------------

    @property
    def _allowed(self) -> int:
        """How many threads there may be: fewer, when more are stuck than can be replaced."""
        return max(0, self._most - max(0, len(self._abandoned) - self._max_abandoned))

    def _add_thread(self) -> bool:
        """Start one more if there may be one; False if there is none at all. The lock is held."""
        if self._threads < self._allowed:
            self._made += 1
            name = f"slither-executor {self._name} {self._made}"
            self._threads += 1
            try:
                threading.Thread(target=self._serve, name=name, daemon=True).start()
            except RuntimeError:
                logger.exception("%s: a thread could not be started", self._name)
                self._threads -= 1
        return self._threads > 0

    def _serve(self) -> None:
        while self._serve_one():
            continue

    def _serve_one(self) -> bool:
        """Wait for a batch and run it; False when the thread has to end."""
        turn = self._next()
        if turn is None:
            return False
        self._deadlines.start(turn, turn.batch.timeout)
        self._run(turn.batch)
        self._deadlines.stop(turn)
        return self._stays(turn)

    def _next(self) -> _Turn | None:
        """Wait for a batch; None when the thread has to end."""
        with self._work:
            while not self._queue:
                if self._users == 0:
                    self._threads -= 1
                    return None
                self._idle += 1
                try:
                    self._work.wait()
                finally:
                    self._idle -= 1
            return _Turn(self._queue.popleft())

    def _stays(self, turn: _Turn) -> bool:
        """The batch's code has returned: whether its thread goes on."""
        with self._work:
            turn.ended = True
            if not turn.abandoned:
                return True
            self._abandoned.discard(turn)
            goes_on = self._users > 0 and self._threads < self._allowed
            self._threads += goes_on
        logger.info("%s: %s, which was past its timeout, has ended now", self._name, turn.batch.description)
        return goes_on

    def _expire(self, turn: _Turn) -> None:
        """A batch is past its timeout; in the timer thread."""
        batch = turn.batch
        with self._work:
            if turn.ended:
                return  # just now
            self._timeouts += 1
            turn.abandoned = True
            self._abandoned.add(turn)
            self._threads -= 1
            refused = self._replace()
            abandoned, allowed = len(self._abandoned), self._allowed
        error = BatchTimeoutError(batch=batch.description, timeout=batch.timeout or 0.0)
        place = _place(turn.thread)
        error.add_note(f"its thread cannot be killed and was left to itself, {place}")
        logger.warning(
            "%s: %s ran longer than %g s; its thread cannot be killed and is %s. "
            "Left to themselves are %d threads now, and %d of %d run batches",
            self._name, batch.description, batch.timeout, place, abandoned, allowed, self._most,
        )  # fmt: skip
        batch.fail(error)
        for waiting, its_error in refused:
            waiting.fail(its_error)

    def _replace(self) -> list[tuple[Batch, ExecutorError]]:
        """Have another thread for what waits; return what can never run. The lock is held."""
        if len(self._queue) <= self._idle or self._add_thread():
            return []
        problem = self._exhausted()
        refused = [(batch, problem) for batch in self._queue]
        self._queue.clear()
        return refused

    def _exhausted(self) -> ExecutorError:
        stuck = len(self._abandoned)
        problem = (
            f"all its threads are stuck: {stuck} batches are past their timeout and do not return, "
            f"{self._max_abandoned} can be replaced (max_abandoned). Have the function itself give up in "
            "time, or use worker processes, which can be killed"
        )
        return ExecutorError(self._name, problem)


def _place(ident: int) -> str:
    """Where a thread is, for an error."""
    frame = sys._current_frames().get(ident)
    if frame is None:
        return "about to end"
    code = frame.f_code
    return f"at {code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
