"""Supervised, demand-driven pipelines: actors coordinate, worker processes compute."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors import dispatch, errors, telemetry
    from slither_actors.actors import Actor, DynamicSupervisor, Server, Supervisor, TaskSupervisor
    from slither_actors.application import Application
    from slither_actors.context import Context
    from slither_actors.dispatch import FunctionExecutor, InlineExecutor
    from slither_actors.errors import DispatchError, PipeError, SlitherError
    from slither_actors.item import Item
    from slither_actors.outcome import Fail, Many, Ok, RouteTo, Skip
    from slither_actors.pipe import Pipe, Stage, router, run_pipe, stage, stream_pipe, workers  # type: ignore[no-redef]
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

# Imported on first use: a worker process imports this package on its way to `pool`, and needs
# neither the actors nor the pipes.
_HOMES = {
    "Actor": "actors",
    "Application": "application",
    "Consumer": "stages",
    "Context": "context",
    "DispatchError": "errors",
    "DynamicSupervisor": "actors",
    "Fail": "outcome",
    "FunctionExecutor": "dispatch",
    "InlineExecutor": "dispatch",
    "Item": "item",
    "Many": "outcome",
    "Ok": "outcome",
    "Pipe": "pipe",
    "PipeError": "errors",
    "Producer": "stages",
    "ProducerConsumer": "stages",
    "Retry": "policy",
    "Route": "policy",
    "RouteTo": "outcome",
    "Server": "actors",
    "Skip": "outcome",
    "SlitherError": "errors",
    "Stage": "pipe",
    "Store": "store",
    "Supervisor": "actors",
    "Table": "store",
    "TaskSupervisor": "actors",
    "dispatch": "dispatch",
    "errors": "errors",
    "router": "pipe",
    "run_pipe": "pipe",
    "stage": "pipe",
    "stream_pipe": "pipe",
    "telemetry": "telemetry",
    "view": "store",
    "workers": "pipe",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module = importlib.import_module(f"{__name__}.{home}")
    value = module if home == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
