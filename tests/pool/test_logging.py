"""Log records and warnings of workers arrive in the driver's `logging`, under its levels and bounded."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors.errors import StartError, WorkerCrashError
from slither_actors.pool import Pool, PoolOptions
from slither_actors.pool._log_records import MESSAGE_BYTES, pack, unpack
from slither_actors.pool._outlet import RECORDS_PER_SECOND
from tests.pool import talk, work
from tests.pool.asking import asking, stand_still
from tests.search_path import SEARCH_PATH


class Kept(logging.Handler):
    """Keeps the records that reach it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def heard() -> Iterator[Kept]:
    """What arrives at the root logger, which wants everything, from loggers that are not the library's."""
    with hearing("", logging.DEBUG) as kept:
        kept.addFilter(lambda record: record.name != "slither_actors.pool")
        yield kept


@contextlib.contextmanager
def hearing(name: str, level: int) -> Iterator[Kept]:
    one, kept = logging.getLogger(name), Kept()
    before = one.level
    one.setLevel(level)
    one.addHandler(kept)
    try:
        yield kept
    finally:
        one.removeHandler(kept)
        one.setLevel(before)


def test_a_record_arrives_as_it_was_made(heard: Kept) -> None:
    """Same logger, level, place and text, with the worker and its batch, before the batch's result."""
    with asking() as asker:
        for number in range(50):
            (pid,) = asker.run(talk.say, [str(number)], description=f"batch {number}")
            record = heard.records[-1]
            assert (record.name, record.levelname, record.getMessage()) == ("talk", "INFO", f"said {number}")
            assert (record.module, record.funcName) == ("talk", "say")
            assert (record.pool, record.slot, record.worker_pid) == ("tests", 0, pid)
            assert (record.process, record.batch) == (pid, f"batch {number}")
    assert len(heard.records) == 50


def test_traceback_and_fields_cross(heard: Kept) -> None:
    """Fields that pickle arrive as they are, others as their text; ours win over those of the same name."""
    with asking() as asker:
        asker.run(talk.say_more, ["this"])
    (record,) = heard.records
    assert record.getMessage().startswith("failed with this and <_MainThread(")
    assert record.exc_info is None
    assert "ValueError: this" in record.exc_text
    assert "raise ValueError(text)" in logging.Formatter().format(record)
    assert (record.number, record.point.x, record.pool) == (7, 3, "tests")
    assert re.match("<unlocked _thread.lock object", record.lock)
    assert "whose text raised RuntimeError" in record.mute


def test_a_record_that_cannot_be_rendered_says_so(heard: Kept) -> None:
    """Too few arguments, texts that raise, and texts without measure cost nothing else."""
    with asking() as asker:
        assert asker.run(talk.say_badly, [1]) == [1]
    texts = heard.texts
    assert "(not rendered: TypeError: not enough arguments for format string)" in texts[0]
    assert "(not rendered: RuntimeError: no text)" in texts[1]
    assert "(not rendered: RuntimeError: no text)" in texts[2]
    assert "[991808 characters left out]" in texts[3]
    assert texts[4].startswith("\N{GRINNING FACE}" * 100)
    assert texts[5] == "last"


def test_warnings_arrive_at_py_warnings(heard: Kept) -> None:
    """As after `logging.captureWarnings`, which the driver need not have called."""
    with asking() as asker:
        asker.run(talk.warn, ["mind the gap"])
    (record,) = heard.records
    assert (record.name, record.levelno) == ("py.warnings", logging.WARNING)
    assert "UserWarning: mind the gap" in record.getMessage()


def test_the_driver_levels_are_those_of_the_workers() -> None:
    """Nothing is made that nobody wants; a level that the worker lowers itself changes nothing here."""
    with (
        hearing("", logging.WARNING) as heard,
        hearing("talk.loud", logging.DEBUG),
        hearing("talk.quiet", logging.CRITICAL),
        asking() as asker,
    ):
        found = asker.run(talk.levels, ["", "talk", "talk.loud", "talk.loud.child", "talk.quiet"])
        assert found == [logging.WARNING, logging.WARNING, logging.DEBUG, logging.DEBUG, logging.CRITICAL]
        asker.run(talk.lower_level_and_say, ["psst"])
        asker.run(talk.say, ["nothing"])
    assert heard.texts == []


def test_what_the_driver_disables_is_disabled(heard: Kept) -> None:
    """`logging.disable` holds in the workers."""
    logging.disable(logging.INFO)
    try:
        with asking() as asker:
            asker.run(talk.say, ["nothing"])
            asker.run(talk.warn, ["something"])
    finally:
        logging.disable(logging.NOTSET)
    assert [record.name for record in heard.records] == ["py.warnings"]


