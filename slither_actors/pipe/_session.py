"""What surrounds the stages of a run: its stores, its views for the workers, and what it tells."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors import bridge, telemetry
from slither_actors.actors import Ref, whereis
from slither_actors.context import Context
from slither_actors.dispatch._stream import halted_by
from slither_actors.dispatch._topology import RunSupervisor
from slither_actors.errors import ActorError, NotRunningError
from slither_actors.pipe._deadline import Deadline
from slither_actors.pipe._link import PipeLink
from slither_actors.pipe._pipe import Pipe
from slither_actors.store import StoreSupervisor, views_of
from slither_actors.store._store import pointer_of
from slither_actors.telemetry._span import kind_of

__all__ = ["STORES", "RunSession"]

logger = logging.getLogger("slither_actors.pipe")

STORES = "slither.stores"
"""The name of the `StoreSupervisor`."""

_UNREGISTER_SECONDS = 1.0


@attrs.define
class RunSession:
    """Opened before the stages of a run start and closed after they have ended, in its supervisor."""

    pipe: type[Pipe]
    context: Context
    link: PipeLink
    timeout: float | None = None
    """Seconds that the run may take."""
    _deadline: Ref | None = attrs.field(default=None, init=False)
    _has_views: bool = attrs.field(default=False, init=False)

    def open(self, run: RunSupervisor) -> None:
        """Make sure that the stores run, and let the run's workers call their views."""
        if self.link.acks is not None:
            self.link.acks.start()
        self.link.began = time.monotonic()
        if self.timeout is not None:
            self._deadline = Deadline.start_link(self.timeout, run.plan.outlet, self.link)
        started = {"system_time": time.time()}
        self._tell(telemetry.PIPE_RUN_START, started, {"input_count": self.link.input_count})
        stores = self.pipe.definition.stores.values()
        for store in stores:
            _ensure(store)
        views = [view for store in stores for view in views_of(store)]
        if views:
            self._has_views = True
            bridge.register(self.context.session_id, views, run.ref)

    def close(self, _: RunSupervisor) -> None:
        """Take the views back and tell how the run ended."""
        if self.link.began is None:
            return  # it was closed before it began
        self.link.seconds = self.link.age
        if self._deadline is not None:
            self._deadline.stop(block=False)
        if self._has_views:
            try:
                bridge.unregister(self.context.session_id, timeout=_UNREGISTER_SECONDS)
            except (NotRunningError, ActorError) as error:
                # The registry watches this run and will find out by itself.
                logger.debug("the views of session %s: %s", self.context.session_id, error)
        self._end_acks()
        self._tell_end()

    def killed(self, _: RunSupervisor) -> None:
        """Tell of the end of a run whose supervisor was killed; the rest is seen to by those who watch it."""
        if self.link.began is not None:
            self.link.seconds = self.link.age
            self._tell_end()

    def _tell_end(self) -> None:
        source = self.link.finished.get("source")
        about: dict[str, Any] = {"input_count": self.link.read if source is None else source.items}
        duration = {"duration": self.link.seconds}
        halted = None if self.link.ended is None else halted_by(self.link.ended)
        if halted is None:
            self._tell(telemetry.PIPE_RUN_STOP, duration, about)
        else:
            about |= {"kind": kind_of(halted.error), "reason": halted.error}
            self._tell(telemetry.PIPE_RUN_EXCEPTION, duration, about)

    def _end_acks(self) -> None:
        acks = self.link.acks
        if acks is not None:
            halted = None if self.link.ended is None else halted_by(self.link.ended)
            acks.leave("run", None if halted is None else halted.error)
            if acks.is_left:
                acks.join()

    def _tell(
        self, signal: telemetry.Signal, measurements: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> None:
        if signal.receivers:
            about = {"pipe": self.context.pipe, "session_id": self.context.session_id, **metadata}
            telemetry.emit(signal, self.pipe, measurements=measurements, metadata=about)


def _ensure(store: Any) -> None:
    """Start a store that runs in no application yet; a running one, or one that is restarting, stays.

    Raises:
        StoreLoadError: it did not load.
        NotRunningError: nobody could start it.
    """
    pointer = pointer_of(store)
    if pointer.is_published and pointer.server.is_alive():
        return
    stores = whereis(STORES)
    if stores is not None:
        stores.run(StoreSupervisor.ensure, store, timeout=None)
    elif not pointer.is_published:
        msg = f"store {pointer.name} is not running, and there is no StoreSupervisor that could start it"
        raise NotRunningError(msg)
