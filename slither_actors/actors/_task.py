"""The task: a function that runs once, in an actor of its own, and whose result somebody may wait for.

A task that was made by `Task.async_` is linked to the actor that made it: if
the function raises, that actor dies of it as well, unless it traps exits. The
`TaskSupervisorRef.async_nolink` of a supervisor makes tasks that fail alone.

A thread cannot be killed. A task that is told to end while its function runs
ends when that returns, or is abandoned: the function runs on, and its result
is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from slither_actors.actors import _runtime
from slither_actors.actors._cell import Cell
from slither_actors.actors._child_spec import ChildSpec, Restart
from slither_actors.actors._keywords import takes, unknown_keyword
from slither_actors.actors._reasons import KILLED, SHUTDOWN
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Request
from slither_actors.actors._server import Server
from slither_actors.actors._task_actor import TaskActor
from slither_actors.actors._task_outcome import TaskDone, TaskExit, TaskOutcome
from slither_actors.actors._task_reply import TaskReply
from slither_actors.actors._task_wait import await_outcomes, kill_tasks
from slither_actors.config import Rule, a_function, wait_seconds_or_none
from slither_actors.core import Backoff
from slither_actors.errors import CallTimeoutError

__all__ = ["Task"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_OPTIONS = ("backoff", "id", "restart", "shutdown")
"""Those of `Task.child_spec`."""


_SHUTDOWN = Rule(
    "allowed are seconds of at least 0, 'brutal_kill', None (no limit)",
    lambda value: value == "brutal_kill" if isinstance(value, str) else wait_seconds_or_none.allows(value),
)


class Task(Generic[R_co]):
    """The handle to a task that somebody may wait for, from any thread.

    Source: https://hexdocs.pm/elixir/Task.html

    If the actor that made the task has a ``handle_info`` and does not wait, it
    gets a `TaskDone` there; a task that was waited for, shut down or ignored
    sends none.
    """

    __slots__ = ("_owner", "_reply", "_taken", "ref")

    def __init__(self, ref: Ref, reply: TaskReply, owner: Cell | None) -> None:
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

        Raises:
            OptionError: an option has a value that is not allowed, or `function` does not take a keyword.
        """
        where = "child spec of a task"
        a_function.check("function", function, where)
        if kwargs and not takes(function, kwargs):
            title = getattr(function, "__name__", "the function")
            raise unknown_keyword(function, kwargs, title=title, where=where, options=_OPTIONS)
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
            OptionError: `timeout` is no number of at least 0.
            CallCycleError: the task waits, directly or not, for the caller.
        """
        wait_seconds_or_none.check("timeout", timeout, self.ref)
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

        Raises:
            OptionError: another `timeout`.
        """
        _SHUTDOWN.check("timeout", timeout, self.ref)
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


def launch(start: Callable[[TaskReply], Ref], *, linked: bool, notifies: bool = True) -> Task[Any]:
    """Make the handle of a task that `start` starts with the reply that it is given."""
    caller = _runtime.current_cell()
    reply = TaskReply(caller if linked else None)
    return Task(start(reply), reply, caller if notifies else None)
