"""The supervisor: starts children in order, restarts what dies, stops in reverse.

A restart that fails is tried again by a message to itself, so that the
supervisor serves requests between attempts; each attempt counts against the
restart limit. When the limit is passed the supervisor ends with the reason
``"shutdown"``, as OTP's does: a *transient* supervisor is then not restarted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from slither_actors import telemetry
from slither_actors.actors._base_supervisor import BaseSupervisor, as_start_error
from slither_actors.actors._child import Child, same_id, stop_child, tell
from slither_actors.actors._child_spec import ChildSpec, specs_of
from slither_actors.actors._children_ref import ChildrenRef
from slither_actors.actors._ignore import Ignore
from slither_actors.actors._reasons import SHUTDOWN, Exit
from slither_actors.actors._ref import Ref
from slither_actors.config import one_of, shown
from slither_actors.core import (
    AutoShutdown,
    RestartStrategy,
    auto_shutdown_due,
    comes_back,
    restart_plan,
)
from slither_actors.errors import ChildError, OptionError, StartError, safe_text

__all__ = ["Supervisor", "SupervisorRef"]

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]

_STRATEGY = one_of(*(strategy.value for strategy in RestartStrategy))
_AUTO_SHUTDOWN = one_of(*(mode.value for mode in AutoShutdown))


class SupervisorRef(ChildrenRef):
    """The reference to a `Supervisor`, with what can be asked of one.

    Every method but `render` waits without a limit: a supervisor is busy while
    a child starts or stops. It raises as `Ref.call` does, `ActorExitError` if
    the supervisor has ended. OTP: supervisor, the functions of these names.
    """

    def child(self, id: object) -> Ref | None:
        """Return the running child with this id, or None."""
        return next((info.ref for info in self.which_children() if same_id(info.id, id)), None)

    def start_child(self, child: Any, *args: Any) -> Ref:
        """Add a child spec or server class and start it.

        Args:
            child: what to start.
            *args: appended to the arguments of the spec's start.

        Returns:
            The child's ref; None if its `init` raised `Ignore`.

        Raises:
            ChildError: the id is taken (reason ``"already_started"`` or ``"already_present"``).
            StartError: the child did not start; its spec is not kept.
        """
        ref: Ref = self.call(("start_child", ChildSpec.of(child, self), args), None)
        return ref

    def restart_child(self, id: object) -> Ref:
        """Start a child again that was terminated or had ended.

        Raises:
            ChildError: no such id (``"not_found"``), or it runs (``"running"``, ``"restarting"``), or
                is exclusive and was abandoned, and its handler still runs (``"zombie"``).
            StartError: the child did not start.
        """
        ref: Ref = self.call(("restart_child", id), None)
        return ref

    def terminate_child(self, id: object) -> None:
        """Stop a child and keep its spec, unless it is temporary. Stopped already is fine.

        Raises:
            ChildError: no such id (``"not_found"``).
        """
        self.call(("terminate_child", id), None)

    def delete_child(self, id: object) -> None:
        """Forget the spec of a child that does not run.

        Raises:
            ChildError: no such id (``"not_found"``), or it runs (``"running"``, ``"restarting"``).
        """
        self.call(("delete_child", id), None)


class Supervisor(BaseSupervisor):
    """A server that keeps a fixed list of children alive.

    Start one with a list, or subclass it and call ``super().init`` with one::

        class Tree(Supervisor):
            def init(self):
                super().init([Cache, Writer.child_spec("x")], strategy="rest_for_one")

    Source: https://www.erlang.org/doc/apps/stdlib/supervisor
    """

    ref_class: ClassVar[type[SupervisorRef]] = SupervisorRef

    def init(
        self,
        children: Iterable[Any] = (),
        *,
        strategy: Strategy = "one_for_one",
        max_restarts: int = 3,
        max_seconds: float = 5,
        auto_shutdown: Literal["never", "any_significant", "all_significant"] = "never",
        max_zombies: int = 3,
    ) -> None:
        """Start the children in order; if one fails, stop the started ones in reverse and fail.

        Args:
            children: child specs and server classes; their ids differ.
            strategy: what is restarted along with a child that failed.
            max_restarts: restarts allowed within `max_seconds`; one more ends the supervisor.
            max_seconds: the window of `max_restarts`.
            auto_shutdown: whether the supervisor ends, with the reason ``"shutdown"``, once any or all of its
                significant children have ended and are not restarted. Ends that it caused do not count.
            max_zombies: the most abandoned children whose handlers still run; one more ends the supervisor.
        """
        _STRATEGY.check("strategy", strategy)
        _AUTO_SHUTDOWN.check("auto_shutdown", auto_shutdown)
        self._limit(max_restarts=max_restarts, max_seconds=max_seconds, max_zombies=max_zombies)
        self._auto_shutdown = AutoShutdown(auto_shutdown)
        self._strategy = RestartStrategy(strategy)
        self._children = [Child(spec) for spec in specs_of(children, self._cell.describe())]
        for child in self._children:
            self._check(child.spec)
        _check_ids(self._children)
        failed = self._start_all(self._children)
        if failed is not None:
            child, reason = failed
            self._stop_all(self._children)
            raise StartError(
                self._cell.describe(), (SHUTDOWN, ("failed_to_start_child", child.id, reason))
            ) from reason
        self._forget()

    def terminate(self, reason: Any) -> None:
        """Stop the children, the last one first."""
        self._stop_all(getattr(self, "_children", []))

    def _check(self, spec: ChildSpec) -> None:
        if spec.significant and self._auto_shutdown is AutoShutdown.NEVER:
            problem = f"is True for the child {shown(spec.id)}, but auto_shutdown is 'never'"
            raise OptionError("significant", problem)

    # -- starting and stopping ---------------------------------------------------

    def _start(self, child: Child) -> Exception | None:
        """Start one child; return what went wrong."""
        try:
            child.started(child.launch())
        except Ignore:
            child.started(None)
        except Exception as error:  # noqa: BLE001 - any failed start is the strategy's business
            return error
        tell(telemetry.SUPERVISOR_CHILD_START, self._cell, child.id, child.ref)
        return None

    def _start_all(self, children: Iterable[Child]) -> tuple[Child, Exception] | None:
        for child in children:
            if child.ref is None:
                error = self._start(child)
                if error is not None:
                    return child, error
        return None

    def _stop_all(self, children: list[Child]) -> None:
        for child in reversed(children):
            stop_child(self._cell, child)
        self._forget()

    def _forget(self) -> None:
        """Drop the temporary children that do not run."""
        self._children = [c for c in self._children if c.spec.restart != "temporary" or c.ref is not None]

    # -- a child has ended ---------------------------------------------------------

    def handle_info(self, message: Any) -> None:
        """Handle the end of a child; anything else is logged."""
        if not isinstance(message, Exit):
            super().handle_info(message)
            return
        child = next((c for c in self._children if c.ref is message.ref and c.ref is not None), None)
        if child is not None:
            child.ended()
            self._child_ended(child, message)

    def _child_ended(self, child: Child, message: Exit) -> None:
        tell(telemetry.SUPERVISOR_CHILD_EXIT, self._cell, child.id, message.ref, reason=message.reason)
        if comes_back(child.spec.restart, message.reason):
            self._restart(child, message.reason)
            return
        if child.spec.restart == "temporary":
            self._children.remove(child)
        others = (c.state != "stopped" for c in self._children if c is not child and c.spec.significant)
        if auto_shutdown_due(self._auto_shutdown, significant=child.spec.significant, others=others):
            self.stop(SHUTDOWN)

    def _make_way(self, child: Child) -> None:
        """Stop those that depend on the child: they do not run without it meanwhile."""
        self._stop_group(child)
        self._count_zombies(child)

    def _take_up(self, child: Child) -> bool:
        """See `BaseSupervisor`: if one before it in its group does not start, it is that one's turn."""
        if not (child.restarting and child in self._children):
            return False
        child.restarting = False
        return True

    def _attempt(self, child: Child, reason: Any) -> None:
        tell(telemetry.SUPERVISOR_CHILD_RESTART, self._cell, child.id, None, reason=reason)
        group = self._stop_group(child)
        if self._count_zombies(child, group):
            return
        down = [c for c in group if c.ref is None]
        failed = self._start_all(group)
        for each in down:
            each.restarts += each.ref is not None
        if failed is not None:
            self._restart_failed(*failed)

    def _stop_group(self, child: Child) -> list[Child]:
        """Stop what the strategy says; return what is to be started then, in order."""
        # By their places: ids are the user's, and comparing them may raise.
        children = list(self._children)
        places = range(len(children))
        temporary = {place for place in places if children[place].spec.restart == "temporary"}
        plan = restart_plan(self._strategy, places, children.index(child), temporary=temporary)
        self._stop_all([children[place] for place in reversed(plan.terminate)])
        return [children[place] for place in plan.restart]

    # -- requests --------------------------------------------------------------------

    def _all_children(self) -> list[Child]:
        return self._children

    def _do_start_child(self, spec: ChildSpec, extra: tuple[Any, ...]) -> Ref | None:
        known = next((c for c in self._children if c.is_called(spec.id)), None)
        if known is not None:
            reason = "already_present" if known.state == "stopped" else "already_started"
            msg = f"{self._cell.describe()} has a child {known.label} already ({reason})"
            raise ChildError(msg, reason)
        self._check(spec)
        new = Child(spec, extra)
        error = self._start(new)
        if error is not None:
            raise as_start_error(new, error)
        if new.ref is not None or spec.restart != "temporary":
            self._children.append(new)
        return new.ref

    def _do_restart_child(self, id: object) -> Ref | None:
        child = self._stopped(id, "restarted")
        if child.barred:
            msg = f"child {child.label} of {self._cell.describe()} is exclusive, was abandoned and still runs"
            raise ChildError(msg, "zombie")
        error = self._start(child)
        if error is not None:
            raise as_start_error(child, error)
        return child.ref

    def _do_terminate_child(self, id: object) -> None:
        child = self._find(id)
        stop_child(self._cell, child)
        child.forgive()
        self._count_zombies(child)
        if child.spec.restart == "temporary":
            self._children.remove(child)

    def _do_delete_child(self, id: object) -> None:
        self._children.remove(self._stopped(id, "deleted"))

    def _find(self, id: object) -> Child:
        child = next((c for c in self._children if c.is_called(id)), None)
        if child is None:
            msg = f"{self._cell.describe()} has no child {shown(id)}"
            raise ChildError(msg, "not_found")
        return child

    def _stopped(self, id: object, verb: str) -> Child:
        child = self._find(id)
        if child.state != "stopped":
            msg = f"child {child.label} of {self._cell.describe()} is {child.state}, so it cannot be {verb}"
            raise ChildError(msg, child.state)
        return child


def _check_ids(children: Iterable[Child]) -> None:
    """Refuse ids that are not all different, or cannot be told apart."""
    try:
        twice = Counter(child.id for child in children).most_common(1)
    except Exception as error:
        problem = f"has ids that cannot be compared: {safe_text(error)}"
        raise OptionError("children", problem) from error
    for name, times in twice:
        if times > 1:
            raise OptionError("children", f"has the id {shown(name)} {times} times; give each its own")
