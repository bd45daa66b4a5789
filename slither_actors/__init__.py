"""Supervised, demand-driven pipelines: actors coordinate, worker processes compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors._lazy_names import lazy_names

if TYPE_CHECKING:
    from slither_actors import dispatch, errors, telemetry
    from slither_actors.actors import Actor, DynamicSupervisor, Server, Supervisor, TaskSupervisor
    from slither_actors.application import Application
    from slither_actors.context import Context
    from slither_actors.dispatch import FunctionExecutor, InlineExecutor
    from slither_actors.errors import DispatchError, PipeError, SlitherError
    from slither_actors.item import Item
    from slither_actors.outcome import Fail, Many, Ok, RouteTo, Skip
    from slither_actors.pipe import (
        Pipe,
        Stage,
        arun_pipe,
        astream_pipe,
        router,
        run_pipe,
        stage,
        start_pipe,
        stream_pipe,
        workers,
    )
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
    "arun_pipe",
    "astream_pipe",
    "dispatch",
    "errors",
    "router",
    "run_pipe",
    "stage",
    "start_pipe",
    "stream_pipe",
    "telemetry",
    "view",
    "workers",
]

# Imported on first use: a worker process imports this package on its way to `pool`, and needs
# neither the actors nor the pipes.
if not TYPE_CHECKING:  # else a type checker would take any name to be there
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "actors": ("Actor", "DynamicSupervisor", "Server", "Supervisor", "TaskSupervisor"),
            "application": ("Application",),
            "context": ("Context",),
            "dispatch": ("FunctionExecutor", "InlineExecutor"),
            "errors": ("DispatchError", "PipeError", "SlitherError"),
            "item": ("Item",),
            "outcome": ("Fail", "Many", "Ok", "RouteTo", "Skip"),
            "pipe": (
                "Pipe",
                "Stage",
                "arun_pipe",
                "astream_pipe",
                "router",
                "run_pipe",
                "stage",
                "start_pipe",
                "stream_pipe",
                "workers",
            ),
            "policy": ("Retry", "Route"),
            "stages": ("Consumer", "Producer", "ProducerConsumer"),
            "store": ("Store", "Table", "view"),
        },
        modules=("dispatch", "errors", "telemetry"),
    )
