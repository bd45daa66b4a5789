"""A supervisor in plain Python, as OTP documents it: what the real ones are compared with.

Source: https://www.erlang.org/doc/apps/stdlib/supervisor and supervisor.erl
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

__all__ = ["ModelChild", "ModelDynamic", "ModelPartitions", "ModelSupervisor", "Plan", "Script"]


@attrs.frozen(kw_only=True)
class Plan:
    """A child spec, and how its actor behaves."""

    id: Any
    restart: str = "permanent"
    shutdown: Any = 5.0
    type: str = "worker"
    significant: bool = False
    traps: bool = False
    waits: bool = False
    """Before a restart: 1, 2, 4, 8, 8 ... seconds, and 1 again after it ran for 3."""
    last_words: str = "none"
    """What `terminate` does: there is none, it notes the end, or it raises as well and makes it a crash."""


class Script:
    """How the next starts of each child go: "ok" unless something else was written."""

    def __init__(self) -> None:
        self._next: dict[Any, deque[str]] = {}

    def write(self, id: Any, outcomes: list[str]) -> None:
        self._next[id] = deque(outcomes)

    def take(self, id: Any) -> str:
        left = self._next.get(id)
        return left.popleft() if left else "ok"


@attrs.define(eq=False)
class Wait:
    """Between an end and the restart."""

    seconds: float


@attrs.define(eq=False)
class ModelChild:
    plan: Plan
    pid: int | None = None
    restarting: bool = False
    restarts: int = 0
    last: int | None = None
    """The pid before."""
    wait: Wait | None = None
    in_a_row: int = 0
    started_at: float | None = None

    @property
    def state(self) -> str:
        return "running" if self.pid is not None else "restarting" if self.restarting else "stopped"

    def row(self) -> tuple[Any, ...]:
        return (self.plan.id, self.state, self.plan.type, self.pid, self.restarts)


class ModelSupervisor:
    """Its mailbox has ``("exit", pid)``, ``("again", child)`` and ``("call", function)``."""

    def __init__(
        self,
        *,
        strategy: str = "one_for_one",
        limit: int = 3,
        period: int = 5,
        auto_shutdown: str = "never",
        clock: Callable[[], float],
    ) -> None:
        self.strategy, self.limit, self.period, self.auto_shutdown = strategy, limit, period, auto_shutdown
        self.clock = clock
        self.script = Script()
        self.children: list[ModelChild] = []
        self.mailbox: deque[tuple[str, Any]] = deque()
        self.log: list[tuple[Any, ...]] = []
        self.starts = 0
        self.reasons: dict[int, str] = {}
        """Of each pid that has ended."""
        self.attempts: list[float] = []
        self.ended: str | None = None
        self.all_waits: list[Wait] = []
        """Those that have not fired, the oldest first."""

    # -- one child -------------------------------------------------------------

    def start(self, child: ModelChild) -> bool:
        self.starts += 1
        self.log.append(("start", child.plan.id))
        outcome = self.script.take(child.plan.id)
        if outcome == "fail":
            return False
        child.pid, child.restarting = (self.starts if outcome == "ok" else None), False
        child.wait, child.started_at = None, self.clock()
        if outcome == "ignore" and child.plan.restart == "temporary" and child in self.children:
            self.children.remove(child)
        return True

    def end(self, child: ModelChild, reason: str) -> None:
        """The actor of a child ends, whoever wanted it."""
        assert child.pid is not None
        if reason != "killed" and child.plan.last_words != "none":
            self.log.append(("stop", child.plan.id, reason))
            if child.plan.last_words == "raise":
                reason = "crash"
        self.reasons[child.pid] = reason

    def stop(self, child: ModelChild) -> None:
        child.restarting, child.wait = False, None
        if child.pid is not None and child.pid not in self.reasons:
            self.end(child, "killed" if child.plan.shutdown == "brutal_kill" else "shutdown")
        child.pid = None

    def find(self, id: Any) -> ModelChild | None:
        return next((child for child in self.children if child.plan.id == id), None)

    # -- the supervisor --------------------------------------------------------

    def begin(self, plans: list[Plan]) -> bool:
        self.children = [ModelChild(plan) for plan in plans]
        for child in list(self.children):
            if not self.start(child):
                self.finish("shutdown")
                return False
        return True

    def finish(self, reason: str) -> None:
        for child in reversed(self.children):
            self.stop(child)
        self.ended = reason
        self.mailbox.clear()

    def step(self) -> None:
        """Handle the first message."""
        kind, what = self.mailbox.popleft()
        if kind == "call":
            what()
        elif kind == "exit":
            child = next((child for child in self.children if child.pid == what), None)
            if child is not None:
                child.last, child.pid = child.pid, None
                self.child_ended(child, self.reasons[what])
        elif kind == "time":
            child, wait = what
            if child.wait is wait:
                child.wait = None
                self.attempt(child)
        elif what.restarting and what in self.children:
            self.restart(what)

    def comes_back(self, child: ModelChild, reason: str) -> bool:
        ordinary = reason in ("normal", "shutdown", ("shutdown", 1))
        return {"permanent": True, "transient": not ordinary, "temporary": False}[child.plan.restart]

    def child_ended(self, child: ModelChild, reason: str) -> None:
        plan = child.plan
        if self.comes_back(child, reason):
            self.restart(child)
            return
        if plan.restart == "temporary":
            self.children.remove(child)
        if plan.significant and self.auto_shutdown != "never":
            others = [c for c in self.children if c.plan.significant and c.state != "stopped"]
            if self.auto_shutdown == "any_significant" or not others:
                self.finish("shutdown")

    def too_often(self) -> bool:
        now = self.clock()
        self.attempts.append(now)
        return sum(math.floor(at) >= math.floor(now) - self.period for at in self.attempts) > self.limit

    def waits(self) -> list[Wait]:
        return [wait for wait in self.all_waits if any(child.wait is wait for child in self.children)]

    def fire(self, number: int) -> None:
        """The time of one of `waits` has come."""
        wait = self.waits()[number]
        self.all_waits.remove(wait)
        child = next(child for child in self.children if child.wait is wait)
        self.mailbox.append(("time", (child, wait)))

    def begin_wait(self, child: ModelChild) -> None:
        if child.started_at is not None and self.clock() - child.started_at >= 3:
            child.in_a_row = 0
        child.started_at = None
        child.restarting, child.wait = True, Wait(min(2**child.in_a_row, 8))
        child.in_a_row += 1
        self.all_waits.append(child.wait)

    def restart(self, child: ModelChild) -> None:
        child.restarting = False
        if self.too_often():
            self.finish("shutdown")
        elif child.plan.waits:
            self.stop_group(child)
            self.begin_wait(child)
        else:
            self.attempt(child)

    def stop_group(self, child: ModelChild) -> list[ModelChild]:
        """Stop what goes along; return what is to be started."""
        at = self.children.index(child)
        group = {
            "one_for_one": [child],
            "one_for_all": list(self.children),
            "rest_for_one": self.children[at:],
        }[self.strategy]
        for each in reversed(group):
            if each is not child:
                self.stop(each)
        gone = [each for each in group if each.plan.restart == "temporary"]
        self.children = [each for each in self.children if each not in gone]
        return [each for each in group if each not in gone]

    def attempt(self, child: ModelChild) -> None:
        child.restarting = False
        for each in self.stop_group(child):
            if not self.start(each):
                if each.plan.waits:
                    self.restart(each)
                else:
                    each.restarting = True
                    self.mailbox.append(("again", each))
                return
            each.restarts += each.pid is not None

    # -- requests; an error is its name ----------------------------------------

    def start_child(self, plan: Plan) -> Any:
        known = self.find(plan.id)
        if known is not None:
            return "already_present" if known.state == "stopped" else "already_started"
        if plan.significant and self.auto_shutdown == "never":
            return "OptionError"
        child = ModelChild(plan)
        if not self.start(child):
            return "StartError"
        if child.pid is not None or plan.restart != "temporary":
            self.children.append(child)
        return child.pid

    def restart_child(self, id: Any) -> Any:
        child = self.find(id)
        if child is None or child.state != "stopped":
            return "not_found" if child is None else child.state
        return child.pid if self.start(child) else "StartError"

    def terminate_child(self, id: Any) -> Any:
        child = self.find(id)
        if child is None:
            return "not_found"
        self.stop(child)
        child.in_a_row, child.started_at = 0, None
        if child.plan.restart == "temporary":
            self.children.remove(child)
        return None

    def delete_child(self, id: Any) -> Any:
        child = self.find(id)
        if child is None or child.state != "stopped":
            return "not_found" if child is None else child.state
        self.children.remove(child)
        return None

    def which_children(self) -> list[tuple[Any, ...]]:
        return [child.row() for child in reversed(self.children)]

    def count_children(self) -> tuple[int, int, int, int]:
        supervisors = sum(child.plan.type == "supervisor" for child in self.children)
        active = sum(child.pid is not None for child in self.children)
        return len(self.children), active, supervisors, len(self.children) - supervisors


class ModelPartitions(ModelSupervisor):
    """The children 0 .. n - 1; source: https://hexdocs.pm/elixir/PartitionSupervisor.html ."""

    in_use = 0

    def begin(self, plans: list[Plan]) -> bool:
        self.in_use = self.most = len(plans)
        return super().begin(plans)

    def resize(self, count: int) -> Any:
        if not 0 <= count <= self.most:
            return "OptionError"
        before = self.in_use
        for number in range(before, count):
            known = self.find(number)
            if known is None or known.pid is None:
                started = self.restart_child(number)
                if isinstance(started, str):
                    return started
        self.in_use = count
        for number in range(count, before):
            known = self.find(number)
            if known is not None and known.state != "stopped":
                self.terminate_child(number)
        return before

    def for_key(self, key: int) -> Any:
        if not self.in_use:
            return "no_partitions"
        child = self.find(key % self.in_use)
        return "not_running" if child is None or child.pid is None else child.pid


