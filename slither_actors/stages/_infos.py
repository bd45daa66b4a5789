"""What a producer is asked from outside: its mode, its buffer, and messages behind its events."""

from __future__ import annotations

import logging
from typing import Any, overload

from slither_actors.actors import Ref
from slither_actors.errors import OptionError
from slither_actors.stages._emitter import Emitter
from slither_actors.stages._producer import MODE, Mode, Producer
from slither_actors.stages._stage import BaseStage

__all__ = ["async_info", "demand", "estimate_buffered_count", "sync_info"]

logger = logging.getLogger("slither_actors.stages")


@overload
def demand(ref: Ref, *, timeout: float | None = 5.0) -> Mode: ...
@overload
def demand(ref: Ref, mode: Mode, *, timeout: float | None = 5.0) -> None: ...
def demand(ref: Ref, mode: Mode | None = None, *, timeout: float | None = 5.0) -> Mode | None:
    """Return what a producer does with demand, or set it, without waiting for that.

    Args:
        ref: a `Producer`.
        mode: see `Producer.demand`.
        timeout: seconds to wait for the answer, without `mode`.

    Raises:
        OptionError: `ref` is no producer, or `mode` another word.
        CallTimeoutError, ActorExitError: the producer does not answer. Setting the mode of a dead one does
            nothing.
    """
    if not issubclass(ref.actor_class, Producer):
        raise OptionError("ref", f"is {ref}; only a Producer has a mode of demand", where="demand")
    if mode is None:
        answer: Mode = ref.run(_get_mode, None, timeout)
        return answer
    ref.send(_set_mode, MODE.check("mode", mode, "demand"))
    return None


def estimate_buffered_count(ref: Ref, timeout: float | None = 5.0) -> int:
    """Return how many events are in the buffer of a producer or producer-consumer.

    Neither those that a partition has queued, nor what waits in front of a producer-consumer, nor those in
    the log of ``demand="accumulate"``: see `statistics`. Of a consumer it is 0, and an error is logged.

    Raises:
        OptionError: `ref` is no stage.
        CallTimeoutError, ActorExitError: the stage does not answer.
    """
    _check_stage(ref, "estimate_buffered_count")
    if not issubclass(ref.actor_class, Emitter):
        logger.error("estimate_buffered_count of %s: a consumer has no buffer", ref)
        return 0
    count: int = ref.run(_buffered, None, timeout)
    return count


def sync_info(ref: Ref, message: Any, timeout: float | None = 5.0) -> None:
    """Have `message` reach ``handle_info`` after all events that the stage has now; wait until it is queued.

    Those are the events in the buffer and in a fan-out, in front of a producer-consumer, and in the log of
    ``demand="accumulate"``. It comes when the last of them was sent to a consumer, or dropped. Several come
    in their order. A consumer has none and gets it at once.

    Raises:
        OptionError: `ref` is no stage.
        CallTimeoutError, ActorExitError: the stage does not answer.
    """
    _check_stage(ref, "sync_info")
    ref.run(_take_info, message, timeout)


def async_info(ref: Ref, message: Any) -> None:
    """As `sync_info`, without waiting; to a dead stage it does nothing."""
    _check_stage(ref, "async_info")
    ref.send(_take_info, message)


def _check_stage(ref: Ref, where: str) -> None:
    if not issubclass(ref.actor_class, BaseStage):
        raise OptionError("ref", f"is {ref}, which is no stage", where=where)


def _get_mode(producer: Producer, _: object) -> Mode:
    return producer._mode


def _set_mode(producer: Producer, mode: Mode) -> None:
    producer._set_mode(mode)


def _buffered(emitter: Emitter, _: object) -> int:
    return emitter._buffer.length


def _take_info(stage: BaseStage, message: Any) -> None:
    stage._take_info(message)
