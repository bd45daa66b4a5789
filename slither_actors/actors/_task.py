"""The task: a function that runs once, in an actor of its own, and whose result somebody may wait for.

A task that was made by `Task.async_` is linked to the actor that made it: if
the function raises, that actor dies of it as well, unless it traps exits. The
`TaskSupervisorRef.async_nolink` of a supervisor makes tasks that fail alone.

A thread cannot be killed. A task that is told to end while its function runs
ends when that returns, or is abandoned: the function runs on, and its result
is dropped.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, Literal, ParamSpec, TypeVar

import attrs

from slither_actors.actors import _runtime
from slither_actors.actors._awaited import Arrival
from slither_actors.actors._cell import Cell
from slither_actors.actors._child_spec import ChildSpec, Restart
from slither_actors.actors._interrupts import calls_out, waits
from slither_actors.actors._reasons import KILLED, SHUTDOWN, Crash
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Request
from slither_actors.actors._scheduler import lock_timeout
from slither_actors.actors._server import Server
from slither_actors.actors._zombie import bury
from slither_actors.core import Backoff
from slither_actors.errors import ActorExitError, CallTimeoutError

__all__ = ["Task", "TaskDone", "TaskExit", "TaskOutcome", "TaskResult"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@attrs.frozen
class TaskResult(Generic[R_co]):
    """A task's function has returned. Elixir: ``{:ok, value}`` of ``Task.yield``."""

    value: R_co
    """What it returned."""

    def get(self) -> R_co:
        """Return the value."""
        return self.value


@attrs.frozen
class TaskExit:
    """A task has ended without a result. Elixir: ``{:exit, reason}`` of ``Task.yield``."""

    reason: Any
    """Its exit reason: a `Crash` if the function raised; ``"timeout"`` in a stream of tasks."""

    task: str = attrs.field(eq=False)
    """The task, described."""

    def get(self) -> Any:
        """Raise why: what the function raised, or `ActorExitError`."""
        reason = self.reason
        if isinstance(reason, Crash) and isinstance(reason.exception, Exception):
            error = reason.exception
            note = f"in {self.task}:\n{reason.traceback_text}"
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)
            raise error.with_traceback(None)
        raise ActorExitError(self.task, reason)


TaskOutcome = TaskResult[R] | TaskExit


@attrs.frozen
class TaskDone:
    """A task has ended before its owner waited for it; arrives in the owner's ``handle_info``.

    Elixir sends ``{ref, result}`` or ``DOWN``.
    """

    task: Task[Any]
    """What `TaskSupervisorRef.async_nolink` or its like returned."""

    outcome: TaskOutcome[Any]
    """A `TaskResult` or a `TaskExit`."""


class _Reply:
    """What a task leaves: one outcome, for any number of waiters in any threads. The first one counts."""

    __slots__ = ("_claim", "_waiters", "linked_to", "outcome")

    def __init__(self, linked_to: Cell | None) -> None:
        self.linked_to = linked_to
        """Who is linked to the task before its function runs."""
        self.outcome: TaskOutcome[Any] | None = None
        self._claim = threading.Lock().acquire
        self._waiters: deque[Callable[[], object]] = deque()

    def settle(self, outcome: TaskOutcome[Any]) -> None:
        if self._claim(False):
            self.outcome = outcome
            while self._waiters:
                try:
                    self._waiters.popleft()()
                except IndexError:  # `subscribe` or `unsubscribe` was faster
                    return

    def subscribe(self, wake: Callable[[], object]) -> None:
        """Have `wake` called when the outcome is there, which may be now; rarely twice."""
        # The waiter is added before the outcome is looked at; `settle` does it the other way round.
        self._waiters.append(wake)
        if self.outcome is not None:
            wake()

    def unsubscribe(self, wake: Callable[[], object]) -> None:
        if wake in self._waiters:
            try:
                self._waiters.remove(wake)
            except (ValueError, IndexError):  # `settle` was faster
                return


