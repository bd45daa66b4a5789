"""A picture of a graph of stages: who is subscribed to whom, and where the events and the demand are.

Values only, made by whoever looks at the stages. Two pictures of a graph at
rest are equal: what grows by looking, and times, do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from slither_actors.core._graph_mermaid import as_mermaid
from slither_actors.core._graph_text import as_text

__all__ = ["GraphEdge", "GraphStage", "StageGraph", "StageKind", "StageState"]

StageKind = Literal["producer", "producer_consumer", "consumer"]

StageState = Literal["idle", "working", "blocked", "paused", "suspended", "completing", "no answer", "dead"]


@attrs.frozen(kw_only=True)
class GraphStage:
    """One stage of a `StageGraph`."""

    id: int
    """The number of the incarnation: `Ref.id`."""

    name: str
    """Its class, name and number, for a person."""

    kind: StageKind

    state: StageState
    """``"idle"``: nothing to do. ``"working"``: messages wait or a handler runs. ``"blocked"``: its buffer is
    full, and it takes nothing else until consumers have asked. ``"paused"`` and
    ``"suspended"``: somebody holds it. ``"completing"``: it takes nothing more and ends behind its events.
    ``"no answer"``: a handler runs that has not returned in time. ``"dead"``: it ended meanwhile."""

    answered: bool = True
    """Whether it was asked; if not, its numbers were read from outside, while it may have changed them."""

    mailbox: int = 0
    """Messages that wait."""

    buffered: int = 0
    """Events that were emitted without demand."""

    buffer_size: int | None = None
    """The most of them; None is no limit, and what a consumer has."""

    queued: Mapping[str, int] = attrs.field(factory=dict)
    """Events in the queues of partitions, where there are any: by the partition, as text."""

    waiting: int = 0
    """Events that have arrived and are not handled: taken out of the mailbox and held back."""

    running: int = 0
    """Calls of handlers that are not over: coroutines, and a generator that is not read to its end."""

    unmet: int | None = None
    """Demand that the stage is to meet and has not; None if it has no consumers by its kind, or its fan-out
    cannot be read."""

    fan_out: str = ""
    """The class that splits its events."""

    coupled: Literal["", "broadcast", "partition"] = ""
    """Whether it splits them so that a consumer that does not ask can hold up the others: by broadcast, or by
    partition."""

    accumulates: bool = False
    """Whether it collects demand instead of meeting it: ``demand="accumulate"``."""

    logged: int = 0
    """Events that it has collected meanwhile."""

    discarded: int = 0
    """Events dropped from the buffer and from the queues since the start."""

    streams: bool = False
    """Whether its handler is an async generator, which may rightly run for ever."""

    call: float | None = attrs.field(default=None, eq=False)
    """When the oldest coroutine began: the same in two pictures is the same call."""

    busy: float | None = attrs.field(default=None, eq=False)
    """Seconds that its oldest handler call runs, at least; None if none is known to run. An async generator
    does not count."""

    where: str = ""
    """The line that its handler is at, if it did not answer and that can be seen."""

    waits_for: str = ""
    """The actor from which its handler waits for an answer."""

    exit_reason: str = ""
    """Why it ended, if it has."""

    handled: int = attrs.field(default=0, eq=False)
    """Messages handled since the start: the same number in two pictures is a stage that did nothing."""


@attrs.frozen(kw_only=True)
class GraphEdge:
    """One subscription of a `StageGraph`.

    While nothing moves, `demand` is `open` + `asked` + `in_flight`. In a graph
    that runs, its two ends were looked at at slightly different moments.
    """

    producer: int
    """The stage's `GraphStage.id`."""

    consumer: int

    max_demand: int
    min_demand: int
    cancel: str
    """``"permanent"``, ``"transient"`` or ``"temporary"``."""

    manual: bool = False
    """Whether the consumer asks by hand."""

    ever_asked: bool = True
    """Whether it has ever asked, if by hand."""

    options: Mapping[str, Any] = attrs.field(factory=dict)
    """What the consumer told the fan-out: ``partition``, ``selector``. Numbers and text as they are,
    anything else as text."""

    demand: int | None = None
    """The consumer's count: events that it has asked for and not taken into its handler. None if it asks by
    hand, as nobody counts then."""

    open: int | None = None
    """The producer's count: events that it was asked for and has not sent. None if it does not know the
    subscription, not yet or not any more, or its fan-out cannot be read."""

    asked: int = 0
    """Demand that waits in the producer's mailbox."""

    in_flight: int = 0
    """Events that were sent and are not handled: in the consumer's mailbox or held back there."""

    @property
    def partition(self) -> str:
        """The partition as text, the key of `GraphStage.queued`."""
        return repr(self.options["partition"]) if "partition" in self.options else ""


@attrs.frozen(kw_only=True)
class StageGraph:
    """Stages and their subscriptions at one moment. Returned by `slither_actors.stages.graph`."""

    stages: tuple[GraphStage, ...]
    """By their numbers."""

    edges: tuple[GraphEdge, ...]
    """By the numbers of producer and consumer."""

    complete: bool = True
    """Whether every stage was asked and answered in time."""

    at: float = attrs.field(default=0.0, eq=False)
    """When it was taken: seconds of a clock that only goes forward, to compare two pictures."""

    def stage(self, id: int) -> GraphStage:
        """Return a stage by its number.

        Raises:
            KeyError: there is none.
        """
        for stage in self.stages:
            if stage.id == id:
                return stage
        raise KeyError(id)

    def describe(self, limit: int = 20) -> str:
        """Return the picture as text for a terminal, with at most `limit` subscriptions of each stage."""
        return as_text(self, limit)

    def mermaid(self) -> str:
        """Return the picture as a Mermaid flow chart: https://mermaid.js.org/syntax/flowchart.html ."""
        return as_mermaid(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the picture as what ``json.dumps`` takes."""
        return attrs.asdict(self)
