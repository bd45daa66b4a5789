"""Progress: a line on a terminal, nothing elsewhere."""

import io
from typing import Never

import pytest

from slither_actors.contrib.rich import RichProgress
from slither_actors.observe import LineProgress, NoProgress, is_terminal, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_no_terminal_gets_nothing() -> None:
    """A log file stays clean, and a closed stream is none."""
    closed = io.StringIO()
    closed.close()
    for stream in (io.StringIO(), closed, None):
        assert not is_terminal(stream)
        assert isinstance(progress("run", stream), NoProgress)


def test_the_line_shows_count_rate_and_share() -> None:
    """Redrawn in place."""
    stream, clock = Terminal(), Clock()
    line = LineProgress("run", stream, fraction=lambda: 0.5, clock=clock)
    clock.now += 2
    line.advance(3000)
    assert stream.getvalue() == "\r\x1b[Krun  3,000 items  1,500/s  [############............] 50%"


def test_the_line_is_drawn_ten_times_a_second_at_most() -> None:
    """However many items come."""
    stream, clock = Terminal(), Clock()
    line = LineProgress("run", stream, clock=clock)
    for _ in range(1000):
        clock.now += 0.001
        line.advance()
    assert stream.getvalue().count("\r") in (10, 11)


def test_the_line_is_wiped_at_the_end() -> None:
    """What comes next begins in the first column; a line that was never drawn is not wiped."""
    stream, clock = Terminal(), Clock()
    with LineProgress("run", stream, clock=clock) as line:
        line.advance()
    assert stream.getvalue().endswith("\r\x1b[K")
    unused = Terminal()
    LineProgress("run", unused, clock=clock).close()
    assert unused.getvalue() == ""


def test_a_terminal_that_goes_away_ends_the_drawing_only() -> None:
    """The run goes on."""

    class Gone(Terminal):
        def write(self, text: bytes) -> Never:
            raise OSError("gone")

    line = progress("run", Gone())
    line.advance()
    line.advance()
    line.close()


def test_rich_draws_where_it_is_installed() -> None:
    """The same three methods; without rich, an ImportError."""
    stream = Terminal()
    try:
        bar = RichProgress("run", stream, fraction=lambda: 1.0)
    except ImportError:
        pytest.skip("rich is not installed")
    with bar:
        bar.advance(1234)
        assert bar.count == 1234
    assert "run" in stream.getvalue()
