"""Tasks: a function that runs once in an actor of its own, under a supervisor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors.actors._child_spec import ChildSpec
from slither_actors.actors._dynamic import DynamicSupervisor, DynamicSupervisorRef
from slither_actors.actors._ref import Ref
from slither_actors.actors._server import Server

__all__ = ["Task", "TaskSupervisor", "TaskSupervisorRef"]


class Task(Server):
    """Runs one function and ends; a raise is a crash."""

    def init(self, function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take the function; it runs after the start has returned."""
        self.continue_with((function, args, kwargs))

    def handle_continue(self, value: Any) -> None:
        """Run the function and end."""
        function, args, kwargs = value
        function(*args, **kwargs)
        self.stop()


class TaskSupervisorRef(DynamicSupervisorRef):
    """The reference to a `TaskSupervisor`."""

    def start_child(  # type: ignore[override]
        self, function: Callable[..., object], *args: Any, **kwargs: Any
    ) -> Ref:
        """Run ``function(*args, **kwargs)`` in a task that nobody waits for, and return its ref."""
        spec = ChildSpec(id=None, start=(Task, (function, args, kwargs), {}), restart="temporary")
        ref: Ref = self.call(("start_child", spec, ()), None)
        return ref


class TaskSupervisor(DynamicSupervisor):
    """A dynamic supervisor of tasks. Source: https://hexdocs.pm/elixir/Task.Supervisor.html ."""

    ref_class = TaskSupervisorRef
