"""What is done to running stages: holding them, and ending one or a whole graph of them in time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from slither_actors.actors import NORMAL, Ref, _runtime
from slither_actors.config import wait_seconds_or_none
from slither_actors.errors import CallCycleError, OptionError
from slither_actors.stages._emitter import Emitter
from slither_actors.stages._losses import kill_and_count
from slither_actors.stages._receiver import Receiver
from slither_actors.stages._stage import BaseStage

__all__ = ["DrainReport", "complete", "connected", "drain", "pause", "resume", "stop"]

logger = logging.getLogger("slither_actors.stages")


@attrs.frozen(kw_only=True)
class DrainReport:
    """How stages ended that were drained. Returned by `drain`."""

    ended: Mapping[Ref, Any]
    """The exit reasons of those that ended by themselves; ``"normal"`` when all that was in them is done."""

    killed: Mapping[Ref, int]
    """Those that still lived at the deadline, and how many events were lost in each: in its buffer, its
    fan-out and its mailbox, waiting, or in a coroutine or generator that had not ended. All stand still while
    they are counted, so the number is exact. Not in it: the chunk of a ``handle_events`` that does not
    return, and what comes back to a producer that lives (``delivery="at_least_once"``)."""

    @property
    def lost(self) -> int:
        """The events that were lost in all."""
        return sum(self.killed.values())


# -- holding -------------------------------------------------------------------------------


def pause(ref: Ref, timeout: float | None = 5.0) -> None:
    """Have a stage call neither `handle_demand` nor `handle_events` until `resume`.

    Demand is remembered, and events that come wait: at most `max_demand` of each producer. Everything else
    goes on: a producer's buffer serves its consumers, and calls, casts and infos are handled, and may emit.
    A coroutine that runs is not stopped. Returns when it holds; a second time does nothing.

    Raises:
        OptionError: `ref` is no stage.
        CallTimeoutError: it does not answer within `timeout` seconds, and will pause when it does.
        ActorExitError: it is dead.
    """
    _check(ref, BaseStage, "pause")
    _run(ref, _begin_pause, timeout)


def resume(ref: Ref, timeout: float | None = 5.0) -> None:
    """Undo `pause`: what was remembered and what waits is handled. Raises as `pause` does."""
    _check(ref, BaseStage, "resume")
    _run(ref, _end_pause, timeout)


# -- the end -------------------------------------------------------------------------------


def complete(ref: Ref, reason: Any = NORMAL) -> None:
    """Have a producer or producer-consumer end once its consumers have taken what it has emitted.

    As its own `complete`, behind the messages that were sent to it before, also behind those that its
    coroutines handle: neither demand nor events reach its callbacks any more. What waits in front of a
    producer-consumer is lost; `drain` finishes it. Does not wait; a dead stage is left alone. A coroutine
    that does not end holds the end up, until a `drain` or `stop` has reached its deadline.

    Raises:
        OptionError: `ref` is a consumer, or no stage.
    """
    _check(ref, Emitter, "complete")
    ref.send(_complete, reason)


def connected(*refs: Ref) -> tuple[Ref, ...]:
    """Return these stages and all that are connected with them by subscriptions now: the graph they are in.

    Raises:
        OptionError: one is no stage.
    """
    for ref in refs:
        _check(ref, BaseStage, "connected")
    found = dict.fromkeys(refs)
    todo = list(refs)
    while todo:
        stage = vars(todo.pop()._cell.actor)
        # Copied in one step: this is not the stage's own thread. A dead one has none.
        others = [each.producer for each in tuple(stage.get("_producers", ()))]
        others += [each.consumer for each in tuple(stage.get("_consumers", ()))]
        for other in others:
            if other not in found:
                found[other] = None
                todo.append(other)
    return tuple(found)


def drain(*refs: Ref, timeout: float | None) -> DrainReport:
    """End stages, each when it has finished what is in it, and wait for all of them.

    A producer is asked for nothing more and its consumers take what it has emitted. A stage with producers
    that are not among `refs` cancels those subscriptions; from the others it takes what still comes. It
    handles all of it, also what waits for demand and a part of a chunk, and ends normally. `pause` is undone.
    For a whole graph: ``drain(*connected(source), timeout=30)``.

    Args:
        *refs: the stages. Those that are dead already count as ended.
        timeout: seconds for all of them together; None is no limit. Then those that are left are killed,
            and what is lost with them is counted and logged. Handlers that are at work then have up to a
            quarter of a second more to return.

    Raises:
        OptionError: one is no stage.
        CallCycleError: the caller is one of them.
    """
    _check_all(refs, "drain", timeout)
    deadline = _deadline(timeout)
    together = frozenset(refs)
    # Consumers first: they have heard of it when the end of a producer reaches them.
    for ref in sorted(refs, key=lambda ref: not issubclass(ref.actor_class, Receiver)):
        ref.send(_begin_drain, together)
    left = [ref for ref in together if not _join(ref, deadline)]
    killed = kill_and_count(left)
    for ref, count in killed.items():
        logger.warning("%s was not drained in time and was killed; %d events are lost", ref, count)
    ended = {ref: ref.exit_reason for ref in refs if ref not in killed}
    return DrainReport(ended=ended, killed=killed)


def stop(*refs: Ref, reason: Any = NORMAL, timeout: float | None = 5.0) -> tuple[Ref, ...]:
    """End stages after the messages in their mailboxes, all at the same time, and wait for them.

    What is in their buffers is lost; see `drain`.

    Args:
        *refs: the stages.
        reason: with which they end.
        timeout: seconds for all of them together; None is no limit. Those that are left then are killed.

    Returns:
        Those that were killed.

    Raises:
        OptionError: one is no stage.
        CallCycleError: the caller is one of them.
    """
    _check_all(refs, "stop", timeout)
    deadline = _deadline(timeout)
    for ref in refs:
        ref.stop(reason, block=False)
    left = tuple(ref for ref in dict.fromkeys(refs) if not _join(ref, deadline) and ref.is_alive())
    for ref in left:
        logger.warning("%s did not stop in time and was killed", ref)
        ref.kill()
    return left


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _join(ref: Ref, deadline: float | None) -> bool:
    return ref.join(None if deadline is None else max(0.0, deadline - time.monotonic()))


def _check(ref: Ref, kind: type, where: str) -> None:
    if not issubclass(ref.actor_class, kind):
        what = "stage" if kind is BaseStage else "producer"
        raise OptionError("ref", f"is {ref}, which is no {what}", where=where)


def _check_all(refs: tuple[Ref, ...], where: str, timeout: float | None) -> None:
    wait_seconds_or_none.check("timeout", timeout, where)
    caller = _runtime.current_cell()
    for ref in refs:
        _check(ref, BaseStage, where)
        if ref._cell is caller:
            raise CallCycleError([str(ref), str(ref)])


def _run(ref: Ref, function: Callable[[Any, Any], None], timeout: float | None) -> None:
    cell = _runtime.current_cell()
    if cell is not None and cell is ref._cell:
        function(cell.actor, None)  # a callback of its own
    else:
        ref.run(function, None, timeout)


def _begin_pause(stage: BaseStage, _: object) -> None:
    if not stage._on_hold:
        stage._begin_pause()


def _end_pause(stage: BaseStage, _: object) -> None:
    if stage._on_hold:
        stage._end_pause()


def _complete(stage: Emitter, reason: Any) -> None:
    stage._complete_from_outside(reason)


def _begin_drain(stage: BaseStage, together: frozenset[Ref]) -> None:
    if not stage._draining:
        stage._begin_drain(together)
