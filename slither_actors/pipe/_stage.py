"""A step with state of its own, written as a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slither_actors.context import Context
from slither_actors.item import Item

__all__ = ["PER_ITEM", "Stage"]


class _PerItem:
    """The type of `PER_ITEM`."""

    def __repr__(self) -> str:
        return "PER_ITEM"


PER_ITEM = _PerItem()
"""Returned by ``handle_batch``: have the items handled one by one, each under the error policy."""


class Stage:
    """A step with state: subclass it, and put it into a pipe with ``stage(TheClass, **options)``.

    One instance serves one run, in one actor: methods run one at a time.
    Source: ``Slither.Stage``.
    """

    def init(self) -> None:
        """Set up, before the first item. Gets the keywords of the declaration; a raise fails the run."""

    def handle_item(self, item: Item, ctx: Context) -> Any:
        """Return the new payload, or `Ok`, `Skip`, `Fail`, `RouteTo`, `Many`. A raise is a failure."""
        msg = f"{type(self).__name__} has no handle_item"
        raise NotImplementedError(msg)

    def handle_batch(self, items: Sequence[Item], ctx: Context) -> Any:
        """Handle the items that arrived together: return one result per item, or `PER_ITEM`.

        A mapping of output to items routes them, at once; a list of `Item` is
        taken as it is, however many there are, so an empty one drops them all.
        A raise fails all items of the batch, and so does a `Fail`.
        """
        return PER_ITEM

    def shutdown(self) -> None:
        """Clean up after the last item, however the run ended."""
