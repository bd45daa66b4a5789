"""`Application.run`: the main thread is parked, and what it hears ends the program in order.

The main thread waits for words in its inbox and does nothing else that can block, so
that it hears the second and the third signal whatever the first one set going.
The stop itself is done by another thread.

====================  =====================================================
first signal          the inputs of runs end, what is in flight is finished,
                      then the tree is stopped in reverse order
second signal         nobody is waited for any more; over in a second
third signal          the process ends where it stands
====================  =====================================================
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from slither_actors.actors import SupervisorRef, _runtime
from slither_actors.application._end_watch import EndWatch, Word
from slither_actors.application._inbox import Inbox
from slither_actors.application._signals import Terminated, dump_threads
from slither_actors.application._tree import (
    ZOMBIE_STATUS,
    drain,
    end_now,
    running_stores,
    warn_of_zombies,
    zombies_of,
)
from slither_actors.errors import ApplicationEndedError, NotRunningError
from slither_actors.store import statistics_table

if TYPE_CHECKING:
    from slither_actors.application._application import Application

__all__ = ["Serving"]

logger = logging.getLogger("slither_actors.application")

_SECOND_SIGNAL_SECONDS: Final = 0.3
"""How long the end takes at most after a second signal."""

_RENDER_SECONDS: Final = 0.5


class Serving:
    """One call of `Application.run`, from the started tree to the stopped one.

    Used by the thread that runs it; `inbox` takes words from any thread, and
    from signal handlers and finalizers as well.
    """

    def __init__(self, application: Application, root: SupervisorRef, inbox: Inbox) -> None:
        self._application = application
        self._root = root
        self._inbox = inbox
        self._signals = 0
        self._status: int | None = None
        self._stopper: threading.Thread | None = None
        self._stopped = False
        self._failure: BaseException | None = None
        self._deadline: float | None = None
        self._ended_by_itself = False

    def serve(self) -> None:
        """Park this thread until the tree has been stopped or has ended."""
        watch = EndWatch.start(self._root, self._inbox)
        with self._inbox.open() as get:
            while not self._stopped:
                word = get(self._deadline and self._deadline - time.monotonic())
                if word is None:
                    break  # what stops the tree is stuck
                self._hear(word)
        watch.kill()

    def _hear(self, word: Any) -> None:
        if word is Word.STOPPED:
            self._stopped = True
        elif word is Word.STOP:
            self._begin_stop()
        elif word is Word.ENDED:
            if self._stopper is None:
                self._ended_by_itself = not self._application.stop_asked
                self._begin_stop()
        elif word == getattr(signal, "SIGUSR1", None):
            self._dump()
        else:
            self._hear_signal(word)

    def _hear_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals == 1:
            self._status = 128 + number
            self._begin_stop()
        elif self._signals == 2:
            self._application.hurry()
            end_now(self._root)
            self._deadline = time.monotonic() + _SECOND_SIGNAL_SECONDS
        else:
            os._exit(128 + number)

    def _begin_stop(self) -> None:
        if self._stopper is not None:
            return
        # Not in this thread, which has to hear the next signal.
        self._stopper = threading.Thread(target=self._stop, name="slither-stopper", daemon=True)
        try:
            self._stopper.start()
        except RuntimeError:  # no thread can be started
            self._stop()

    def _stop(self) -> None:
        try:
            if not self._ended_by_itself:
                drain(self._application.drain_timeout, lambda: self._signals > 1)
            self._application._halt()
        except BaseException as error:  # noqa: BLE001 - raised by `run`, in its own thread
            self._failure = error
        finally:
            self._inbox.put(Word.STOPPED)

    def _dump(self) -> None:
        """Say where each thread is, and what the tree looks like."""
        dump_threads()
        with contextlib.suppress(OSError, ValueError, AttributeError, NotRunningError):
            # There may be no standard error, and a store may end meanwhile.
            sys.stderr.write(f"\n{self._root.render(_RENDER_SECONDS)}\n")
            if stores := [store.statistics() for store in running_stores()]:
                sys.stderr.write(f"\n{statistics_table(stores)}\n")
            sys.stderr.flush()

    # -- the end ------------------------------------------------------------------

    def leave_if_stuck(self) -> None:
        """End the process at once if actors are stuck in it."""
        if zombies_of(self._root) or not self._stopped:
            self._leave(self._why())

    def finish(self) -> None:
        """Raise what `run` has to.

        Raises:
            Terminated: there was a signal.
            ApplicationEndedError: the tree ended by itself.
        """
        if self._status is not None:
            raise Terminated(self._status)
        failure = self._why()
        if failure is not None:
            raise failure

    def _why(self) -> BaseException | None:
        if not self._ended_by_itself:
            return self._failure
        why = getattr(self._root._cell.actor, "gave_up", "")
        return ApplicationEndedError(self._root.exit_reason, why)

    def _leave(self, failure: BaseException | None) -> None:
        """End the process if it is ours: threads that never return must not see the interpreter go away."""
        warn_of_zombies(self._root)
        if threading.current_thread() is not threading.main_thread():
            return
        status = self._status or 0
        if failure is not None:
            logger.critical("%s", failure)
            status = status or 1
        if self._application.on_zombies == "exit":
            status = ZOMBIE_STATUS
        # The actors outside of the tree; threads need no end, for the interpreter does not go away.
        _runtime.stop_actors(time.monotonic() + _runtime.EXIT_SECONDS)
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none
                stream.flush()
        os._exit(status)
