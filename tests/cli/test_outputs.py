"""`Outputs`: items as JSON lines in files."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from slither_actors._cli import _outputs
from slither_actors._cli._outputs import OutputError, Outputs
from slither_actors.item import Item


def item(payload: Any, route: str = "default") -> Item:
    return Item(1, payload, route=route)


def test_an_output_is_there_before_anything_is_written(tmp_path: Path) -> None:
    """Its file is made, and emptied if it was there."""
    (tmp_path / "a.jsonl").write_text("old\n")
    with Outputs(tmp_path, ["a", "b"]):
        assert (tmp_path / "a.jsonl").read_text() == ""
        assert (tmp_path / "b.jsonl").read_text() == ""


def test_all_is_written_at_the_end(tmp_path: Path) -> None:
    """Each item to its output; one that was not announced gets a file as well."""
    with Outputs(tmp_path, ["a"]) as outputs:
        outputs.write(item({"ä": 1}, "a"))
        outputs.write(item([2], "other"))
        outputs.write(item(None, "a"))
    assert (tmp_path / "a.jsonl").read_text() == '{"ä": 1}\nnull\n'
    assert (tmp_path / "other.jsonl").read_text() == "[2]\n"
    assert outputs.counts == {"a": 2, "other": 1}


def test_a_refused_payload_leaves_no_trace(tmp_path: Path) -> None:
    """What is written is what was counted."""
    with Outputs(tmp_path, ["default"]) as outputs:
        outputs.write(item(1))
        for payload in ({1}, {"a": {2}}, float("inf"), {(1, 2): 3}):
            with pytest.raises(OutputError, match="output 'default', item 1: a payload of type"):
                outputs.write(item(payload))
    assert outputs.counts == {"default": 1}
    assert (tmp_path / "default.jsonl").read_text() == "1\n"


def test_a_payload_that_contains_itself_is_refused(tmp_path: Path) -> None:
    """As is one that is too deep."""
    loop: list = []
    loop.append(loop)
    with Outputs(tmp_path, ["default"]) as outputs, pytest.raises(OutputError, match="type list"):
        outputs.write(item(loop))


def test_what_waits_is_written_before_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a thread of its own: nobody has to write another item."""
    monkeypatch.setattr(_outputs, "FLUSH_SECONDS", 0.01)
    written = threading.Event()
    flush = Outputs.flush
    monkeypatch.setattr(Outputs, "flush", lambda self: (flush(self), written.set()))
    with Outputs(tmp_path, ["default"]) as outputs:
        outputs.write(item("x"))
        assert written.wait(5)
        assert (tmp_path / "default.jsonl").read_text() == '"x"\n'


def test_many_items_are_written_in_few_strokes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call per item would be the slowest part of many a run."""
    calls = []
    real = _outputs.os.write
    monkeypatch.setattr(_outputs.os, "write", lambda fd, data: calls.append(fd) or real(fd, data))
    with Outputs(tmp_path, ["default"]) as outputs:
        for number in range(10_000):
            outputs.write(item(number))
    assert len(calls) < 50
    written = (tmp_path / "default.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in written] == list(range(10_000))


def test_a_failure_of_what_waited_is_told_and_raised(tmp_path: Path) -> None:
    """In the flushing thread to whom it may concern, and at the end to the owner."""
    (tmp_path / "default.jsonl").symlink_to("/dev/full")
    told = threading.Event()
    outputs = Outputs(tmp_path, ["default"], on_failure=lambda error: told.set())
    outputs.write(item("x"))
    assert told.wait(5)
    with pytest.raises(OutputError, match="No space left on device"):
        outputs.close()
    outputs.close()


def test_what_could_not_be_written_is_not_counted(tmp_path: Path) -> None:
    """The summary tells what is there."""
    (tmp_path / "default.jsonl").symlink_to("/dev/full")
    outputs = Outputs(tmp_path, ["default"])
    with pytest.raises(OutputError, match="No space left on device"):
        outputs.write(item("x" * 100_000))
    with pytest.raises(OutputError, match="No space left on device"):
        outputs.close()
    assert outputs.counts == {"default": 0}


def test_a_line_longer_than_what_a_pipe_takes_at_once(tmp_path: Path) -> None:
    """It is whole at the other end, and so are its neighbours."""
    path = tmp_path / "default.jsonl"
    os.mkfifo(path)
    found = []
    reader = threading.Thread(target=lambda: found.append(path.read_text()))
    reader.start()
    with Outputs(tmp_path, ["default"]) as outputs:
        for payload in (1, "x" * 300_000, 2):
            outputs.write(item(payload))
    reader.join(5)
    assert [json.loads(line) for line in found[0].splitlines()] == [1, "x" * 300_000, 2]
    assert outputs.counts == {"default": 3}


def test_files_are_closed_when_one_of_them_cannot_be_made(tmp_path: Path) -> None:
    """The leak fixture would see what stayed open."""
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*b\.jsonl: Is a directory"):
        Outputs(tmp_path, ["a", "b"])
