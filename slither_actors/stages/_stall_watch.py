"""A server that looks at a graph of stages now and then, and tells who holds it back."""

from __future__ import annotations

import time
from typing import Any

from slither_actors import telemetry
from slither_actors.actors import Ref, Server
from slither_actors.actors._request import Request
from slither_actors.config import finite_seconds, wait_seconds
from slither_actors.core import Stall, StallTracker
from slither_actors.core._stalls import HANDLER_SECONDS
from slither_actors.errors import OptionError
from slither_actors.stages._graph import find_stage, graph
from slither_actors.telemetry._log import GuardedLog

__all__ = ["StallWatch"]

logger = GuardedLog("slither_actors.stages")

_LOOK = object()


class StallWatch(Server):
    """Looks every few seconds for stages that hold back their graph. Nothing starts one by itself.

    What has lasted from one look to the next is logged as a warning, once, and
    once more when it is over; the events ``slither.stage.stall.start`` and
    ``slither.stage.stall.stop`` tell it. Put it last under the supervisor of
    the stages, with their names, so that it finds those that were restarted::

        StallWatch.child_spec("counter", every=30)

    ``call("stalls")`` returns what it has told and is not over.
    """

    def init(
        self,
        *stages: Ref | str,
        every: float = 10.0,
        handler_seconds: float = HANDLER_SECONDS,
        timeout: float = 1.0,
    ) -> None:
        """Begin to look.

        Args:
            *stages: refs or names of stages, one of each graph at least. One that is not there is left out.
            every: seconds between two looks.
            handler_seconds: how long a call of a handler may take.
            timeout: seconds that the stages have to answer in, all together.
        """
        where = type(self).__name__
        if not stages:
            raise OptionError("stages", "is empty; allowed are refs and names of stages", where=where)
        wait_seconds.check("handler_seconds", handler_seconds, where)
        wait_seconds.check("timeout", timeout, where)
        finite_seconds.check("every", every, where)
        if every <= 0:
            raise OptionError("every", f"is {every!r}; allowed is a number of seconds above 0", where=where)
        for stage in stages:
            find_stage(stage, where)
        self._stages = stages
        self._timeout = timeout
        self._tracker = StallTracker(handler_seconds)
        self._every = every
        self._look_after(0.0)

    def _look_after(self, seconds: float) -> None:
        """Have the next look after so many seconds: counted from the end of the last."""
        self.send_after(seconds, _LOOK)

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Answer ``"stalls"`` with what is told and not over."""
        if request == "stalls":
            return self._tracker.current
        return super().handle_call(request, sender)

    def handle_info(self, message: Any) -> None:
        """Look, and tell what is new."""
        if message is not _LOOK:
            super().handle_info(message)
            return
        try:
            self._look()
        finally:
            self._look_after(self._every)

    def _look(self) -> None:
        found = [find_stage(stage, type(self).__name__) for stage in self._stages]
        alive = [ref for ref in found if ref is not None and ref.is_alive()]
        now, again = (graph(*alive, timeout=self._timeout / 2) for _ in range(2))
        news = self._tracker.look(now, again)
        for stall in news.new:
            logger.warning("%s", stall)
            _tell(telemetry.STAGE_STALL_START, self.ref, stall, system_time=time.time())
        for stall in news.over:
            logger.warning("%s: over after %.1f s (%s)", stall.name, stall.seconds or 0.0, stall.kind)
            _tell(telemetry.STAGE_STALL_STOP, self.ref, stall, duration=stall.seconds or 0.0)


def _tell(event: telemetry.Signal, sender: Ref, stall: Stall, **measurements: float) -> None:
    if event.receivers:
        metadata = {
            "kind": stall.kind,
            "stage": stall.name,
            "sentence": stall.sentence,
            "advice": stall.advice,
        }
        telemetry.emit(event, sender, measurements=measurements, metadata=metadata)