def test_a_flood_is_cut_and_counted(heard: Kept) -> None:
    """So many a second arrive, in order; the rest is counted, to the last one."""
    with hearing("slither_actors.pool", logging.WARNING) as notes, asking() as asker:
        (took,) = asker.run(talk.say_many, [50_000])
        numbers = [int(text) for text in heard.texts]
        assert numbers == sorted(numbers)
        assert numbers[:RECORDS_PER_SECOND] == list(range(RECORDS_PER_SECOND))
        left_out = [int(re.search(r"(\d+) log records of worker", text)[1]) for text in notes.texts]  # type: ignore[index]
        assert len(numbers) + sum(left_out) == 50_000
        assert len(numbers) <= RECORDS_PER_SECOND * (took + 2)


def test_a_crash_in_a_flood_loses_no_count(heard: Kept) -> None:
    """What was sent arrives, what was left out is counted, before the batch's error."""
    with hearing("slither_actors.pool", logging.WARNING) as notes, asking() as asker:
        with pytest.raises(WorkerCrashError):
            asker.run(talk.say_many_and_die, [20_000])
        left_out = [re.search(r"(\d+) log records of worker", text) for text in notes.texts]
        assert len(heard.records) + sum(int(found[1]) for found in left_out if found) == 20_000


def test_nobody_waits_long_for_a_driver_that_does_not_read(heard: Kept) -> None:
    """The worker goes on after half a second, and the records that found no room are counted."""
    with hearing("slither_actors.pool", logging.WARNING) as notes, asking() as asker:
        asker.run(work.increment, [1])
        job = asker.submit(talk.say_many, [900])
        asker.pool.send(stand_still, 3.0)
        asker.wait(job)
        assert job.results is not None
        assert job.results[0] < 2.0
        left_out = [int(re.search(r"(\d+) log records of worker", text)[1]) for text in notes.texts]  # type: ignore[index]
        assert len(heard.records) + sum(left_out) == 900


