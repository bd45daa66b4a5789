"""One child under a supervisor, and how it is stopped."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Any, Literal

import attrs

from slither_actors import telemetry
from slither_actors.actors import _runtime
from slither_actors.actors._ancestry import depth
from slither_actors.actors._child_spec import BRUTAL_KILL, ChildSpec, class_name
from slither_actors.actors._reasons import SHUTDOWN
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Request
from slither_actors.actors._zombie import bury, is_zombie
from slither_actors.config import shown
from slither_actors.core import RestartBackoff
from slither_actors.errors import ChildError, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from slither_actors.actors._cell import Cell
    from slither_actors.actors._timers import Timer

__all__ = [
    "Child",
    "ChildCounts",
    "ChildInfo",
    "count",
    "prepare_to_wait",
    "same_id",
    "stop_child",
    "stop_children",
    "tell",
]

clock = time.monotonic
"""Seconds, for the restart limits of all supervisors; a test puts a clock of its own here."""

uniform = random.random
"""Chance, for the waits before restarts; a test puts its own here."""


@attrs.frozen(kw_only=True)
class ChildInfo:
    """One row of ``which_children``. OTP: supervisor, ``which_children/1``."""

    id: object
    """The spec's id; None under a dynamic supervisor."""

    ref: Ref | None
    """The running incarnation, None if there is none."""

    state: Literal["running", "stopped", "restarting"]
    """``"restarting"``: its restart failed and is tried again, or waits for its backoff."""

    type: Literal["worker", "supervisor"]

    restarts: int = 0
    """How often the supervisor has started it again, alone or in a group."""


@attrs.frozen(kw_only=True)
class ChildCounts:
    """What ``count_children`` returns. OTP: supervisor, ``count_children/1``."""

    specs: int
    """Children known, running or not."""

    active: int
    """Children running."""

    supervisors: int
    """Children of the type ``"supervisor"``, running or not."""

    workers: int
    """Children of the type ``"worker"``, running or not."""


