"""A function on an executor of `concurrent.futures`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import attrs

from slither_actors.config import shown
from slither_actors.dispatch._batch import Batch, checked_results
from slither_actors.dispatch._batch_function import checked_function, function_name
from slither_actors.dispatch._executor import Executor
from slither_actors.errors import ExecutorError, OptionError, safe_text
from slither_actors.pool import context_style

__all__ = ["FuturesExecutor"]


class FuturesExecutor(Executor):
    """Runs a function on a `concurrent.futures.Executor`, or what has the same ``submit``.

    The executor stays the user's: it is never shut down here. A timeout counts
    from when the batch was submitted, for a future does not say when it began;
    so give the run a ``max_in_flight`` that the executor can run at one time. A
    batch past its timeout is cancelled if it has not begun, and runs on if it has.

    Args:
        executor: where; a `ThreadPoolExecutor`, a `ProcessPoolExecutor`, dask's or loky's.
        function: gets the list of a batch's payloads, and the run's `Context` if it has a second
            parameter; returns one result per payload. For processes it has to be importable there.
    """

    def __init__(self, executor: futures.Executor, function: Callable[..., Sequence[Any]]) -> None:
        if not _is_executor(executor):
            problem = f"is {shown(executor)}; allowed is a concurrent.futures.Executor"
            raise OptionError("executor", problem, where="FuturesExecutor")
        self._executor = executor
        self._function = checked_function(function, "FuturesExecutor")
        self._context_style = context_style(function)
        self._crosses = _crosses(executor)

    @property
    def name(self) -> str:
        """How telemetry and errors call it."""
        return f"{function_name(self._function)} on {type(self._executor).__qualname__}"

    def submit(self, batch: Batch) -> None:
        """Submit the batch.

        Raises:
            ExecutorError: the executor does not take it: it is shut down, or broken.
        """
        submit, function, payloads = self._executor.submit, self._function, batch.payloads
        try:
            if self._context_style == "none":
                future = submit(function, payloads)
            elif self._context_style == "keyword":
                future = submit(function, payloads, ctx=self._context(batch))
            else:
                future = submit(function, payloads, self._context(batch))
        except Exception as error:
            problem = f"takes no batches: {type(error).__name__}: {safe_text(error)}"
            raise ExecutorError(self.name, problem) from error
        if not hasattr(future, "add_done_callback"):
            problem = f"returned {shown(future)} from submit; expected is a future"
            raise ExecutorError(self.name, problem)
        batch.handle = future
        future.add_done_callback(functools.partial(self._done, batch))

    def cancel(self, batch: Batch) -> bool:
        """Cancel the future."""
        future, batch.handle = batch.handle, None
        return future is None or bool(future.cancel())

    def _context(self, batch: Batch) -> Any:
        # As for workers, without what lives in the driver.
        return attrs.evolve(batch.context, stores={}, views=None) if self._crosses else batch.context

    def _done(self, batch: Batch, future: Any) -> None:
        """Answer; in whichever thread the executor tells us."""
        batch.handle = None  # which holds this callback, and so the batch
        try:
            if future.cancelled():
                batch.fail(ExecutorError(self.name, f"cancelled {batch.description}"))
                return
            error = future.exception()
            if isinstance(error, futures.BrokenExecutor):
                problem = f"broke: {type(error).__name__}: {safe_text(error)}"
                broken = ExecutorError(self.name, problem)
                broken.__cause__ = error
                batch.fail(broken)
            elif error is not None:
                batch.fail(error)
            else:
                batch.succeed(checked_results(future.result(), batch.size, self.name))
        except BaseException as error:  # noqa: BLE001 - the results, or the future, are the user's
            batch.fail(error)


def _crosses(executor: Any) -> bool:
    """Whether what is submitted may be pickled. Interpreters are threads by class, too."""
    interpreters = getattr(futures, "InterpreterPoolExecutor", ())
    return not isinstance(executor, futures.ThreadPoolExecutor) or isinstance(executor, interpreters)


def _is_executor(value: Any) -> bool:
    if isinstance(value, (type, Executor)):
        return False
    return isinstance(value, futures.Executor) or (
        callable(getattr(value, "submit", None)) and callable(getattr(value, "shutdown", None))
    )
