"""Which stage of a running graph holds back events or demand."""

from __future__ import annotations

from slither_actors.actors import Ref
from slither_actors.config import wait_seconds
from slither_actors.core import StageGraph, Stall, find_stalls
from slither_actors.core._stalls import HANDLER_SECONDS
from slither_actors.errors import OptionError
from slither_actors.stages._graph import graph

__all__ = ["stalls"]


def stalls(
    *stages: Ref | str,
    before: StageGraph | None = None,
    handler_seconds: float = HANDLER_SECONDS,
    timeout: float = 1.0,
) -> tuple[Stall, ...]:
    """Look at the graph of some stages, twice in a row, and name those that hold it back.

    That tells what is so at this moment, which need not last. `before`, a
    picture taken some seconds ago with `graph`, tells what has lasted since,
    and who is slow from who is stuck.

    Args:
        *stages: refs or names of any stages of the graph.
        before: an earlier picture.
        handler_seconds: how long a call of a handler may take.
        timeout: seconds that the stages have to answer in, all together.

    Raises:
        OptionError: one is no stage, or an option is wrong.
        ExitPendingError: the caller is an actor that is to end.
    """
    wait_seconds.check("handler_seconds", handler_seconds, "stalls")
    wait_seconds.check("timeout", timeout, "stalls")
    if before is not None and not isinstance(before, StageGraph):
        raise OptionError(
            "before", f"is {before!r:.100}; allowed are a picture of `graph`, None", where="stalls"
        )
    # Each picture has its share of the time.
    now = graph(*stages, timeout=timeout / 2)
    again = graph(*stages, timeout=timeout / 2)
    return find_stalls(now, before, again=again, handler_seconds=handler_seconds)
