"""Which examples there are, and what each is told."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import attrs

__all__ = ["EXAMPLES", "Advance", "Example", "ExampleOptions", "Report"]


class Advance(Protocol):
    """Is told how many items are done."""

    def __call__(self, count: int = 1, /) -> object:
        """`count` more are done."""


@attrs.frozen(kw_only=True)
class ExampleOptions:
    """What the command line says to an example."""

    paths: tuple[Path, ...] = ()
    """Text files and folders in place of the example's own input."""

    synthetic: bool = False
    """Slither's made-up input in place of the example's own."""

    workers: int | None = None
    """Worker processes; one per processor where it is None."""


class Report(Protocol):
    """What an example has found."""

    @property
    def holds(self) -> bool:
        """Whether all that it set out to prove is so."""

    def __str__(self) -> str:
        """The report, for people."""


@attrs.frozen(kw_only=True)
class Example:
    """One example. Its module is imported when it runs."""

    name: str
    summary: str
    module: str

    def run(self, options: ExampleOptions, advance: Advance) -> Report:
        """Run it. Starts an application of its own, and stops it."""
        run: Callable[[ExampleOptions, Advance], Report] = importlib.import_module(self.module).run
        return run(options, advance)


EXAMPLES: Final[Mapping[str, Example]] = {
    example.name: example
    for example in (
        Example(
            name="text_analysis",
            summary="count words and judge the tone of the standard library's docstrings and comments,"
            " with an index in each worker",
            module="slither_actors.examples.text_analysis._run",
        ),
    )
}
"""Name to example."""
