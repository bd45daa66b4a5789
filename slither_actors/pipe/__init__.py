"""Pipes: declared stages over worker processes, run under one supervisor."""

from slither_actors.core import RateLimit
from slither_actors.pipe._ack_source import Ack, AckSource, Delivery
from slither_actors.pipe._definition import PipeDefinition, StageDefinition
from slither_actors.pipe._graph import Destination
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._run import PipeOutputs, PipeStream, run_pipe, stream_pipe
from slither_actors.pipe._session import STORES
from slither_actors.pipe._stage_runner import StageRunner
from slither_actors.pipe._supervisor import PipeSupervisor
from slither_actors.pipe._tally import StageStatistics
from slither_actors.pipe._worker_runner import WorkerRunner
from slither_actors.pipe.stage import (
    PER_ITEM,
    ClassStage,
    FunctionStage,
    NestablePipe,
    PipeStage,
    RouterStage,
    Stage,
    StageDeclaration,
    WorkerStage,
    router,
    stage,
    workers,
)

__all__ = [
    "PER_ITEM",
    "Ack",
    "AckSource",
    "ClassStage",
    "STORES",
    "Delivery",
    "Destination",
    "FunctionStage",
    "NestablePipe",
    "Pipe",
    "PipeDefinition",
    "PipeOutputs",
    "PipeStage",
    "PipeStream",
    "PipeSupervisor",
    "RateLimit",
    "RouterStage",
    "Stage",
    "StageDeclaration",
    "StageDefinition",
    "StageRunner",
    "StageStatistics",
    "WorkerRunner",
    "WorkerStage",
    "router",
    "run_pipe",
    "stage",
    "stream_pipe",
    "workers",
]
