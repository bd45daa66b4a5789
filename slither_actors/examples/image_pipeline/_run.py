"""The run: pictures through the pipe, and what has to be so of the thumbnails and of their batches."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

import attrs

from slither_actors.application import Application
from slither_actors.examples._catalogue import Advance, ExampleOptions
from slither_actors.examples._proof import Claim, Findings
from slither_actors.examples.image_pipeline._input import Album, album_of
from slither_actors.examples.image_pipeline._pipe import IN_FLIGHT, MAX_PIXELS, ImagePipe
from slither_actors.examples.image_pipeline._thumbnail import LONGEST, Broken, Thumbnail, shrink
from slither_actors.item import Item
from slither_actors.pipe import stream_pipe

__all__ = ["Book", "run"]

_COMPARED: Final = 5
_SHOWN: Final = 5


@attrs.define
class Book:
    """What came of the pictures."""

    thumbnails: list[Thumbnail] = attrs.field(factory=list)
    seen: set[int] = attrs.field(factory=set)
    """Ids of the items that came out: two of one would be one too many."""

    outputs: Counter[str] = attrs.field(factory=Counter)
    broken: list[str] = attrs.field(factory=list)
    """Pictures without a thumbnail, each with the reason."""

    skipped: int = 0
    peak: int = 0
    """Batches that were in flight at one time, at most."""

    seconds: float = 0.0

    def enter(self, item: Item) -> None:
        """Enter a picture that came out."""
        self.outputs[item.route] += 1
        self.seen.add(item.id)
        if isinstance(item.payload, Broken):
            self.broken.append(f"{item.payload.picture.name}: {item.payload.reason}")
        else:
            self.thumbnails.append(item.payload)


def run(options: ExampleOptions, advance: Advance) -> Findings:
    """Make the thumbnails.

    Raises:
        InputError: the input is missing, or Pillow or scikit-learn is.
    """
    album = album_of(options)
    book = Book()
    with Application(pools={"default": options.pool()}):
        began = time.monotonic()
        with stream_pipe(ImagePipe, album.pictures) as stream:
            for item in stream:
                book.enter(item)
                advance()
        book.seconds = time.monotonic() - began
        book.skipped = stream.finished["check"].skipped
        book.peak = stream.finished["shrink"].window.peak
    return Findings(lines=_lines(album, book), claims=_claims(album, book))


def _claims(album: Album, book: Book) -> list[Claim]:
    sent, made, broken = len(album.pictures), len(book.thumbnails), len(book.broken)
    too_long = sum(max(found.width, found.height) > LONGEST for found in book.thumbnails)
    heavy = [found for found in book.thumbnails if found.batch_pixels > MAX_PIXELS]
    together = sum(found.batch_pictures > 1 for found in heavy)
    differing = sum(
        (found.width, found.height, found.pixels) != shrink(found.picture)
        for found in sorted(book.thumbnails, key=lambda found: found.picture.pixels)[:_COMPARED]
    )
    return [
        Claim(
            f"{sent:,} pictures = {made:,} thumbnails + {broken:,} broken + {book.skipped:,} without pixels",
            sent == made + broken + book.skipped == len(book.seen) + book.skipped,
        ),
        Claim(f"{too_long:,} thumbnails have a side of more than {LONGEST} pixels", too_long == 0),
        Claim(
            f"{together:,} pictures shared a batch of more than {MAX_PIXELS:,} pixels;"
            f" {len(heavy) - together:,} are larger by themselves and went alone",
            together == 0 and all(found.picture.pixels > MAX_PIXELS for found in heavy),
        ),
        Claim(f"{book.peak} batches in flight at most, allowed are {IN_FLIGHT}", book.peak <= IN_FLIGHT),
        Claim(
            f"{differing} of the {min(made, _COMPARED)} smallest differ from what this process makes of them",
            differing == 0,
        ),
    ]


def _lines(album: Album, book: Book) -> list[str]:
    pixels = sum(found.picture.pixels for found in book.thumbnails)
    rate = pixels / max(book.seconds, 1e-9)
    lines = [f"image_pipeline: {album.description}"]
    if album.passed_over:
        lines.append(f"{len(album.passed_over):,} files passed over")
        lines += [f"  {text}" for text in album.passed_over[:_SHOWN]]
    lines += ["", f"{'output':<24}{'pictures':>12}"]
    lines += [f"{name:<24}{book.outputs[name]:>12,}" for name in ImagePipe.definition.outputs]
    lines += [f"  {text}" for text in book.broken[:_SHOWN]]
    lines.append(f"{pixels / 1e6:,.1f} megapixels in {book.seconds:.2f} s: {rate / 1e6:,.1f} megapixels/s")
    lines += ["", f"{'worker process':<24}{'pictures':>12}{'megapixels':>12}{'peak memory':>14}"]
    for pid in sorted({found.worker for found in book.thumbnails}):
        own = [found for found in book.thumbnails if found.worker == pid]
        megapixels = sum(found.picture.pixels for found in own) / 1e6
        memory = max(found.worker_memory for found in own) / 2**20
        lines.append(f"{pid:<24}{len(own):>12,}{megapixels:>12,.1f}{memory:>10,.0f} MiB")
    return lines
