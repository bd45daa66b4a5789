"""Real workers that are killed at random, hang, crash and are left: every item has exactly one outcome."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

from slither_actors import Application, Item, Retry, Route, dispatch
from slither_actors.dispatch import DeadLetter
from slither_actors.errors import DispatchError
from slither_actors.policy import CircuitBreaker
from tests.dispatch import work
from tests.killing import killer
from tests.soaking import seeds


def options_for(chance: random.Random) -> dict[str, Any]:
    last = chance.choice(["skip", "skip", "halt", Route(lambda item, error: item.put_route("failed"))])
    retry = Retry(max_attempts=chance.randint(2, 6), backoff=0.001, then=last)
    return {
        "executor": work.misbehave,
        "batch_size": chance.randint(1, 4),
        "max_in_flight": chance.randint(1, 8),
        "ordering": chance.choice(["preserve", "as_completed"]),
        "timeout": 0.1,
        "on_error": chance.choice([last, retry]),
        "poison_after": chance.choice([1, 2, None]),
        "breaker": chance.choice([None, CircuitBreaker(), CircuitBreaker(failures=2, open_for=0.05)]),
        "on_close": chance.choice(["abandon", "abandon", "wait", "kill"]),
        "affinity": chance.choice(["hint", "hint", "strict_queue", "strict_fail_fast"]),
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.timeout(90)
def test_every_item_has_one_outcome_while_workers_are_killed(seed: int) -> None:
    """Runs of all kinds, several at one time, some left early; the figures say what came out."""
    chance = random.Random(seed)
    failures: list[BaseException] = []

    def one_run(options: dict[str, Any], payloads: list[str], leave_after: int | None) -> None:
        try:
            run_and_check(options, payloads, leave_after)
        except BaseException as error:  # noqa: BLE001 - raised in the test's thread
            failures.append(error)

    with Application(pools={"default": 2}), killer(seed):
        threads = []
        for _ in range(6):
            deeds = ["fine"] * 40 + ["raise", "die", "hang"]
            payloads = [chance.choice(deeds) for _ in range(chance.randint(0, 60))]
            leave_after = chance.choice([None, None, chance.randint(0, 30)])
            threads.append(
                threading.Thread(target=one_run, args=(options_for(chance), payloads, leave_after))
            )
        for pair in zip(threads[::2], threads[1::2], strict=True):
            for thread in pair:
                thread.start()
            for thread in pair:
                thread.join()
    if failures:
        raise failures[0]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_item_has_one_outcome_for_minutes() -> None:
    """As above, again and again; a failure has the seed."""
    for seed in seeds(1000, seconds=600):
        test_every_item_has_one_outcome_while_workers_are_killed(seed)


def run_and_check(options: dict[str, Any], payloads: list[str], leave_after: int | None) -> None:
    items = Item.wrap_many(payloads)
    letters: list[DeadLetter] = []
    found: list[Item] = []
    halted = False
    with dispatch.stream(items, dead_letters=letters.append, **options) as stream:
        try:
            for item in stream:
                found.append(item)
                if len(found) == leave_after:
                    break
        except DispatchError:
            halted = True
    by_id = {item.id: item.payload for item in items}
    assert max(Counter(item.id for item in found).values(), default=1) == 1
    dead = Counter(letter.item.id for letter in letters)
    assert max(dead.values(), default=1) == 1
    for item in found:
        if item.meta.get("skipped") or item.route == "failed":
            assert item.payload == by_id[item.id]
        else:
            assert item.payload == f"did {by_id[item.id]}"
            assert item.id not in dead
    if leave_after is None or len(found) < leave_after:
        seen = stream.statistics()["dispatch"]
        assert len(found) == seen.emitted + seen.skipped + seen.routed
        assert seen.items_in == len(found) + seen.failed
        assert seen.pending == 0
        assert seen.dead_letters == len(letters)
        assert halted or len(found) == len(items)
