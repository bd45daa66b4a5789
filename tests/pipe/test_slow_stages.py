"""A slow stage does not hold back what it has done."""

import threading
from collections.abc import Iterator

import pytest

from slither_actors import Item, Pipe, Route, router, stage, stream_pipe

RELEASED = threading.Event()


@pytest.fixture(autouse=True)
def released_at_the_end() -> Iterator[None]:
    RELEASED.clear()
    yield
    RELEASED.set()


class Slow(Pipe):
    @stage
    def wait(item: Item) -> int:  # noqa: N805 - a stage is a function of an item
        if item.payload == 3:
            assert RELEASED.wait(20)
        elif item.payload < 3:
            threading.Event().wait(0.02)  # longer than a stage is at it in one go
        number: int = item.payload
        return number


def test_results_come_out_while_the_items_behind_them_are_handled() -> None:
    """A thousand items arrive together, the fourth takes long: the first three are out all the same."""
    with stream_pipe(Slow, list(range(1000))) as stream:
        assert [next(stream).payload for _ in range(3)] == [0, 1, 2]
        RELEASED.set()
        assert [item.payload for item in stream] == list(range(3, 1000))
    assert stream.finished["wait"].emitted == 1000


class Slowest(Pipe):
    @stage
    def wait(item: Item) -> int:  # noqa: N805
        threading.Event().wait(0.02)
        number: int = item.payload
        return number


def test_a_slow_stage_can_be_stopped_between_two_items() -> None:
    """Nobody waits for the thousand that had arrived; each is accounted for."""
    stream = stream_pipe(Slowest, list(range(1000)))
    assert next(stream).payload == 0
    stream.close()
    statistics = stream.finished["wait"]
    assert statistics.emitted < 500
    assert statistics.emitted + statistics.failed == statistics.items_in


@pytest.mark.parametrize("kind", ["router", "function"])
def test_slow_failures_that_are_routed_come_out_one_by_one(kind: str) -> None:
    """A router whose predicates all fail does not hold them back either."""
    in_time = []

    def fail(item: Item) -> bool:
        if item.payload >= 3:
            in_time.append(RELEASED.wait(5))
        threading.Event().wait(0.02)
        raise ValueError(item.payload)

    policy = Route(lambda item, error: item.put_route("bad"))

    class P(Pipe):
        outputs = ("bad", "good")
        work = router(good=fail, on_error=policy) if kind == "router" else stage(on_error=policy)(fail)

    with stream_pipe(P, list(range(5))) as stream:
        assert [next(stream).payload for _ in range(3)] == [0, 1, 2]
        RELEASED.set()
        assert [item.payload for item in stream] == [3, 4]
    assert in_time == [True, True]


@pytest.mark.parametrize("routes", [1, 300])
def test_slow_predicates_behind_quick_ones_hold_back_one_item_at_the_most(routes: int) -> None:
    """However many items in front of them were quick."""
    in_time = []

    def is_slow(item: Item) -> bool:
        if item.payload > 300:
            in_time.append(RELEASED.wait(5))
        elif item.payload == 300:
            threading.Event().wait(0.02)
        return False

    class P(Pipe):
        work = router({f"way {number}": is_slow if not number else _never for number in range(routes)})

    with stream_pipe(P, list(range(310))) as stream:
        assert [next(stream).payload for _ in range(301)] == list(range(301))
        RELEASED.set()
        assert [item.payload for item in stream] == list(range(301, 310))
    assert in_time == [True] * 9


def _never(item: Item) -> bool:
    return False
