"""The actor that runs a task's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors.actors._interrupts import calls_out
from slither_actors.actors._server import Server
from slither_actors.actors._task_outcome import TaskExit, TaskResult
from slither_actors.actors._task_reply import TaskReply
from slither_actors.config import a_function

__all__ = ["TaskActor"]


class TaskActor(Server):
    """Runs one function and ends; a raise is a crash."""

    def init(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *more: Any,
        reply: TaskReply | None = None,
    ) -> None:
        """Take the function; it runs after the start has returned.

        Args:
            function: what to run.
            args: its arguments.
            kwargs: its keyword arguments.
            *more: further arguments, which a supervisor appends to those of a child spec.
            reply: who is to get the result.
        """
        self._reply = reply
        a_function.check("function", function)
        if reply is not None and reply.linked_to is not None:
            self._cell.link(reply.linked_to)
        # An ordinary message: a task that is told to end before it began does not run its function.
        self._cell.put((_on_job, (function, (*args, *more), kwargs)))

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
