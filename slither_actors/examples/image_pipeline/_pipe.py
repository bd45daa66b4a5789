"""The pipe: pictures are weighed, shrunk in workers, and sorted by shape."""

from __future__ import annotations

from typing import Any, Final

import attrs

from slither_actors.dispatch import WeightedBatch
from slither_actors.examples.image_pipeline._picture import Picture
from slither_actors.examples.image_pipeline._thumbnail import Broken
from slither_actors.item import Item
from slither_actors.outcome import Skip
from slither_actors.pipe import Pipe, router, stage, workers
from slither_actors.policy import Route

__all__ = ["IN_FLIGHT", "MAX_PIXELS", "ImagePipe"]

MAX_PIXELS: Final = 2_000_000
"""Pixels of a batch, at most; a larger picture goes alone."""

IN_FLIGHT: Final = 4
"""Batches at one time."""


def _lost(item: Item, error: BaseException) -> Item:
    """Send the pictures of a batch whose worker died or hung where the broken ones go, with the reason."""
    broken = Broken(picture=item.payload, reason=str(error).partition("\n")[0])
    return attrs.evolve(item, payload=broken, route="broken")


class ImagePipe(Pipe):
    """Pictures in, thumbnails out."""

    outputs = ("wide", "tall", "default", "broken")

    @stage
    def check(item: Item) -> Any:  # noqa: N805 - a stage is a function of an item
        """Leave out what has no pixels."""
        picture: Picture = item.payload
        return picture if picture.pixels else Skip("no pixels")

    shrink = workers(
        "slither_actors.examples.image_pipeline._thumbnail:make_thumbnails",
        strategy=WeightedBatch(max_weight=MAX_PIXELS, weight=lambda item: item.payload.pixels),
        max_in_flight=IN_FLIGHT,
        timeout=60.0,
        on_error=Route(_lost),
    )

    shape = router(
        broken=lambda item: isinstance(item.payload, Broken),
        wide=lambda item: item.payload.width > item.payload.height,
        tall=lambda item: item.payload.width < item.payload.height,
    )
