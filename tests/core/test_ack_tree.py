"""What came of an item of the input, followed to its end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slither_actors.core import AckTree

ERROR = ValueError("broken")


def test_an_item_ends_with_all_that_came_of_it() -> None:
    """However many steps and however many items that were; the first failure is its own."""
    tree = AckTree()
    tree.read(1, "a")
    assert tree.became([1], [2, 3]) == []
    assert tree.became([2], [4, 5]) == []
    assert tree.ended([4]) == []
    assert tree.ended([3], ERROR) == []
    assert tree.ended([5]) == [("a", ERROR)]
    assert len(tree) == 0


def test_closing_knows_of_failures_however_deep_they_are() -> None:
    """A failure is that of all above it at once, also while more may come of them."""
    tree = AckTree()
    tree.read(1, "a")
    tree.read(2, "b")
    tree.read(3, "c")
    tree.became([1], [4, 5])
    tree.became([4, 2], [6, 7])
    assert tree.ended([6], ERROR) == []
    assert sorted(tree.close(), key=str) == [("a", ERROR), ("b", ERROR), ("c", None)]


def test_what_is_made_of_several_belongs_to_each() -> None:
    """Each ends when that has ended."""
    tree = AckTree()
    tree.read(1, "a")
    tree.read(2, "b")
    assert tree.became([1, 2], [9]) == []
    assert sorted(tree.ended([9], ERROR)) == [("a", ERROR), ("b", ERROR)]


def test_copies_of_an_item_end_one_by_one() -> None:
    """An item may be emitted twice, also one that was just made."""
    tree = AckTree()
    tree.read(1, "a")
    assert tree.became([1], [1, 1]) == []
    assert tree.became([1], [2, 2]) == []
    assert tree.ended([2]) == []
    assert tree.ended([2]) == []
    assert tree.ended([1]) == [("a", None)]


def test_what_is_dropped_has_ended() -> None:
    """A handler that makes nothing of an item is done with it."""
    tree = AckTree()
    tree.read(1, "a")
    assert tree.became([1], []) == [("a", None)]


def test_closing_ends_what_has_not_ended() -> None:
    """With its own failure if it had one; what comes later is ignored."""
    tree = AckTree()
    tree.read(1, "a")
    tree.read(2, "b")
    tree.became([1], [3, 4])
    tree.ended([3], ERROR)
    tree.became([2], [5])
    assert tree.close() == [("a", ERROR), ("b", None)]
    assert tree.ended([4, 5]) == []
    assert tree.became([4], [6]) == []


steps = st.lists(
    st.tuples(st.sampled_from(["became", "ended", "failed"]), st.integers(1, 3), st.integers(0, 3)),
    max_size=60,
)


@given(st.integers(1, 4), steps)
def test_each_item_ends_once_and_no_sooner_than_all_that_came_of_it(count: int, found: Any) -> None:
    """Compared with a model that keeps for each copy on its way the items of the input that it is of."""
    tree, ends = AckTree(), Counter[int]()
    on_their_way: list[tuple[int, frozenset[int]]] = []
    for number in range(1, count + 1):
        tree.read(number, number)
        on_their_way.append((number, frozenset([number])))
    fresh = 100
    for what, width, made in found:
        taken, on_their_way = on_their_way[:width], on_their_way[width:]
        if what == "became":
            of = frozenset().union(*(origins for _, origins in taken))
            new = [(fresh + n, of) for n in range(made)] if taken else []
            fresh += made
            on_their_way += new
            ended = tree.became([item for item, _ in taken], [item for item, _ in new])
        else:
            ended = tree.ended([item for item, _ in taken], ERROR if what == "failed" else None)
        ends.update(token for token, _ in ended)
        alive = frozenset().union(*(origins for _, origins in on_their_way))
        assert ends == Counter(set(range(1, count + 1)) - alive)
    ends.update(token for token, _ in tree.close())
    assert ends == Counter(range(1, count + 1))
