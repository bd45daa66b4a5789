"""The supervisor: starts children in order, restarts what dies, stops in reverse.

A restart that fails is tried again by a message to itself, so that the
supervisor serves requests between attempts; each attempt counts against the
restart limit. When the limit is passed the supervisor ends with the reason
``"shutdown"``, as OTP's does: a *transient* supervisor is then not restarted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

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
    tell,
    zombie_trouble,
)
from slither_actors.actors._child_spec import ChildSpec, specs_of
from slither_actors.actors._children_ref import ChildrenRef
from slither_actors.actors._ignore import Ignore
from slither_actors.actors._reasons import KILLED, SHUTDOWN, Exit
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Request
from slither_actors.actors._server import Server
from slither_actors.core import (
    AutoShutdown,
    RestartIntensity,
    RestartStrategy,
    auto_shutdown_due,
    comes_back,
    restart_plan,
)
from slither_actors.errors import ChildError, OptionError, SlitherError, StartError, safe_text
from slither_actors.telemetry._log import GuardedLog

__all__ = ["Supervisor", "SupervisorRef"]

logger = GuardedLog("slither_actors.actors")

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
_STRATEGIES = tuple(strategy.value for strategy in RestartStrategy)
_FAILED = "its restart failed"
_AUTO_SHUTDOWN = tuple(mode.value for mode in AutoShutdown)


class SupervisorRef(ChildrenRef):
    """The reference to a `Supervisor`, with what can be asked of one.

    Every method but `render` waits without a limit: a supervisor is busy while
    a child starts or stops. It raises as `Ref.call` does, `ActorExitError` if
    the supervisor has ended. OTP: supervisor, the functions of these names.
    """

    def child(self, id: object) -> Ref | None:
        """Return the running child with this id, or None."""
        return next((info.ref for info in self.which_children() if info.id == id), None)

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
        ref: Ref = self.call(("start_child", ChildSpec.of(child), args), None)
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


class Supervisor(Server):
    """A server that keeps a fixed list of children alive.

    Start one with a list, or subclass it and call ``super().init`` with one::

        class Tree(Supervisor):
            def init(self):
                super().init([Cache, Writer.child_spec("x")], strategy="rest_for_one")

    Source: https://www.erlang.org/doc/apps/stdlib/supervisor
    """

    trap_exit = True
    child_type = "supervisor"
    ref_class = SupervisorRef

    @classmethod
    def start(cls, *args: Any, name: object = None, **kwargs: Any) -> SupervisorRef:
        """As `Server.start`, with the arguments of `init`."""
        ref = super().start(*args, name=name, **kwargs)
        assert isinstance(ref, SupervisorRef)
        return ref

    @classmethod
    def start_link(cls, *args: Any, name: object = None, **kwargs: Any) -> SupervisorRef:
        """As `Server.start_link`, with the arguments of `init`."""
        ref = super().start_link(*args, name=name, **kwargs)
        assert isinstance(ref, SupervisorRef)
        return ref

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
        if strategy not in _STRATEGIES:
            raise OptionError("strategy", f"is {strategy!r}; allowed are {', '.join(map(repr, _STRATEGIES))}")
        if auto_shutdown not in _AUTO_SHUTDOWN:
            allowed = ", ".join(map(repr, _AUTO_SHUTDOWN))
            raise OptionError("auto_shutdown", f"is {auto_shutdown!r}; allowed are {allowed}")
        self._max_zombies = check_max_zombies(max_zombies)
        prepare_to_wait(self._cell)
        self._auto_shutdown = AutoShutdown(auto_shutdown)
        self._strategy = RestartStrategy(strategy)
        self._intensity = RestartIntensity(max_restarts, max_seconds)
        self._children = [Child(spec) for spec in specs_of(children)]
        for child in self._children:
            self._check(child.spec)
        for name, times in Counter(child.id for child in self._children).items():
            if times > 1:
                raise OptionError("children", f"has the id {name!r} {times} times; give each its own")
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
            raise OptionError(
                "significant", f"is True for the child {spec.id!r}, but auto_shutdown is 'never'"
            )

    # -- starting and stopping ---------------------------------------------------

    def _start(self, child: Child, *extra: Any) -> Exception | None:
        """Start one child; return what went wrong."""
        try:
            child.started(child.spec.launch(*extra))
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

    def _restart(self, child: Child, reason: Any) -> None:
        if not self._intensity.record(_child.clock()):
            limit = self._intensity
            self._give_up(
                child, reason,
                f"child {child.id!r} ended again ({safe_text(reason)}), "
                f"more than {limit.max_restarts} restarts within {limit.max_seconds:g} s",
            )  # fmt: skip
        elif child.spec.backoff is not None:
            # Those that depend on the child do not run without it meanwhile.
            self._stop_group(child)
            child.wait(self._cell, _time_is_up)
            self._count_zombies(child)
        else:
            self._attempt(child, reason)

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
            again, error = failed
            again.restarting = True
            logger.error("%s: child %r did not start again: %s", self._cell.describe(), again.id, error)
            if again.spec.backoff is None:
                self.ref.send(_try_again, again)
            else:
                self._restart(again, _FAILED)

    def _stop_group(self, child: Child) -> list[Child]:
        """Stop what the strategy says; return what is to be started then, in order."""
        known = {c.id: c for c in self._children}
        temporary = {c.id for c in self._children if c.spec.restart == "temporary"}
        plan = restart_plan(self._strategy, list(known), child.id, temporary=temporary)
        self._stop_all([known[id] for id in reversed(plan.terminate)])
        return [known[id] for id in plan.restart]

    def _count_zombies(self, child: Child, group: Iterable[Child] = ()) -> bool:
        """Give up if there are too many zombies, or one is in the way of the group that is to start."""
        trouble = zombie_trouble(self._cell, group, self._max_zombies)
        if trouble is not None:
            self._give_up(child, KILLED, trouble)
        return trouble is not None

    def _give_up(self, child: Child, reason: Any, why: str) -> None:
        logger.error("%s gives up: %s", self._cell.describe(), why)
        tell(telemetry.SUPERVISOR_GAVE_UP, self._cell, child.id, None, reason=reason)
        self.stop(SHUTDOWN)

    # -- requests --------------------------------------------------------------------

    def handle_call(self, request: Any, sender: Request) -> Any:
        """Serve the methods of `SupervisorRef`."""
        return serve(self, request)

    def _do_which_children(self) -> list[ChildInfo]:
        return [child.info() for child in reversed(self._children)]

    def _do_count_children(self) -> ChildCounts:
        return count(self._children)

    def _do_start_child(self, spec: ChildSpec, extra: tuple[Any, ...]) -> Ref | None:
        known = next((c for c in self._children if c.id == spec.id), None)
        if known is not None:
            reason = "already_present" if known.state == "stopped" else "already_started"
            msg = f"{self._cell.describe()} has a child {spec.id!r} already ({reason})"
            raise ChildError(msg, reason)
        self._check(spec)
        new = Child(spec)
        error = self._start(new, *extra)
        if error is not None:
            raise error if isinstance(error, SlitherError) else StartError(str(spec.id), error)
        if new.ref is not None or spec.restart != "temporary":
            self._children.append(new)
        return new.ref

    def _do_restart_child(self, id: object) -> Ref | None:
        child = self._stopped(id, "restarted")
        if child.barred:
            msg = f"child {id!r} of {self._cell.describe()} is exclusive, was abandoned and still runs"
            raise ChildError(msg, "zombie")
        error = self._start(child)
        if error is not None:
            raise error if isinstance(error, SlitherError) else StartError(str(id), error)
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
        child = next((c for c in self._children if c.id == id), None)
        if child is None:
            msg = f"{self._cell.describe()} has no child {id!r}"
            raise ChildError(msg, "not_found")
        return child

    def _stopped(self, id: object, verb: str) -> Child:
        child = self._find(id)
        if child.state != "stopped":
            msg = f"child {id!r} of {self._cell.describe()} is {child.state}, so it cannot be {verb}"
            raise ChildError(msg, child.state)
        return child


def _try_again(supervisor: Supervisor, child: Child) -> None:
    if child.restarting and child in supervisor._children:
        child.restarting = False
        supervisor._restart(child, _FAILED)


def _time_is_up(supervisor: Supervisor, child: Child) -> None:
    child.waiting = None
    # If one before it in its group does not start, it is that one's turn to be restarted.
    child.restarting = False
    supervisor._attempt(child, "its backoff is over")
