"""Rows that end against a plain model, with a clock of the test's own."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slither_actors.errors import TableFullError
from slither_actors.store._bounded_rows import Bounded
from slither_actors.store._draft import DraftDict
from slither_actors.store._kinds import TableOptions, make_rows

KEYS = st.integers(0, 7)
TTLS = st.none() | st.integers(1, 6) | st.just(math.inf)


@attrs.define
class Row:
    value: Any
    deadline: float
    used: int


class Ending(RuleBasedStateMachine):
    """The model knows when each row was used and looks through all of them for the one to go."""

    @initialize(
        ordered=st.booleans(),
        ttl=st.sampled_from([math.inf, 3, 5]),
        max_rows=st.none() | st.integers(1, 5),
        evict=st.sampled_from(["oldest", "lru", "refuse"]),
        rows=st.dictionaries(KEYS, st.integers(), max_size=1),
    )
    def begin(self, ordered: bool, ttl: float, max_rows: int | None, evict: str, rows: Any) -> None:
        if max_rows is None:
            evict = "oldest"
        self.now, self.uses = 0.0, 0
        self.options = TableOptions(ordered=ordered, ttl=ttl, max_rows=max_rows, evict=evict)
        made = make_rows(self.options, dict(rows), table="Test.table", clock=lambda: self.now)
        assert isinstance(made, Bounded)
        self.rows: Any = made
        self.model: dict[int, Row] = {}
        self.store(rows, self.options.ttl)

    def store(self, rows: dict[int, Any], ttl: float | None) -> None:
        for key, value in rows.items():
            self.uses += 1
            self.model.pop(key, None)
            self.model[key] = Row(value, self.now + (self.options.ttl if ttl is None else ttl), self.uses)  # type: ignore[operator]
        while self.options.max_rows is not None and len(self.model) > self.options.max_rows:
            del self.model[min(self.model, key=lambda key: self.model[key].used)]

    def use(self, key: int) -> None:
        if self.options.evict == "lru" and key in self.model:
            self.uses += 1
            self.model[key].used = self.uses

    def is_full_for(self, keys: Any) -> bool:
        limit = self.options.max_rows
        return limit is not None and self.options.evict == "refuse" and len({*keys, *self.model}) > limit

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.model = {key: row for key, row in self.model.items() if row.deadline > self.now}

    @rule(key=KEYS, value=st.integers(), ttl=TTLS)
    def put(self, key: int, value: int, ttl: float | None) -> None:
        if self.is_full_for([key]):
            with pytest.raises(TableFullError, match="Test.table is full: max_rows="):
                self.rows.put(key, value, ttl)
            return
        self.rows.put(key, value, ttl)
        self.store({key: value}, ttl)

    @rule(key=KEYS, value=st.integers())
    def put_new(self, key: int, value: int) -> None:
        if self.is_full_for([key]):
            return
        is_new = key not in self.model
        assert self.rows.put_new(key, value) == is_new
        self.use(key)
        if is_new:
            self.store({key: value}, None)

    @rule(key=KEYS)
    def increment(self, key: int) -> None:
        if self.is_full_for([key]):
            return
        before = self.model.get(key)
        value = 1 if before is None else before.value + 1
        assert self.rows.increment(key, 1, 0) == value
        self.store({key: value}, None if before is None else before.deadline - self.now)

    @rule(key=KEYS)
    def take(self, key: int) -> None:
        row = self.model.pop(key, None)
        assert self.rows.take(key, "no") == ("no" if row is None else row.value)

    @rule(key=KEYS)
    def get(self, key: int) -> None:
        assert self.rows.get(key, "no") == (self.model[key].value if key in self.model else "no")
        self.use(key)

    @rule(keys=st.lists(KEYS, max_size=4))
    def get_many(self, keys: list[int]) -> None:
        values = [self.model[key].value if key in self.model else "no" for key in keys]
        assert self.rows.query("get_many", keys, "no") == values
        for key in keys:
            self.use(key)

    @rule(rows=st.dictionaries(KEYS, st.integers(), max_size=8))
    def bulk_insert(self, rows: dict[int, int]) -> None:
        held, before = self.rows, self.contents(self.rows)
        if self.is_full_for(rows):
            with pytest.raises(TableFullError):
                self.rows.bulk_insert(dict(rows))
        else:
            self.rows, count = self.rows.bulk_insert(dict(rows))
            assert count == len(rows)
            self.store(rows, None)
        assert self.contents(held) == before

    @rule()
    def clear(self) -> None:
        self.rows, count = self.rows.cleared()
        assert count == len(self.model)
        self.model.clear()

    @rule()
    def sweep(self) -> None:
        again = self.rows.sweep()
        assert again > self.now
        assert len(self.rows.live) == len(self.model)

    @rule()
    def go_on_with_a_copy(self) -> None:
        held, before = self.rows, self.contents(self.rows)
        self.rows = self.rows.copy()
        self.rows.take(3, None)
        self.model.pop(3, None)
        assert self.contents(held) == before

    def contents(self, rows: Any) -> dict[int, Any]:
        return {key: value for key, (value, deadline) in rows.live.items() if deadline > self.now}

    @invariant()
    def same_rows(self) -> None:
        if hasattr(self, "model"):
            assert self.contents(self.rows) == {key: row.value for key, row in self.model.items()}
            assert self.rows.size() == len(self.model)
            if self.options.max_rows is not None:
                assert len(self.rows.live) <= self.options.max_rows

    @invariant()
    def bookkeeping_is_bounded(self) -> None:
        if hasattr(self, "model"):
            bounds = self.rows.bounds
            assert set(bounds.order) == (set(self.rows.live) if bounds.evicts else set())
            assert len(bounds.deadlines._heap) <= 2 * len(bounds.deadlines._entry) + 65

    # Reads of all rows count as uses in an ordered table: they are tried where nobody counts.
    @invariant()
    def same_snapshot(self) -> None:
        if hasattr(self, "model") and self.options.evict != "lru":
            rows = {key: row.value for key, row in self.model.items()}
            assert self.rows.query("snapshot") == rows
            if self.options.ordered:
                assert self.rows.query("first") == (min(rows.items()) if rows else ())
                assert self.rows.query("next", 3) == min(
                    ((key, value) for key, value in rows.items() if key > 3), default=()
                )


class Drafted(Ending):
    """The same on a draft, or a draft of a draft; what is below stays as it is."""

    def begin_draft(self) -> None:
        self.below = self.rows
        self.kept = dict(self.rows.live.items())
        self.changes: list[Any] = []
        self.rows = self.rows.over(DraftDict(self.rows.live, 0, self.changes))

    @rule()
    def draft(self) -> None:
        self.begin_draft()

    @rule()
    def clear(self) -> None:
        super().clear()
        self.begin_draft()

    @rule()
    def sweep(self) -> None:
        self.rows.sweep()
        assert len(self.rows.live) == len(self.model)

    @rule(rows=st.dictionaries(KEYS, st.integers(), max_size=8))
    def bulk_insert(self, rows: dict[int, int]) -> None:
        super().bulk_insert(rows)
        self.begin_draft()

    @rule()
    def go_on_with_a_copy(self) -> None:
        """No draft is copied."""

    @rule()
    def take_the_changes_over(self) -> None:
        if hasattr(self, "below") and self.below.live is not self.rows.live:
            self.below = self.below.copy()
            for operation, _, *rest in self.changes:
                (self.below.set_row if operation == "put" else self.below.remove)(*rest)
            self.rows = self.below
            del self.below

    @invariant()
    def what_is_below_stays(self) -> None:
        if hasattr(self, "below"):
            assert dict(self.below.live.items()) == self.kept

    @invariant()
    def bookkeeping_is_bounded(self) -> None:
        if hasattr(self, "model") and self.rows.bounds.evicts:
            assert set(self.rows.bounds.in_order()) == set(self.rows.live)


test_rows_that_end = Ending.TestCase
test_rows_that_end.settings = settings(stateful_step_count=50, deadline=None)

test_drafts_of_rows_that_end = Drafted.TestCase
test_drafts_of_rows_that_end.settings = settings(stateful_step_count=50, deadline=None)
