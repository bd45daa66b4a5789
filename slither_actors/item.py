"""The envelope that carries a user's payload through pipes and dispatch runs.

An item keeps its `id` for life: it is what order, errors and outcomes are
attributed to. Items are values, changed by making new ones. The class is not
frozen all the same, because a frozen attrs class costs three times as much to
make and an item is made per element and stage.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, final

import attrs

__all__ = ["DEFAULT_ROUTE", "NO_META", "Item", "take_ids"]

DEFAULT_ROUTE = "default"


class _NoMeta(dict[str, Any]):
    """The type of `NO_META`: an entry would be one of all items that have none."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        msg = "items share their meta, which cannot be changed; write item = item.put_meta({...})"
        raise TypeError(msg)

    __setitem__ = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> str:
        return "NO_META"


NO_META: Mapping[str, Any] = _NoMeta()
"""The metadata of an item that has none."""

_taking = threading.Lock()
_following = 1


def take_ids(count: int) -> range:
    """Return as many fresh ids, increasing: for items that are made later than their payloads came."""
    global _following  # noqa: PLW0603
    with _taking:
        first = _following
        _following = end = first + count
    return range(first, end)


def _next_id() -> int:
    return take_ids(1)[0]


def _after_fork_in_child() -> None:
    global _taking  # noqa: PLW0603 - a thread that is not here may have held it
    _taking = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@final
@attrs.define
class Item:
    """One payload on its way. Treat as immutable.

    Source: ``Slither.Item``.
    """

    id: int
    """Positive, unique and increasing in this process."""

    payload: Any
    """The user's value."""

    meta: Mapping[str, Any] = NO_META
    """Stage-local metadata; shared between items, so make a new item with `put_meta`."""

    route: str = DEFAULT_ROUTE
    """The output that the item leaves by."""

    def __init_subclass__(cls, **_: Any) -> NoReturn:
        msg = f"{cls.__name__} is a subclass of Item, which has none; what goes with a payload goes into meta"
        raise TypeError(msg)

    @classmethod
    def wrap(cls, payload: Any) -> Item:
        """Wrap one payload under a fresh id. An item is returned as it is."""
        return payload if isinstance(payload, cls) else cls(_next_id(), payload)

    @classmethod
    def wrap_many(cls, payloads: Iterable[Any]) -> list[Item]:
        """Wrap payloads under increasing ids. Items among them stay as they are."""
        found = payloads if isinstance(payloads, (list, tuple)) else list(payloads)
        for kind in set(map(type, found)):
            if issubclass(kind, Item):
                return [p if isinstance(p, Item) else Item(_next_id(), p) for p in found]
        return list(map(Item, take_ids(len(found)), found))

    def update_payload(self, payload: Any) -> Item:
        """Return the item with another payload and the same id, meta and route."""
        return Item(self.id, payload, self.meta, self.route)

    def put_meta(self, meta: Mapping[str, Any]) -> Item:
        """Return the item with `meta` merged into its metadata."""
        return Item(self.id, self.payload, {**self.meta, **meta}, self.route)

    def put_route(self, route: str) -> Item:
        """Return the item bound for the output `route`."""
        return Item(self.id, self.payload, self.meta, route)

    def spawn(self, payload: Any) -> Item:
        """Return a new item (its own id) that inherits meta and route: one of 1 to many."""
        return Item(_next_id(), payload, self.meta, self.route)
