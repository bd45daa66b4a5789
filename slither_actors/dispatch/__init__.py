"""Bounded, batched fan-out: never more batches than there is room for, the input read no further."""

from slither_actors.core import Insights, RunProgress, SlowBatch, WorkerInsights
from slither_actors.dispatch._async_run import arun, astream
from slither_actors.dispatch._async_stream import AsyncRunStream
from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._options import DispatchOptions, RunOptions
from slither_actors.dispatch._run import call_batch, run, stream
from slither_actors.dispatch._runner import DispatchRunner, DispatchStatistics, Halted
from slither_actors.dispatch._stream import RunStream
from slither_actors.dispatch.executor import Executor, FunctionExecutor, InlineExecutor
from slither_actors.dispatch.strategy import FixedBatch, KeyPartition, Strategy, WeightedBatch

__all__ = [
    "AsyncRunStream",
    "Batch",
    "DispatchOptions",
    "DispatchRunner",
    "DispatchStatistics",
    "Executor",
    "FixedBatch",
    "FunctionExecutor",
    "Halted",
    "InlineExecutor",
    "Insights",
    "KeyPartition",
    "RunOptions",
    "RunProgress",
    "RunStream",
    "SlowBatch",
    "Strategy",
    "WeightedBatch",
    "WorkerInsights",
    "arun",
    "astream",
    "call_batch",
    "run",
    "stream",
]
