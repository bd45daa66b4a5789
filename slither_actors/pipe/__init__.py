"""Pipes: declared stages over worker processes, run under one supervisor."""

from slither_actors.pipe._supervisor import PipeSupervisor

__all__ = ["PipeSupervisor"]
