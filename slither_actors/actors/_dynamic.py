"""The dynamic supervisor: any number of children, started on demand, each on its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from slither_actors import telemetry
from slither_actors.actors import _child
from slither_actors.actors._child import (
    Child,
    ChildCounts,
    ChildInfo,
    check_max_zombies,
    count,
    prepare_to_wait,
    serve,
    stop_child,
    stop_children,
    tell,
    zombie_trouble,
)
from slither_actors.actors._child_spec import ChildSpec
from slither_actors.actors._children_ref import ChildrenRef
from slither_actors.actors._ignore import Ignore
from slither_actors.actors._reasons import KILLED, SHUTDOWN, Exit
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Request
from slither_actors.actors._server import Server
from slither_actors.core import RestartIntensity, comes_back
from slither_actors.errors import ChildError, OptionError, SlitherError, StartError, safe_text
from slither_actors.telemetry._log import GuardedLog

__all__ = ["DynamicSupervisor", "DynamicSupervisorRef"]

logger = GuardedLog("slither_actors.actors")

_FAILED = "its restart failed"


class DynamicSupervisorRef(ChildrenRef):
    """The reference to a `DynamicSupervisor`.

    Every method but `render` waits without a limit, and raises `ActorExitError`
    if the supervisor has ended. Elixir: DynamicSupervisor.
    """

    def start_child(self, child: Any, *args: Any) -> Ref:
        """Start a child spec or server class; the spec's id need not be unique.

        Args:
            child: what to start.
            *args: appended to the arguments of the spec's start.

        Returns:
            The child's ref; None if its `init` raised `Ignore`.

        Raises:
            ChildError: `max_children` is reached (reason ``"max_children"``).
            StartError: the child did not start.
        """
        ref: Ref = self.call(("start_child", ChildSpec.of(child), args), None)
        return ref

    def terminate_child(self, ref: Ref) -> None:
        """Stop a child. One that is being restarted is known by the ref that it had.

        Raises:
            ChildError: it is not a child of this supervisor (``"not_found"``).
        """
        self.call(("terminate_child", ref), None)


class DynamicSupervisor(Server):
    """A supervisor whose children come and go. It stops them all at one time.

    Source: https://hexdocs.pm/elixir/DynamicSupervisor.html
    """

    trap_exit = True
    child_type = "supervisor"
    ref_class = DynamicSupervisorRef

    @classmethod
    def start(cls, *args: Any, name: object = None, **kwargs: Any) -> DynamicSupervisorRef:
        """As `Server.start`, with the arguments of `init`."""
        ref = super().start(*args, name=name, **kwargs)
        assert isinstance(ref, DynamicSupervisorRef)
        return ref

    @classmethod
    def start_link(cls, *args: Any, name: object = None, **kwargs: Any) -> DynamicSupervisorRef:
        """As `Server.start_link`, with the arguments of `init`."""
        ref = super().start_link(*args, name=name, **kwargs)
        assert isinstance(ref, DynamicSupervisorRef)
        return ref

    def init(
        self,
        *,
        max_children: int | None = None,
        max_restarts: int = 3,
        max_seconds: float = 5,
        max_zombies: int = 3,
    ) -> None:
        """Start without children.

        Args:
            max_children: the most children at one time; None is no limit.
            max_restarts: restarts allowed within `max_seconds`; one more ends the supervisor.
            max_seconds: the window of `max_restarts`.
            max_zombies: the most abandoned children whose handlers still run; one more ends the supervisor.
        """
        self._max_zombies = check_max_zombies(max_zombies)
        if max_children is not None and not (type(max_children) is int and max_children >= 0):
            raise OptionError("max_children", f"is {max_children!r}; allowed are 0 and more, None (no limit)")
        prepare_to_wait(self._cell)
        self._max_children = max_children
        self._intensity = RestartIntensity(max_restarts, max_seconds)
        self._running: dict[Ref, Child] = {}
        self._restarting: list[Child] = []

    def terminate(self, reason: Any) -> None:
        """Stop every child at one time."""
        stop_children(self._cell, list(self._running.values()))
        self._running.clear()

    def handle_info(self, message: Any) -> None:
        """Handle the end of a child; anything else is logged."""
        if not isinstance(message, Exit):
            super().handle_info(message)
            return
        child = self._running.pop(message.ref, None) if message.ref is not None else None
        if child is None:
            return
        child.ended()
        tell(telemetry.SUPERVISOR_CHILD_EXIT, self._cell, child.id, message.ref, reason=message.reason)
        if comes_back(child.spec.restart, message.reason):
            self._restart(child, message.reason)
        else:
            self._count_zombies(child)

    def _restart(self, child: Child, reason: Any) -> None:
        if not self._intensity.record(_child.clock()):
            limit = self._intensity
            self._give_up(
                child, reason,
                f"child {child.id!r} ended again ({safe_text(reason)}), "
                f"more than {limit.max_restarts} restarts within {limit.max_seconds:g} s",
            )  # fmt: skip
        elif child.spec.backoff is not None:
            self._restarting.append(child)
            child.wait(self._cell, _time_is_up)
        else:
            self._attempt(child, reason)

    def _count_zombies(self, child: Child, group: Iterable[Child] = ()) -> bool:
        """Give up if there are too many zombies, or one is in the way of the child that is to start."""
        trouble = zombie_trouble(self._cell, group, self._max_zombies)
        if trouble is not None:
            self._give_up(child, KILLED, trouble)
        return trouble is not None

    def _give_up(self, child: Child, reason: Any, why: str) -> None:
        logger.error("%s gives up: %s", self._cell.describe(), why)
        tell(telemetry.SUPERVISOR_GAVE_UP, self._cell, child.id, None, reason=reason)
        self.stop(SHUTDOWN)

    def _attempt(self, child: Child, reason: Any) -> None:
        if self._count_zombies(child, [child]):
            return
        tell(telemetry.SUPERVISOR_CHILD_RESTART, self._cell, child.id, None, reason=reason)
        try:
            self._launch(child)
            child.restarts += 1
        except Ignore:
            return
        except Exception as error:  # noqa: BLE001 - any failed start is tried again
            logger.error("%s: child %r did not start again: %s", self._cell.describe(), child.id, error)
            if child.spec.backoff is not None:
                self._restart(child, _FAILED)
                return
            child.restarting = True
            self._restarting.append(child)
            self.ref.send(_try_again, child)

    def _launch(self, child: Child, *extra: Any) -> Ref:
        ref = child.spec.launch(*extra)
        child.started(ref)
        self._running[ref] = child
        tell(telemetry.SUPERVISOR_CHILD_START, self._cell, child.id, ref)
        return ref

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Serve the methods of `DynamicSupervisorRef`."""
        return serve(self, request)

    def _do_start_child(self, spec: ChildSpec, extra: tuple[Any, ...]) -> Ref | None:
        if spec.significant:
            raise OptionError(
                "significant", "is True for a child of a dynamic supervisor, which goes on alone"
            )
        present = len(self._running) + len(self._restarting)
        if self._max_children is not None and present >= self._max_children:
            msg = f"{self._cell.describe()} has {present} children, its max_children"
            raise ChildError(msg, "max_children")
        new = Child(spec)
        try:
            return self._launch(new, *extra)
        except Ignore:
            return None
        except SlitherError:
            raise
        except Exception as error:
            raise StartError(str(new.id), error) from error

    def _do_terminate_child(self, ref: Ref) -> None:
        child = self._running.pop(ref, None) or self._take_restarting(ref)
        if child is None:
            msg = f"{ref} is not a child of {self._cell.describe()}"
            raise ChildError(msg, "not_found")
        stop_child(self._cell, child)
        self._count_zombies(child)

    def _take_restarting(self, ref: Ref) -> Child | None:
        """Take the child whose last incarnation was `ref`: it is known by that one until it runs."""
        child = next((c for c in self._restarting if c.last == ref.id), None)
        if child is not None:
            self._restarting.remove(child)
        return child

    def _do_which_children(self) -> list[ChildInfo]:
        children = [*self._running.values(), *self._restarting]
        return [attrs.evolve(child.info(), id=None) for child in reversed(children)]

    def _do_count_children(self) -> ChildCounts:
        return count([*self._running.values(), *self._restarting])


def _try_again(supervisor: DynamicSupervisor, child: Child) -> None:
    if child in supervisor._restarting:
        supervisor._restarting.remove(child)
        supervisor._restart(child, _FAILED)


def _time_is_up(supervisor: DynamicSupervisor, child: Child) -> None:
    child.waiting = None
    supervisor._restarting.remove(child)
    supervisor._attempt(child, "its backoff is over")
