"""Pipes of one step."""

from __future__ import annotations

from typing import Any

from slither_actors import Pipe, run_pipe
from tests.slither.reading import in_outputs

__all__ = ["through"]


def through(step: Any, items: Any, **options: Any) -> dict[str, list[Any]]:
    """What comes out of a pipe of one step, by output; outputs without items are left out."""

    class Only(Pipe):
        outputs = ["special", "other"]
        only = step
        on_error = options.pop("on_error", "halt")

    return {name: found for name, found in in_outputs(run_pipe(Only, items, **options)).items() if found}
