"""Pipes: declared stages over worker processes, run under one supervisor."""

from slither_actors.core import RateLimit
from slither_actors.pipe._ack_source import Ack, AckSource, Delivery
from slither_actors.pipe._async_output_reading import AsyncOutputStream
from slither_actors.pipe._class_stage import ClassStage
from slither_actors.pipe._declaration import StageDeclaration
from slither_actors.pipe._declare import router, stage, workers
from slither_actors.pipe._definition import PipeDefinition, StageDefinition
from slither_actors.pipe._function_stage import FunctionStage
from slither_actors.pipe._graph import Destination
from slither_actors.pipe._handle import RunHandle
from slither_actors.pipe._output_reading import OutputStream
from slither_actors.pipe._outputs import PipeOutputs
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._pipe_stage import NestablePipe, PipeStage
from slither_actors.pipe._record import PipeRecord, StageRecord
from slither_actors.pipe._router_stage import RouterStage
from slither_actors.pipe._run import arun_pipe, astream_pipe, run_pipe, stream_pipe
from slither_actors.pipe._session import STORES
from slither_actors.pipe._stage import PER_ITEM, Stage
from slither_actors.pipe._stage_runner import StageRunner
from slither_actors.pipe._start import PipeStatus, RunningPipe, start_pipe
from slither_actors.pipe._stream import AsyncPipeStream, PipeStream
from slither_actors.pipe._supervisor import PipeSupervisor
from slither_actors.pipe._tally import StageStatistics
from slither_actors.pipe._worker_runner import WorkerRunner
from slither_actors.pipe._worker_stage import WorkerStage

__all__ = [
    "PER_ITEM",
    "Ack",
    "AckSource",
    "AsyncOutputStream",
    "AsyncPipeStream",
    "ClassStage",
    "STORES",
    "Delivery",
    "Destination",
    "FunctionStage",
    "NestablePipe",
    "OutputStream",
    "Pipe",
    "PipeDefinition",
    "PipeOutputs",
    "PipeRecord",
    "PipeStage",
    "PipeStatus",
    "PipeStream",
    "PipeSupervisor",
    "RateLimit",
    "RouterStage",
    "RunHandle",
    "RunningPipe",
    "Stage",
    "StageDeclaration",
    "StageDefinition",
    "StageRecord",
    "StageRunner",
    "StageStatistics",
    "WorkerRunner",
    "WorkerStage",
    "arun_pipe",
    "astream_pipe",
    "router",
    "run_pipe",
    "stage",
    "start_pipe",
    "stream_pipe",
    "workers",
]
