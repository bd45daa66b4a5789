"""How a task has ended, and the message that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from slither_actors.actors._reasons import Crash
from slither_actors.errors import ActorExitError

if TYPE_CHECKING:
    from slither_actors.actors._task import Task

__all__ = ["TaskDone", "TaskExit", "TaskOutcome", "TaskResult"]

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
