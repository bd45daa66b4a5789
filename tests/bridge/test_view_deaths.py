"""Workers, stores and pools that end while views are called: each test has an application of its own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors import Application, run_pipe, stream_pipe
from slither_actors.actors import whereis
from slither_actors.bridge import RUNNING
from slither_actors.pipe._session import STORES
from tests.bridge import view_code as code


@pytest.fixture(autouse=True)
def application() -> Iterator[Application]:
    """One store and one worker."""
    code.let_go.clear()
    with Application(stores=[code.Features], pools={"default": 1}) as started:
        yield started
    code.let_go.set()


def payloads(items: Any) -> list[Any]:
    return [item.payload for item in items]


def _until(true: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(500):
        if true():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come to be")


def test_a_worker_that_is_killed_in_a_call() -> None:
    """Its batch is lost, the view's answer with it, and the next worker gets answers of its own."""
    assert payloads(run_pipe(code.Dying, ["die", "a", "b"])["default"]) == [1, 2]
    assert RUNNING.count == 1
    code.let_go.set()
    _until(lambda: RUNNING.count == 0)
    assert payloads(run_pipe(code.Dying, ["b"])["default"]) == [2]


def test_views_go_on_while_their_store_is_restarted() -> None:
    """On the tables that were published, and then on those of the successor."""
    with stream_pipe(code.Calling, itertools.repeat(("lookup_feature", ("a",), {}), 60)) as stream:
        taken = payloads(itertools.islice(stream, 5))
        for child in whereis(STORES).which_children():
            child.ref.kill()
        taken += payloads(stream)
    assert taken == [1] * 60


def test_views_and_tables_answer_the_next_pool() -> None:
    """A pool that is killed takes its callers along; its successor's workers are answered as well."""
    asked = [("lookup_feature", ("a",), {})] * 20
    assert payloads(run_pipe(code.Calling, asked)["default"]) == [1] * 20
    before = code.callers()
    pool = whereis("slither.pools").which_children()[0].ref
    pool.kill()
    assert pool.join(20)
    _until(lambda: not code.callers() & before)
    _until(lambda: all(child.ref is not pool for child in whereis("slither.pools").which_children()))
    assert payloads(run_pipe(code.Calling, asked)["default"]) == [1] * 20


def test_a_call_that_the_batch_leaves_behind_does_not_mix_with_its_results() -> None:
    """A thread is in the middle of a large one as the batch sends its large results."""
    found = payloads(run_pipe(code.LeavingALargeCall, range(6))["default"])
    assert [len(each) for each in found] == [4 << 20] * 6


def test_callers_are_used_again_and_end_with_their_pool(application: Application) -> None:
    """Hundreds of calls make no hundreds of actors; with the application they are gone."""
    assert payloads(run_pipe(code.OfFeatures, range(200))["default"]) == ["Features"] * 200
    assert 1 <= len(code.callers()) <= 8
    application.stop()
    _until(lambda: not code.callers())
