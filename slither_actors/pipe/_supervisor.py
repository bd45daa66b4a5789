"""`PipeSupervisor`: a subtree for each run."""

from __future__ import annotations

from slither_actors.actors import DynamicSupervisor

__all__ = ["PipeSupervisor"]


class PipeSupervisor(DynamicSupervisor):
    """Holds a `RunSupervisor` per run, of pipes and of bare dispatch alike."""
