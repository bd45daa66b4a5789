"""What runs in the worker processes."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from collections.abc import Sequence

import attrs

from slither_actors.examples.image_pipeline._picture import Picture, made_up, opened

__all__ = ["LONGEST", "Broken", "Thumbnail", "attempt", "make_thumbnails", "shrink"]

LONGEST = 128
"""Pixels of a thumbnail's longer side."""


@attrs.frozen(kw_only=True)
class Thumbnail:
    """What became of a picture."""

    picture: Picture
    width: int
    height: int
    pixels: bytes
    """Three bytes each."""

    worker: int
    """Pid of the process that made it."""

    worker_memory: int
    """Bytes: the most that the process has had in memory so far."""

    batch_pictures: int
    batch_pixels: int
    """What was in the batch."""

    @property
    def digest(self) -> str:
        """A fingerprint of the pixels."""
        return hashlib.sha256(self.pixels).hexdigest()


@attrs.frozen(kw_only=True)
class Broken:
    """A picture that cannot be read."""

    picture: Picture
    reason: str


def make_thumbnails(pictures: Sequence[Picture]) -> list[Thumbnail | Broken]:
    """Shrink a batch, one picture after the other. A broken one costs itself, and not the batch."""
    batch_pixels = sum(picture.pixels for picture in pictures)
    found: list[Thumbnail | Broken] = []
    for picture in pictures:
        shrunk = attempt(picture)
        if isinstance(shrunk, Broken):
            found.append(shrunk)
            continue
        width, height, pixels = shrunk
        found.append(
            Thumbnail(
                picture=picture,
                width=width,
                height=height,
                pixels=pixels,
                worker=os.getpid(),
                worker_memory=_peak_memory(),
                batch_pictures=len(pictures),
                batch_pixels=batch_pixels,
            )  # fmt: skip
        )
    return found


def attempt(picture: Picture) -> tuple[int, int, bytes] | Broken:
    """As `shrink`, with what Pillow raises of a file as a result: that is a great many things."""
    try:
        return shrink(picture)
    except Exception as error:  # noqa: BLE001 - told with the picture
        return Broken(picture=picture, reason=str(error).partition("\n")[0] or type(error).__name__)


def shrink(picture: Picture) -> tuple[int, int, bytes]:
    """Return width, height and pixels of the picture's thumbnail.

    Files need Pillow. What is made up does without: it takes every n-th pixel of every n-th row.
    """
    if picture.path is not None:
        image = opened(picture)
        image.thumbnail((LONGEST, LONGEST))
        return image.width, image.height, image.tobytes()
    pixels = made_up(picture)
    step = -(-max(picture.width, picture.height) // LONGEST)
    size = 3 * picture.width
    rows = []
    for start in range(0, len(pixels), size * step):
        row = pixels[start : start + size]
        few = bytearray(3 * -(-picture.width // step))
        for channel in range(3):
            few[channel::3] = row[channel :: 3 * step]
        rows.append(few)
    return len(rows[0]) // 3, len(rows), b"".join(rows)


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