class TaskActor(Server):
    """Runs one function and ends; a raise is a crash."""

    def init(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        reply: _Reply | None = None,
    ) -> None:
        """Take the function; it runs after the start has returned."""
        self._reply = reply
        if reply is not None and reply.linked_to is not None:
            self._cell.link(reply.linked_to)
        # An ordinary message: a task that is told to end before it began does not run its function.
        self._cell.put((_on_job, (function, args, kwargs)))

    @calls_out
    def run(self, job: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]) -> None:
        """Run the function and end."""
        function, args, kwargs = job
        value = function(*args, **kwargs)
        if self._reply is not None:
            self._reply.settle(TaskResult(value))
        # Behind what has arrived meanwhile: the end of somebody whom the task is linked to comes first.
        self.ref.stop(block=False)

    def _on_dead(self) -> None:
        super()._on_dead()
        if self._reply is not None:
            self._reply.settle(TaskExit(self._cell.reason, self._cell.describe()))


def _on_job(actor: TaskActor, job: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]) -> None:
    actor.run(job)


class Task(Generic[R_co]):
    """The handle to a task that somebody may wait for, from any thread.

    Source: https://hexdocs.pm/elixir/Task.html

    If the actor that made the task has a ``handle_info`` and does not wait, it
    gets a `TaskDone` there; a task that was waited for, shut down or ignored
    sends none.
    """

    __slots__ = ("_owner", "_reply", "_taken", "ref")

    def __init__(self, ref: Ref, reply: _Reply, owner: Cell | None) -> None:
        self.ref = ref
        """The actor that runs the function."""
        self._reply = reply
        self._owner = owner
        self._taken = False
        """Whether nothing is to be sent to the owner any more."""
        if owner is not None and _has_handle_info(owner):
            reply.subscribe(self._tell_owner)

    # -- making tasks ------------------------------------------------------------

    @staticmethod
    def async_(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Task[R]:
        """Run ``function(*args, **kwargs)`` in a task that is linked to the calling actor.

        In a program of any size use the `TaskSupervisorRef.async_` of a supervisor.
        """
        return launch(lambda reply: TaskActor.start(function, args, kwargs, reply=reply), linked=True)

    @staticmethod
    def start(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Ref:
        """Run ``function(*args, **kwargs)`` in a task that nobody waits for, and return its ref."""
        return TaskActor.start(function, args, kwargs)

    @staticmethod
    def start_link(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Ref:
        """As `start`, and link the task to the calling actor, its parent."""
        return TaskActor.start_link(function, args, kwargs)

    @staticmethod
    def child_spec(
        function: Callable[..., object],
        *args: Any,
        id: object = None,
        restart: Restart = "temporary",
        shutdown: Any = 5.0,
        backoff: Backoff | None = None,
        **kwargs: Any,
    ) -> ChildSpec:
        """Describe a task as a child of any supervisor; the rest goes to `function`.

        Args:
            function: what the task runs.
            *args: its arguments.
            id: the child's id, the function's name by default.
            restart: ``"temporary"`` runs it once, ``"transient"`` again if it ended abnormally,
                ``"permanent"`` again and again.
            shutdown: seconds to end in, ``"brutal_kill"``, or None.
            backoff: how long to wait before it runs again.
            **kwargs: its keyword arguments.
        """
        return ChildSpec(
            id=getattr(function, "__name__", "task") if id is None else id,
            start=(TaskActor, (function, args, kwargs), {}),
            restart=restart,
            shutdown=shutdown,
            backoff=backoff,
        )

    # -- waiting -------------------------------------------------------------------

    def await_(self, timeout: float | None = 5.0) -> R_co:
        """Wait for the result and return it.

        Args:
            timeout: seconds to wait; None waits until the task ends. A task that is late is told to end.

        Raises:
            Exception: what the function raised, with the task's traceback as a note.
            ActorExitError: the task ended for another reason.
            CallTimeoutError: it is late.
            CallCycleError: the task waits, directly or not, for the caller.
        """
        outcome = self.yield_(timeout)
        if outcome is None:
            self.give_up()
            raise CallTimeoutError(str(self.ref), timeout or 0.0)
        return outcome.get()

    def yield_(self, timeout: float | None = 5.0) -> TaskOutcome[R_co] | None:
        """Wait up to `timeout` seconds; return the outcome, or None if there is none yet.

        Raises:
            CallCycleError: the task waits, directly or not, for the caller.
        """
        if self._reply.outcome is None and (timeout is None or timeout > 0):
            caller = _runtime.wait_for(Request(None, self.ref._cell))
            try:
                await_outcomes([self], timeout, bool)
            finally:
                if caller is not None:
                    caller.waiting_on = None
        return self.take()

    def shutdown(self, timeout: float | Literal["brutal_kill"] | None = 5.0) -> TaskOutcome[R_co] | None:
        """End the task, and wait for that.

        Args:
            timeout: seconds that a function which runs has to return in. Then, or at once with
                ``"brutal_kill"``, the task is killed; one that still does not return is abandoned.

        Returns:
            The outcome, if there was one before the task ended; None if it ended because of this.
        """
        _runtime.refuse_zombie()
        self.release()
        cell = self.ref._cell
        expected = SHUTDOWN
        if timeout == "brutal_kill":
            expected = KILLED
            kill_tasks([self])
        else:
            cell.signal_ahead(None, SHUTDOWN)
            if not _runtime.join(cell, timeout):
                kill_tasks([self])
        outcome = self._reply.outcome
        return None if isinstance(outcome, TaskExit) and outcome.reason == expected else outcome

    def ignore(self) -> TaskOutcome[R_co] | None:
        """Let the task run on by itself: its end concerns nobody. Return the outcome if there is one."""
        self.release()
        return self._reply.outcome

    def is_done(self) -> bool:
        """Whether the outcome is there."""
        return self._reply.outcome is not None

    def __repr__(self) -> str:
        outcome = self._reply.outcome
        return f"<Task {self.ref}: {'running' if outcome is None else outcome}>"

    # -- for the functions that wait for many -----------------------------------------

    def release(self) -> None:
        """Undo the link, and send the owner nothing."""
        self._taken = True
        if self._reply.linked_to is not None:
            self._reply.linked_to.unlink(self.ref._cell)

    def give_up(self) -> None:
        """Tell a late task to end, and do not wait for that."""
        self.release()
        self.ref._cell.signal_ahead(None, SHUTDOWN)

    def subscribe(self, wake: Callable[[], object]) -> None:
        """Have `wake` called in some thread when the outcome is there, which may be now; rarely twice."""
        self._reply.subscribe(wake)

    def unsubscribe(self, wake: Callable[[], object]) -> None:
        """Undo `subscribe`."""
        self._reply.unsubscribe(wake)

    def take(self) -> TaskOutcome[R_co] | None:
        """Return the outcome if there is one, and send the owner nothing then."""
        outcome = self._reply.outcome
        if outcome is not None:
            self._taken = True
        return outcome

    def _tell_owner(self) -> None:
        if self._owner is not None:
            self._owner.put((_on_task_done, self))


def _on_task_done(owner: Server, task: Task[Any]) -> None:
    outcome = task._reply.outcome
    if not task._taken and outcome is not None:
        task._taken = True
        owner._on_info(TaskDone(task, outcome))


def _has_handle_info(cell: Cell) -> bool:
    actor = cell.actor
    return isinstance(actor, Server) and type(actor).handle_info is not Server.handle_info


def launch(start: Callable[[_Reply], Ref], *, linked: bool, notifies: bool = True) -> Task[Any]:
    """Make the handle of a task that `start` starts with the reply that it is given."""
    caller = _runtime.current_cell()
    reply = _Reply(caller if linked else None)
    return Task(start(reply), reply, caller if notifies else None)


@waits
def await_outcomes(
    tasks: Iterable[Task[Any]], timeout: float | None, enough: Callable[[Task[Any]], object]
) -> None:
    """Wait in this thread until all tasks have their outcomes, or `enough` says so of one, or it is time."""
    waiting = set(tasks)
    done: queue.SimpleQueue[Task[Any] | None] = queue.SimpleQueue()
    wakes = {task: partial(done.put, task) for task in waiting}
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        for task, wake in wakes.items():
            task.subscribe(wake)
        with _runtime.interruptible(partial(done.put, None)) as refuse:
            while waiting:
                if done.empty():
                    _runtime.hand_over(Arrival(done, next(iter(waiting)).ref._cell))
                left = None if deadline is None else lock_timeout(deadline - time.monotonic())
                ended = done.get(timeout=left)
                if ended is None:
                    refuse()
                    continue
                waiting.discard(ended)
                if enough(ended):
                    return
    except queue.Empty:
        return
    finally:
        for task, wake in wakes.items():
            task.unsubscribe(wake)


def kill_tasks(tasks: Iterable[Task[Any]]) -> None:
    """End tasks at once. One whose function runs on is abandoned."""
    cells = [task.ref._cell for task in tasks]
    for cell in cells:
        cell.kill()
    bury(*cells)
