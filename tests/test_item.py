"""The envelope."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from slither_actors.item import DEFAULT_ROUTE, Item


def test_wrapped_payloads_get_rising_ids() -> None:
    """Order, errors and outcomes are attributed to them."""
    first, *others = Item.wrap_many(["a", "b", "c"])
    assert 0 < first.id < others[0].id < others[1].id
    assert (first.payload, dict(first.meta), first.route) == ("a", {}, DEFAULT_ROUTE)


def test_an_item_is_not_wrapped_again() -> None:
    """Neither alone nor among payloads."""
    item = Item.wrap("a")
    assert Item.wrap(item) is item
    assert Item.wrap_many([item, "b"])[0] is item


def test_an_updated_item_keeps_id_meta_and_route() -> None:
    """It is the same unit of work with another value; the old one is as it was."""
    item = Item(7, "a", {"k": 1}, "out")
    assert item.update_payload("b") == Item(7, "b", {"k": 1}, "out")
    assert item.payload == "a"


def test_meta_is_merged_into_a_new_item() -> None:
    """Items share their meta, so it is never changed in place."""
    item = Item(7, "a", {"k": 1, "l": 1})
    assert item.put_meta({"k": 2}).meta == {"k": 2, "l": 1}
    assert item.meta == {"k": 1, "l": 1}
    assert Item.wrap("x").put_meta({"k": 1}).meta == {"k": 1}
    assert not Item.wrap("y").meta


def test_the_meta_of_an_item_without_any_cannot_be_written() -> None:
    """It is that of all such items; the error says what to do instead."""
    item = Item.wrap("x")
    meta: Any = item.meta
    for write in (
        lambda: meta.update(k=1),
        lambda: meta.setdefault("k", 1),
        lambda: meta.__setitem__("k", 1),
        lambda: meta.__ior__({"k": 1}),
    ):
        with pytest.raises(TypeError, match="put_meta"):
            write()
    assert (dict(Item.wrap("y").meta), json.dumps(item.meta), meta | {"k": 1}) == ({}, "{}", {"k": 1})
    assert pickle.loads(pickle.dumps(item)).meta is item.meta
    assert copy.deepcopy(item) == item


def test_a_routed_item_keeps_the_rest() -> None:
    """Only the output changes."""
    assert Item(7, "a", {"k": 1}).put_route("spam") == Item(7, "a", {"k": 1}, "spam")


def test_one_of_many_has_its_own_id() -> None:
    """It inherits where its parent was bound for."""
    parent = Item(7, "a", {"k": 1}, "out")
    child = parent.spawn("b")
    assert child.id != parent.id
    assert (child.payload, child.meta, child.route) == ("b", {"k": 1}, "out")


def test_an_item_survives_pickling() -> None:
    """Items may be payloads of a message to another process."""
    item = Item(7, {"deep": [1]}, {"k": 1}, "out")
    assert pickle.loads(pickle.dumps(item)) == item
