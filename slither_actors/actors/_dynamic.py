"""The dynamic supervisor: any number of children, started on demand, each on its own."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from slither_actors import telemetry
from slither_actors.actors._base_supervisor import BaseSupervisor, as_start_error
from slither_actors.actors._child import Child, ChildInfo, stop_child, stop_children, tell
from slither_actors.actors._child_spec import ChildSpec
from slither_actors.actors._children_ref import ChildrenRef
from slither_actors.actors._ignore import Ignore
from slither_actors.actors._reasons import Exit
from slither_actors.actors._ref import Ref
from slither_actors.config import integer, shown
from slither_actors.core import comes_back
from slither_actors.errors import ChildError, OptionError

__all__ = ["DynamicSupervisor", "DynamicSupervisorRef"]

_MAX_CHILDREN = integer(0, none=True)


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
        ref: Ref = self.call(("start_child", ChildSpec.of(child, self), args), None)
        return ref

    def terminate_child(self, ref: Ref) -> None:
        """Stop a child. One that is being restarted is known by the ref that it had.

        Raises:
            ChildError: it is not a child of this supervisor (``"not_found"``).
        """
        self.call(("terminate_child", ref), None)


class DynamicSupervisor(BaseSupervisor):
    """A supervisor whose children come and go. It stops them all at one time.

    Source: https://hexdocs.pm/elixir/DynamicSupervisor.html
    """

    ref_class: ClassVar[type[DynamicSupervisorRef]] = DynamicSupervisorRef

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
        self._max_children: int | None = _MAX_CHILDREN.check("max_children", max_children)
        self._limit(max_restarts=max_restarts, max_seconds=max_seconds, max_zombies=max_zombies)
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
            self._gone(child)

    def _gone(self, child: Child) -> None:
        """A child has ended for good."""
        self._count_zombies(child)

    def _put_off(self, child: Child) -> None:
        """See `BaseSupervisor`: it is found by its last incarnation meanwhile."""
        super()._put_off(child)
        self._restarting.append(child)

    def _take_up(self, child: Child) -> bool:
        if child not in self._restarting:
            return False
        self._restarting.remove(child)
        return True

    def _attempt(self, child: Child, reason: Any) -> None:
        if self._count_zombies(child, [child]):
            return
        tell(telemetry.SUPERVISOR_CHILD_RESTART, self._cell, child.id, None, reason=reason)
        try:
            self._launch(child)
            child.restarts += 1
        except Ignore:
            self._gone(child)
        except Exception as error:  # noqa: BLE001 - any failed start is tried again
            self._restart_failed(child, error)

    def _launch(self, child: Child) -> Ref:
        ref = child.launch()
        child.started(ref)
        self._running[ref] = child
        tell(telemetry.SUPERVISOR_CHILD_START, self._cell, child.id, ref)
        return ref

    def _do_start_child(self, spec: ChildSpec, extra: tuple[Any, ...]) -> Ref | None:
        if spec.significant:
            problem = f"is True for child {shown(spec.id)} of a dynamic supervisor, which goes on alone"
            raise OptionError("significant", problem)
        present = len(self._running) + len(self._restarting)
        if self._max_children is not None and present >= self._max_children:
            msg = f"{self._cell.describe()} has {present} children, its max_children"
            raise ChildError(msg, "max_children")
        new = Child(spec, extra)
        try:
            return self._launch(new)
        except Ignore:
            return None
        except Exception as error:  # noqa: BLE001 - the caller's
            raise as_start_error(new, error)  # noqa: B904 - it has its cause

    def _do_terminate_child(self, ref: Ref) -> None:
        child = self._running.pop(ref, None) or self._take_restarting(ref)
        if child is None:
            msg = f"{shown(ref)} is not a child of {self._cell.describe()}"
            raise ChildError(msg, "not_found")
        stop_child(self._cell, child)
        self._gone(child)

    def _take_restarting(self, ref: Ref) -> Child | None:
        """Take the child whose last incarnation was `ref`: it is known by that one until it runs."""
        child = next((c for c in self._restarting if c.last == ref.id), None)
        if child is not None:
            self._restarting.remove(child)
        return child

    def _all_children(self) -> list[Child]:
        return [*self._running.values(), *self._restarting]

    def _do_which_children(self) -> list[ChildInfo]:
        return [attrs.evolve(info, id=None) for info in super()._do_which_children()]
