"""A picture to be read, or to be made up, by whoever needs its pixels: only its name and size travel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

__all__ = ["Picture", "made_up", "opened"]


@attrs.frozen(kw_only=True)
class Picture:
    """One picture."""

    name: str
    width: int
    height: int
    path: Path | None = None
    """Its file; None for one that is made up."""

    box: Sequence[int] | None = None
    """Left, upper, right and lower edge of the part of the file that is meant, or all of it."""

    @property
    def pixels(self) -> int:
        """Pixels."""
        return self.width * self.height


def opened(picture: Picture) -> Any:
    """Read the pixels of a file; return a Pillow image."""
    from PIL import Image  # noqa: PLC0415 - optional

    with Image.open(picture.path) as image:
        whole = image.convert("RGB")
    return whole.crop(tuple(picture.box)) if picture.box is not None else whole


def made_up(picture: Picture) -> bytes:
    """Return the pixels of a picture that nobody has taken, three bytes each, row by row."""
    width, size = picture.width, 3 * picture.width
    shade = len(picture.name) * 40 % 256
    row = bytes(value for x in range(width) for value in (x * 255 // width, 255 - x * 255 // width, shade))
    twice = row + row
    return b"".join(twice[3 * (y % width) : 3 * (y % width) + size] for y in range(picture.height))
