"""The sentence about a worker's death."""

from __future__ import annotations

import pytest

from slither_actors.pool._postmortem import explain_exit

DUMP = """Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/home/me/model.py", line 12 in analyze
  File "/home/me/model.py", line 40 in run
"""


@pytest.mark.parametrize(
    ("exitcode", "expected"),
    [
        (-9, "killed by signal 9 (SIGKILL), possibly by the kernel for lack of memory"),
        (-11, "killed by signal 11 (SIGSEGV), a crash in native code"),
        (-6, "killed by signal 6 (SIGABRT), native code aborted"),
        (-63, "killed by signal 63"),
        (0, "it ended itself with status 0: the code called os._exit(0), or a library called exit()"),
        (42, "it ended itself with exit status 42"),
        (None, "it ended, and something else in this program took its exit status"),
    ],
)
def test_the_exit_status_is_put_into_words(exitcode: int | None, expected: str) -> None:
    """Signals have names and usual causes; status 0 is a crash like any other."""
    assert explain_exit(exitcode) == expected


def test_the_python_frame_of_a_fault_is_named() -> None:
    """A faulthandler dump tells where it happened."""
    assert explain_exit(-11, stderr_tail=DUMP).endswith("in analyze (model.py:12)")


def test_memory_is_told_where_it_is_evidence() -> None:
    """Its size is told for SIGKILL, and not for a segmentation fault."""
    assert "its memory had reached 3,072 MiB" in explain_exit(-9, peak_memory=3 << 30)
    assert "MiB" not in explain_exit(-11, peak_memory=3 << 30)
