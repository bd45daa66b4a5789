"""Where batches run.

An executor takes a batch and answers it later; it decides nothing about order,
room or failures, which are the runner's. Write one by subclassing `Executor`::

    class OnThreads(Executor):
        def __init__(self, function, threads):
            self._function = function
            self._threads = ThreadPoolExecutor(threads)

        def submit(self, batch):
            batch.handle = self._threads.submit(self._run, batch)

        def _run(self, batch):
            try:
                batch.succeed(self._function(batch.payloads))
            except BaseException as error:
                batch.fail(error)

        def cancel(self, batch):
            return batch.handle.cancel()

What it answers is checked: another number of results, or an answer that is no
exception where one is due, fails the batch and not the run. Whether it keeps to
the protocol, `slither_actors.testing.ExecutorContract` finds out.
"""

from __future__ import annotations

from slither_actors.dispatch._async_executor import AsyncExecutor
from slither_actors.dispatch._batch_function import makes_coroutines
from slither_actors.dispatch._command_executor import CommandExecutor
from slither_actors.dispatch._executor import Executor, ExecutorStatistics
from slither_actors.dispatch._function_executor import FunctionExecutor
from slither_actors.dispatch._futures_executor import FuturesExecutor
from slither_actors.dispatch._inline_executor import InlineExecutor
from slither_actors.dispatch._pool_executor import PoolExecutor
from slither_actors.dispatch._thread_executor import ThreadExecutor
from slither_actors.errors import OptionError

__all__ = [
    "AsyncExecutor",
    "CommandExecutor",
    "Executor",
    "ExecutorStatistics",
    "FunctionExecutor",
    "FuturesExecutor",
    "InlineExecutor",
    "PoolExecutor",
    "ThreadExecutor",
    "executor_of",
]


def executor_of(value: object, pool: str) -> Executor:
    """Take what a user gave as ``executor``: one, a callable, or ``"module:function"``."""
    if isinstance(value, Executor):
        return value
    if isinstance(value, str) or (callable(value) and not isinstance(value, type)):
        try:
            return FunctionExecutor(value, pool=pool)
        except OptionError as error:
            if error.option != "function":
                raise OptionError(error.option, error.problem) from None
            if callable(value):
                problem = error.problem
                if makes_coroutines(value):
                    problem += ": give AsyncExecutor(function)"
                raise OptionError("executor", problem) from None
            # what is wrong is the same, but the option has another name here
    raise OptionError(
        "executor", f'is {value!r:.200}; allowed are an Executor, a callable and "module:function"'
    )
