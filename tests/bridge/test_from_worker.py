"""Views and tables called from real worker processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from slither_actors.actors import Ref, Server
from slither_actors.bridge import ViewRegistry, Views, answer, register, unregister
from slither_actors.context import Context
from slither_actors.pool import Job, Pool, Target
from slither_actors.store import StoreSupervisor, retire, views_of
from tests.bridge import worker_code
from tests.bridge.worker_code import Features, Kinds

Run = Callable[..., Any]


class Asker(Server):
    """Gives batches to a pool; owns the session of their context."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        return request


def _done(_: Asker, job: Job) -> None:
    job.tag.set()


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Start stores, registry and a pool of two; run a function of `worker_code` over payloads."""
    registry = ViewRegistry.start()
    stores = StoreSupervisor.start([Features, Kinds])
    pool = Pool.start("bridge", calls=answer, workers=2)
    asker = Asker.start()
    context = Context(session_id="the run's")
    context = attrs.evolve(context, views=Views(context.session_id))
    register(context.session_id, views_of(Features), asker)

    def run_one(
        function: Any, payloads: list[Any] | None = None, *, context: Context | None = context
    ) -> Any:
        return _Submitted(pool, asker, function, payloads or [None], context).wait()

    yield run_one
    for ref in (pool, asker, stores, registry):
        ref.stop()
    retire(Features)
    retire(Kinds)


class _Submitted:
    """A batch on its way."""

    def __init__(
        self, pool: Ref, asker: Ref, function: Any, payloads: list[Any], context: Context | None
    ) -> None:
        self._done = threading.Event()
        self._job = Job(
            target=Target.of(function),
            payloads=payloads,
            reply_to=asker,
            on_done=_done,
            context=context,
            timeout=30.0,
            tag=self._done,
        )
        pool.send(Pool.submit, self._job)

    def wait(self) -> Any:
        assert self._done.wait(50)
        if self._job.error is not None:
            raise self._job.error
        return self._job.results


def call(run: Run, name: str, /, **given: Any) -> Any:
    return run(worker_code.views, [(name, given)])[0]


def test_a_view_runs_in_the_driver(run: Run) -> None:
    """On the instance that loaded the tables, with arguments by place or by name."""
    assert call(run, "lookup", key="user:42") == {"tier": "gold"}
    assert call(run, "where", label="x") == (os.getpid(), os.getpid(), "x")


def test_a_context_without_views_gets_them_in_the_worker(run: Run) -> None:
    """The session is that of the context."""
    assert run(worker_code.views, [("lookup", {"key": "none"})], context=Context(session_id="the run's")) == [
        None
    ]


def test_a_batch_view_costs_one_call(run: Run) -> None:
    """One result per key, in order."""
    assert call(run, "lookup_many", keys=["none", "user:42"]) == [None, {"tier": "gold"}]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "view 'broken' of Features raised LookupError: no such tier"),
        ("slow", "view 'slow' of Features took longer than 0.05 s"),
        ("gone", "view 'gone' is not registered in session"),
    ],
)
def test_a_failing_view_raises_a_view_error_in_the_worker(run: Run, name: str, message: str) -> None:
    """It names the view and the reason; one that raised shows where in the driver."""
    kind, text, traceback_text = call(run, name)
    assert kind == "ViewError"
    assert message in text
    assert ("worker_code.py" in traceback_text) == (name == "broken")


def test_a_result_that_cannot_cross(run: Run) -> None:
    """The worker is told instead of waiting for ever."""
    kind, text, _ = call(run, "unpicklable")
    assert kind == "ViewError"
    assert "view 'unpicklable' was called, but the result of view 'unpicklable' of Features" in text
    assert "cannot pickle '_thread.lock'" in text


def test_views_of_an_ended_session(run: Run) -> None:
    """They are gone; global ones stay, and need no session at all."""
    other = Context()
    owner = Asker.start()
    register(other.session_id, views_of(Features), owner)
    ask = [("lookup", {"key": "none"}), ("everywhere", {})]
    assert run(worker_code.views, ask, context=other) == [None, "here"]
    unregister(other.session_id)
    owner.stop()
    gone, here = run(worker_code.views, ask, context=other)
    assert "which is not registered or has ended; known there: everywhere (Features)" in gone[1]
    assert here == "here"


def test_the_table_line_reads_in_a_worker_as_in_the_driver(run: Run) -> None:
    """With the same answers and the same errors, without a session."""
    assert run(worker_code.reads, context=None)[0] == {
        "get": {"tier": "gold"},
        "default": 7,
        "none": None,
        "many": [0, None, {"tier": "gold"}],
        "in": (True, False),
        "size": 2,
        "items": [("none", None), ("user:42", {"tier": "gold"})],
        "select": [("none", None)],
        "fold": 2,
        "missing": "Features.features has no row 'gone'",
        "absent": (
            "NotRunningError",
            "store Absent is not running in the driver; start it with Application(stores=[Absent])",
        ),
    }


def test_the_table_line_writes_in_a_worker_as_in_the_driver(run: Run) -> None:
    """The rows are in the driver when the worker's call returns; an error of its function comes back."""
    Features.counts.clear()
    answers = run(worker_code.writes, context=None)[0]
    assert answers == [False, 5, 15, 15, 15, False, 2, 15, "zero"]
    assert Features.counts.snapshot() == {"a": 15, "x": 1, "y": 2}


def test_a_transaction_of_a_worker_runs_in_the_driver(run: Run) -> None:
    """In both forms, one call each; a function has to be one that can be pickled. All or nothing."""
    results, swapped, now, problem = run(worker_code.transactions)[0]
    assert results == [None, 10, False]
    assert swapped == [10, 2]
    assert now == [10, 1]
    assert problem == "Features.counts has no row 'nobody'"
    assert Features.counts.get_many(["one", "two"]) == [10, 1]
    Features.counts.clear()


def test_the_other_kinds_of_table_work_in_a_worker_as_in_the_driver(run: Run) -> None:
    """Ranges, patterns, bags and rows that end, with the same answers and the same errors."""
    there = run(worker_code.kinds, context=None)[0]
    assert Kinds.recent.get_many(["short", "other"]) == [2, 3]
    Kinds.reload()
    here = worker_code.kinds([None])[0]
    for found in (there, here):
        assert found["evicted"] == [None, 2, 3]
        assert found["range"] == [(("a", 998), 998), (("a", 999), 999), (("b", 0), 0)]
        assert found["match"] == [(("a", 7), 7), (("b", 7), 7)]
        found["sorted"] = (found["sorted"][0], found["sorted"][1][0], found["sorted"][2])
    assert there == here


def test_workers_and_driver_count_together(run: Run) -> None:
    """Increments of two workers and a thread, on one row: none is lost, none counted twice."""
    Features.counts.put("shared", 0)
    done: list[Any] = []
    threads = [
        threading.Thread(target=lambda: done.extend(run(worker_code.count, list(range(200)))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    done.extend(Features.counts.increment("shared") for _ in range(200))
    for thread in threads:
        thread.join(50)
    assert sorted(done) == list(range(1, 601))


def test_a_worker_may_reload(run: Run) -> None:
    """The swap is done when its call returns."""
    assert run(worker_code.reload, context=None) == [0]
