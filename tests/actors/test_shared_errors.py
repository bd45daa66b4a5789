"""One exception object for many who wait: those of tasks and of failures."""

from __future__ import annotations

import gc
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from slither_actors.actors import Failure, Request, Server, Task, TaskSupervisor
from tests.actors.probes import LONG, crash, in_thread


def frames_of(function: Callable[[], Any]) -> list[str]:
    """Run what raises; return the functions of the traceback."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - any
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    raise AssertionError("it did not raise")


@pytest.fixture
def failed() -> Iterator[Task[None]]:
    tasks = TaskSupervisor.start()
    task = tasks.async_nolink(crash)
    task.ref.join(LONG)
    yield task
    tasks.stop()


def test_the_traceback_does_not_grow_with_the_awaits(failed: Task[None]) -> None:
    """Each waiter sees its own frames, once, and one note with those of the task."""
    first = frames_of(failed.await_)
    for _ in range(50):
        assert frames_of(failed.await_) == first
    with pytest.raises(ZeroDivisionError) as caught:
        failed.await_()
    assert len(caught.value.__notes__) == 1


def test_threads_that_await_at_one_time_add_nothing_to_each_other(failed: Task[None]) -> None:
    """However many raise the one object at once, its traceback stays that of one or two of them."""
    start = threading.Barrier(4)

    def wait() -> int:
        start.wait(LONG)
        return max(len(frames_of(failed.await_)) for _ in range(500))

    longest = max(join() for join in [in_thread(wait) for _ in range(4)])
    assert longest <= 4 * len(frames_of(failed.await_))


def test_what_an_earlier_waiter_handled_is_no_context(failed: Task[None]) -> None:
    """The exception that was handled around one await does not show in the next."""

    def wait_in_a_handler() -> None:
        try:
            raise KeyError("unrelated")
        except KeyError:
            failed.await_()

    frames_of(wait_in_a_handler)
    with pytest.raises(ZeroDivisionError) as caught:
        failed.await_()
    assert caught.value.__context__ is None


def test_the_context_of_the_task_itself_stays() -> None:
    """What the function handled when it raised is part of the story."""

    def raise_in_a_handler() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            crash()

    task = TaskSupervisor.start().async_nolink(raise_in_a_handler)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            task.await_()
        assert isinstance(caught.value.__context__, KeyError)


class RefusingError(Exception):
    """Takes no attributes and no notes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(name)

    def add_note(self, _note: str) -> None:
        raise TypeError("note")

    def with_traceback(self, _frames: Any) -> Any:
        raise TypeError("traceback")


@attrs.frozen
class FrozenError(Exception):
    """An exception as a frozen record."""

    number: int


class OddError(Exception):
    """Cannot be made from its own arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


@pytest.mark.parametrize(
    "error", [RefusingError("x"), FrozenError(1), OddError(1, 2)], ids=lambda error: type(error).__name__
)
def test_an_odd_exception_reaches_who_waits(error: Exception) -> None:
    """As itself, however often it is asked for, and with the note where it can have one."""

    def fail() -> None:
        raise error

    task = TaskSupervisor.start().async_nolink(fail)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            task.await_()
        assert caught.value is error
        assert "in fail" in error.__notes__[0]


class Refuser(Server):
    """Fails each call with one and the same object."""

    def init(self) -> None:
        try:
            crash()
        except ZeroDivisionError as error:
            self.error = error

    def handle_call(self, _request: Any, _sender: Request) -> Failure:
        return Failure(self.error)


class InlineRefuser(Refuser):
    """Does so in the caller's thread."""

    inline_calls = True


@pytest.mark.parametrize("kind", [Refuser, InlineRefuser])
@pytest.mark.parametrize("way", ["call", "ask"])
def test_a_failure_that_is_given_again_does_not_grow(kind: type[Refuser], way: str) -> None:
    """A server may keep the error that it answers with; where it came from stays to be seen."""
    ref = kind.start()

    def ask() -> Any:
        return getattr(ref, way)("anything", timeout=LONG)

    first = frames_of(ask)
    assert first[-1] == "crash"
    for _ in range(20):
        again = frames_of(ask)
    assert len(again) <= len(first) + 2
    assert again[-1] == "crash"
    ref.stop()


def test_a_task_that_is_dropped_keeps_nothing_of_who_awaited_it(failed: Task[None]) -> None:
    """The next await lets go of the frames of the one before."""

    class Witness:
        """Lives in a frame."""

    def wait() -> weakref.ref[Witness]:
        witness = Witness()
        frames_of(failed.await_)
        return weakref.ref(witness)

    seen = wait()
    frames_of(failed.await_)
    gc.collect()
    assert seen() is None
