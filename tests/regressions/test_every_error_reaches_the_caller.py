"""An exception of the function is raised where the results are read, always: pypeln #119.

There, it depends on how many items there are: with 4 the caller gets the
exception of the item 3, with 10 it is printed and the loop just ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import Application, InlineExecutor, dispatch
from slither_actors.errors import DispatchError
from tests.dispatch import work

SIZES = [8, 9, 10, 16, 100, 5000]


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[None]:
    with Application(pools={"default": 4}):
        yield


@pytest.mark.parametrize("executor", [work.fail_on_seven, InlineExecutor(work.fail_on_seven)])
@pytest.mark.parametrize("items", SIZES)
def test_however_many_items_there_are(items: int, executor: Any) -> None:
    """What preceded the failure comes out, in order and complete, and then the error; every time."""
    for _ in range(10):
        seen: list[int] = []
        stream = dispatch.stream(range(items), executor=executor, batch_size=1)
        with stream, pytest.raises(DispatchError, match="seven"):
            seen.extend(item.payload for item in stream)
        assert seen == list(range(7))


@pytest.mark.parametrize("ordering", ["preserve", "as_completed"])
@pytest.mark.parametrize("items", SIZES)
def test_in_either_order(items: int, ordering: str) -> None:
    """Results that come as they are done do not hide it either."""
    for _ in range(5):
        with pytest.raises(DispatchError, match="seven"):
            dispatch.run(
                range(items), executor=work.fail_on_seven, batch_size=2, max_in_flight=3, ordering=ordering
            )


def test_the_last_item_is_no_exception() -> None:
    """There is no later result that could report it."""
    for _ in range(20):
        with pytest.raises(DispatchError, match="seven"):
            dispatch.run(range(8), executor=work.fail_on_seven, batch_size=1)
