"""`LineSource`: lines of a file or a pipe, in chunks that fall anywhere."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors._cli import _lines
from slither_actors._cli._lines import Line, LineSource
from slither_actors.errors import InputError


@given(data=st.binary(max_size=60).map(lambda b: b.replace(b"\x07", b"\n")), chunk=st.integers(1, 9))
def test_lines_do_not_depend_on_chunks(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk: int
) -> None:
    """Whatever the system hands out at one time, the lines are those of the whole."""
    path = tmp_path_factory.getbasetemp() / "data"
    path.write_bytes(data)
    source = LineSource(str(path))
    source._chunks = lambda: iter([data[at : at + chunk] for at in range(0, len(data), chunk)])
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert list(source) == [Line(number, line) for number, line in enumerate(expected, 1)]
    source.close()


def test_a_line_above_the_limit_has_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, so that it can be counted; its neighbours are whole."""
    monkeypatch.setattr(_lines, "MAX_LINE", 10)
    monkeypatch.setattr(_lines, "_CHUNK", 4)
    path = tmp_path / "in"
    path.write_bytes(b"short\n" + b"x" * 50 + b"\n0123456789\n" + b"y" * 11)
    source = LineSource(str(path))
    assert [line.data for line in source] == [b"short", None, b"0123456789", None]
    source.close()


def test_an_endless_line_is_told_before_it_ends() -> None:
    """Nobody waits for an end that may never come."""
    source = LineSource("/dev/zero")
    assert next(iter(source)) == Line(1, None)
    assert source.bytes_read <= _lines.MAX_LINE + _lines._CHUNK
    source.close()


def test_a_reader_that_waits_for_a_quiet_pipe_is_woken_by_stop() -> None:
    """Half a line that had come is not taken for one."""
    ours, theirs = os.pipe()
    source = LineSource(f"/dev/fd/{ours}")
    found = []
    first = threading.Event()

    def read() -> None:
        for line in source:
            found.append(line.data)
            first.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    os.write(theirs, b"one\ntw")
    assert first.wait(5)
    source.stop()
    reader.join(5)
    assert not reader.is_alive()
    assert found == [b"one"]
    source.close()
    os.close(ours)
    os.close(theirs)


def test_how_much_is_read_is_known_for_files_only(tmp_path: Path) -> None:
    """A pipe has no size."""
    path = tmp_path / "in"
    path.write_bytes(b"a\nb\n")
    source = LineSource(str(path))
    assert source.fraction() == 0.0
    list(source)
    assert source.fraction() == 1.0
    source.close()
    empty = LineSource(os.devnull)
    assert empty.fraction() is None
    empty.close()


@pytest.mark.parametrize("name", ["nowhere", "null\0byte"])
def test_a_name_that_is_no_file(tmp_path: Path, name: str) -> None:
    """The error names it."""
    with pytest.raises(InputError, match="cannot be read"):
        LineSource(str(tmp_path / name))
