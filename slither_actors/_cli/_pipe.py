"""What a pipe that a user names on the command line needs to run."""

from __future__ import annotations

from slither_actors.dispatch import (
    AsyncExecutor,
    FuturesExecutor,
    InlineExecutor,
    PoolExecutor,
    ThreadExecutor,
)
from slither_actors.pipe import Pipe, WorkerStage

__all__ = ["pools_of"]


def pools_of(pipe: type[Pipe]) -> list[str]:
    """The names of the pools that a pipe's worker stages use."""
    names = []
    for stage in pipe.definition.stages:
        declaration = stage.declaration
        if isinstance(declaration, WorkerStage):
            executor = declaration.dispatch.make_executor()
            if isinstance(executor, PoolExecutor):
                names.append(executor.pool)
            elif not isinstance(executor, (AsyncExecutor, FuturesExecutor, InlineExecutor, ThreadExecutor)):
                names.append(declaration.dispatch.pool)
    return list(dict.fromkeys(names))
