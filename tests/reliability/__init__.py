"""Fault injection against the actors: what is promised still holds when everything goes wrong at once.

The cases are numbered X30 to X48; here is where each is tested. X01 to X30 are about worker processes and the
end of programs, see ``docs/faults.md``. Stages, stores and the signals that end a
program have tests of their own.

===  ==================================================================================================
X30  `test_host`: a worker that dies is noticed whoever reaps it
X31  `test_callbacks_that_raise`: every callback; messages, replies, reasons and names that raise when
     touched; finalizers. `test_logging`: log handlers, formatters, telemetry receivers
X32  `test_callbacks_that_raise`: ``FAULTS`` in every place, and who calls or watches is told
X33  `tests.actors.test_zombies`; at the end of the program `tests.actors.test_exit`
X34  `test_restarts`: ten thousand restarts leave nothing
X35  `test_restarts`: a thousand that crash at one time; the restart limit is exact
X36  `test_restarts`: crashes at the start and at the end of a restart; a supervisor that is ended in the
     middle of one; a tree that is stopped while all of it crashes
X37  `test_races`: monitors, cancelled monitors, links, and the order of `Down`
X38  `test_races`: calls against the end; replies against the clock
X39  `tests.actors.test_call_cycles`
X40  `test_load`: a full mailbox is bounded and an end overtakes it; the outcomes are in
     `tests.actors.test_mailbox`
X41  `test_load`: a hundred thousand timers; how late they are is in `tests.actors.test_timers`
X44  `test_races`: ten thousand registrations; a name goes from hand to hand
X45  `test_load`: what a crash keeps, with the collector switched off
X46  `test_logging`: handlers that call, locks that are held, forks
X47  `test_soak`: seconds of it always, half an hour with ``-m soak``
X48  `test_host`: development mode, slow imports; all tests of the actors in that mode with ``-m soak``
===  ==================================================================================================

``SLITHER_SEED`` repeats a run of the tests that use chance; one that fails has printed its seed.
"""

import os
import random
import time
from collections.abc import Callable

__all__ = ["eventually", "seeded"]

LONG = 20.0


def eventually(condition: Callable[[], object]) -> bool:
    """Return whether the condition comes true: what an end causes elsewhere comes a moment after it."""
    deadline = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def seeded() -> random.Random:
    """Return a source of chance, and print its seed."""
    seed = int(os.environ.get("SLITHER_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    print(f"SLITHER_SEED={seed}")
    return random.Random(seed)
