"""A function in the workers of a pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slither_actors.dispatch._batch_function import checked_function
from slither_actors.dispatch._pool_executor import PoolExecutor
from slither_actors.pool import Target

__all__ = ["FunctionExecutor"]


class FunctionExecutor(PoolExecutor):
    """Runs a function in the worker processes of a pool.

    The function gets the list of a batch's payloads, and the run's `Context` if
    it has a second parameter, and returns one result per payload.

    Args:
        function: a callable that workers can import, or ``"module:function"``.
        pool: name of the pool.
        writable: whether it may write into the arrays that it gets, which are then its own copies.
            Otherwise they are read-only, and large ones are not copied in the worker.
    """

    def __init__(
        self, function: str | Callable[..., Sequence[Any]], *, pool: str = "default", writable: bool = False
    ) -> None:
        target = Target(function, writable=writable)
        if not isinstance(function, str):
            checked_function(function, "FunctionExecutor")
        super().__init__(target, pool)
