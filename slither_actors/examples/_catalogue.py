"""Which examples there are, and what each is told."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

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
    """Files and folders in place of the example's own input."""

    synthetic: bool = False
    """Slither's made-up input in place of the example's own."""

    workers: int | None = None
    """Worker processes; one per processor where it is None."""

    limit: int | None = None
    """Items of the input at most."""

    def pool(self) -> dict[str, Any]:
        """Return the options of the example's pool."""
        return {} if self.workers is None else {"workers": self.workers}


class Report(Protocol):
    """What an example has found."""

    @property
    def holds(self) -> bool:
        """Whether all that it set out to prove is so."""

    def __str__(self) -> str:
        """The report, for people."""


@attrs.frozen(kw_only=True)
class Example:
    """One example. Its modules are imported when it runs."""

    name: str
    summary: str
    package: str
    """Has the example in ``_run`` and the same in plain Python in ``_baseline``."""

    standard_library: bool = True
    """Whether Slither's version needs nothing else. The others are left out of ``--all``."""

    def run(self, options: ExampleOptions, advance: Advance) -> Report:
        """Run it. Starts an application of its own, and stops it."""
        run: Callable[[ExampleOptions, Advance], Report] = self._module("_run").run
        return run(options, advance)

    def baseline(self, options: ExampleOptions) -> Report:
        """Do the same work in plain Python, with threads, in two ways."""
        baseline: Callable[[ExampleOptions], Report] = self._module("_baseline").baseline
        return baseline(options)

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{name}")


EXAMPLES: Final[Mapping[str, Example]] = {
    example.name: example
    for example in (
        Example(
            name="text_analysis",
            summary="count words and judge the tone of the standard library's docstrings and comments,"
            " with an index in each worker",
            package="slither_actors.examples.text_analysis",
        ),
        Example(
            name="batch_stats",
            summary="describe datasets of very different sizes, some of them poison, in four kinds of"
            " batches",
            package="slither_actors.examples.batch_stats",
        ),
        Example(
            name="data_etl",
            summary="validate the rows of CSV files while the schema is swapped under the workers",
            package="slither_actors.examples.data_etl",
        ),
        Example(
            name="ml_scoring",
            summary="train a model in each of two sessions at the same time, and keep the models apart",
            package="slither_actors.examples.ml_scoring",
            standard_library=False,
        ),
        Example(
            name="image_pipeline",
            summary="make thumbnails of pictures, small and huge, so many pixels at a time",
            package="slither_actors.examples.image_pipeline",
            standard_library=False,
        ),
    )
}
"""Name to example."""
