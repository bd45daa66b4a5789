"""Views called from the runs of pipes and dispatch: errors, ends of runs, and every place that may call."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from slither_actors import Application, Pipe, dispatch, run_pipe, stream_pipe, workers
from slither_actors.bridge import SESSIONS, ViewRegistry
from slither_actors.dispatch.executor import AsyncExecutor, InlineExecutor, ThreadExecutor
from slither_actors.errors import OptionError, PipeError
from tests.bridge import view_code as code
from tests.search_path import SEARCH_PATH


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """Both stores and two workers, for all tests of this file."""
    with Application(stores=[code.Features, code.Others], pools={"default": 2, "one": 1}) as started:
        yield started


@pytest.fixture(autouse=True)
def _afresh(application: Application) -> Iterator[None]:
    """Nobody is stuck when a test begins, and no run has left views when it ends."""
    code.let_go.clear()
    code.entered.clear()
    yield
    code.let_go.set()
    assert SESSIONS.all() == []


def ask(name: str, *arguments: Any, **keywords: Any) -> Any:
    """Call a view from a worker; its result, or the error's kind, text and notes."""
    (item,) = run_pipe(code.Calling, [(name, arguments, keywords)])["default"]
    return item.payload


def odd(what: str) -> Any:
    (item,) = run_pipe(code.Odd, [what])["default"]
    return item.payload


def payloads(items: Any) -> list[Any]:
    return [item.payload for item in items]


# -- what a worker gets ------------------------------------------------------------------


def test_views_of_both_modes_answer() -> None:
    """By place, by name, with a default; a batch view in order, also where it is a generator."""
    assert ask("lookup_feature", key="a") == 1
    assert ask("lookup_feature", "none", default=7) == 7
    assert ask("lookup_features", ["b", "none", "a"]) == [2, None, 1]
    assert ask("one_by_one", keys=("b", "a")) == [2, 1]


def test_a_name_that_is_nearly_one() -> None:
    """The error says which there are, which of them it may be, and of which store."""
    kind, text, _ = ask("lookup_feture", key="a")
    assert kind == "ViewError"
    assert "view 'lookup_feture' is not registered in session" in text
    assert "lookup_feature (Features)" in text
    assert text.endswith("Did you mean 'lookup_feature' or 'lookup_features'?")


def test_a_view_of_a_store_that_the_pipe_does_not_name() -> None:
    """The error says who declares it, and what to do."""
    _, text, _ = ask("only_here")
    assert text.endswith(". Others declares it, for the runs of pipes that have it in their stores")


@pytest.mark.parametrize(
    ("arguments", "keywords", "given"),
    [
        ((), {}, "none: missing a required argument: 'key'"),
        (("a", "b"), {}, "2 by place: too many positional arguments"),
        ((), {"kye": "a"}, "kye=: "),
        (("a",), {"key": "a"}, "1 by place and key=: multiple values for argument 'key'"),
    ],
)
def test_wrong_arguments(arguments: Any, keywords: Any, given: str) -> None:
    """The error has the view, its parameters, and what was given."""
    kind, text, _ = ask("lookup_feature", *arguments, **keywords)
    assert kind == "ViewError"
    named = "view 'lookup_feature' of Features takes (key: 'str', *, default: 'Any' = None); the call has "
    assert text.startswith(named + given)


def test_a_type_error_of_the_view_is_its_own() -> None:
    """It is not taken for wrong arguments."""
    _, text, _ = ask("type_error")
    assert text == "view 'type_error' of Features raised TypeError: object of type 'int' has no len()"


def test_a_view_that_raises() -> None:
    """The worker's error names view and store; a note has the traceback in the driver."""
    kind, text, note = ask("broken", "gold")
    assert (kind, text) == ("ViewError", "view 'broken' of Features raised LookupError: no tier gold")
    assert note.startswith("--- traceback in the driver ---")
    assert 'raise LookupError(f"no tier {key}")' in note


def test_a_result_that_cannot_be_pickled() -> None:
    """The error names view, store and reason."""
    kind, text, _ = ask("lock")
    assert kind == "ViewError"
    assert "view 'lock' was called, but the result of view 'lock' of Features: cannot pickle" in text


def test_a_result_that_cannot_be_unpickled() -> None:
    """Nothing hangs: the worker says so."""
    kind, text, _ = ask("loads_nowhere")
    assert kind == "ViewError"
    assert "cannot be unpickled in the worker: builtins.ValueError: not here" in text


