"""How far a run has come, told while it runs."""

from __future__ import annotations

import asyncio
import io
import itertools
import sys
from typing import Any

import pytest

from slither_actors import dispatch
from slither_actors.dispatch import InlineExecutor, RunProgress
from slither_actors.dispatch._progress import ProgressTeller
from slither_actors.errors import DispatchError, OptionError
from tests.dispatch.manual import payloads

pytestmark = pytest.mark.usefixtures("application")

inline = InlineExecutor(lambda batch: batch)


class Reports(list[RunProgress]):
    __call__ = list.append


@pytest.mark.parametrize(("items", "total"), [(range(100), 100), (iter(range(100)), None)])
def test_the_last_report_says_that_the_run_has_ended(items: Any, total: Any) -> None:
    """With all that came, and the total if the input has a length."""
    reports = Reports()
    dispatch.run(items, executor=inline, batch_size=7, progress=reports)
    assert [report.finished for report in reports] == [False] * (len(reports) - 1) + [True]
    last = reports[-1]
    assert (last.done, last.total) == (100, total)
    assert last.rate > 0


def test_a_stream_a_halted_run_and_an_async_one_tell_it_too() -> None:
    """One that is left early ends with what it had."""
    reports = Reports()
    with dispatch.stream(itertools.count(), executor=inline, batch_size=5, progress=reports) as stream:
        next(stream)
    assert reports[-1].finished
    assert reports[-1].done >= 5
    with pytest.raises(DispatchError):
        dispatch.run([1], executor=InlineExecutor(lambda batch: None), progress=reports)
    assert (reports[-1].finished, reports[-1].done) == (True, 0)
    asyncio.run(dispatch.arun(range(9), executor=inline, progress=reports))
    assert (reports[-1].finished, reports[-1].done) == (True, 9)


def test_it_is_told_a_few_times_a_second_at_most() -> None:
    """However quick the batches are. Time is what the test says."""
    reports, now = Reports(), [0.0]
    teller = ProgressTeller(reports, 1000, clock=lambda: now[0])
    teller.begin()
    for _ in range(1000):
        now[0] += 0.01
        teller.add(1)
    teller.end()
    teller.end()
    teller.add(1)
    assert 90 <= len(reports) <= 101
    assert reports[50].rate == pytest.approx(100)
    assert reports[50].eta == pytest.approx((1000 - reports[50].done) / 100)


def test_a_slow_function_gets_half_of_the_time() -> None:
    """It is called again after as long as it took."""
    now = [0.0]
    reports = []

    def tell(report: Any) -> None:
        reports.append(report)
        now[0] += 3.0

    teller = ProgressTeller(tell, 1000, clock=lambda: now[0])
    teller.begin()
    for _ in range(60):
        now[0] += 0.1
        teller.add(1)
    assert len(reports) == 2


def test_a_function_that_fails_is_called_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """And harms nobody."""
    calls: list[Any] = []

    def failing(report: RunProgress) -> None:
        calls.append(report)
        raise LookupError("no")

    assert payloads(dispatch.run(range(9), executor=inline, progress=failing)) == list(range(9))
    assert len(calls) == 1
    assert "the progress function of a run failed" in caplog.text


def test_true_draws_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file stays clean."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, drawn in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        dispatch.run(range(9), executor=inline, progress=True)
        assert bool(stream.getvalue()) == drawn


def test_one_batch_has_no_progress() -> None:
    """It is there or not."""
    with pytest.raises(OptionError, match="option 'progress' has no meaning for one batch"):
        dispatch.call_batch([1], executor=inline, progress=True)
