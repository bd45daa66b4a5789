"""Descriptors as messages."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors.actors import Ref, _poller, _runtime
from slither_actors.actors._scheduler import Scheduler
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, in_thread, settle


class Reader(Quiet):
    """Reads what it watches until that would block, and listens again where it is told to."""

    rearms = True

    def on_readable(self, fd: int) -> None:
        self.log.add(("message", fd))
        while True:
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                break
            self.log.add(data)
            if not data:
                return
        if self.rearms:
            self.rearm(fd)


def data(log: Log) -> bytes:
    """The next thing that was read."""
    while True:
        entry = log.get()
        if isinstance(entry, bytes):
            return entry


def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Pipe:
    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        os.set_blocking(self.read, False)
        os.set_blocking(self.write, False)
        self.closed: set[int] = set()

    def send(self, text: bytes) -> None:
        os.write(self.write, text)

    def close(self, *fds: int) -> None:
        for fd in fds or (self.read, self.write):
            if fd not in self.closed:
                self.closed.add(fd)
                os.close(fd)


@pytest.fixture(params=["epoll", "selectors"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to wait: the one of Linux and the one of all others."""
    if request.param == "epoll":
        if not hasattr(select, "epoll"):
            pytest.skip("no epoll here")
    else:
        monkeypatch.setattr(_poller, "_Epoll", _poller._Selector)


@pytest.fixture
def pipe(backend: None, scheduler: Scheduler) -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def log() -> Log:
    return Log()


def watching(log: Log, fd: int, cls: type[Reader] = Reader) -> Ref:
    ref = cls.start(log)
    ref.call(lambda probe: probe.watch(fd, cls.on_readable))
    return ref


def test_what_is_readable_is_a_message(pipe: Pipe, log: Log) -> None:
    """The function runs in the actor, with the descriptor."""
    ref = watching(log, pipe.read)
    pipe.send(b"hello")
    assert log.get() == ("message", pipe.read)
    assert log.get() == b"hello"
    ref.stop()


def test_what_was_readable_before_is_a_message(pipe: Pipe, log: Log) -> None:
    """Data that is there when the watch begins counts."""
    pipe.send(b"early")
    ref = watching(log, pipe.read)
    assert data(log) == b"early"
    ref.stop()


def test_each_arrival_is_read(pipe: Pipe, log: Log) -> None:
    """After `rearm` the next arrival is a message again, however the two meet."""
    ref = watching(log, pipe.read)
    for number in range(1000):
        pipe.send(b"%d" % number)
        assert data(log) == b"%d" % number
    ref.stop()


def test_nothing_is_lost_between_reading_and_listening_again(pipe: Pipe, log: Log) -> None:
    """A writer that never waits is read to its last byte."""
    ref = watching(log, pipe.read)
    sent = 0
    while sent < 20_000:
        try:
            pipe.send(b"x")
        except BlockingIOError:
            continue
        sent += 1
    received = 0
    while received < sent:
        received += len(data(log))
    ref.stop()
    assert received == sent


def test_what_arrives_just_before_listening_again_is_a_message(pipe: Pipe, log: Log) -> None:
    """The actor has read all there was; more comes and is seen; then it calls `rearm`."""
    gate = Gate()

    class Late(Reader):
        def rearm(self, fd: int) -> None:
            gate()
            super().rearm(fd)

    ref = watching(log, pipe.read, Late)
    pipe.send(b"first")
    assert data(log) == b"first"
    gate.wait()
    pipe.send(b"second")
    for _ in range(10):
        Quiet.start().call(None)  # the scheduler has looked at the poller again
    gate.open()
    assert data(log) == b"second"
    ref.stop()