class ModelDynamic(ModelSupervisor):
    """Children known by their pids; source: https://hexdocs.pm/elixir/DynamicSupervisor.html ."""

    def __init__(self, *, max_children: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.max_children = max_children

    def finish(self, reason: str) -> None:
        self.children.reverse()  # all are told at one time, the oldest first
        super().finish(reason)

    def child_ended(self, child: ModelChild, reason: str) -> None:
        if self.comes_back(child, reason):
            self.restart(child)
        else:
            self.children.remove(child)

    def restart(self, child: ModelChild) -> None:
        if self.too_often():
            self.children.remove(child)
            self.finish("shutdown")
            return
        # It is the youngest again.
        self.children.remove(child)
        if child.plan.waits:
            self.begin_wait(child)
            self.children.append(child)
        else:
            self.children.append(child)
            self.attempt(child)

    def attempt(self, child: ModelChild) -> None:
        self.children.remove(child)
        if not self.start(child):
            self.children.append(child)
            if child.plan.waits:
                self.restart(child)
                return
            child.restarting = True
            self.mailbox.append(("again", child))
        elif child.pid is not None:
            child.restarts += 1
            # Those that are being restarted are listed after those that run.
            waiting = sum(each.restarting for each in self.children)
            self.children.insert(len(self.children) - waiting, child)

    def start_child(self, plan: Plan) -> Any:
        if plan.significant:
            return "OptionError"
        if self.max_children is not None and len(self.children) >= self.max_children:
            return "max_children"
        child = ModelChild(plan)
        if not self.start(child):
            return "StartError"
        if child.pid is not None:
            waiting = sum(each.restarting for each in self.children)
            self.children.insert(len(self.children) - waiting, child)
        return child.pid

    def terminate_child(self, pid: Any) -> Any:
        for child in self.children:
            if child.pid == pid or (child.restarting and child.last == pid):
                self.stop(child)
                self.children.remove(child)
                return None
        return "not_found"

    def which_children(self) -> list[tuple[Any, ...]]:
        return [(None, *child.row()[1:]) for child in reversed(self.children)]
