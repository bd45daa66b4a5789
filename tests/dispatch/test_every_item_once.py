"""Every item ends in exactly one outcome, whatever fails, in whatever order answers come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from slither_actors import Item, Retry, Route, dispatch
from slither_actors.actors import Server
from slither_actors.dispatch import (
    Batch,
    DeadLetter,
    Executor,
    FixedBatch,
    InlineExecutor,
    KeyPartition,
    WeightedBatch,
)
from slither_actors.errors import DispatchError, WorkerCrashError
from slither_actors.policy import CircuitBreaker

pytestmark = pytest.mark.usefixtures("application")


class Shuffler(Server):
    """Answers batches in an order of its own."""

    def init(self, seed: int, failures: frozenset[int]) -> None:
        self.random = random.Random(seed)
        self.failures = failures
        self.held: list[Batch] = []

    def take(self, batch: Batch) -> None:
        self.held.append(batch)
        self.ref.send(Shuffler.answer)

    def answer(self, _: Any) -> None:
        """Answer somebody; now and then nobody, which another message makes up for."""
        if self.held and (len(self.held) == 1 or self.random.random() < 0.9):
            batch = self.held.pop(self.random.randrange(len(self.held)))
            settle(batch, self.failures)
        if self.held:
            self.ref.send(Shuffler.answer)


CRASHES, HANGS = 11, 29
"""Numbers whose batches always kill their worker, or never end."""


def crash(batch: Any) -> WorkerCrashError:
    return WorkerCrashError(pool="none", slot=0, pid=batch.attempt, exitcode=-9, cause="killed")


def settle(batch: Batch, failures: frozenset[int]) -> None:
    """Fail a batch with a payload of `failures` in its first attempt, one with a negative of it always."""
    if any(isinstance(value, int) and abs(value) == CRASHES for value in batch.payloads):
        batch.fail(crash(batch))
        return
    bad = [abs(value) for value in batch.payloads if isinstance(value, int) and value in failures]
    if bad and (batch.attempt == 1 or any(value < 0 for value in batch.payloads)):
        batch.fail(ValueError(bad))
    else:
        batch.succeed([("done", value) for value in batch.payloads])


class Shuffled(Executor):
    """Hands batches to a `Shuffler`."""

    def __init__(self, shuffler: Any) -> None:
        self.shuffler = shuffler

    def submit(self, batch: Batch) -> None:
        if any(value in (13, -13) for value in batch.payloads):
            raise ValueError("unlucky")
        if not any(abs(value) == HANGS for value in batch.payloads):  # else the runner's timer ends it
            self.shuffler.send(Shuffler.take, batch)


def inline(failures: frozenset[int]) -> InlineExecutor:
    def function(batch: list[int]) -> list[Any]:
        if CRASHES in map(abs, batch):
            raise WorkerCrashError(pool="none", slot=0, pid=1, exitcode=-9, cause="killed")
        if any(value in failures or value in (13, -13) for value in batch):
            raise ValueError(batch)
        return [("done", value) for value in batch]

    return InlineExecutor(function)


def weight(item: Item) -> float:
    if item.payload % 17 == 3:
        raise ValueError("cannot be weighed")
    return abs(item.payload) % 5


def key(item: Item) -> int:
    if item.payload % 17 == 3:
        raise ValueError("has no key")
    return abs(item.payload) % 4


def route(item: Item, error: BaseException) -> Item:
    return item.put_route("failed")


POLICIES: dict[str, Any] = {
    "halt": "halt",
    "skip": "skip",
    "route": Route(route),
    "retry, halt": Retry(max_attempts=2, backoff=0),
    "retry, skip": Retry(max_attempts=2, backoff=0, then="skip"),
    "retry, route": Retry(max_attempts=3, backoff=0, then=Route(route)),
}


@attrs.frozen(kw_only=True)
class Case:
    numbers: list[int]
    strategy: Any
    policy: str
    ordering: str
    limit: int
    failures: frozenset[int]
    seed: int | None
    input_raises: bool
    breaker: Any
    poison_after: int | None


timeouts = st.sampled_from([None, 1e-9, 0.001, 3600.0])
TOUCHY = CircuitBreaker(failures=2, open_for=0.003, on=Exception)
"""Opens at every occasion, also for what the user's function raises."""

strategies = st.one_of(
    st.builds(FixedBatch, st.integers(1, 7), batch_timeout=timeouts),
    st.builds(WeightedBatch, max_weight=st.integers(1, 12), weight=st.just(weight), batch_timeout=timeouts),
    st.builds(
        KeyPartition,
        key=st.just(key),
        batch_size=st.integers(1, 6),
        max_pending=st.integers(6, 20),
        batch_timeout=timeouts,
        serial=st.booleans(),
    ),
)
values = st.one_of(st.integers(-60, 60), st.integers(-60, 60), st.sampled_from([CRASHES, HANGS, 13, 5]))
numbers = st.lists(values, max_size=60)
cases = st.builds(
    Case,
    numbers=numbers,
    strategy=strategies,
    policy=st.sampled_from(sorted(POLICIES)),
    ordering=st.sampled_from(["preserve", "as_completed"]),
    limit=st.integers(1, 6),
    failures=st.frozensets(st.integers(-60, 60), max_size=6),
    seed=st.one_of(st.none(), st.integers(0, 1000)),
    input_raises=st.booleans(),
    breaker=st.sampled_from([None, CircuitBreaker(), TOUCHY]),
    poison_after=st.sampled_from([None, 1, 2]),
)


