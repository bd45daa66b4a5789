"""Runs of dispatch."""

from __future__ import annotations

from typing import Any

from slither_actors.errors._base import SlitherError
from slither_actors.errors._text import safe_text

__all__ = [
    "DispatchError",
    "StrategyError",
]


class StrategyError(SlitherError):
    """A strategy that is not the library's lost, doubled or made up items, or returned what it must not."""

    def __init__(self, strategy: str, problem: str) -> None:
        self.strategy = strategy
        """Name of its class."""
        self.problem = problem
        super().__init__(f"strategy {strategy}: its batcher's {problem}")


class DispatchError(SlitherError):
    """A dispatch run ended early under ``on_error="halt"``."""

    def __init__(self, reason: BaseException, partial_results: list[Any], *, batch: str = "") -> None:
        self.reason = reason
        self.partial_results = partial_results
        """The items that had been completed, in the order of the run."""
        self.batch = batch
        where = f"{batch}: " if batch else ""
        super().__init__(f"dispatch halted: {where}{type(reason).__name__}: {safe_text(reason)}")
