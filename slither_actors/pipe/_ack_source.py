"""`AckSource`: an input that is told what became of each item."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from slither_actors.config import Rule, positive_int, seconds_or_none, wait_seconds
from slither_actors.core import RateLimit

__all__ = ["Ack", "AckSource", "Delivery", "check_source", "limit"]

limit = Rule(
    "allowed are RateLimit(count, per_seconds), None",
    lambda value: value is None or isinstance(value, RateLimit),
)


@attrs.frozen
class Delivery:
    """One element of an `AckSource`."""

    payload: Any

    token: Any
    """How the source knows it again: an id, a receipt."""


@attrs.frozen
class Ack:
    """All that came of one element has ended."""

    token: Any
    """That of its `Delivery`."""

    error: BaseException | None = None
    """Why it, or anything that came of it, failed; None if nothing did."""

    interrupted: bool = False
    """Whether it did not fail itself: the run ended before all that came of it had ended."""


class AckSource:
    """The input of a pipe that delivers again what was not acknowledged. Subclass it.

    Give it to `run_pipe`, `stream_pipe` or their async forms in place of the items,
    or to `start_pipe` as its source. Each delivery is acknowledged once: when all
    that came of it has left the pipe or was dropped, or, with an error, when any of
    it has failed, or the run ended before.

    A source serves any number of runs, one after the other: those of a pipe that
    runs on, or of a loop around `run_pipe`. For each there is one call of
    `deliveries`, then any number of `acknowledge` and `beat`, and one `close`;
    each calls for what it needs anew. A pipe that runs on calls `deliveries` for
    its next run after `close`. What went back as interrupted is to be among the
    next deliveries, and soon: no other run has it. One thing may come late: where
    `deliveries` blocks past the end of its run, what it yields then is acknowledged
    as interrupted at once, from the thread that read it.
    Source: ``Broadway.Acknowledger``.
    """

    ack_size: int = 100
    """Acknowledgements are given so many at a time, or fewer."""

    ack_seconds: float = 1.0
    """The longest that an acknowledgement waits for others."""

    beat_seconds: float | None = None
    """How often `beat` is called during a run; None for never."""

    rate_limit: RateLimit | None = None
    """How many items may be taken in, in how much time: by a run, or by all those of a pipe that runs on."""

    def deliveries(self, stopping: threading.Event) -> Iterable[Delivery]:
        """Return an iterator over what there is, for one run, which reads it in an actor of its own.

        It may block, but should end soon once `stopping` is set. A generator is closed at the end.
        """
        raise NotImplementedError

    def acknowledge(self, acks: Sequence[Ack]) -> None:
        """Take what has ended. Called in a thread of the run, one call at a time, while another reads on.

        What it raises is logged, and its acknowledgements are lost: they will be delivered again.
        """
        raise NotImplementedError

    def beat(self) -> None:
        """Say that what was delivered and not acknowledged is not lost. In the thread of `acknowledge`."""

    def close(self) -> None:
        """Tidy up. Called in the same thread after the last acknowledgement of a run."""


def check_source(source: AckSource, where: str) -> None:
    """Refuse a source whose numbers are wrong: later they would end the thread that acknowledges.

    Raises:
        OptionError: one is.
    """
    where = f"{where}: {type(source).__name__}"
    positive_int.check("ack_size", source.ack_size, where)
    wait_seconds.check("ack_seconds", source.ack_seconds, where)
    seconds_or_none.check("beat_seconds", source.beat_seconds, where)
    limit.check("rate_limit", source.rate_limit, where)