def test_last_words_come_before_the_error(heard: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    """Records and lines that were written before the death are there when the batch fails."""
    with asking() as asker:
        for _ in range(10):
            heard.records.clear()
            with pytest.raises(WorkerCrashError):
                asker.run(talk.say_and_die, [100], description="the last batch")
            assert heard.texts == [str(number) for number in range(100)]
            assert {record.batch for record in heard.records} == {"the last batch"}
            shown = capsys.readouterr()
            assert shown.out.endswith("] on standard output\n")
            assert shown.err.endswith("] on standard error\n")


def test_threads_and_signal_handlers_may_log(heard: Kept) -> None:
    """Each thread's records are all there and in order."""
    with asking() as asker:
        asker.run(talk.say_from_threads, list(range(8)))
        for thread in range(8):
            mine = [text for text in heard.texts if text.startswith(f"{thread} ")]
            assert mine == [f"{thread} {number}" for number in range(50)]
    heard.records.clear()
    with asking() as asker:
        asker.run(talk.say_from_signals, [400])
        numbers = [text for text in heard.texts if text != "alarm"]
        assert numbers == [str(number) for number in range(len(numbers))]


def test_a_forked_child_of_a_worker_is_heard(heard: Kept) -> None:
    """Under its own process number, and with its worker's."""
    with asking() as asker:
        (child,) = asker.run(talk.say_from_a_fork, [1])
        (worker,) = asker.run(work.pids, [1])
    (record,) = [one for one in heard.records if one.getMessage() == "child speaks"]
    assert (record.process, record.worker_pid) == (child, worker)


def test_a_forked_child_does_not_spoil_the_count(heard: Kept) -> None:
    """What it leaves out is its own; the worker's count stays exact."""
    with hearing("slither_actors.pool", logging.WARNING) as notes, asking() as asker:
        asker.run(talk.say_many_in_a_fork_too, [5000])
        mine = [one for one in heard.records if one.process == one.worker_pid]
        left_out = [int(re.search(r"(\d+) log records of worker", text)[1]) for text in notes.texts]  # type: ignore[index]
        assert len(mine) + sum(left_out) == 5000


def test_a_handler_that_raises_does_no_harm(heard: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it raises; standard error says so, once per worker."""

    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise SystemExit(3)

    broken = Broken()
    logging.getLogger("talk").addHandler(broken)
    try:
        with asking() as asker:
            asker.run(talk.say, ["one", "two"])
            assert asker.run(work.increment, [1]) == [2]
            assert asker.statistics().restarts == 0
    finally:
        logging.getLogger("talk").removeHandler(broken)
    assert capsys.readouterr().err.count("a log handler raised SystemExit") == 1


@pytest.mark.parametrize("configure", [talk.configure_basic, talk.configure_dict])
def test_logging_may_be_configured_in_a_worker(configure: Any, heard: Kept, tmp_path: Path) -> None:
    """Its own handlers work as anywhere, and its records arrive here all the same."""
    path = tmp_path / "own.log"
    with asking() as asker:
        asker.run(configure, [str(path)])
    assert path.read_text() in {"own to both\n", "to both\n"}
    assert heard.texts == ["to both"]


def test_the_logger_of_multiprocessing_is_heard(heard: Kept) -> None:
    """It does not propagate, in the worker: here it does what the driver had it do."""
    with asking() as asker, hearing("multiprocessing", logging.DEBUG) as mine:
        asker.run(talk.use_multiprocessing_logger, ["from multiprocessing"])
        assert mine.texts == ["from multiprocessing"]


def test_the_init_hook_is_heard(heard: Kept) -> None:
    """Before there is any batch."""
    with asking(init=talk.say_at_start):
        assert heard.texts == ["started"]
    assert heard.records[0].batch == ""


def test_descriptors_that_are_closed_and_reused_get_no_records(heard: Kept, tmp_path: Path) -> None:
    """A record is no part of the user's file."""
    with asking() as asker:
        assert asker.run(talk.close_everything_and_say, [str(tmp_path / "file")]) == [""]
        assert asker.run(work.increment, [1]) == [2]
    assert heard.texts == []


def test_logging_may_be_left_alone(heard: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``logging=False`` a worker's `logging` is as Python made it: warnings go to standard error."""
    with asking(logging=False) as asker:
        asker.run(talk.warn, ["mind the gap"])
        assert asker.run(talk.levels, [""]) == [logging.WARNING]
    assert heard.texts == []
    assert "UserWarning: mind the gap" in capsys.readouterr().err


def test_the_option_is_a_flag() -> None:
    """Anything else is refused where it is given."""
    assert PoolOptions().logging is True
    with pytest.raises(StartError, match=r"pool 'p': option 'logging' is 1; allowed are True, False"):
        Pool.start("p", workers=1, logging=1)


def test_a_main_module_that_configures_nothing_sees_warnings_with_a_label(tmp_path: Path) -> None:
    """As a program sees its own on standard error, and says which worker's they are."""
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            """
            import logging, warnings

            from slither_actors import Application, dispatch

            def work(batch):
                logging.getLogger("mine").info("nobody wants this")
                logging.getLogger("mine").error("two\\nlines")
                warnings.warn("mind the gap")
                return batch

            if __name__ == "__main__":
                with Application(pools={"default": 1}):
                    list(dispatch.run([1], executor=work))
            """
        )
    )
    env = {**os.environ, "PYTHONPATH": SEARCH_PATH}
    ran = subprocess.run(
        [sys.executable, str(script)], check=False, env=env, capture_output=True, text=True, timeout=50
    )
    assert ran.returncode == 0
    lines = [re.sub(r"pid \d+", "pid N", line) for line in ran.stderr.splitlines()]
    label = "[pool default, worker 0, pid N] "
    assert lines[:2] == [f"{label}two", f"{label}lines"]
    assert lines[2].startswith(f"{label}{script}:9: UserWarning: mind the gap")


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_main_module_that_configures_logging_shows_a_record_once(method: str, tmp_path: Path) -> None:
    """Its import configures the worker by the same lines; the driver's handler alone shows the record."""
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import logging

            from slither_actors import Application, dispatch

            logging.basicConfig(level=logging.INFO, format="%(levelname)s %(pool)s %(message)s")
            logging.getLogger("slither_actors").setLevel(logging.ERROR)

            def work(batch):
                logging.getLogger("mine").info("once")
                return batch

            if __name__ == "__main__":
                pool = {{"workers": 1, "start_method": "{method}"}}
                with Application(pools={{"default": pool}}):
                    list(dispatch.run([1], executor=work))
            """
        )
    )
    env = {**os.environ, "PYTHONPATH": SEARCH_PATH}
    ran = subprocess.run(
        [sys.executable, str(script)], check=False, env=env, capture_output=True, text=True, timeout=50
    )
    assert (ran.returncode, ran.stderr) == (0, "INFO default once\n")


# -- the messages ------------------------------------------------------------------------------


def test_a_message_is_bounded() -> None:
    """Whatever a record holds, it fits."""
    record = logging.LogRecord("n", 20, "p" * 10**6, 1, "\N{GRINNING FACE}" * 10**6, (), None)
    record.__dict__.update({f"extra{n}": "\N{GRINNING FACE}" * 10**5 for n in range(1000)})
    data = pack(record, 5, 7)
    assert len(data) <= MESSAGE_BYTES
    said = unpack(data)
    assert (said.ref, said.dropped) == (5, 7)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\xff" * 64, b"\x80\x05K\x01."])
def test_garbage_is_no_message(data: bytes) -> None:
    """It is a ValueError, which the reader passes over."""
    with pytest.raises(ValueError, match="not a log record"):
        unpack(data)
