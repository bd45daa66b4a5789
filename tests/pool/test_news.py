"""What a worker is told before its batches, by somebody above the pool that it asked."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors.pool import CallRequest, current_worker
from slither_actors.pool import _wire as wire
from slither_actors.pool._driver_line import DriverLine
from slither_actors.pool._news import SealedBytes
from slither_actors.pool._payloads import dumps
from tests.pool.asking import Asker, asking, until

heard: list[bytes] = []
"""In a worker: the news so far."""


def follow(payloads: list[Any]) -> list[Any]:
    """Ask to be told, and return what was heard before the answer came."""
    current_worker().listen(lambda news: heard.append(bytes(news)))
    current_worker().call("follow", *payloads)
    return [list(heard)]


def tell(_: list[Any]) -> list[Any]:
    """What was heard before this batch began."""
    return [(os.getpid(), list(heard))]


def ask(_: list[Any]) -> list[Any]:
    """What was heard before a call was answered."""
    before = len(heard)
    current_worker().call("answer")
    return [heard[before:]]


class Subject:
    """A following that says what it is given to say."""

    def __init__(self, subject: object = "it") -> None:
        self.subject = subject
        self.is_over = False
        self.news: list[bytes] = []

    @property
    def is_behind(self) -> bool:
        return bool(self.news)

    def take(self) -> list[bytes]:
        news, self.news = self.news, []
        return news


class Teller:
    """Answers the calls of a pool's workers."""

    def __init__(self) -> None:
        self.following = Subject()
        self.before_answer = b""

    def __call__(self, request: CallRequest) -> None:
        if request.name == "answer":
            self.following.news.append(b"ahead of the answer")
            request.reply()
        else:
            request.follow(self.following, SealedBytes([b"first", bytes(request.args[0])]))


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def pool(teller: Teller) -> Iterator[Asker]:
    with asking(workers=1, calls=teller) as asker:
        yield asker


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_a_worker_that_asks_is_told(pool: Asker, teller: Teller, size: int) -> None:
    """What it begins with comes through the socket or, if it is large, through memory."""
    assert pool.run(follow, [size]) == [[b"first" + bytes(size)]]
    teller.following.news += [b"one", b"two"]
    assert pool.run(tell, [None])[0][1][1:] == [b"one", b"two"]
    assert pool.run(tell, [None])[0][1][1:] == [b"one", b"two"]


def test_news_comes_ahead_of_an_answer(pool: Asker) -> None:
    """So whoever has made something new by a call sees it when the call returns."""
    pool.run(follow, [1])
    assert pool.run(ask, [None]) == [[b"ahead of the answer"]]


def test_the_successor_of_a_worker_is_told_nothing(pool: Asker, teller: Teller) -> None:
    """It has not asked."""
    pool.run(follow, [1])
    pid = pool.run(tell, [None])[0][0]
    os.kill(pid, signal.SIGKILL)
    until(lambda: pool.statistics().slots[0].pid not in (None, pid))
    teller.following.news.append(b"for the dead")
    assert pool.run(tell, [None])[0][1] == []
    assert teller.following.news == [b"for the dead"]


def test_a_following_that_is_over_is_let_go_of(pool: Asker, teller: Teller) -> None:
    """And one of the same subject takes its place."""
    pool.run(follow, [1])
    first, teller.following = teller.following, Subject()
    pool.run(follow, [1])
    first.news.append(b"nobody asks for it")
    pool.run(tell, [None])
    assert first.news
    teller.following.is_over = True
    teller.following.news.append(b"the last")
    assert pool.run(tell, [None])[0][1][-1] == b"the last"
    teller.following.news.append(b"more")
    pool.run(tell, [None])
    assert teller.following.news == [b"more"]


def test_sealed_bytes_can_be_read_by_all_and_written_by_nobody() -> None:
    """They are put together piece by piece; a descriptor ends with its object."""
    sealed = SealedBytes(bytes([number]) * 100_000 for number in range(10))
    assert sealed.fd >= 0
    assert sealed.size == 1_000_000
    assert sealed.read()[-1:] == b"\x09"
    with pytest.raises(PermissionError):
        os.pwrite(sealed.fd, b"x", 0)
    fd = sealed.fd
    del sealed
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_an_answer_waits_for_news_that_another_thread_has_taken() -> None:
    """What precedes the answer is heard before the call returns, whoever hears it."""
    asked, hearing, go_on = threading.Event(), threading.Event(), threading.Event()
    events: list[str] = []

    def hear(_: Any) -> None:
        hearing.set()
        assert go_on.wait(20)
        events.append("heard")

    class Answered(DriverLine):
        def _ask(self, ref: int, body: bytes) -> tuple[int, bytes]:
            self._news.append((0, b"news"))
            asked.set()
            assert hearing.wait(20)  # another thread was quicker
            return wire.REPLY, dumps(None, "answer")

    line = Answered(None, None)  # type: ignore[arg-type]
    line.is_running = True
    line.listen(hear)

    def call() -> None:
        line.call("answer", b"")
        events.append("answered")

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    assert asked.wait(20)
    other = threading.Thread(target=line._tell_news, daemon=True)
    other.start()
    assert hearing.wait(20)
    caller.join(0.1)
    go_on.set()
    caller.join(20)
    other.join(20)
    assert events == ["heard", "answered"]
