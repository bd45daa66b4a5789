"""Functions that the tests of pipes run in worker processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Holder:
    """A payload with an attribute that cannot be pickled."""

    def __init__(self) -> None:
        self.handle = threading.Lock()


def double(payloads: Sequence[Any]) -> list[Any]:
    """Return twice the payloads."""
    return [2 * payload for payload in payloads]


def divide(payloads: Sequence[int]) -> list[int]:
    """Return 100 divided by the payloads."""
    return [100 // payload for payload in payloads]


def too_few(payloads: Sequence[Any]) -> list[Any]:
    """Return one result less than it should."""
    return list(payloads)[1:]


def unpicklable(payloads: Sequence[Any]) -> list[Any]:
    """Return what cannot cross to the driver."""
    return [Holder() for _ in payloads]


def die_on_three(payloads: Sequence[int]) -> list[int]:
    """End the process with the batch that has a three."""
    if 3 in payloads:
        os._exit(9)
    return list(payloads)


def hang_on_three(payloads: Sequence[int]) -> list[int]:
    """Take for ever with the batch that has a three."""
    if 3 in payloads:
        time.sleep(600)
    return list(payloads)


def fail_once(payloads: Sequence[str]) -> list[str]:
    """Fail the first attempt at each batch; payloads are paths of marks."""
    for payload in payloads:
        mark = Path(payload)
        if not mark.exists():
            mark.touch()
            raise ConnectionError(mark.name)
    return [Path(payload).name for payload in payloads]


def die_now_and_then(numbers: Sequence[int]) -> list[int]:
    """Return them, unless this worker has had a few batches: then it dies."""
    global _batches  # noqa: PLW0603
    _batches += 1
    if _batches > 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return list(numbers)


_batches = 0


def nap(payloads: Sequence[float]) -> list[float]:
    """Sleep as many seconds as the payloads say."""
    time.sleep(sum(payloads))
    return list(payloads)


def nap_and_die(payloads: Sequence[float]) -> list[float]:
    """End the process after as many seconds."""
    time.sleep(sum(payloads))
    os._exit(9)


def know(payloads: Sequence[Any], ctx: Any) -> list[Any]:
    """Return what the context says, and that this is not the driver."""
    known = (
        ctx.pipe,
        ctx.stage,
        ctx.session_id,
        dict(ctx.metadata),
        os.getpid() != int(ctx.metadata["driver"]),
    )
    return [known] * len(payloads)


def price(payloads: Sequence[Any], ctx: Any) -> list[Any]:
    """Ask a view of the run; zero fails the batch."""
    if 0 in payloads:
        raise ValueError("zero")
    return [(payload, ctx.views.price(payload), ctx.session_id) for payload in payloads]


def act(actions: Sequence[str], payloads: Sequence[int]) -> list[int]:
    """Fail a batch in which a payload's action is no ``"pass"``; see `test_random_graphs.Plan`."""
    if any(actions[payload % len(actions)] in ("fail", "raise") for payload in payloads):
        raise ValueError(payloads)
    time.sleep(0.003)
    return list(payloads)


def fail_some(actions: Sequence[str], payloads: Sequence[int]) -> list[int]:
    """Fail a batch with a payload that an action says so of; take long enough to be killed now and then."""
    time.sleep(0.001 * len(payloads))
    for payload in payloads:
        if actions[payload % len(actions)] in ("fail", "raise"):
            raise ValueError(payload)
    return list(payloads)
