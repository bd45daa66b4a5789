"""The bar of a run, drawn by rich."""

from __future__ import annotations

import io

import pytest

from slither_actors.contrib.rich import rich_run_bar
from slither_actors.core import ProgressMeter

pytest.importorskip("rich")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return not super().isatty()  # which raises when it is closed


def test_it_shows_the_count_the_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is gone at the end."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    screen = Terminal()
    bar = rich_run_bar("dispatch", screen)
    assert bar is not None
    meter = ProgressMeter(1000, 0.0)
    meter.add(250)
    bar(meter.report(1.0))
    bar(meter.report(2.0, finished=True))
    shown = screen.getvalue()
    assert "dispatch" in shown
    assert "250" in shown


def test_nobody_draws_where_nobody_watches() -> None:
    """A file, or a stream that is closed."""
    assert rich_run_bar("dispatch", io.StringIO()) is None
    closed = Terminal()
    closed.close()
    assert rich_run_bar("dispatch", closed) is None