@attrs.define(eq=False)
class Child:
    """A spec and the incarnation that runs under it. Only its supervisor touches it."""

    spec: ChildSpec

    extra: tuple[Any, ...] = ()
    """Appended to the arguments of the spec at each start, the restarts included."""

    ref: Ref | None = None
    restarting: bool = False
    restarts: int = 0
    last: int | None = None
    """The number of the incarnation before."""

    waiting: Timer | None = None
    """The wait before a restart with a backoff."""

    _backoff: RestartBackoff | None = attrs.field(init=False)

    @_backoff.default
    def _new_backoff(self) -> RestartBackoff | None:
        return None if self.spec.backoff is None else RestartBackoff(self.spec.backoff)

    @property
    def id(self) -> object:
        """The id of the spec."""
        return self.spec.id

    @property
    def label(self) -> str:
        """The id, for a person."""
        return safe_text(self.spec.id, repr)

    def launch(self) -> Ref:
        """Start it, linked to the calling supervisor."""
        ref = self.spec.launch(*self.extra)
        if not isinstance(ref, Ref):
            msg = f"{class_name(self.spec.start[0])}.start_link returned {shown(ref)}; expected is a ref"
            raise TypeError(msg)
        return ref

    def is_called(self, id: object) -> bool:
        """Whether the child has this id.

        Raises:
            ChildError: the ids cannot be compared (``"id"``), which must not be the supervisor's end.
        """
        return same_id(self.spec.id, id)

    def started(self, ref: Ref | None) -> None:
        """Note that the child runs, or that its start was ignored."""
        self.ref, self.restarting = ref, False
        self._end_wait()
        if self._backoff is not None:
            self._backoff.started(clock())

    def ended(self) -> None:
        """Note that the child does not run any more."""
        ref, self.ref = self.ref, None
        if ref is not None:
            self.last = ref.id

    def leave(self) -> Ref | None:
        """Note that the child is being stopped on purpose; return what is to be stopped."""
        ref, self.restarting = self.ref, False
        self.ended()
        self._end_wait()
        return ref

    @property
    def barred(self) -> bool:
        """Whether nothing may start in the place of a predecessor whose handler still runs."""
        return self.spec.exclusive and is_zombie(self.last)

    def forgive(self) -> None:
        """Begin the waits before restarts anew: the child was stopped by hand."""
        if self._backoff is not None:
            self._backoff.reset()

    def wait(self, owner: Cell, function: Callable[[Any, Child], object]) -> None:
        """Have ``function(supervisor, child)`` run when the time of the next restart has come."""
        assert self._backoff is not None
        self.restarting = True
        self._end_wait()
        self.waiting = _runtime.timers.start(owner, self._backoff.delay(clock(), uniform()), (function, self))

    def _end_wait(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    @property
    def state(self) -> Literal["running", "stopped", "restarting"]:
        """Whether there is an incarnation, or will be without anybody asking for one."""
        if self.ref is not None:
            return "running"
        return "restarting" if self.restarting else "stopped"

    def info(self) -> ChildInfo:
        """Describe the child."""
        return ChildInfo(
            id=self.spec.id, ref=self.ref, state=self.state, type=self.spec.type, restarts=self.restarts
        )


def same_id(known: object, id: object) -> bool:
    """Whether the ids are equal.

    Raises:
        ChildError: they cannot be compared (``"id"``), which must not be the supervisor's end.
    """
    try:
        return known is id or bool(known == id)
    except Exception as error:
        ids = f"{safe_text(id, repr)} cannot be compared with {safe_text(known, repr)}"
        raise ChildError(f"the id {ids}, that of a child: {safe_text(error)}", "id") from error


def count(children: list[Child]) -> ChildCounts:
    """Return how many children there are, by kind."""
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    return ChildCounts(
        specs=len(children),
        active=sum(child.ref is not None for child in children),
        supervisors=supervisors,
        workers=len(children) - supervisors,
    )


def prepare_to_wait(owner: Cell) -> None:
    """Have a thread for every supervisor above and one for the children, also while the program exits."""
    owner.scheduler.reserve(2 + depth(owner))


def stop_child(owner: Cell, child: Child) -> Any:
    """End a child as its spec says, and return the reason that it ended with."""
    ref = child.leave()
    if ref is None:
        return None
    _end_children(owner, [(child.spec, ref, _ask_to_end(owner, ref, child.spec))])
    return ref.exit_reason


def stop_children(owner: Cell, children: list[Child]) -> None:
    """End many children at one time; each has its own deadline."""
    ending = []
    for child in children:
        ref = child.leave()
        if ref is not None:
            ending.append((child.spec, ref, _ask_to_end(owner, ref, child.spec)))
    _end_children(owner, ending)


_Ending = tuple[ChildSpec, "Ref", float]
"""A child that was asked to end, and when patience with it ends."""


def _end_children(owner: Cell, ending: list[_Ending]) -> None:
    """Wait for the end of children that were asked to; those with whom patience ends first come first."""
    killed: dict[Ref, float] = {}
    try:
        for child in sorted(ending, key=_patience):
            spec, ref, _ = child
            _await_end(owner, child, ending, killed)
            tell(telemetry.SUPERVISOR_CHILD_EXIT, owner, spec.id, ref, reason=ref.exit_reason)
    finally:
        # If the wait was ended by a kill of the supervisor: no link tells them, they have left.
        for _, ref, _ in ending:
            if not ref._cell.dead:
                ref._cell.kill()


def _patience(child: _Ending) -> float:
    return child[2]


def _await_end(owner: Cell, child: _Ending, ending: list[_Ending], killed: dict[Ref, float]) -> None:
    spec, ref, deadline = child
    if ref._cell.dead:
        return
    owner.waiting_on = Request(None, ref._cell)
    try:
        if not _runtime.join(ref._cell, None if deadline == math.inf else deadline - time.monotonic()):
            now = time.monotonic()
            for other in ending:
                # All at one time: many that are stuck cost no more than one.
                if (other is child or _patience(other) <= now) and other[1] not in killed:
                    killed[other[1]] = now
                    other[1]._cell.kill()
            bury(ref._cell, force=spec.async_kill, since=killed[ref])
    finally:
        owner.waiting_on = None


def _ask_to_end(owner: Cell, ref: Ref, spec: ChildSpec) -> float:
    """Send the signal; return the time at which patience ends."""
    cell = ref._cell
    owner.unlink(cell)
    if spec.shutdown == BRUTAL_KILL:
        cell.kill()
        return time.monotonic()
    if not cell.end_here(SHUTDOWN):
        cell.signal_ahead(owner.ref, SHUTDOWN)
    return math.inf if spec.shutdown is None else time.monotonic() + spec.shutdown


def tell(signal: telemetry.Signal, owner: Cell, child_id: object, ref: Ref | None, **more: Any) -> None:
    """Emit one of the supervisor's events."""
    if signal.receivers:
        metadata = {"supervisor": owner.describe(), "child": child_id, "ref": ref, **more}
        telemetry.emit(signal, owner.ref, measurements={"system_time": time.time()}, metadata=metadata)
