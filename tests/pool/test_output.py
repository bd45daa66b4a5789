"""What workers print arrives with a label, within bounds, and disturbs nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from slither_actors.errors import WorkerCrashError
from slither_actors.pool._lines import LINE_BYTES, OUTPUT_PER_SECOND, Lines
from slither_actors.pool._quota import Quota
from tests.pool import talk, work
from tests.pool.asking import asking, until
from tests.search_path import SEARCH_PATH

# -- with a label -----------------------------------------------------------------------------


def test_what_is_printed_arrives_with_a_label(capsys: pytest.CaptureFixture[str]) -> None:
    """On the stream that it was printed to, before the batch's result."""
    with asking() as asker:
        for number in range(50):
            asker.run(talk.print_lines, [f"line {number}"])
            label = f"[pool tests, worker 0, pid {asker.statistics().slots[0].pid}] "
            assert capsys.readouterr() == (f"{label}line {number}\n",) * 2


def test_native_code_and_programs_are_heard(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What C prints is seen when it prints it, and so is what a started program does."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it would unbuffer C as well
    with asking(start_method="spawn") as asker:
        (pid,) = asker.run(work.pids, [0])
        asker.run(talk.print_natively, ["hello"])
        asker.run(talk.print_lines, ["end"])
    label = f"[pool tests, worker 0, pid {pid}] "
    assert capsys.readouterr().out == f"{label}hello\n{label}child hello\n{label}end\n"


def test_a_line_without_an_end_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """At the batch's end what Python wrote, and soon what anybody else did."""
    with asking() as asker:
        for number in range(20):
            asker.run(talk.print_without_end, [f"part {number}"])
            assert capsys.readouterr().out.endswith(f"] part {number}\n")
        asker.run(talk.write_raw, [(1, b"raw"), (2, b"error")])
        shown: list[str] = []

        def both() -> bool:
            shown.extend(capsys.readouterr())
            return "] raw\n" in "".join(shown) and "] error\n" in "".join(shown)

        until(both)
        assert asker.run(work.increment, [1]) == [2]


def test_a_progress_bar_is_shown_as_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """What was overwritten with carriage returns is not shown."""
    with asking() as asker:
        asker.run(talk.write_raw, [(2, b"\r 10%\r 50%\r100%\n")])
        asker.run(talk.print_lines, ["end"])
    assert "] 100%\n" in capsys.readouterr().err


def test_the_driver_may_know_fewer_characters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A terminal without the character gets it escaped."""
    path = tmp_path / "out"
    with path.open("w", encoding="ascii") as file, asking() as asker:
        monkeypatch.setattr(sys, "stdout", file)
        asker.run(talk.print_lines, ["gr\xfc\xdfe"])
        monkeypatch.undo()
    assert path.read_text().endswith("] gr\\xfc\\xdfe\n")


@pytest.mark.parametrize("deed", ["close", "dup2", "close streams", "replace"])
def test_a_worker_may_do_to_its_streams_what_it_likes(deed: str) -> None:
    """The batch and those after it are none the worse."""
    with asking() as asker:
        assert asker.run(talk.meddle, [deed]) == [deed]
        assert asker.run(work.increment, [1]) == [2]
        assert asker.statistics().restarts == 0


def test_a_driver_without_streams_is_none_the_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a service that has closed them."""

    class Closed:
        def write(self, _: str) -> None:
            raise ValueError("I/O operation on closed file")

    for stream in (None, Closed()):
        with asking() as asker:
            monkeypatch.setattr(sys, "stdout", stream)
            monkeypatch.setattr(sys, "stderr", stream)
            assert asker.run(talk.print_lines, ["x"]) == ["x"]
            monkeypatch.undo()


def test_a_program_that_goes_on_printing_does_not_hold_up_a_burial() -> None:
    """The worker's death is settled although somebody else still writes into its pipe."""
    with asking() as asker:
        (child,) = asker.run(talk.leave_a_flooding_child, [1])
        try:
            with pytest.raises(WorkerCrashError):
                asker.run(work.do, ["SIGKILL"])
            assert asker.run(work.increment, [1]) == [2]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


# -- a flood (X10) ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "lines",
        "garbage",
        *(
            pytest.param(kind, marks=pytest.mark.stress)
            for kind in ("empty lines", "no end", "half characters")
        ),
    ],
)
def test_a_flood_is_cut_and_counted(kind: str, tmp_path: Path) -> None:
    """A hundred megabytes: the batch is right, the output and the driver's memory stay small."""
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import faulthandler, resource, time
            faulthandler.dump_traceback_later(30, exit=True)
            from tests.pool import talk
            from tests.pool.asking import asking

            if __name__ == "__main__":
                with asking() as asker:
                    asker.run(talk.print_lines, ["before"])
                    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    assert asker.run(talk.flood, [({kind!r}, 100)]) == [100]
                    time.sleep(1.01)  # another second
                    assert asker.run(talk.print_lines, ["after"]) == ["after"]
                    assert asker.statistics().restarts == 0
                    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
                assert grown < 16_000, f"grown by {{grown}} KiB"
            """
        )
    )
    env = {**os.environ, "PYTHONPATH": SEARCH_PATH}
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        ran = subprocess.run(
            [sys.executable, str(script)], check=False, env=env, stdout=out_file, stderr=err_file, timeout=40
        )
    assert ran.returncode == 0, err.read_text()[-2000:]
    for path, sent in ((out, 49 << 20), (err, 49 << 20)):
        text = path.read_bytes().decode()
        lines = text.splitlines()
        assert len(text) < 10 * 4 * OUTPUT_PER_SECOND, "escaped garbage is up to four times as long"
        assert "] before" in lines[0]
        assert "] after" in lines[-1]
        assert all(re.match(r"\[pool tests, worker 0, pid \d+\] ", line) for line in text.split("\n")[:-1])
        left_out = re.findall(r"\(([\d,]+) bytes\) left out: more than", text)
        assert sum(int(count.replace(",", "")) for count in left_out) > sent * 0.8


# -- the parts ---------------------------------------------------------------------------------


def test_once_something_was_refused_so_is_the_rest_of_the_window() -> None:
    """A small piece does not slip through behind a large one that did not fit."""
    quota = Quota(10)
    assert quota.take(9, 0.0)
    assert not quota.take(5, 0.1)
    assert not quota.take(1, 0.2)
    assert quota.is_spent(0.9)
    assert not quota.is_spent(1.0)
    assert quota.take(10, 1.0)
    assert not quota.take(1, 1.5)


def passed_on(pieces: list[bytes], capsys: pytest.CaptureFixture[str]) -> list[str]:
    read, write = os.pipe()
    try:
        os.set_blocking(read, False)
        lines = Lines(read, "> ", "stdout", keep=True)
        for piece in pieces:
            os.write(write, piece)
            lines.pump()
        lines.flush()
        assert lines.tail == b"".join(pieces)
    finally:
        os.close(read)
        os.close(write)
    return capsys.readouterr().out.split("\n")[:-1]


def test_lines_are_put_together_from_pieces(capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever the pipe cuts, in the middle of a character as well."""
    data = "grün\r\nblau\n\nrot".encode()
    for at in range(len(data)):
        assert passed_on([data[:at], data[at:]], capsys) == ["> grün", "> blau", "> ", "> rot"]


def test_a_long_line_is_cut_between_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """Every character arrives, none of them in two parts."""
    text = "x" + "\N{GRINNING FACE}" * 3000
    shown = passed_on([text.encode()], capsys)
    assert "".join(line.removeprefix("> ") for line in shown) == text
    assert all(len(line.encode()) <= LINE_BYTES + 2 for line in shown)
