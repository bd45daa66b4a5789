"""A step that runs on batches in worker processes, or on any executor."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

import attrs

from slither_actors.config import build
from slither_actors.dispatch import (
    AsyncExecutor,
    DispatchOptions,
    Executor,
    InlineExecutor,
    PoolExecutor,
    ThreadExecutor,
)
from slither_actors.dispatch._options import check_together
from slither_actors.errors import OptionError
from slither_actors.pipe._checks import comparable
from slither_actors.pipe._declaration import StageDeclaration, StageOptions, refuse_stage, taken

__all__ = ["WorkerStage"]


class WorkerStage(StageDeclaration):
    """A step that runs a function on batches in worker processes, or on any executor."""

    kind = "workers"

    def __init__(self, executor: Any, **options: Any) -> None:
        refuse_stage("executor", executor)
        for name in ("executor", "context"):
            if name in options:
                raise OptionError(name, "is not for a stage: the first argument and the run say it")
        self.after = build(StageOptions, taken(options, "after"), where="workers").after
        own_policy = options.get("on_error")
        given = {name: value for name, value in options.items() if name != "on_error" or value is not None}
        self.dispatch = build(DispatchOptions, {"executor": executor, **given}, where="workers")
        check_together(self.dispatch, given, "workers")
        self.on_error = None if own_policy is None else self.dispatch.on_error
        self._given = {name: value for name, value in options.items() if name != "on_error"}

    @property
    def executor(self) -> Executor | None:
        """The executor, if it was declared with one and not with a function."""
        executor = self.dispatch.executor
        return executor if isinstance(executor, Executor) else None

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was declared with."""
        return self._given

    @property
    def runs(self) -> Any:
        """The name of the executor."""
        return self.dispatch.make_executor().name

    def describe(self) -> str:
        """Say in a line what it does."""
        options = self.dispatch
        executor = options.make_executor()
        where = ""
        if isinstance(executor, PoolExecutor):
            where = f" in pool {executor.pool!r}"
        elif isinstance(executor, (AsyncExecutor, InlineExecutor, ThreadExecutor)):
            where = " in the driver"
        return f"{executor.name}{where}, at most {options.max_in_flight} batches {self._strategy()}"

    def _strategy(self) -> str:
        strategy = self.dispatch.strategy
        return f"of {self.dispatch.batch_size}" if strategy is None else f"by {type(strategy).__name__}"

    @property
    def does(self) -> Any:
        """See `StageDeclaration.does`."""
        return _does(self.dispatch)


def _does(options: DispatchOptions) -> tuple[Any, ...]:
    """The options but the policy. A function is what workers import by its name, if it has one of its own."""
    code = options.executor
    if isinstance(code, FunctionType) and "<" not in code.__qualname__:
        code = f"{code.__module__}:{code.__qualname__}"
    others = [
        field.name for field in attrs.fields(DispatchOptions) if field.name not in ("executor", "on_error")
    ]
    return comparable(code), *(getattr(options, name) for name in others)
