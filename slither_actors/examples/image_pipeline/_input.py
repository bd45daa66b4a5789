"""The pictures: scikit-learn's two photographs and parts of them, files of the user's, or made-up ones."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from slither_actors.errors import InputError
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._files import files_below
from slither_actors.examples._packages import require, sklearn_folder
from slither_actors.examples.image_pipeline._picture import Picture

__all__ = ["Album", "album_of"]

_SEED: Final = 42
_GRIDS: Final = range(1, 9)
"""Parts to a side that a photograph is cut into: whole at first, 64 parts in the end."""


@attrs.frozen(kw_only=True)
class Album:
    """Pictures, and what was met on the way to them."""

    description: str
    pictures: Sequence[Picture]
    passed_over: Sequence[str] = ()
    """Files that are no pictures, each with the reason."""


def album_of(options: ExampleOptions) -> Album:
    """Return the pictures that the command line asks for.

    Raises:
        InputError: a path is missing, or there is no picture; Pillow or scikit-learn is not installed.
    """
    if options.synthetic:
        pictures = _made_up()[: options.limit]
        return Album(description=f"{len(pictures):,} made-up pictures", pictures=pictures)
    require("image_pipeline", "PIL", "Pillow")
    passed_over: list[str] = []
    if options.paths:
        found = list(_measured(list(files_below(options.paths, passed_over)), passed_over))
        named = ", ".join(map(str, options.paths))
    else:
        photographs = sorted(sklearn_folder("image_pipeline", "images").glob("*.jpg"))
        found = [part for whole in _measured(photographs, passed_over) for part in _parts(whole)]
        named = "scikit-learn's photographs, whole and in 4, 9, 16 … 64 parts"
    if not found:
        raise InputError(named, "has no picture that Pillow can read")
    pictures = found[: options.limit]
    return Album(
        description=f"{len(pictures):,} pictures of {named}", pictures=pictures, passed_over=passed_over
    )


def _measured(files: Iterable[Path], passed_over: list[str]) -> Iterator[Picture]:
    """Yield the files that are pictures. Only their beginning is read: the size, not the pixels."""
    from PIL import Image  # noqa: PLC0415 - optional

    for file in files:
        try:
            with Image.open(file) as image:
                width, height = image.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            passed_over.append(f"{file}: {error}")
        else:
            yield Picture(name=file.name, width=width, height=height, path=file)


def _parts(whole: Picture) -> Iterator[Picture]:
    for grid in _GRIDS:
        width, height = whole.width // grid, whole.height // grid
        for at in range(grid * grid):
            left, upper = at % grid * width, at // grid * height
            yield attrs.evolve(
                whole,
                name=f"{whole.name} {grid}x{grid} part {at + 1}",
                width=width,
                height=height,
                box=(left, upper, left + width, upper + height),
            )


def _made_up() -> list[Picture]:
    """200 pictures in an order of chance, the same on every machine: a third of a gigapixel."""
    chance = random.Random(_SEED)
    sizes = [(chance.randint(100, 400), chance.randint(100, 400)) for _ in range(50)]
    sizes += [(chance.randint(500, 1280), chance.randint(500, 1280)) for _ in range(80)]
    sizes += [(1920, 1080)] * 50 + [(3840, 2160)] * 20
    chance.shuffle(sizes)
    return [
        Picture(name=f"made up {number}", width=width, height=height)
        for number, (width, height) in enumerate(sizes, 1)
    ]
