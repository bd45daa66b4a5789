"""Calls back: what a worker asks while its batch runs."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from slither_actors.context import Context
from slither_actors.errors import NotRunningError, RemoteError, ViewError
from slither_actors.pool import CallRequest, current_worker, in_worker
from tests.pool import work
from tests.pool.asking import asking, until


def test_a_call_is_answered() -> None:
    """The driver sees the name, the arguments and the session; the worker gets the value."""
    seen: list[tuple[object, ...]] = []

    def answer(request: CallRequest) -> None:
        seen.append((request.session_id, request.name, request.args, request.kwargs))
        request.reply(request.args[0] * 2)

    context = Context()
    with asking(calls=answer) as asker:
        assert asker.run(work.ask, [1, 2], context=context) == [2, 4]
    assert seen == [(context.session_id, "ask", (value,), {"twice": True}) for value in (1, 2)]


def test_views_are_calls() -> None:
    """`ctx.views.lookup(key=…)` is a call named "view"."""

    def answer(request: CallRequest) -> None:
        assert (request.name, request.args) == ("view", (context.session_id, "lookup", ()))
        request.reply(request.kwargs["key"] + 1)

    context = Context()
    with asking(calls=answer) as asker:
        assert asker.run(work.ask_a_view, [1], context=context) == [2]


def test_an_answer_may_come_later_from_any_thread() -> None:
    """The pool does not wait for it: batches of other workers go on."""
    requests: queue.SimpleQueue[CallRequest] = queue.SimpleQueue()
    with asking(workers=2, calls=requests.put) as asker:
        asks = asker.submit(work.ask, ["later"])
        request = requests.get(timeout=10)
        assert asker.run(work.increment, [1]) == [2]
        assert not asks.returned
        threading.Thread(target=request.reply, args=("now",)).start()
        asker.wait(asks)
        assert asks.results == ["now"]


def test_the_second_batch_waits_while_the_first_one_asks() -> None:
    """What arrives during a call and is not its answer is kept, in order."""
    requests: queue.SimpleQueue[CallRequest] = queue.SimpleQueue()
    with asking(calls=requests.put) as asker:
        asker.run(work.increment, [1])  # from now on a second batch is put into the pipe
        asks = asker.submit(work.ask, ["x"])
        behind = asker.submit(work.increment, [1])
        request = requests.get(timeout=10)
        request.reply("y")
        asker.wait(asks, behind)
        assert (asks.results, behind.results) == (["y"], [2])


def test_a_failed_call_raises_in_the_worker() -> None:
    """The exception itself where it can cross, else a RemoteError; the batch may catch it."""

    def answer(request: CallRequest) -> None:
        if request.args[0] == "odd":
            request.fail(work.TwoArgumentsError(1, "odd one"))
        elif request.args[0] == "raise":
            raise KeyError("raised by the answerer")
        elif request.args[0] == "exit":
            raise SystemExit(4)
        else:
            request.fail(ViewError("lookup", "is unknown"))

    with asking(calls=answer) as asker:
        answers = asker.run(work.ask_and_report, ["view", "odd", "raise"])
        assert answers[0] == "ViewError: view 'lookup' is unknown"
        assert answers[1].startswith("RemoteError: tests.pool.work.TwoArgumentsError: odd one")
        assert answers[2] == "KeyError: 'raised by the answerer'"
        with pytest.raises(RemoteError) as caught:
            asker.run(work.ask, ["exit"])
        assert caught.value.type_name == "builtins.SystemExit"
        with pytest.raises(RemoteError) as caught:
            asker.run(work.ask, ["view"])
        assert isinstance(caught.value.__cause__, ViewError)


def test_what_cannot_be_pickled_fails_the_call() -> None:
    """An argument in the worker, an answer in the driver: the batch gets an error that names it."""
    with asking(calls=lambda request: request.reply(threading.Lock())) as asker:
        (answer,) = asker.run(work.ask_and_report, [1])
        assert answer == "PayloadError: answer to ask: cannot pickle '_thread.lock' object"
        with pytest.raises(Exception, match=r"arguments of ask\[1\]\[0\]: cannot pickle"):
            asker.run(work.ask_with_a_lock, [1])


def test_only_the_first_answer_counts() -> None:
    """A second reply is dropped, and does not answer the next call."""

    def answer(request: CallRequest) -> None:
        request.reply("first")
        request.reply("second")
        request.fail(ValueError("third"))

    with asking(calls=answer) as asker:
        assert asker.run(work.ask_and_report, [1, 2, 3]) == ["got 'first'"] * 3


def test_threads_of_a_batch_may_call() -> None:
    """One call at a time goes over the socket; each thread gets its own answer."""
    with asking(calls=lambda request: request.reply(-request.args[0])) as asker:
        assert asker.run(work.ask_from_threads, list(range(8))) == [-n for n in range(8)]


def test_a_thread_that_calls_after_its_batch_is_told_so(tmp_path: Path) -> None:
    """At once, and not as a part of the next batch, whenever that comes."""
    with asking(calls=lambda request: request.reply("too late")) as asker:
        asker.run(work.ask_too_late, [tmp_path / "found"])
        until((tmp_path / "found").exists, "the thread has its answer")
    assert "only while a batch runs" in (tmp_path / "found").read_text()


def test_an_answer_for_a_dead_worker_is_dropped() -> None:
    """Its successor does not get it."""
    requests: queue.SimpleQueue[CallRequest] = queue.SimpleQueue()
    with asking(calls=requests.put) as asker:
        first = asker.submit(work.ask, ["x"], timeout=0.2)
        old = requests.get(timeout=10)
        asker.wait(first)
        second = asker.submit(work.ask, ["x", "y"])
        new = requests.get(timeout=10)
        old.reply("for the dead")
        with pytest.raises(queue.Empty):
            requests.get(timeout=0.2)  # it still waits for its own answer, and does not go on to "y"
        new.reply("for the living")
        requests.get(timeout=10).reply("and again")
        asker.wait(second)
        assert second.results == ["for the living", "and again"]


def test_nobody_answers() -> None:
    """A pool without an answerer says so."""
    with asking() as asker, pytest.raises(RemoteError, match="nobody answers calls from the workers"):
        asker.run(work.ask, [1])


def test_this_process_is_not_a_worker() -> None:
    """Code that runs on both sides can ask where it is."""
    assert not in_worker()
    with pytest.raises(NotRunningError, match="not a worker process"):
        current_worker()
