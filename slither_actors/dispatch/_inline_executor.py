"""A function in the run's own actor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slither_actors.dispatch._batch import Batch, checked_results
from slither_actors.dispatch._batch_function import checked_function, function_name
from slither_actors.dispatch._executor import Executor
from slither_actors.pool import adapt

__all__ = ["InlineExecutor"]


class InlineExecutor(Executor):
    """Runs a function in the runner's own actor: for tests, and for work too small for a process.

    Towards policies it is as `FunctionExecutor`, except that a failure is the
    function's own exception. It cannot keep a timeout. A run that is left ends
    after the batch that runs.
    """

    keeps_time = True
    runs_in_submit = True

    def __init__(self, function: Callable[..., Sequence[Any]]) -> None:
        self._function = checked_function(function, "InlineExecutor")
        self._call = adapt(function)

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return function_name(self._function)

    def submit(self, batch: Batch) -> None:
        """Run the batch here and now."""
        try:
            results = self._call(batch.payloads, batch.context)
            if type(results) is not list or len(results) != batch.size:
                results = checked_results(results, batch.size, self.name)
        except BaseException as error:  # noqa: BLE001 - a SystemExit is the batch's too, as in a worker
            batch.fail(error)
        else:
            batch.succeed(results)
