"""The line that shows a run on a terminal."""

from __future__ import annotations

import io

from slither_actors.core import RunProgress
from slither_actors.observe import RunLine, run_line, time_left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return not super().isatty()  # which raises when it is closed


def report(**changes: object) -> RunProgress:
    given: dict[str, object] = {
        "done": 2500, "total": 10_000, "seconds": 5.0, "rate": 500.0, "eta": 15.0, "finished": False,
    }  # fmt: skip
    return RunProgress(**(given | changes))  # type: ignore[arg-type]


def test_it_shows_how_far_how_fast_and_how_long() -> None:
    """And wipes the line at the end."""
    screen = Terminal()
    line = RunLine("dispatch", screen)
    line(report())
    assert screen.getvalue() == (
        "\r\x1b[Kdispatch  2,500/10,000 items  500/s  [######..................] 25%  0:15 left"
    )
    line(report(finished=True))
    assert screen.getvalue().endswith("\r\x1b[K")


def test_without_a_total_it_counts() -> None:
    """There is no bar then."""
    screen = Terminal()
    RunLine("dispatch", screen)(report(total=None, eta=None))
    assert screen.getvalue() == "\r\x1b[Kdispatch  2,500 items  500/s"


def test_nobody_draws_where_nobody_watches() -> None:
    """A file, or a stream that is closed, before or meanwhile."""
    assert run_line("dispatch", io.StringIO()) is None
    closed = Terminal()
    line = run_line("dispatch", closed)
    assert line is not None
    closed.close()
    line(report())
    line(report())
    assert run_line("dispatch", closed) is None


def test_times_are_as_people_read_them() -> None:
    """Not the time of a run that will not end in our days."""
    assert [time_left(seconds) for seconds in (0, 59.6, 3723, None, 1e9)] == [
        "0:00",
        "1:00",
        "1:02:03",
        "",
        "",
    ]
