"""What holds back a graph of stages, as a value and as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

__all__ = ["Stall", "StallKind", "StallVerdict"]

StallKind = Literal[
    "handler",
    "answer",
    "manual",
    "broadcast",
    "partition",
    "owes",
    "paused",
    "accumulates",
    "no_consumers",
    "no_producers",
    "cycle",
]

StallVerdict = Literal["seen", "slow", "stuck"]

_ADVICE: Mapping[StallKind, str] = {
    "handler": "Look at what it does there; give it a time limit, make it `async def`, or use a worker.",
    "answer": "Look at the actor that is to answer, and give the call a timeout.",
    "manual": 'Call `stages.ask(source, count)` in it, or let it ask by itself: not "manual".',
    "broadcast": (
        "A BroadcastFanOut goes at the pace of its slowest consumer: have it ask, cancel it, or use "
        "another fan-out."
    ),
    "partition": (
        "All partitions share the demand: have the consumer of that one ask, give it one if it has none, or "
        "bound the queues with `buffer_size` and `buffer_keep` of the PartitionFanOut."
    ),
    "owes": "Have it `emit` what it owes when it can, or `complete()` if it has no more.",
    "paused": "Resume it.",
    "accumulates": "Set its demand to `forward` when its consumers are all there.",
    "no_consumers": "Subscribe a consumer, or stop it.",
    "no_producers": "Subscribe it to a producer, or stop it.",
    "cycle": (
        "A stage that waits for its own events may wait for ever: check that what goes round does end, "
        "and that no other stage needs more demand than they leave."
    ),
}


@attrs.frozen(kw_only=True)
class Stall:
    """A stage that holds back events or demand, and why. Returned by `stalls`."""

    kind: StallKind
    """``"handler"``: a call of a handler does not end. ``"answer"``: it waits for the answer of an actor.
    ``"manual"``: a consumer that asks by hand has not asked; ``"broadcast"`` and ``"partition"``: and the
    others wait for it. ``"owes"``: a producer has demand and does nothing. The others say what they are."""

    stage: int
    """The stage's number: `GraphStage.id`."""

    name: str
    """The stage, for a person."""

    what: str
    """What it does or does not, as the end of a sentence that begins with its name."""

    blocked: tuple[str, ...] = ()
    """Stages that get or send nothing because of it, the nearest first."""

    seconds: float | None = None
    """How long it has been so, at least; None if it was seen once and that cannot be told."""

    verdict: StallVerdict = "seen"
    """``"seen"`` in one picture; ``"slow"``: in two, and the stage did something in between; ``"stuck"``: in
    two, and it did nothing."""

    @property
    def key(self) -> tuple[int, StallKind]:
        """What makes two findings in two pictures the same one."""
        return self.stage, self.kind

    @property
    def advice(self) -> str:
        """What to try."""
        return _ADVICE[self.kind]

    @property
    def sentence(self) -> str:
        """Which stage, since when, what it waits for, and who waits for it."""
        since = "" if self.seconds is None else f", for at least {self.seconds:.1f} s"
        verdict = {"seen": "", "slow": " (slow: it moves)", "stuck": " (stuck: nothing has moved)"}
        others = f"; it holds up {_listed(self.blocked)}" if self.blocked else ""
        return f"{self.name} {self.what}{since}{verdict[self.verdict]}{others}"

    def __str__(self) -> str:
        return f"{self.sentence}. {self.advice}"


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
