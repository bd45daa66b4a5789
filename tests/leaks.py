"""A test that leaves a process, a thread or a file descriptor behind fails.

The census of what exists is taken before and after each test. What is new and
not infrastructure has `SETTLE_SECONDS` to go away. Processes and descriptors
are read from ``/proc``; where there is none, only threads are counted.

Processes are found as descendants, and by a mark in their environment as well:
one whose parent has died is nobody's descendant any more.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path

import attrs
import pytest

__all__ = ["no_leaks"]

SETTLE_SECONDS = 2.0

# -- infrastructure: started once, on first use, and kept --------------------

THREADS = ("slither-scheduler-", "slither-monitor", "slither-timer", "slither-stages-loop", "pytest_timeout")
"""Prefixes of thread names."""

PROCESSES = ("from multiprocessing.forkserver import", "from multiprocessing.resource_tracker import")
"""Parts of the command lines of direct children. A forked worker has its server's command line, but is
the server's child and not ours."""

DESCRIPTORS = (
    ("multiprocessing.forkserver", "_forkserver._forkserver_alive_fd"),
    ("multiprocessing.resource_tracker", "_resource_tracker._fd"),
    ("slither_actors.actors._runtime", "scheduler.poller._backend._epoll"),
    ("slither_actors.actors._runtime", "scheduler.poller._wake_read"),
    ("slither_actors.actors._runtime", "scheduler.poller._wake_write"),
    ("slither_actors.stages._loop", "shared.loop._selector"),
    ("slither_actors.stages._loop", "shared.loop._ssock"),
    ("slither_actors.stages._loop", "shared.loop._csock"),
)
"""Module and attribute that hold a descriptor (or an object with ``fileno``, or several of either)."""


# -- what is counted ---------------------------------------------------------


@attrs.frozen
class Process:
    """A process below this one; the start time tells apart two that had the same pid."""

    pid: int
    started: str
    parent: int = attrs.field(eq=False)
    state: str = attrs.field(eq=False)
    command: str = attrs.field(eq=False)

    @property
    def is_infrastructure(self) -> bool:
        return (
            self.parent == os.getpid()
            and self.state != "Z"
            and any(part in self.command for part in PROCESSES)
        )

    def __str__(self) -> str:
        return f"process {self.pid}{' (zombie)' if self.state == 'Z' else ''}: {self.command}"


@attrs.frozen
class Thread:
    """A running thread. Identifiers are reused, so the thread object tells two apart."""

    ident: int
    thread: threading.Thread | None = attrs.field(eq=id)

    @property
    def is_infrastructure(self) -> bool:
        return self.thread is not None and self.thread.name.startswith(THREADS)

    def __str__(self) -> str:
        name = repr(self.thread.name) if self.thread else f"{self.ident} (not made by threading)"
        frame = sys._current_frames().get(self.ident)
        stack = "".join(traceback.format_stack(frame)) if frame else "  (has just ended)\n"
        return f"thread {name}, which is at\n{stack.rstrip()}"


@attrs.frozen
class Descriptor:
    """An open file descriptor of this process."""

    number: int
    target: str

    def __str__(self) -> str:
        return f"file descriptor {self.number} -> {self.target}"


# -- the census --------------------------------------------------------------

HAS_PROC = Path("/proc/self/stat").exists()
_KERNEL_THREAD = 0x0020_0000
"""Of the flags of a process: PF_KTHREAD."""
_MARK = "SLITHER_TEST_CENSUS"
# A test run started by a test is marked by both.
os.environ[_MARK] = f"{os.environ.get(_MARK, '')}/{os.getpid()}"
_OUR_MARK = f"\0{_MARK}={os.environ[_MARK]}".encode()


_foreign: dict[int, str] = {}
"""Pid and start of processes that are known not to be ours: most of a machine's, each looked at once."""

_CHECK_SECONDS = 1.0
"""How often the starts of those are looked at again: a pid comes back when all others have been used."""
_checked = -_CHECK_SECONDS