def test_arguments_that_cannot_cross() -> None:
    """The error names the view and the way to the part, whichever side finds out."""
    assert odd("lock")[:2] == (
        "ViewError",
        "view 'lookup_feature' was given what cannot be pickled: arguments['key']['deep'][0]: "
        "cannot pickle '_thread.lock' object",
    )
    assert "arguments[1]: cannot pickle" in odd("by place")[1]
    kind, text, _ = odd("unloadable")
    assert kind == "ViewError"
    assert "view 'lookup_feature' was called, but the arguments of a call back cannot be unpickled" in text


def test_keys_without_an_order_are_refused() -> None:
    """A set's order in the driver is not that in the worker: results would go to the wrong keys."""
    assert odd("set")[1] == (
        "view 'lookup_features' of Features takes keys that have an order, not a set: give it a list of them"
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([1], "returned 1 results for 2 keys"),
        ([], "returned 0 results for 2 keys"),
        (None, "returned None; one result per key, in a list, is wanted"),
        ("ab", "returned str; one result per key, in a list, is wanted"),
        ({"a": 1, "b": 2}, "returned dict; one result per key, in a list, is wanted"),
        ({1, 2}, "returned set; one result per key, in a list, is wanted"),
        (3, "returned int; one result per key, in a list, is wanted"),
    ],
    ids=repr,
)
def test_a_batch_view_that_returns_something_else(answer: Any, problem: str) -> None:
    """One result per key, in a list, is the contract; the error says what came instead."""
    _, text, _ = ask("answers", ["a", "b"], answer)
    assert text == f"view 'answers' of Features {problem}"


def test_names_with_an_underscore_are_no_views() -> None:
    """Neither can they be declared."""
    assert odd("underscore")[0] == "AttributeError"
    with pytest.raises(Exception, match="the name of a view cannot begin with an underscore"):

        @code.view
        def _hidden(self: Any) -> None: ...


def test_an_asynchronous_function_is_no_view() -> None:
    """Its coroutine would be the result, which no worker can get."""
    with pytest.raises(OptionError, match="marks .*later, which is asynchronous.*; make it a plain def"):

        @code.view
        async def later(self: Any) -> None: ...


# -- views that do not return -----------------------------------------------------------


def test_a_view_that_does_not_return(caplog: pytest.LogCaptureFixture) -> None:
    """Its worker gets an error in time, the run ends, and the log says where the view is stuck."""
    with caplog.at_level(logging.WARNING, "slither_actors.bridge"):
        kind, text, _ = ask("stuck")
        assert (kind, text) == ("ViewError", "view 'stuck' of Features took longer than 0.2 s")
        assert ViewRegistry.statistics().overdue == 1
        late, after = (record.getMessage() for record in caplog.records)
        assert "view 'stuck' of Features, called by a worker in session" in late
        assert "let_go.wait(30)" in late
        assert "still runs after the session, at:" in after
        assert "let_go.wait(30)" in after
        caplog.clear()
        assert ask("lookup_feature", "a") == 1
        code.let_go.set()
        _until(lambda: ViewRegistry.statistics().overdue == 0)
        assert "has returned after all" in caplog.text


def _until(true: Any) -> None:
    waited = threading.Event()
    for _ in range(500):
        if true():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come to be")


def test_a_program_ends_with_a_view_stuck() -> None:
    """Its application stops, and it exits, without waiting for the view."""
    done = _program("stuck")
    assert (done.returncode, done.stdout.split()) == (0, ["ViewError", "0"])


def test_the_views_are_gone_after_ctrl_c() -> None:
    """A run that Ctrl-C ends takes its session with it; the application goes on."""
    done = _program("interrupted")
    assert (done.returncode, done.stdout.split()) == (0, ["interrupted", "0", "1"]), done.stderr


def _program(what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "tests.bridge.view_program", what],
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


# -- the ends of runs --------------------------------------------------------------------


def test_a_run_that_fails_takes_its_views_along() -> None:
    """They were there while it ran."""
    with pytest.raises(PipeError, match="as told"):
        run_pipe(code.WithADriverStage, ["a", "fail"])
    assert SESSIONS.all() == []


def test_a_stream_that_is_closed_early_takes_its_views_along() -> None:
    """By its ``with`` block, or dropped."""
    with stream_pipe(code.Calling, itertools.repeat(("who", (), {}))) as stream:
        assert next(stream).payload == "Features"
        assert len(SESSIONS.all()) == 1
    assert SESSIONS.all() == []
    stream = stream_pipe(code.Calling, itertools.repeat(("who", (), {})))
    assert next(stream).payload == "Features"
    del stream
    _until(lambda: not SESSIONS.all())


