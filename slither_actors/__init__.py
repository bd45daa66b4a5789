"""Supervised, demand-driven pipelines: actors coordinate, worker processes compute."""

from slither_actors import dispatch, errors, telemetry
from slither_actors.actors import Actor, DynamicSupervisor, Server, Supervisor, TaskSupervisor
from slither_actors.application import Application
from slither_actors.context import Context
from slither_actors.dispatch import FunctionExecutor, InlineExecutor
from slither_actors.errors import DispatchError, PipeError, SlitherError
from slither_actors.item import Item
from slither_actors.outcome import Fail, Many, Ok, RouteTo, Skip
from slither_actors.pipe import Pipe, Stage, router, run_pipe, stage, stream_pipe, workers
from slither_actors.policy import Retry, Route
from slither_actors.stages import Consumer, Producer, ProducerConsumer
from slither_actors.store import Store, Table, view

__version__ = "0.1.0"

__all__ = [
    "Actor",
    "Application",
    "Consumer",
    "Context",
    "DispatchError",
    "DynamicSupervisor",
    "Fail",
    "FunctionExecutor",
    "InlineExecutor",
    "Item",
    "Many",
    "Ok",
    "Pipe",
    "PipeError",
    "Producer",
    "ProducerConsumer",
    "Retry",
    "Route",
    "RouteTo",
    "Server",
    "Skip",
    "SlitherError",
    "Stage",
    "Store",
    "Supervisor",
    "Table",
    "TaskSupervisor",
    "dispatch",
    "errors",
    "router",
    "run_pipe",
    "stage",
    "stream_pipe",
    "telemetry",
    "view",
    "workers",
]
