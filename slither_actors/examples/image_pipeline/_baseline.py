"""The pictures in plain Python: a thread for each at once, or as many as a budget of pixels allows."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs

from slither_actors.examples._baseline import Baseline, in_threads, timed
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._proof import Claim
from slither_actors.examples.image_pipeline._input import album_of
from slither_actors.examples.image_pipeline._picture import Picture
from slither_actors.examples.image_pipeline._pipe import IN_FLIGHT, MAX_PIXELS
from slither_actors.examples.image_pipeline._thumbnail import attempt

__all__ = ["baseline", "safe_python", "unsafe_threaded"]

_BUDGET: Final = IN_FLIGHT * MAX_PIXELS
_HARMLESS: Final = 60_000_000
"""Pixels that both variants get: without a bound all of them may be in memory at one time."""


class Gauge:
    """Measures how many pixels were begun and not ended; part of the check and of neither variant."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = self.peak = 0

    @contextmanager
    def holding(self, pixels: int) -> Iterator[None]:
        """Count `pixels` while the block runs."""
        with self._lock:
            self._held += pixels
            self.peak = max(self.peak, self._held)
        try:
            yield
        finally:
            with self._lock:
                self._held -= pixels


@attrs.define
class Done:
    """What was done."""

    thumbnails: int = 0
    pixels: int = 0
    gauge: Gauge = attrs.field(factory=Gauge)


class Budget:
    """Lets pictures through while they have no more than so many pixels together; a larger one goes alone."""

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._all = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, pixels: int) -> Iterator[None]:
        """Wait for room, and give it back."""
        wanted = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def unsafe_threaded(pictures: Sequence[Picture]) -> Done:
    """Start a thread for each picture, and count into the same object."""
    shared = Done()

    def work(picture: Picture) -> None:
        with shared.gauge.holding(picture.pixels):
            attempt(picture)
        shared.thumbnails += 1
        shared.pixels += picture.pixels

    in_threads(work, pictures)
    return shared


def safe_python(pictures: Sequence[Picture]) -> Done:
    """A thread for each picture, but only so many pixels at one time, and a lock before the counters."""
    shared = Done()
    lock = threading.Lock()
    budget = Budget(_BUDGET)

    def work(picture: Picture) -> None:
        with budget.taking(picture.pixels), shared.gauge.holding(picture.pixels):
            attempt(picture)
        with lock:
            shared.thumbnails += 1
            shared.pixels += picture.pixels

    in_threads(work, pictures)
    return shared


def baseline(options: ExampleOptions) -> Baseline:
    """Run both over the first pictures of the album."""
    album = album_of(options)
    sums = itertools.accumulate(picture.pixels for picture in album.pictures)
    pictures = [
        picture for picture, pixels in zip(album.pictures, sums, strict=True) if pixels <= _HARMLESS
    ] or list(album.pictures[:1])
    pixels = sum(picture.pixels for picture in pictures)
    bound = max(_BUDGET, *(picture.pixels for picture in pictures))

    def check(done: Done) -> list[Claim]:
        return [
            Claim(
                f"{done.thumbnails:,} of {len(pictures):,} pictures and {done.pixels:,} of {pixels:,} pixels"
                " counted",
                (done.thumbnails, done.pixels) == (len(pictures), pixels),
            ),
            Claim(
                f"{done.gauge.peak / 1e6:,.1f} megapixels begun and not ended at most, allowed are"
                f" {bound / 1e6:,.1f}",
                done.gauge.peak <= bound,
            ),
        ]

    return Baseline(
        name="image_pipeline",
        threads=len(pictures),
        compared=f"the first {len(pictures):,} pictures ({pixels / 1e6:,.1f} megapixels): all at once, or"
        " within a budget of pixels.",
        unsafe=timed(unsafe_threaded, pictures, check=check),
        safe=timed(safe_python, pictures, check=check, code=[Budget]),
    )
