"""Strategies of a user's own, good and bad."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors import Item, dispatch
from slither_actors.core import FixedBatcher
from slither_actors.dispatch import InlineExecutor
from slither_actors.errors import DispatchError, OptionError, StrategyError
from tests.dispatch.manual import SECONDS, Manual, actors_of_runs, double, in_thread, payloads

pytestmark = pytest.mark.usefixtures("application")

sizes = InlineExecutor(lambda batch: [(value, len(batch)) for value in batch])


def test_a_strategy_of_ones_own() -> None:
    """Anything with a `batcher`; one that breaks its contract ends the run with its error."""

    class Pairs:
        def __init__(self) -> None:
            self.held: list[Item] = []

        def batcher(self) -> Any:
            return self

        @property
        def pending(self) -> int:
            return len(self.held)

        def add(self, items: Any) -> Any:
            if any(item.payload == "break" for item in items):
                raise LookupError("broken")
            self.held += items
            pairs = []
            while len(self.held) >= 2:
                pairs.append(self.held[:2])
                del self.held[:2]
            return pairs

        def flush(self) -> Any:
            rest, self.held = self.held, []
            return [rest] if rest else []

        def wanted(self, room: int) -> int:
            return 2 * room

    found = payloads(dispatch.run(["a", "b", "c"], executor=sizes, strategy=Pairs()))
    assert found == [("a", 2), ("b", 2), ("c", 1)]
    with pytest.raises(DispatchError) as caught:
        dispatch.run(["a", "break"], executor=sizes, strategy=Pairs())
    assert isinstance(caught.value.reason, LookupError)


class Forgetful:
    """Loses every third item."""

    def batcher(self) -> Any:
        class Loses(FixedBatcher[Any]):
            def add(self, items: Any) -> Any:
                return super().add([item for item in items if item.payload % 3])

        return Loses(2)


@pytest.mark.parametrize("on_error", ["halt", "skip"])
def test_a_strategy_that_loses_items_ends_the_run(on_error: Any) -> None:
    """Whatever the policy: it is named, and nothing is silently missing."""
    with pytest.raises(DispatchError, match="strategy Forgetful: its batcher's pending is") as caught:
        dispatch.run(range(1, 20), executor=sizes, strategy=Forgetful(), on_error=on_error)
    assert isinstance(caught.value.reason, StrategyError)
    assert caught.value.reason.strategy == "Forgetful"
    assert actors_of_runs() == []


def test_a_strategy_that_makes_no_batcher_is_refused_at_the_call() -> None:
    """With what is missing."""

    class Empty:
        def batcher(self) -> Any:
            return []

    with pytest.raises(
        OptionError, match=r"is Empty, whose batcher\(\) returned \[\], which has no method 'add'"
    ):
        dispatch.run([1], executor=sizes, strategy=Empty())


def test_a_strategy_may_use_its_list_again() -> None:
    """A batch that waits for room is not changed by what the strategy does with its list later."""

    class Again:
        def __init__(self) -> None:
            self.held: list[Item] = []
            self.given = False

        def batcher(self) -> Any:
            return self

        @property
        def pending(self) -> int:
            return 0 if self.given else len(self.held)

        def add(self, items: Any) -> Any:
            if self.given:
                self.held.clear()
            self.held += items
            self.given = True
            return [self.held]

        def flush(self) -> Any:
            return []

        def wanted(self, room: int) -> int:
            return 1

    with Manual() as manual:
        executor = manual
        stream = dispatch.stream(range(3), executor=executor, strategy=Again(), max_in_flight=3)
        with in_thread(list, stream) as reading:
            batches = manual.take(3)
            assert [batch.payloads for batch in batches] == [[0], [1], [2]]
            for batch in batches:
                double(batch)
            assert payloads(reading.result(SECONDS)) == [0, 2, 4]
