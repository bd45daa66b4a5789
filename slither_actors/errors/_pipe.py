"""Pipes, their items and input files."""

from __future__ import annotations

from typing import Any

from slither_actors.errors._base import SlitherError
from slither_actors.errors._text import safe_text

__all__ = [
    "InputError",
    "ItemError",
    "PipeDefinitionError",
    "PipeError",
]


class PipeDefinitionError(SlitherError):
    """A pipe's class body is wrong; the message names the pipe and the stage."""

    def __init__(self, pipe: str, problem: str, *, stage: str = "") -> None:
        self.pipe = pipe
        self.stage = stage
        where = f"{pipe}.{stage}" if stage else pipe
        super().__init__(f"pipe {where}: {problem}")


class ItemError(SlitherError):
    """A stage's handler said that one item failed; `reason` is what it gave."""

    def __init__(self, item: str, problem: str, reason: object = None) -> None:
        self.item = item
        self.reason = reason
        super().__init__(f"{item} {problem}")


class PipeError(SlitherError):
    """A run of a pipe ended early.

    `partial_results` maps every output to the items that had reached it.
    """

    def __init__(
        self,
        reason: BaseException,
        partial_results: dict[str, list[Any]],
        *,
        pipe: str = "",
        stage: str = "",
    ) -> None:
        self.reason = reason
        self.partial_results = partial_results
        self.pipe = pipe
        self.stage = stage
        where = f"{pipe}.{stage}" if stage else pipe
        super().__init__(f"pipe {where} halted: {type(reason).__name__}: {safe_text(reason)}")


class InputError(SlitherError):
    """An input file is missing, unreadable or has a broken line.

    `line` counts from one; None where the whole file is meant.
    """

    def __init__(self, path: str, problem: str, *, line: int | None = None) -> None:
        self.path = path
        self.line = line
        where = f"{path}, line {line:,}" if line is not None else path
        super().__init__(f"{where}: {problem}")
