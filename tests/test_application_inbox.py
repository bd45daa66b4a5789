"""How the thread is woken that is parked in `Application.run`: by every signal, and by nothing else."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors.application._inbox import Bell, Inbox
from tests.actors.probes import LONG
from tests.application_process import await_ready, finish, start


def wakeup_fd() -> int:
    found = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(found)
    return found


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """What somebody else had signals written to: where they are read, where they are written."""
    ear, button = socket.socketpair()
    ear.settimeout(LONG)
    button.setblocking(False)
    before = signal.set_wakeup_fd(button.fileno())
    with ear, button:
        yield ear, button
        signal.set_wakeup_fd(before)


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The signals that a handler was called for."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGUSR2, before)


# -- words -------------------------------------------------------------------------------


def test_words_come_in_their_order_and_then_nothing() -> None:
    """Those from before as well. A wait without a word ends when it is time."""
    inbox = Inbox()
    inbox.put(1)
    with inbox.open() as get:
        inbox.put(2)
        assert [get(None), get(0.0), get(0.0), get(0.01), get(-1.0)] == [1, 2, None, None, None]
    inbox.put(3)  # nobody listens; it harms nothing


def test_a_word_ends_a_wait() -> None:
    """At once, and whichever thread says it."""
    inbox = Inbox()
    with inbox.open() as get:
        threading.Timer(0.05, inbox.put, (1,)).start()
        began = time.monotonic()
        assert get(None) == 1
        assert time.monotonic() - began < LONG / 2


def test_more_words_than_a_socket_holds() -> None:
    """None is lost, and nobody waits to say one."""
    inbox = Inbox()
    with inbox.open() as get:
        for number in range(10_000):
            inbox.put(number)
        assert [get(0.0) for _ in range(10_001)] == [*range(10_000), None]


def test_ringing_and_closing_meet() -> None:
    """Who has something to say when nobody waits any more is not told of it."""
    bell = Bell()
    bell.close()
    bell.ring()
    bell.close()


# -- signals -----------------------------------------------------------------------------


def test_a_signal_that_another_thread_gets_ends_the_wait(heard: list[int]) -> None:
    """Its handler runs in the main thread, which would sleep over it in a wait for a lock."""

    def strike() -> None:
        time.sleep(0.05)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)

    bell = Bell()
    thread = threading.Thread(target=strike)
    thread.start()
    assert bell.wait(LONG)
    bell.close()
    thread.join()
    assert heard == [signal.SIGUSR2]


def test_who_was_told_of_signals_before_is_told_and_has_them_back(pair: Any, heard: list[int]) -> None:
    """An event loop, say, in which `run` is called."""
    ear, button = pair
    bell = Bell()
    assert wakeup_fd() != button.fileno()
    bell.ring()
    os.kill(os.getpid(), signal.SIGUSR2)
    while not heard:
        bell.wait(LONG)
    bell.wait(0.1)
    assert ear.recv(10) == bytes([signal.SIGUSR2])
    bell.close()
    assert wakeup_fd() == button.fileno()


def test_a_change_meanwhile_is_left_alone(pair: Any) -> None:
    """It is another one's."""
    _, button = pair
    bell = Bell()
    signal.set_wakeup_fd(button.fileno())
    bell.close()
    assert wakeup_fd() == button.fileno()


def test_what_was_closed_meanwhile_is_not_given_back() -> None:
    """Nor is it an error."""
    ear, button = socket.socketpair()
    button.setblocking(False)
    signal.set_wakeup_fd(button.fileno())
    bell = Bell()
    ear.close()
    button.close()
    bell.close()
    assert wakeup_fd() == -1


def test_another_thread_hears_no_signals() -> None:
    """They are the main thread's."""
    found: list[int] = []

    def listen() -> None:
        with Inbox().open():
            found.append(1)

    before = wakeup_fd()
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found
    assert wakeup_fd() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_child_of_a_fork_does_not_ring_in_its_parent(heard: list[int]) -> None:
    """It shares the descriptors."""
    bell = Bell()
    pid = os.fork()
    if not pid:
        os.kill(os.getpid(), signal.SIGUSR2)
        os._exit(0 if wakeup_fd() == -1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert not bell.wait(0.05)
    bell.close()
    assert heard == []


# -- in a program ------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_nothing_wakes_an_idle_application(tmp_path: Path) -> None:
    """Not one of its threads in a second."""
    body = """
        faulthandler.cancel_dump_traceback_later()
        application = Application(pools={}, children=probes("a"))
        when_up(lambda: (time.sleep(1), ready()), "a")
        application.run()
    """
    with start(tmp_path, body) as process:
        await_ready(process)
        time.sleep(0.3)  # for the threads that have just done something
        before = switches(process.pid)
        time.sleep(1)
        after = switches(process.pid)
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0] == 143
    assert after == before


def switches(pid: int) -> dict[str, str]:
    """How often each thread has gone to sleep."""
    return {
        task.name: next(line for line in (task / "status").read_text().splitlines() if "tary_ctxt" in line)
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def test_a_signal_for_another_thread_ends_the_program(tmp_path: Path) -> None:
    """The kernel may choose any."""
    body = """
        when_up(lambda: (time.sleep(0.3), signal.pthread_kill(threading.get_ident(), signal.SIGTERM)), "a")
        Application(pools={}, children=probes("a")).run()
    """
    with start(tmp_path, body) as process:
        assert finish(process) == (143, ["terminate a shutdown"], "")


def test_an_event_loop_hears_its_signals_when_run_has_returned(tmp_path: Path) -> None:
    """It could not meanwhile, for its thread was parked."""
    body = """
        import asyncio
        async def main():
            told = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, told.set)
            application = Application(pools={}, children=probes("a"))
            def ask():
                os.kill(os.getpid(), signal.SIGUSR2)
                time.sleep(0.2)
                application.request_stop()
            when_up(ask, "a")
            application.run()
            await asyncio.wait_for(told.wait(), 10)
            say("told")
        asyncio.run(main())
    """
    with start(tmp_path, body) as process:
        assert finish(process) == (0, ["terminate a shutdown", "told"], "")
