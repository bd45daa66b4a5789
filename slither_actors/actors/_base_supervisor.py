"""What supervisors of all kinds have in common: restarts within limits, and requests about children."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slither_actors import telemetry
from slither_actors.actors import _child
from slither_actors.actors._child import Child, ChildCounts, ChildInfo, count, prepare_to_wait, tell
from slither_actors.actors._reasons import KILLED, SHUTDOWN, without_frames
from slither_actors.actors._request import Failure, Request
from slither_actors.actors._typed_start import TypedStart
from slither_actors.actors._zombie import any_zombies, zombies_below
from slither_actors.config import integer, placed
from slither_actors.core import RestartIntensity
from slither_actors.errors import OptionError, SlitherError, StartError, safe_text
from slither_actors.telemetry._log import GuardedLog

__all__ = ["BaseSupervisor"]

logger = GuardedLog("slither_actors.actors")

_FAILED = "its restart failed"
_COUNT = integer(0)


class BaseSupervisor(TypedStart):
    """A server that starts children and restarts them within a limit. Not for users: see `Supervisor`."""

    trap_exit = True
    child_type = "supervisor"

    def _limit(self, *, max_restarts: int, max_seconds: float, max_zombies: int) -> None:
        """Take the options that all supervisors have, and get ready to wait for children."""
        self._max_zombies: int = _COUNT.check("max_zombies", max_zombies)
        self._intensity = RestartIntensity(max_restarts, max_seconds)
        prepare_to_wait(self._cell)

    # -- what the kinds differ in -------------------------------------------------------

    def _attempt(self, child: Child, reason: Any) -> None:
        """Restart the child now, and whatever goes with it."""
        raise NotImplementedError

    def _make_way(self, child: Child) -> None:
        """Stop what must not run while the child waits for its backoff."""

    def _put_off(self, child: Child) -> None:
        """Note that the child does not run and will be started without anybody asking for it."""
        child.restarting = True

    def _take_up(self, child: Child) -> bool:
        """Undo `_put_off`; False if the child was stopped or restarted meanwhile."""
        raise NotImplementedError

    # -- restarts -----------------------------------------------------------------------

    def _restart(self, child: Child, reason: Any) -> None:
        if not self._intensity.record(_child.clock()):
            limit = self._intensity
            why = (
                f"child {child.label} ended again ({safe_text(reason)}), "
                f"more than {limit.max_restarts} restarts within {limit.max_seconds:g} s"
            )
            self._give_up(child, reason, why)
        elif child.spec.backoff is not None:
            self._make_way(child)
            self._put_off(child)
            child.wait(self._cell, _time_is_up)
        else:
            self._attempt(child, reason)

    def _restart_failed(self, child: Child, error: Exception) -> None:
        """Try again, and serve requests before that."""
        text = safe_text(error)
        logger.error("%s: child %s did not start again: %s", self._cell.describe(), child.label, text)
        if child.spec.backoff is not None:
            self._restart(child, _FAILED)
            return
        self._put_off(child)
        self.ref.send(_try_again, child)

    def _count_zombies(self, child: Child, group: Iterable[Child] = ()) -> bool:
        """Give up if there are too many zombies, or one is in the way of the group that is to start."""
        trouble = self._zombie_trouble(group) if any_zombies() else None
        if trouble is not None:
            self._give_up(child, KILLED, trouble)
        return trouble is not None

    def _zombie_trouble(self, group: Iterable[Child]) -> str | None:
        for child in group:
            if child.barred:
                return f"child {child.label} is exclusive, was abandoned and still runs"
        zombies = zombies_below(self._cell)
        if zombies > self._max_zombies:
            return f"{zombies} of its children were abandoned and still run, more than {self._max_zombies}"
        return None

    def _give_up(self, child: Child, reason: Any, why: str) -> None:
        logger.error("%s gives up: %s", self._cell.describe(), why)
        tell(telemetry.SUPERVISOR_GAVE_UP, self._cell, child.id, None, reason=reason)
        self.stop(SHUTDOWN)

    # -- requests -----------------------------------------------------------------------

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Do what a method of the ref asks for; what the supervisor refuses is the caller's error."""
        verb, arguments = (request[0], request[1:]) if isinstance(request, tuple) and request else ("", ())
        method = getattr(self, f"_do_{verb}", None) if isinstance(verb, str) else None
        if method is None:
            return Failure(
                ValueError(f"{self.ref} does not know the request {safe_text(request, repr):.200}")
            )
        try:
            return method(*arguments)
        except SlitherError as error:
            if isinstance(error, OptionError):
                error = placed(error, self._cell.describe())
            # Without the frames of the supervisor, some of which hold the error, and all their locals.
            return Failure(without_frames(error))

    def _all_children(self) -> list[Child]:
        """All children, the first one first."""
        raise NotImplementedError

    def _do_which_children(self) -> list[ChildInfo]:
        return [child.info() for child in reversed(self._all_children())]

    def _do_count_children(self) -> ChildCounts:
        return count(self._all_children())


def as_start_error(child: Child, error: Exception) -> SlitherError:
    """Return what the caller gets who wanted a child that did not start."""
    if isinstance(error, SlitherError):
        return error
    failed = StartError(child.label, error)
    failed.__cause__ = error
    return failed


def _try_again(supervisor: BaseSupervisor, child: Child) -> None:
    if supervisor._take_up(child):
        supervisor._restart(child, _FAILED)


def _time_is_up(supervisor: BaseSupervisor, child: Child) -> None:
    child.waiting = None
    if supervisor._take_up(child):
        supervisor._attempt(child, "its backoff is over")
