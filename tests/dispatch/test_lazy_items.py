"""Items that are made on sight are those that would have been there."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from slither_actors import Item
from slither_actors.core import FixedBatcher, join
from slither_actors.dispatch._lazy_items import LazyItems, routes_of

metas = st.one_of(st.just({}), st.dictionaries(st.sampled_from("ab"), st.integers(), min_size=1))
lists = st.lists(st.lists(metas, max_size=7), max_size=6)


def made(groups: list[list[dict[str, int]]]) -> list[list[Item]]:
    """Items with this metadata, and their numbers as payloads."""
    numbers = iter(range(100))
    return [[Item(n + 1, n, meta) for n, meta in zip(numbers, group, strict=False)] for group in groups]


def lazily(items: list[Item]) -> LazyItems:
    return LazyItems.updated(items, [item.payload for item in items])


@given(lists)
def test_they_are_equal_to_those_of_a_list(groups: list[list[dict[str, int]]]) -> None:
    """One by one, by number, in slices and joined, with and without metadata."""
    for items in made(groups):
        lazy = lazily(items)
        assert list(lazy) == items
        assert [lazy[at] for at in range(len(lazy))] == items
        assert list(lazy[1:4]) == items[1:4]
    if groups:
        everything = [item for items in made(groups) for item in items]
        assert list(LazyItems.joined([lazily(items) for items in made(groups)])) == everything


@given(lists, st.data())
def test_those_with_routes_are_items_with_routes(
    groups: list[list[dict[str, int]]], data: st.DataObject
) -> None:
    """Of a part of them, of a choice of them, joined with some that have none, and told without a look."""
    for items in made(groups):
        count = data.draw(st.integers(0, len(items)))
        routes = data.draw(st.lists(st.sampled_from(["a", "default"]), min_size=count, max_size=count))
        routed = lazily(items).routed(routes)
        expected = [item.put_route(route) for item, route in zip(items, routes, strict=False)]
        assert list(routed) == expected
        assert [routed[at] for at in range(count)] == expected
        assert list(routed[1:]) == expected[1:]
        chosen = [route == "a" for route in routes]
        assert list(routed.only(chosen)) == [item for item in expected if item.route == "a"]
        assert (
            list(join([routed, lazily(items)])) == list(join([expected, lazily(items)])) == expected + items
        )
        assert routes_of(routed) == routes_of(expected) == routes


@given(lists, st.integers(1, 5), st.data())
def test_batches_of_them_are_batches_of_items(
    groups: list[list[dict[str, int]]], size: int, data: st.DataObject
) -> None:
    """Whether all come so, or some in lists."""
    batcher: FixedBatcher[Item] = FixedBatcher(size)
    found = []
    for items in made(groups):
        found += batcher.add(lazily(items) if data.draw(st.booleans()) else items)
    found += batcher.flush()
    everything = [item for items in made(groups) for item in items]
    assert [item for batch in found for item in batch] == everything
    assert [len(batch) for batch in found] == [
        min(size, len(everything) - at) for at in range(0, len(everything), size)
    ]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 2), st.data())
def test_parts_that_overtook_each_other_keep_their_ids(
    sizes: list[int], kept: int, data: st.DataObject
) -> None:
    """Their ids are ranges, and those of the first and of the last part are perhaps as far apart as usual."""
    ends = list(itertools.accumulate(sizes))
    parts = [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    end = max(kept, len(parts) - kept)
    parts = [*parts[:kept], *data.draw(st.permutations(parts[kept:end])), *parts[end:]]
    joined = LazyItems.joined([LazyItems(part, list(part)) for part in parts])
    assert [item.id for item in joined] == [item.payload for item in joined] == [n for p in parts for n in p]
    if parts == sorted(parts, key=lambda part: part.start):
        assert type(joined.ids) is range
