"""`Slither.Item` and `Slither.Context`: the envelope, and what a stage knows of its run."""

# ruff: noqa: N805 - a stage function in a class body is no method

from __future__ import annotations

from typing import Any

import pytest

from slither_actors import Context, Item, Pipe, Store, Table, run_pipe, stage
from tests.slither.reading import payloads

# -- Slither.Item ------------------------------------------------------------------------


def test_an_item_has_an_id_a_payload_metadata_and_a_route() -> None:
    """`Slither.Item`: four fields; metadata is empty and the route is the default one at first."""
    item = Item.wrap({"text": "words"})
    assert isinstance(item.id, int)
    assert item.payload == {"text": "words"}
    assert dict(item.meta) == {}
    assert item.route == "default"


def test_wrap_gives_ids_that_only_grow() -> None:
    """`Slither.Item.wrap/1`: the id is made, a whole number, and larger for each item."""
    ids = [Item.wrap("same").id for _ in range(5)]
    assert ids == sorted(set(ids))


def test_wrap_many_gives_ids_in_a_row() -> None:
    """`Slither.Item.wrap_many/1`: one item per payload, in order, with ids that follow each other."""
    items = Item.wrap_many(["a", "b", "c"])
    assert payloads(items) == ["a", "b", "c"]
    assert [item.id - items[0].id for item in items] == [0, 1, 2]


def test_update_payload_keeps_id_and_metadata() -> None:
    """`Slither.Item.update_payload/2`: the new item has another payload, and all else of the old one."""
    item = Item.wrap(1).put_meta({"trace": "t1"}).put_route("review")
    updated = item.update_payload(2)
    assert (updated.payload, updated.id, dict(updated.meta), updated.route) == (
        2,
        item.id,
        {"trace": "t1"},
        "review",
    )
    assert item.payload == 1


def test_put_meta_merges() -> None:
    """`Slither.Item.put_meta/2`: entries are added to those that are there, and the later ones win."""
    item = Item.wrap("x").put_meta({"a": 1, "b": 1}).put_meta({"b": 2})
    assert dict(item.meta) == {"a": 1, "b": 2}


def test_metadata_belongs_to_one_item() -> None:
    """`Slither.Item`, values as all in Elixir: what one item is given, no other item has."""
    first, second = Item.wrap("a"), Item.wrap("b")
    first = first.put_meta({"trace": 1})
    with pytest.raises(TypeError, match="put_meta"):
        second.meta["trace"] = 2  # type: ignore[index]
    assert [dict(item.meta) for item in (first, second, Item.wrap("c"))] == [{"trace": 1}, {}, {}]


# -- Slither.Context ---------------------------------------------------------------------


class Prices(Store):
    """A store that a pipe names."""

    prices: Table[str, int] = Table()


class Telling(Pipe):
    """Its stages return their context."""

    stores = [Prices]

    @stage
    def first(item: Item, ctx: Context) -> list[Context]:
        return [*item.payload, ctx]

    @stage
    def second(item: Item, ctx: Context) -> list[Context]:
        return [*item.payload, ctx]


def contexts(**options: Any) -> list[Context]:
    (item,) = run_pipe(Telling, [[]], **options)["default"]
    found: list[Context] = item.payload
    return found


def test_a_context_is_made_of_pipe_session_stores_and_metadata() -> None:
    """`Slither.Context.new/1`: all four may be given."""
    ctx = Context(
        pipe="my_pipe", session_id="session_123", stores={"Prices": Prices}, metadata={"user_id": 42}
    )
    assert (ctx.pipe, ctx.session_id, ctx.stores["Prices"], ctx.metadata["user_id"]) == (
        "my_pipe",
        "session_123",
        Prices,
        42,
    )


def test_a_context_without_a_session_gets_one() -> None:
    """`Slither.Context.new/1`: what is not given has a default, and each context a session of its own."""
    first, second = Context(), Context()
    assert first.session_id
    assert first.session_id != second.session_id


def test_a_context_is_changed_by_making_another() -> None:
    """`Slither.Context`: `with_stage` and `put_metadata` return a new context and leave the old one."""
    ctx = Context(metadata={"a": 1})
    changed = ctx.with_stage("score").put_metadata("b", 2)
    assert (changed.stage, dict(changed.metadata)) == ("score", {"a": 1, "b": 2})
    assert (ctx.stage, dict(ctx.metadata)) == (None, {"a": 1})
    assert changed.session_id == ctx.session_id


@pytest.mark.usefixtures("driver")
def test_every_stage_gets_the_context_of_the_run() -> None:
    """`Slither.Context`: session, pipe, stores and metadata are the same in all stages, the stage is not."""
    first, second = contexts(session_id="s-1", metadata={"batch_id": "batch_42"})
    assert (first.session_id, first.pipe, dict(first.metadata)) == (
        "s-1",
        "Telling",
        {"batch_id": "batch_42"},
    )
    assert first.stores["Prices"] is Prices
    assert (first.stage, second.stage) == ("first", "second")
    assert second == first.with_stage("second")
