"""Bounded, batched fan-out: never more batches than there is room for, the input read no further."""

from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._options import DispatchOptions
from slither_actors.dispatch._run import call_batch, run, stream
from slither_actors.dispatch._runner import DispatchRunner, DispatchStatistics, Halted
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

__all__ = [
    "AsyncExecutor",
    "Batch",
    "CommandExecutor",
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
    "KeyPartition",
    "PoolExecutor",
    "RunStream",
    "Strategy",
    "ThreadExecutor",
    "WeightedBatch",
    "call_batch",
    "run",
    "stream",
]