def test_a_run_that_is_killed_takes_its_views_along() -> None:
    """Its supervisor gets no chance to say so: the registry watches it."""
    with stream_pipe(code.Calling, itertools.repeat(("who", (), {}))) as stream:
        next(stream)
        (session,) = SESSIONS.all()
        session.owner.kill()
        with pytest.raises(PipeError):
            list(stream)
    _until(lambda: not SESSIONS.all())


def test_a_view_of_a_run_that_is_over() -> None:
    """Whoever kept it gets an error, not the view of that name of the run that goes on."""
    assert payloads(run_pipe(code.Leaving, [1])["default"]) == ["Others"]
    ((left, own),) = payloads(run_pipe(code.UsingWhatWasLeft, [1])["default"])
    assert own == "Features"
    assert left[0] == "ViewError"
    assert "which is not registered or has ended" in left[1]


def test_two_runs_with_views_of_one_name() -> None:
    """Each has its own store's, however their batches are mixed in the workers."""
    pipes = [code.OfFeatures, code.OfOthers] * 3
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda pipe: payloads(run_pipe(pipe, range(30))["default"]), pipes))
    assert found == [["Features"] * 30, ["Others"] * 30] * 3


# -- who may call -----------------------------------------------------------------------------


def test_threads_of_a_worker_call_views() -> None:
    """All at one time; each gets the answers to its own questions."""
    keys = ["a", "b", "none"] * 2
    assert payloads(run_pipe(code.InThreads, keys)["default"]) == [
        [{"a": 1, "b": 2}.get(key)] * 20 for key in keys
    ]


def test_an_event_loop_in_a_worker_calls_views() -> None:
    """In its tasks, and from threads of it."""
    assert payloads(run_pipe(code.InALoop, ["a", "b"])["default"]) == [(1, 1), (2, 2)]


def test_a_stage_in_the_driver_calls_views() -> None:
    """As a worker does."""
    assert payloads(run_pipe(code.WithADriverStage, ["a", "b"])["default"]) == [1, 2]


@pytest.mark.parametrize(
    "executor",
    [InlineExecutor(code.globally), ThreadExecutor(code.globally), AsyncExecutor(code.as_a_coroutine)],
    ids=lambda executor: type(executor).__name__,
)
def test_each_executor_has_the_views(executor: Any) -> None:
    """As workers have: the session's in a pipe, and the global ones in any run."""
    here = os.getpid()
    assert payloads(dispatch.run(["a", "b"], executor=executor, batch_size=1)) == [(here, "a"), (here, "b")]


def test_workers_have_the_global_views_without_a_pipe() -> None:
    """They run in the driver."""
    found = dispatch.run(["a"], executor=dispatch.FunctionExecutor(code.globally), batch_size=1)
    assert payloads(found) == [(os.getpid(), "a")]


@pytest.mark.parametrize("kind", [InlineExecutor, ThreadExecutor])
def test_a_pipe_on_another_executor_has_its_views(kind: Any) -> None:
    """The same function, in the driver, with the session's views."""

    class Here(Pipe):
        stores = (code.Features,)
        ask = workers(kind(code.call), batch_size=1)

    asked = [("lookup_feature", ("a",), {}), ("lookup_feture", (), {})]
    found, (error, text, _) = payloads(run_pipe(Here, asked)["default"])
    assert found == 1
    assert error == "ViewError"
    assert "Did you mean 'lookup_feature'" in text


def test_a_pipe_of_coroutines_has_its_views() -> None:
    """They call in the loop's thread, so their views are to be short."""

    class Here(Pipe):
        stores = (code.Features,)
        ask = workers(AsyncExecutor(code.who_async), batch_size=1)

    assert payloads(run_pipe(Here, [1])["default"]) == ["Features"]


# -- what calls leave behind --------------------------------------------------------------------


def test_views_that_crash_with_much_in_hand_keep_nothing(application: Application) -> None:
    """Neither the traceback nor its locals are held when the worker has its answer."""
    for _ in range(10):
        assert ask("crash_with_much")[0] == "ViewError"
    _until(lambda: code.living() == 0)


def test_many_runs_leave_no_session() -> None:
    """Nor calls, nor monitors of their owners."""
    for _ in range(50):
        run_pipe(code.WithADriverStage, ["a"])
    stats = ViewRegistry.statistics()
    assert (stats.sessions, stats.views, stats.running, stats.overdue) == (0, 0, 0, 0)