def test_a_watch_is_silent_until_it_is_rearmed(pipe: Pipe, log: Log) -> None:
    """One message at the most waits in the mailbox, however much arrives."""

    class Once(Reader):
        rearms = False

    ref = watching(log, pipe.read, Once)
    pipe.send(b"one")
    assert data(log) == b"one"
    settle(ref)  # it has read until that would block
    for _ in range(10):
        pipe.send(b"more")
        Quiet.start().call(None)  # the scheduler has looked at the poller again
    settle(ref)
    assert log.rest() == []
    ref.call(lambda probe: probe.rearm(pipe.read))
    assert data(log) == b"more" * 10
    ref.stop()


def test_a_full_mailbox_has_one_message_of_a_descriptor(pipe: Pipe, log: Log) -> None:
    """An actor that is busy is not flooded by a descriptor that is."""
    ref, gate = watching(log, pipe.read), Gate()
    ref.cast(gate)
    gate.wait()
    other = Quiet.start()
    for _ in range(100):
        pipe.send(b"x")
        settle(other)
    assert len(ref._cell.inbox) <= 1
    gate.open()
    assert data(log) == b"x" * 100
    ref.stop()


def test_the_end_of_a_pipe_is_a_message(pipe: Pipe, log: Log) -> None:
    """A closed other end is readable: the read gives nothing."""
    ref = watching(log, pipe.read)
    pipe.close(pipe.write)
    assert data(log) == b""
    ref.stop()


def test_the_end_that_comes_before_rearm_is_a_message(pipe: Pipe, log: Log) -> None:
    """A writer that writes and closes at once is seen to its end."""
    ref = watching(log, pipe.read)
    pipe.send(b"last")
    pipe.close(pipe.write)
    assert data(log) == b"last"
    assert data(log) == b""
    ref.stop()


def test_writable_is_a_message_once(pipe: Pipe, log: Log) -> None:
    """`watch_write` waits until there is room, and then is over."""
    ref = Quiet.start(log)
    with contextlib.suppress(BlockingIOError):
        while True:
            pipe.send(b"x" * 4096)
    ref.call(lambda probe: probe.watch_write(pipe.write, lambda _, fd: log.add(("writable", fd))))
    settle(ref)
    assert log.rest() == []
    while True:
        try:
            os.read(pipe.read, 65536)
        except BlockingIOError:
            break
    assert log.get() == ("writable", pipe.write)
    settle(ref)
    assert log.rest() == []
    ref.stop()


