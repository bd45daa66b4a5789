"""What a handler returns by mistake is a failure, and no payload."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors import Fail, Many, Ok, Pipe, PipeError, RouteTo, Skip, run_pipe, stage
from slither_actors.errors import ResultError
from slither_actors.pipe import PER_ITEM


async def _later() -> None: ...


def pipe_of(result: Any, *, batch: bool = False) -> type[Pipe]:
    def handler(found: Any) -> Any:
        made = result()
        return [made for _ in found] if batch else made

    class P(Pipe):
        outputs = ("side",)
        work = stage(batch=batch)(handler)

    return P


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda: Skip, r"P\.work returned the class Skip; write Skip\(…\)"),
        (lambda: Many, r"P\.work returned the class Many; write Many\(…\)"),
        (lambda: PER_ITEM, r"P\.work returned PER_ITEM for one item; only a handler of a batch may"),
        (_later, r"P\.work returned a coroutine; for those there is workers\(AsyncExecutor"),
        (
            lambda: Many([1, Skip()]),
            r"has Skip\(reason=None\) within an outcome; allowed are payloads, and it",
        ),
        (lambda: Ok(Fail("no")), r"has Fail\(reason='no'\) within an outcome"),
        (lambda: RouteTo("side", Many([1])), r"has Many\(payloads=\[1\]\) within an outcome"),
    ],
    ids=["class", "class of many", "PER_ITEM", "coroutine", "in Many", "in Ok", "in RouteTo"],
)
@pytest.mark.parametrize("batch", [False, True], ids=["item", "batch"])
def test_it_is_said_what_it_is(result: Any, message: str, batch: bool) -> None:
    """Else it would go on as a payload, and nobody would see that the item was not skipped."""
    with pytest.raises(PipeError, match=message) as caught:
        run_pipe(pipe_of(result, batch=batch), [1])
    assert isinstance(caught.value.reason, ResultError)
    assert [*caught.value.partial_results["default"], *caught.value.partial_results["side"]] == []


@pytest.mark.parametrize("batch", [False, True], ids=["item", "batch"])
def test_other_classes_are_payloads(batch: bool) -> None:
    """Also within an outcome."""
    assert [each.payload for each in run_pipe(pipe_of(lambda: int, batch=batch), [1])["default"]] == [int]
    (found,) = run_pipe(pipe_of(lambda: Ok(int), batch=batch), [1])["default"]
    assert found.payload is int
