"""Bounded, batched fan-out: never more batches than there is room for, the input read no further."""

from slither_actors.core import Insights, RunProgress, SlowBatch, WorkerInsights
from slither_actors.dispatch._async_run import arun, astream
from slither_actors.dispatch._async_stream import AsyncRunStream
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._dead_letters import DeadLetter
from slither_actors.dispatch._options import DispatchOptions, RunOptions
from slither_actors.dispatch._run import call_batch, run, stream
from slither_actors.dispatch._runner import DispatchRunner
from slither_actors.dispatch._session import end_session
from slither_actors.dispatch._statistics import DispatchStatistics, Halted
from slither_actors.dispatch._stream import RunStream
from slither_actors.dispatch.executor import (
    AsyncExecutor,
    CommandExecutor,
    Executor,
    ExecutorStatistics,
    FunctionExecutor,
    FuturesExecutor,
    InlineExecutor,
    PoolExecutor,
    ThreadExecutor,
)
from slither_actors.dispatch.strategy import FixedBatch, KeyPartition, Strategy, WeightedBatch
from slither_actors.policy import CircuitBreaker

__all__ = [
    "AsyncExecutor",
    "AsyncRunStream",
    "Batch",
    "CircuitBreaker",
    "CommandExecutor",
    "DeadLetter",
    "DispatchOptions",
    "DispatchRunner",
    "DispatchStatistics",
    "Executor",
    "ExecutorStatistics",
    "FixedBatch",
    "FunctionExecutor",
    "FuturesExecutor",
    "Halted",
    "InlineExecutor",
    "Insights",
    "KeyPartition",
    "PoolExecutor",
    "RunOptions",
    "RunProgress",
    "RunStream",
    "SlowBatch",
    "Strategy",
    "ThreadExecutor",
    "WeightedBatch",
    "WorkerInsights",
    "arun",
    "astream",
    "call_batch",
    "end_session",
    "run",
    "stream",
]
