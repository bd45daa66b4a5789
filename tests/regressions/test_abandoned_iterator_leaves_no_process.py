"""An iterator that is not read to its end leaves nothing behind: pypeln #13.

There, the processes of a stage whose iterator was abandoned wait for ever.
The workers here are the pool's: they are free for the next run, and end with
the application. That no process is left after each test is seen by the leak
fixture.
"""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors import Application, dispatch
from slither_actors.pool import STATISTICS
from tests.dispatch import work
from tests.dispatch.manual import Endless, actors_of_runs, wait


def by_break(stream: Iterator[Any]) -> None:
    for item in stream:
        if item.payload > 10:
            break


def by_dropping(stream: Iterator[Any]) -> None:
    next(stream)


def by_with(stream: Any) -> None:
    with stream:
        next(stream)


def by_an_exception(stream: Iterator[Any]) -> None:
    for item in stream:
        raise LookupError(item)


@pytest.mark.parametrize("leave", [by_break, by_dropping, by_with, by_an_exception])
@pytest.mark.parametrize("read", [0, 100])
def test_an_abandoned_stream_is_gone(leave: Callable[[Any], None], read: int) -> None:
    """Its input is closed, its actors have ended, the pool has nothing of it."""
    source = Endless()

    def use() -> None:
        stream = dispatch.stream(source.items(), executor=work.increment, batch_size=2)
        for _ in itertools.islice(stream, read):
            pass
        leave(stream)

    with Application(pools={"default": 2}) as application:
        if leave is by_an_exception:
            with pytest.raises(LookupError):
                use()
        else:
            use()
        gc.collect()
        wait(source.closed)
        while actors_of_runs():
            threading.Event().wait(0.005)
        while application.pool().call(STATISTICS).running:
            threading.Event().wait(0.005)
        assert application.pool().call(STATISTICS).queued == 0
        assert len(dispatch.run(range(10), executor=work.increment)) == 10


def test_a_stream_that_was_never_read_is_nothing() -> None:
    """No actor, no thread, no process: it starts with the first item asked for."""
    stream = dispatch.stream(itertools.count(), executor=work.increment)
    del stream
    assert actors_of_runs() == []
