"""A step that is another pipe."""

from __future__ import annotations

from typing import Any, ClassVar

from slither_actors.config import build
from slither_actors.errors import OptionError
from slither_actors.pipe._declaration import StageDeclaration, StageOptions

__all__ = ["NestablePipe", "PipeStage"]


class NestablePipe:
    """What may stand in a pipe as a stage: the base of `Pipe`."""

    definition: ClassVar[Any]


class PipeStage(StageDeclaration):
    """A step that is a pipe: its stages run as stages of the pipe that it stands in.

    What leaves it by ``"default"`` goes on to the next stage; its other outputs
    are routes.
    """

    kind = "pipe"

    def __init__(self, pipe: type[NestablePipe], **options: Any) -> None:
        if getattr(pipe, "definition", None) is None:
            raise OptionError("function", "is Pipe itself; allowed is a subclass of it")
        checked = build(StageOptions, options, where=f"stage {pipe.__name__}")
        self.pipe = pipe
        self.on_error = checked.on_error
        self.after = checked.after

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the pipe but the last, ``"default"``."""
        outputs: tuple[str, ...] = self.pipe.definition.outputs
        return outputs[:-1]

    @property
    def runs(self) -> Any:
        """The pipe."""
        return self.pipe

    def describe(self) -> str:
        """Say in a line what it does."""
        return f"the stages of {self.pipe.__name__}"

    @property
    def does(self) -> Any:
        """See `StageDeclaration.does`."""
        return self.pipe.definition