class InputError(Exception):
    pass


def read(case: Case) -> Iterator[Item]:
    for value in case.numbers:
        yield Item.wrap(value)
    if case.input_raises:
        raise InputError


@given(cases)
@settings(
    deadline=None,
    max_examples=2 * settings.default.max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_item_has_exactly_one_outcome(case: Case) -> None:
    """Emitted, skipped, routed or failed: once, and the statistics say the same."""
    items = list(read(attrs.evolve(case, input_raises=False)))
    source = iter(items) if not case.input_raises else _then_raise(items)
    shuffler = Shuffler.start(case.seed, case.failures) if case.seed is not None else None
    letters: list[DeadLetter] = []
    stream = dispatch.stream(
        source,
        breaker=case.breaker,
        poison_after=case.poison_after,
        dead_letters=letters.append,
        timeout=0.02,
        executor=inline(case.failures) if shuffler is None else Shuffled(shuffler),
        strategy=case.strategy,
        max_in_flight=case.limit,
        ordering=case.ordering,
        on_error=POLICIES[case.policy],
    )
    found: list[Item] = []
    error: DispatchError | None = None
    try:
        for item in stream:
            found.append(item)
    except DispatchError as raised:
        error = raised
    finally:
        if shuffler is not None:
            shuffler.stop()
    check(case, items, found, error, stream.statistics())
    check_letters(letters, found, error, stream.statistics())


def _then_raise(items: list[Item]) -> Iterator[Item]:
    yield from items
    raise InputError


def _key_of(item: Item) -> int:
    return -1 if item.payload % 17 == 3 else key(item)


def check(
    case: Case, items: list[Item], found: list[Item], error: DispatchError | None, statistics: Any
) -> None:
    seen = statistics["dispatch"]
    for name in ("timeouts", "poisoned", "refused", "retries", "dead_letters"):
        if getattr(seen, name):
            event(f"with {name}")
    event(f"{case.policy}: {'ended early' if error else 'complete'}")
    by_id = {item.id: item for item in items}
    assert max(Counter(item.id for item in found).values(), default=1) == 1
    kinds: Counter[str] = Counter()
    for item in found:
        original = by_id[item.id].payload
        if item.meta.get("skipped"):
            assert item.payload == original
            assert isinstance(item.meta["error"], Exception)
            kinds["skipped"] += 1
        elif item.route == "failed":
            assert item.payload == original
            kinds["routed"] += 1
        else:
            assert item.payload == ("done", original)
            kinds["emitted"] += 1
    assert (seen.emitted, seen.skipped, seen.routed) == (
        kinds["emitted"],
        kinds["skipped"],
        kinds["routed"],
    )
    assert seen.items_in == seen.emitted + seen.skipped + seen.routed + seen.failed + seen.pending
    assert seen.pending == 0
    assert seen.window.peak <= case.limit
    if error is None or isinstance(error.reason, InputError):
        assert seen.failed == 0
        assert len(found) == len(items)
        assert (error is not None) == case.input_raises
    else:
        assert "halt" in case.policy
        assert seen.items_in <= len(items)
    if isinstance(case.strategy, KeyPartition) and (case.strategy.serial or case.ordering == "preserve"):
        for number in range(4):
            ids = [item.id for item in found if _key_of(by_id[item.id]) == number]
            assert ids == sorted(ids)
    if case.ordering == "preserve" and isinstance(case.strategy, FixedBatch):
        assert [item.id for item in found] == [item.id for item in items[: len(found)]]


def check_letters(
    letters: list[DeadLetter], found: list[Item], error: DispatchError | None, statistics: Any
) -> None:
    """Those that were skipped, and those of the batch that halted the run: each once, with its error."""
    dead = [letter.item.id for letter in letters]
    skipped = [item.id for item in found if item.meta.get("skipped")]
    assert len(set(dead)) == len(dead) == statistics["dispatch"].dead_letters
    assert dead[: len(skipped)] == skipped
    behind = letters[len(skipped) :]
    assert not {letter.item.id for letter in behind} & {item.id for item in found}
    assert bool(behind) == (error is not None and not isinstance(error.reason, InputError))
    assert {letter.error for letter in behind} <= {error.reason if error else None}
    assert all(isinstance(letter.error, Exception) and letter.attempts >= 1 for letter in letters)


@given(numbers, st.integers(1, 5), st.integers(1, 4), st.integers(0, 70), st.integers(0, 1000))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_that_is_left_has_given_the_first_results(
    found: list[int], batch_size: int, limit: int, count: int, seed: int
) -> None:
    """In order, each once; what was on its way is counted nowhere as done twice."""
    shuffler = Shuffler.start(seed, frozenset())
    executor = Shuffled(shuffler)
    values = [value for value in found if abs(value) not in (13, CRASHES, HANGS)]
    read_so_far: list[Item] = []
    with dispatch.stream(values, executor=executor, batch_size=batch_size, max_in_flight=limit) as stream:
        for item in stream:
            if len(read_so_far) == count:
                break
            read_so_far.append(item)
    shuffler.stop()
    assert [item.payload for item in read_so_far] == [("done", value) for value in values[:count]]
    if read_so_far:
        seen = stream.statistics()["dispatch"]
        assert seen.items_in >= seen.emitted >= len(read_so_far)
