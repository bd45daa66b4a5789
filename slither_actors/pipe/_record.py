"""What a run did, in figures."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors.dispatch._stream import halted_by, stages_of
from slither_actors.errors import ActorExitError, CallTimeoutError
from slither_actors.pipe._link import Cancelled, Expired, PipeLink

__all__ = ["PipeRecord", "StageRecord", "look", "record_of"]


_LOOK_SECONDS = 0.5
"""How long a record waits for stages that are busy."""


@attrs.frozen(kw_only=True)
class StageRecord:
    """What one stage of a run did."""

    items_in: int
    """Items taken."""

    emitted: int
    """Items passed on to the next stage, or out after the last one."""

    routed: int
    """Items sent by a route."""

    routes: Mapping[str, int]
    """Those by route."""

    skipped: int
    """Items dropped, on purpose or because they failed."""

    failed: int
    """Items that failed in the end, and that the policy skipped, routed or halted for."""

    held: int
    """Items that it had taken and not finished when the run ended early, with those that halted it."""

    retried: int
    """Attempts beyond the first: of items, or of batches."""

    seconds: float | None
    """From its start to its end; None while it runs."""

    busy: float
    """Seconds at work: in its handlers; of a worker stage in its batches, which run side by side, added up.

    In the driver ``seconds - busy`` is what it waited: for items, for who takes them, for its turn."""

    def __str__(self) -> str:
        by_route = ", ".join(f"{route} {count:,}" for route, count in self.routes.items())
        routed = f"{self.routed:,} routed ({by_route})" if by_route else f"{self.routed:,} routed"
        return (
            f"{self.items_in:,} in, {self.emitted:,} on, {routed}, {self.skipped:,} skipped, "
            f"{self.busy:.2f} s of work"
        )


@attrs.frozen(kw_only=True)
class PipeRecord:
    """What one run did. ``print(record)`` shows it."""

    pipe: str
    session_id: str
    ended: str
    """``"finished"``, ``"halted"``, ``"timeout"``, ``"cancelled"``, ``"closed"`` (by whoever read it), or
    ``"running"``."""

    seconds: float
    """Since it began, or in all."""

    items_in: int
    """Items of the input that were read."""

    input_count: int | None
    """Items that the input has, if it knows its length."""

    outputs: Mapping[str, int]
    """Output to items that left by it."""

    skipped: int
    """Items that were dropped, on purpose or because they failed."""

    routed: int
    """Times that an item was sent by a route, to an output or to a stage."""

    failed: int
    """Items that failed in the end, and that a policy skipped, routed or halted for."""

    retried: int
    """Attempts beyond the first."""

    unfinished: int
    """Items without an outcome: in flight, or lost with a run that ended early. In order, none.

    Counted from what went in, was made, dropped, and came out: with a stage that was killed, at least."""

    errors: Mapping[str, int]
    """The failed items by the name of the exception's type."""

    stages: Mapping[str, StageRecord]
    """By stage, in the order of the pipe, but those that are `silent`."""

    silent: tuple[str, ...] = ()
    """Stages that could not be asked: inside a handler that has not returned, not started, or killed."""

    @property
    def items_out(self) -> int:
        """Items that came out, by whichever output."""
        return sum(self.outputs.values())

    @property
    def words(self) -> str:
        """How far it was, in a sentence."""
        of = "" if self.input_count is None else f" of {self.input_count:,}"
        by_output = ", ".join(f"{name} {count:,}" for name, count in self.outputs.items())
        text = f"{self.items_in:,}{of} items were read and {self.items_out:,} came out ({by_output})"
        if self.unfinished:
            text += f"; {self.unfinished:,} were on their way"
        held = {name: stage.held for name, stage in self.stages.items() if stage.held}
        if held:
            most = max(held, key=lambda name: held[name])
            text += f", {held[most]:,} of them at stage {most!r}"
        if self.silent and self.ended in ("timeout", "cancelled"):
            text += f"; inside a handler, or not started: {', '.join(self.silent)}"
        return text

    def __str__(self) -> str:
        lines = [f"{self.pipe} {self.ended} after {self.seconds:.2f} s: {self.words}"]
        if self.skipped or self.failed or self.retried:
            lines.append(f"  {self.skipped:,} skipped, {self.failed:,} failed, {self.retried:,} retried")
        for name, stage in self.stages.items():
            lines.append(f"  {name}: {stage}")
        return "\n".join(lines)


def record_of(link: PipeLink, statistics: Mapping[str, Any] | None = None) -> PipeRecord:
    """Return the record of a run, from the statistics of its stages; by default those of its end."""
    found = link.finished if statistics is None else statistics
    definition = link.definition
    stages = {
        stage.name: _stage_record(found[stage.name], link.stage_seconds.get(stage.name))
        for stage in definition.stages
        if stage.name in found
    }
    source = found.get("source")
    items_in = max(link.read, 0 if source is None else source.items)
    outputs = {name: link.counts[name] for name in definition.outputs}
    skipped = sum(each.skipped for each in stages.values())
    made = sum(getattr(found[name], "made", 0) for name in stages)
    errors: Counter[str] = Counter()
    for name in stages:
        errors.update(found[name].errors)
    return PipeRecord(
        pipe=definition.name,
        session_id=link.session_id,
        ended=_ended(link),
        seconds=link.age,
        items_in=items_in,
        input_count=link.input_count,
        outputs=outputs,
        skipped=skipped,
        routed=sum(each.routed for each in stages.values()),
        failed=errors.total(),
        retried=sum(each.retried for each in stages.values()),
        unfinished=max(0, items_in + made - skipped - sum(outputs.values())),
        errors=dict(errors),
        stages=stages,
        silent=tuple(stage.name for stage in definition.stages if stage.name not in stages),
    )


def _stage_record(statistics: Any, seconds: float | None) -> StageRecord:
    return StageRecord(
        items_in=statistics.items_in,
        emitted=statistics.emitted,
        routed=statistics.routed,
        routes=statistics.routes,
        skipped=statistics.skipped,
        failed=sum(statistics.errors.values()),
        held=statistics.failed,
        retried=statistics.retries,
        seconds=seconds,
        busy=statistics.busy,
    )


def _ended(link: PipeLink) -> str:
    if link.ended is None:
        return "closed" if link.closing else "running"
    halted = halted_by(link.ended)
    if halted is None:
        return "finished"
    if isinstance(halted.error, Expired):
        return "timeout"
    return "cancelled" if isinstance(halted.error, Cancelled) else "halted"


def look(link: PipeLink) -> PipeRecord:
    """Return the record of a run that may be under way, soon."""
    return record_of(link, _statistics(link))


def _statistics(link: PipeLink) -> dict[str, Any]:
    """Those of the stages of a run that answer at once: one that is busy in a handler is left out."""
    deadline = time.monotonic() + _LOOK_SECONDS
    found = {}
    try:
        if link.run is not None:
            for name, ref in link.run.run(stages_of, timeout=_LOOK_SECONDS):
                snapshot = getattr(ref.actor_class, "snapshot", None)
                if snapshot is not None:
                    with contextlib.suppress(CallTimeoutError):
                        found[name] = ref.run(snapshot, timeout=max(0.01, deadline - time.monotonic()))
    except (ActorExitError, CallTimeoutError):
        pass  # it ends, or a stage takes its time to start
    return {**found, **link.finished}
