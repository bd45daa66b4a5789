"""Workers of the default pool that are killed while they work."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator

from slither_actors.actors import whereis
from slither_actors.pool import STATISTICS

__all__ = ["killer"]


@contextlib.contextmanager
def beside(work: Callable[[], None], over: threading.Event) -> Iterator[None]:
    """Run a function in a thread of its own that ends when the event is set, as the block is left."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def killer(seed: int, *, seconds: float = 0.2) -> Iterator[None]:
    """Kill a worker that runs a batch, every so many seconds on average, until the block is left.

    Not one that starts: a pool whose workers cannot start pauses for seconds, as it should.
    """
    chance, over = random.Random(seed), threading.Event()

    def kill() -> None:
        while not over.wait(chance.uniform(0, 2 * seconds)):
            slots = whereis(("slither.pool", "default")).call(STATISTICS).slots  # type: ignore[union-attr]
            live = [slot.pid for slot in slots if slot.pid and slot.state == "busy"]
            if live:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(live), signal.SIGKILL)

    with beside(kill, over):
        yield
