"""A function in threads of the driver."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from slither_actors.config import integer, positive_int
from slither_actors.dispatch._batch import Batch, checked_results
from slither_actors.dispatch._batch_function import checked_function, function_name
from slither_actors.dispatch._crew import Crew
from slither_actors.dispatch._executor import Executor, ExecutorStatistics
from slither_actors.pool import adapt

__all__ = ["ThreadExecutor"]

_WHERE = "ThreadExecutor"


class ThreadExecutor(Executor):
    """Runs a function in threads of this process: for what waits, or computes without the GIL.

    The threads are the executor's: all runs that use it share them. They are
    started when there is work for them and end when no run needs them. A batch
    runs in a copy of the context variables of whoever made the run.

    A batch past its timeout, which counts from when it began, fails; its thread
    cannot be killed. It is left to itself and replaced, `max_abandoned` times at
    most as long as none of those returns; see `statistics`. The end of the
    program does not wait for such a thread.

    Args:
        function: gets the list of a batch's payloads, and the run's `Context` if it has a second
            parameter; returns one result per payload.
        threads: the most batches that run at one time.
        max_abandoned: how many stuck threads are replaced; `threads` by default.
    """

    keeps_time = True

    def __init__(
        self,
        function: Callable[..., Sequence[Any]],
        *,
        threads: int | None = None,
        max_abandoned: int | None = None,
    ) -> None:
        self._function = checked_function(function, _WHERE)
        if threads is None:
            threads = min(32, (os.cpu_count() or 1) + 4)
        positive_int.check("threads", threads, _WHERE)
        if max_abandoned is None:
            max_abandoned = threads
        integer(0).check("max_abandoned", max_abandoned, _WHERE)
        self._call = adapt(function)
        self._crew = Crew(self.name, self._run, threads, max_abandoned)

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return function_name(self._function)

    def open(self) -> None:
        """One run more."""
        self._crew.open()

    def close(self) -> None:
        """One run less; after the last one the threads end, each when its batch does."""
        self._crew.close()

    def submit(self, batch: Batch) -> None:
        """Have the batch run by the next thread that is free."""
        self._crew.submit(batch)

    def cancel(self, batch: Batch) -> bool:
        """Take the batch back if no thread has begun it."""
        return self._crew.cancel(batch)

    def statistics(self) -> ExecutorStatistics:
        """Return a snapshot."""
        return self._crew.statistics()

    def _run(self, batch: Batch) -> None:
        try:
            results = batch.variables.run(self._results, batch)
        except BaseException as error:  # noqa: BLE001 - a SystemExit is the batch's too, as in a worker
            batch.fail(error)
        else:
            batch.succeed(results)

    def _results(self, batch: Batch) -> list[Any]:
        # Also taking the results is the user's code, where they are a generator.
        return checked_results(self._call(batch.payloads, batch.context), batch.size, self.name)
