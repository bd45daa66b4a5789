"""How a task has ended, and the message that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from slither_actors.actors._reasons import Crash, context_of, without_own_frames
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

    _context: BaseException | None = attrs.field(init=False, eq=False, repr=False)

    @_context.default
    def _what_was_handled(self) -> BaseException | None:
        return context_of(self.reason.exception) if isinstance(self.reason, Crash) else None

    def get(self) -> Any:
        """Raise why: what the function raised, or `ActorExitError`.

        The exception is one object for all who ask, as that of an `asyncio.Task`: its traceback is of the
        last of them. That of the task is in a note.
        """
        reason = self.reason
        if not isinstance(reason, Crash) or not isinstance(reason.exception, Exception):
            raise ActorExitError(self.task, reason)
        error = reason.exception
        # Past the attributes, for the class may be frozen, as that of a dataclass.
        notes = vars(error).setdefault("__notes__", [])
        note = f"in {self.task}:\n{reason.traceback_text}"
        if isinstance(notes, list) and note not in notes:
            notes.append(note)
        # Or the frames of who asked before would stay in it, and what that one handled just then.
        raise without_own_frames(error, self._context)


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
