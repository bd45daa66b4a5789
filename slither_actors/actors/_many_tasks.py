"""Waiting for many tasks, with one time for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from slither_actors.actors._task import Task
from slither_actors.actors._task_outcome import TaskExit, TaskOutcome
from slither_actors.actors._task_wait import await_outcomes, kill_tasks
from slither_actors.config import integer, one_of, shown, wait_seconds_or_none
from slither_actors.errors import CallTimeoutError, OptionError

__all__ = ["await_many", "yield_many"]

R = TypeVar("R")

_ON_TIMEOUT = one_of("nothing", "ignore", "kill_task")
_LIMIT = integer(0, none=True)


def await_many(tasks: Iterable[Task[R]], timeout: float | None = 5.0) -> list[R]:
    """Wait for the results of all tasks, and return them in the order of the tasks.

    Args:
        tasks: what to wait for.
        timeout: seconds to wait for all of them; None waits until they end. Tasks that are late are
            told to end.

    Raises:
        OptionError: `timeout` is no number of at least 0, or `tasks` has something else.
        Exception: the first failure, as soon as it is there; see `Task.await_`. The other tasks go on.
        CallTimeoutError: some are late.

    Elixir: Task, ``await_many/2``.
    """
    wait_seconds_or_none.check("timeout", timeout, "await_many")
    every = _checked(tasks, "await_many")
    failed: list[Task[R]] = []

    def fails(task: Task[R]) -> bool:
        if isinstance(task.take(), TaskExit):
            failed.append(task)
        return bool(failed)

    await_outcomes(every, timeout, fails)
    outcomes = [task.take() for task in failed or every]
    late = [task for task, outcome in zip(every, outcomes, strict=False) if outcome is None]
    for task in late:
        task.give_up()
    if late:
        what = f"{len(late)} of {len(every)} tasks, {late[0].ref} the first of them,"
        raise CallTimeoutError(what, timeout or 0.0)
    return [outcome.get() for outcome in outcomes if outcome is not None]


def yield_many(
    tasks: Iterable[Task[R]],
    timeout: float | None = 5.0,
    *,
    limit: int | None = None,
    on_timeout: Literal["nothing", "ignore", "kill_task"] = "nothing",
) -> list[tuple[Task[R], TaskOutcome[R] | None]]:
    """Wait up to `timeout` seconds for all tasks; return each with its outcome, None if it has none yet.

    Args:
        tasks: what to wait for.
        timeout: seconds to wait for all of them; None waits until they end.
        limit: how many outcomes are enough to return early; None is all.
        on_timeout: what happens to tasks that have no outcome: ``"nothing"``, so that they may be waited
            for again; ``"ignore"``, as `Task.ignore`; ``"kill_task"``, at once.

    Raises:
        OptionError: an argument is not allowed.

    Elixir: Task, ``yield_many/2``.
    """
    _ON_TIMEOUT.check("on_timeout", on_timeout, "yield_many")
    _LIMIT.check("limit", limit, "yield_many")
    wait_seconds_or_none.check("timeout", timeout, "yield_many")
    every = _checked(tasks, "yield_many")
    wanted = len(set(every)) if limit is None else limit
    done: set[Task[Any]] = set()

    def enough(task: Task[R]) -> bool:
        done.add(task)
        return len(done) >= wanted

    if wanted > 0:
        await_outcomes(every, timeout, enough)
    outcomes = [(task, task.take()) for task in every]
    late = [task for task, outcome in outcomes if outcome is None]
    if on_timeout != "nothing":
        for task in late:
            task.release()
    if on_timeout == "kill_task":
        kill_tasks(late)
    return outcomes


def _checked(tasks: Any, where: str) -> list[Task[Any]]:
    if not isinstance(tasks, Iterable):
        raise OptionError("tasks", f"is {shown(tasks)}; allowed is a list of tasks", where=where)
    every = list(tasks)
    for task in every:
        if not isinstance(task, Task):
            raise OptionError("tasks", f"has {shown(task)}; allowed are tasks", where=where)
    return every
