"""`Slither.Error`, `Slither.DispatchError`, `Slither.PipeError`: what is raised, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors import (
    DispatchError,
    InlineExecutor,
    Item,
    Pipe,
    PipeError,
    Retry,
    Route,
    SlitherError,
    dispatch,
    errors,
    run_pipe,
    stage,
)
from slither_actors.errors import OptionError
from tests.slither.reading import in_outputs, payloads

pytestmark = pytest.mark.usefixtures("driver")


def reject(batch: Any) -> Any:
    """No batch passes."""
    raise LookupError("no batch passes")


def divided(item: Item) -> Any:
    """Fail for a zero."""
    return 10 // item.payload


def pipe_with(policy: Any) -> type[Pipe]:
    class With(Pipe):
        outputs = ["failed"]
        on_error = policy
        divide = stage(divided)

    return With


# -- the exceptions ------------------------------------------------------------------------------


def test_every_error_is_a_slither_error() -> None:
    """`Slither.Error`: the one to catch for all."""
    found = [getattr(errors, name) for name in errors.__all__]
    kinds = [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {DispatchError, PipeError, OptionError} <= set(kinds)
    assert [kind for kind in kinds if not issubclass(kind, SlitherError)] == []


def test_a_batch_that_fails_under_halt_is_a_dispatch_error() -> None:
    """`Slither.DispatchError`: with reason and partial results; its text names the batch."""
    with pytest.raises(DispatchError, match="dispatch halted: .*LookupError: no batch passes") as caught:
        dispatch.run([1], executor=InlineExecutor(reject))
    assert isinstance(caught.value.reason, LookupError)
    assert caught.value.partial_results == []


def test_a_run_that_cannot_go_on_is_a_pipe_error() -> None:
    """`Slither.PipeError`: with pipe, stage, reason and partial results."""
    with pytest.raises(PipeError, match=r"pipe With\.divide halted: ZeroDivisionError") as caught:
        run_pipe(pipe_with("halt"), [0])
    assert (caught.value.pipe, caught.value.stage) == ("With", "divide")
    assert isinstance(caught.value.reason, ZeroDivisionError)
    assert caught.value.partial_results == {"failed": [], "default": []}


def test_errors_are_raised_and_results_returned() -> None:
    """``{:ok, results}`` and ``{:error, …}`` are Elixir's: nobody can overlook an error here."""
    assert payloads(dispatch.run([1], executor=InlineExecutor(list))) == [1]
    assert in_outputs(run_pipe(pipe_with("halt"), [5]))["default"] == [2]


# -- the policies of pipes -----------------------------------------------------------------------


def test_a_pipe_retries() -> None:
    """``{:retry, opts}`` in a pipe: the item is tried again, and keeps its place. Slither 0.1.0 halts."""
    attempts: list[int] = []

    @stage
    def flaky(item: Item) -> Any:
        attempts.append(item.payload)
        if item.payload == 2 and attempts.count(2) < 3:
            raise ConnectionError("again")
        return item.payload

    class Flaky(Pipe):
        on_error = Retry(max_attempts=3, backoff=0.001)
        step = flaky

    assert in_outputs(run_pipe(Flaky, [1, 2, 3])) == {"default": [1, 2, 3]}
    assert attempts == [1, 2, 2, 2, 3]


def test_a_pipe_routes_failed_items_through_a_function() -> None:
    """``{:route, fun}`` in a pipe: a function of item and reason compensates, or sends it to an output."""

    def compensate(item: Item, reason: BaseException) -> Item:
        return item.update_payload((item.payload, type(reason).__name__)).put_route("failed")

    assert in_outputs(run_pipe(pipe_with(Route(compensate)), [5, 0])) == {
        "failed": [(0, "ZeroDivisionError")],
        "default": [2],
    }


def test_what_a_function_compensates_goes_on() -> None:
    """``{:route, fun}``: an item without another route takes the place of the failed one."""
    policy = Route(lambda item, reason: item.update_payload("instead"))
    assert in_outputs(run_pipe(pipe_with(policy), [5, 0]))["default"] == [2, "instead"]


def test_a_policy_that_is_none_is_an_error() -> None:
    """The table of error policies: there are these four."""
    with pytest.raises(OptionError, match=r"'skip', 'halt', Retry\(...\) and Route\(fn\)"):
        dispatch.run([1], executor=InlineExecutor(list), on_error="ignore")
