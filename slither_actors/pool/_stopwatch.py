"""How long a worker's function ran, for those who want to know where the time of a run went.

A target with a stopwatch is another target, so a worker learns once, with the
definition, that it is to measure, and the batches of everybody else pay
nothing. What it measures it leaves on the board: of the last few batches, since
it may have begun the next one when the driver looks.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from slither_actors.pool._board import Board
from slither_actors.pool._function import Function

__all__ = ["measured", "timed"]

_WORK: Final = struct.Struct("<Qd")  # batch reference, seconds
_WORK_AT: Final = 2048
_PLACES: Final = 4
"""More than batches that a worker holds at one time."""


def timed(function: Function, board: Board) -> Function:
    """Return the function with a stopwatch. In a worker."""
    places = count()

    def run(payloads: list[Any], context: Any) -> Any:
        began = time.monotonic()
        try:
            results = function(payloads, context)
            # What a generator does it does when it is read.
            return list(results) if isinstance(results, Iterator) else results
        finally:
            at = _WORK_AT + next(places) % _PLACES * _WORK.size
            _WORK.pack_into(board.page, at, board.last_begun, time.monotonic() - began)

    return run


def measured(board: Board, ref: int) -> float:
    """Seconds that the function ran for a batch that has just ended; 0 is unknown. In the driver."""
    working = 0.0
    for place in range(_PLACES):
        found, seconds = _WORK.unpack_from(board.page, _WORK_AT + place * _WORK.size)
        if found == ref:
            working = seconds
    return working
