"""What the tests of streams share."""

from __future__ import annotations

import threading
from typing import Any

from slither_actors.actors._cell import live_cells
from slither_actors.errors import StreamError
from slither_actors.stages import Stream, stream
from tests.stages.probes import Source, inside, until


def endless(**options: Any) -> Any:
    """Start a source that never ends."""
    return Source.start(10**9, **options)


def nothing_is_left(source: Any) -> None:
    """Wait until the stream's consumer is gone and the producer knows it."""
    until(lambda: not [cell for cell in live_cells() if cell.ref.actor_class.__name__ == "StreamConsumer"])
    if source.is_alive():
        until(lambda: inside(source, lambda stage: not stage._consumers))


def waiting_reader(source: Any) -> tuple[Stream, threading.Thread, list[Any]]:
    """Start a thread that reads, and wait until it waits."""
    events, got = stream(source), []

    def read() -> None:
        try:
            got.extend(events)
            got.append("end")
        except StreamError as error:
            got.append(error.reason)

    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: events._reading.arrivals.wake is not None)
    return events, thread, got