def test_a_socket_is_watched_both_ways(backend: None, scheduler: Scheduler, log: Log) -> None:
    """To wait for room does not disturb reading."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        ref = watching(log, ours.fileno())
        for number in range(50):
            ref.call(lambda probe: probe.watch_write(ours.fileno(), lambda _, __: log.add("writable")))
            theirs.send(b"%d" % number)
            found = {entry for entry in log.take(3) if not isinstance(entry, tuple)}
            settle(ref)
            assert found == {"writable", b"%d" % number}
            assert {entry for entry in log.rest() if not isinstance(entry, tuple)} == set()
        ref.stop()


def test_unwatch_ends_it(pipe: Pipe, log: Log) -> None:
    """Nothing arrives any more, and the descriptor may be closed."""
    ref = watching(log, pipe.read)
    ref.call(lambda probe: probe.unwatch(pipe.read))
    pipe.send(b"unseen")
    settle(ref)
    assert log.rest() == []
    assert ref._cell.scheduler.poller.watching == 0


def test_the_end_of_an_actor_ends_its_watches(pipe: Pipe, log: Log) -> None:
    """Its descriptors are free for others."""
    first = watching(log, pipe.read)
    first.kill()
    assert first.join(LONG)
    second = watching(log, pipe.read)
    pipe.send(b"second")
    assert data(log) == b"second"
    second.stop()
    assert second._cell.scheduler.poller.watching == 0


def test_a_number_that_is_in_use_again_belongs_to_its_new_watcher(
    backend: None, scheduler: Scheduler, log: Log
) -> None:
    """A descriptor that was closed without `unwatch` does no harm to the next one of its number."""
    first, old = Reader.start(Log()), Pipe()
    first.call(lambda probe: probe.watch(old.read, Reader.on_readable))
    old.close()
    new = Pipe()
    assert new.read == old.read
    second = watching(log, new.read)
    first.stop()
    new.send(b"new")
    assert data(log) == b"new"
    second.stop()
    new.close()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")
def test_what_cannot_be_watched_is_an_error(scheduler: Scheduler, log: Log) -> None:
    """A regular file is refused, and nothing is left of the attempt."""
    ref = Quiet.start(log)

    def watch(probe: Probe) -> Any:
        with open(__file__) as file, pytest.raises(PermissionError):  # noqa: PTH123
            probe.watch(file.fileno(), lambda *_: None)
        return probe._cell.watches, scheduler.poller.watching

    assert ref.call(watch) == (None, 0)


def test_a_descriptor_is_seen_while_the_scheduler_is_busy(pipe: Pipe, log: Log) -> None:
    """Actors with endless work do not keep a message of a descriptor waiting."""
    over = threading.Event()

    def work(probe: Probe) -> None:
        end = time.perf_counter() + 0.0045
        while time.perf_counter() < end:
            pass
        if not over.is_set():
            probe.ref.cast(work)

    ref = watching(log, pipe.read)
    waits = []
    for worker in [Quiet.start() for _ in range(3)]:
        worker.cast(work)
    try:
        for _ in range(9):
            before = time.monotonic()
            pipe.send(b"seen")
            assert data(log) == b"seen"
            waits.append(time.monotonic() - before)
    finally:
        over.set()
    ref.stop()
    # Not every one, for a machine that is busy with something else. A scheduler that looks only after
    # every 64 slices needs 0.15 s on the average.
    assert sorted(waits)[4] < 0.1


def test_a_descriptor_is_seen_while_handlers_block(pipe: Pipe, log: Log) -> None:
    """The thread that polled may be the one that is stuck."""
    ref, gate, stuck = watching(log, pipe.read), Gate(), Quiet.start()
    stuck.cast(gate)
    gate.wait()
    pipe.send(b"seen")
    assert data(log) == b"seen"
    gate.open()
    ref.stop()


def test_a_scheduler_that_closes_keeps_its_poller_until_the_monitor_has_looked(
    pipe: Pipe, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a closed descriptor may be another one's by the time at which the monitor uses it."""
    scheduler = Scheduler(name="scheduler-of-test")
    monkeypatch.setattr(_runtime, "scheduler", scheduler)
    looks, poller = Gate(), scheduler.poller
    wait, backends = poller.wait, []

    def slow_wait(timeout: float | None) -> Any:
        if threading.current_thread() is scheduler.stall_watch.thread and not looks.arrived.is_set():
            looks()
            backends.append(poller._backend)
        return wait(timeout)

    ref, gate, stuck = watching(log, pipe.read), Gate(), Quiet.start()
    monkeypatch.setattr(poller, "wait", slow_wait)
    stuck.cast(gate)
    looks.wait()
    gate.open()
    ref.stop()
    stuck.stop()
    assert not scheduler.close(0.1)
    until(lambda: not scheduler.runners)
    looks.open()
    assert scheduler.stall_watch.thread is not None
    scheduler.stall_watch.thread.join(LONG)
    assert backends != [None]
    assert poller._backend is None


def test_a_wake_up_is_for_the_thread_that_polls(pipe: Pipe, log: Log) -> None:
    """Calls that come while descriptors arrive all the time are all answered."""
    ref, other, over = watching(log, pipe.read), Quiet.start(), threading.Event()

    def write() -> None:
        while not over.is_set():
            try:
                pipe.send(b"x")
            except BlockingIOError:
                over.wait(0.0001)

    writing = in_thread(write)
    try:
        for number in range(3000):
            assert other.call(number, LONG) == number
    finally:
        over.set()
        writing()
    ref.stop()