def processes() -> set[Process]:
    """Return the descendants of this process and those that inherited its mark."""
    # Not with `Path`: there are hundreds of processes, and this is done before and after each test.
    there = set(map(int, filter(str.isdigit, os.listdir("/proc")))) if HAS_PROC else set[int]()  # noqa: PTH208
    _forget_foreign(there)
    parents: dict[int, int] = {}
    found: dict[int, tuple[str, str]] = {}
    for pid in there - _foreign.keys():
        try:
            state, parents[pid], flags, started = _stat(pid)
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        if flags & _KERNEL_THREAD:
            _foreign[pid] = started
        else:
            found[pid] = state, started
    ours = set()
    for pid, (state, started) in found.items():
        if pid == os.getpid():
            continue
        try:
            # A descendant may get its mark only when it runs another program: it is not foreign before that.
            if not (below := _below(os.getpid(), pid, parents)) and not _is_marked(pid):
                _foreign[pid] = started
                continue
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            name = Path(f"/proc/{pid}/comm").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:  # a zombie, or another user's
            if not below:
                _foreign[pid] = started
                continue
            raise
        ours.add(
            Process(
                pid=pid, started=started, parent=parents[pid], state=state, command=(command or name).strip()
            )
        )
    return ours


def _forget_foreign(there: set[int]) -> None:
    """Forget those that have ended, and now and then those whose pid is another's by now."""
    global _checked  # noqa: PLW0603 - of this module's one list
    for pid in _foreign.keys() - there:
        del _foreign[pid]
    if time.monotonic() - _checked < _CHECK_SECONDS:
        return
    for pid, started in list(_foreign.items()):
        try:
            same = _stat(pid)[3] == started
        except (FileNotFoundError, ProcessLookupError):
            same = False
        if not same:
            del _foreign[pid]
    _checked = time.monotonic()


def _stat(pid: int) -> tuple[str, int, int, str]:
    """Return the state, the parent, the flags and the start time of a process."""
    descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # The second field is the name in parentheses and may hold anything, a ')' too.
        fields = os.read(descriptor, 4096).rpartition(b")")[2].split()
    finally:
        os.close(descriptor)
    return fields[0].decode(), int(fields[1]), int(fields[6]), fields[19].decode()


def _is_marked(pid: int) -> bool:
    environment = b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    return _OUR_MARK + b"\0" in environment or _OUR_MARK + b"/" in environment


def _below(ancestor: int, pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


def threads() -> set[Thread]:
    """Return the threads that run, those that `threading` does not know included."""
    known = {each.ident: each for each in threading.enumerate()}
    return {Thread(ident, known.get(ident)) for ident in sys._current_frames()}


def descriptors() -> set[Descriptor]:
    """Return what is open in this process."""
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            found.add(Descriptor(int(entry.name), os.readlink(entry)))  # noqa: PTH115 - targets are not paths
        except FileNotFoundError:  # the descriptor that lists the folder
            continue
    return found


def census() -> set[Process | Thread | Descriptor]:
    """Return all that a test could leave behind."""
    return {*processes(), *threads(), *descriptors()}


def _held(module: str, attribute: str) -> Iterable[int]:
    """Return the descriptors that a module keeps, none if it is not imported or keeps none."""
    try:
        value = attrgetter(attribute)(sys.modules[module])
    except (KeyError, AttributeError):
        return ()
    values = value if isinstance(value, (list, tuple, set)) else [value]
    return [each if isinstance(each, int) else each.fileno() for each in values if each is not None]


def left_behind(before: set[Process | Thread | Descriptor]) -> list[Process | Thread | Descriptor]:
    """Return what is new since `before` and no infrastructure."""
    new = census() - before
    held = {number for place in DESCRIPTORS for number in _held(*place)}

    def is_infrastructure(each: Process | Thread | Descriptor) -> bool:
        if isinstance(each, Descriptor):
            return each.number in held
        return each.is_infrastructure

    return [each for each in new if not is_infrastructure(each)]


def settle(before: set[Process | Thread | Descriptor]) -> list[Process | Thread | Descriptor]:
    """Return what is still left behind after `SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    pause = 0.001
    left = left_behind(before)
    if left:
        gc.collect()  # a descriptor in a reference cycle is closed by its collection
        left = left_behind(before)
    while left and time.monotonic() < deadline:
        # The end of another's thread or process is no event that one could wait for here.
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
        left = left_behind(before)
    return left


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail the test if it leaves a process, a thread or a file descriptor behind."""
    before = census()
    yield
    left = settle(before)
    if left:
        report = "\n".join(sorted(str(each) for each in left))
        pytest.fail(f"the test left behind:\n{report}", pytrace=False)
