"""The supervisors against a model of OTP's, whatever happens to them in whatever order.

Both handle one message after the other, and after each of them everything that
can be seen is compared: who runs, who was started and stopped in which order,
for what reason each one ended, and what is still to be handled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from slither_actors.actors import DynamicSupervisor, PartitionSupervisor, Supervisor
from slither_actors.errors import ActorExitError, ChildError, StartError
from tests.actors.model_supervisor import ModelDynamic, ModelPartitions, ModelSupervisor, Plan
from tests.actors.probes import crash
from tests.actors.scripted import QUICK, SOAK, World, name_of, outcome_of, spec_of
from tests.actors.simulation import Simulation

IDS = st.sampled_from("abcde")
OUTCOMES = st.lists(st.sampled_from(["ok", "fail", "fail", "ignore"]), max_size=3)
ENDS = ["kill", "crash", "normal", "shutdown", ("shutdown", 1), "odd"]


OPTIONS = {"limit": st.sampled_from([0, 1, 2, 4, 100, 100]), "period": st.integers(1, 5)}
STRATEGIES = st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])


def plans() -> st.SearchStrategy[Plan]:
    """Any child spec; only those that can end for good may be significant."""
    everything = st.builds(
        Plan,
        id=IDS,
        restart=st.sampled_from(["permanent", "transient", "temporary"]),
        shutdown=st.sampled_from([5.0, None, "brutal_kill"]),
        type=st.sampled_from(["worker", "supervisor"]),
        significant=st.booleans(),
        traps=st.booleans(),
        waits=st.sampled_from([False, False, True]),
        last_words=st.sampled_from(["none", "note", "note", "raise"]),
    )
    return everything.map(
        lambda plan: attrs.evolve(plan, significant=plan.significant and plan.restart != "permanent")
    )


class Machine(RuleBasedStateMachine):
    """A supervisor and its model, and what happens to both."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation()
        self.model: Any = None
        self.ref: Any = None

    def teardown(self) -> None:
        self.simulation.close()

    @property
    def runs(self) -> bool:
        return self.model is not None and self.model.ended is None

    def both(
        self,
        model: ModelSupervisor,
        plans: list[Plan],
        outcomes: dict[Any, list[str]],
        start: Callable[[], Any],
    ) -> None:
        """Start the model and the supervisor."""
        self.model, self.world, self.ref = model, World(), None
        for id, these in outcomes.items():
            self.the_next_starts(id, these)
        if model.begin(plans):
            self.ref = start()
        else:
            with pytest.raises(StartError):
                start()

    def running(self) -> list[int]:
        return [c.pid for c in self.model.children if c.pid is not None and c.pid not in self.model.reasons]

    @precondition(lambda self: self.runs)
    @rule(id=IDS | st.integers(0, 3), outcomes=OUTCOMES)
    def the_next_starts(self, id: Any, outcomes: list[str]) -> None:
        for script in (self.world.script, self.model.script):
            script.write(id, outcomes)

    @precondition(lambda self: self.runs)
    @rule(seconds=st.sampled_from([0.3, 1.0, 2.5, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.simulation.clock.now += seconds

    @precondition(lambda self: self.runs and self.running())
    @rule(data=st.data(), how=st.sampled_from(ENDS))
    def a_child_ends(self, data: st.DataObject, how: Any) -> None:
        self.end(data.draw(st.sampled_from(self.running())), how)

    @precondition(lambda self: self.runs and self.running())
    @rule(data=st.data(), how=st.sampled_from(ENDS))
    def all_children_end(self, data: st.DataObject, how: Any) -> None:
        for pid in data.draw(st.permutations(self.running())):
            self.end(pid, how)

    def end(self, pid: int, how: Any) -> None:
        """End a child; the supervisor has the news in its mailbox then."""
        ref = self.world.refs[pid]
        if how == "kill":
            ref.kill()
        else:
            ref.send(lambda actor, _: crash() if how == "crash" else actor.stop(how))
        self.simulation.run(ref._cell)
        child = next(c for c in self.model.children if c.pid == pid)
        self.model.end(child, "killed" if how == "kill" else how)
        self.model.mailbox.append(("exit", pid))

    @precondition(lambda self: self.runs and self.running() and not self.model.mailbox)
    @rule(data=st.data(), failures=st.integers(1, 4), others=st.sampled_from([None, "normal", "kill"]))
    def a_child_does_not_come_back(self, data: st.DataObject, failures: int, others: str | None) -> None:
        """At once; it is being restarted when the news of the others arrives."""
        pid = data.draw(st.sampled_from(self.running()))
        child = next(c for c in self.model.children if c.pid == pid)
        self.the_next_starts(child.plan.id, ["fail"] * failures)
        self.end(pid, "crash")
        for other in self.running() if others else ():
            self.end(other, others)
        self.the_supervisor_handles_a_message()

    @precondition(lambda self: self.runs and self.model.waits())
    @rule(data=st.data(), handled=st.booleans())
    def a_wait_is_over(self, data: st.DataObject, handled: bool) -> None:
        number = data.draw(st.integers(0, len(self.model.waits()) - 1))
        self.simulation.timers.fire(number)
        self.model.fire(number)
        if handled:
            self.the_supervisor_handles_all()

    @precondition(lambda self: self.runs and self.model.mailbox)
    @rule()
    def the_supervisor_handles_a_message(self) -> None:
        self.model.step()
        assert self.simulation.run(self.ref._cell)

    @precondition(lambda self: self.runs and self.model.mailbox)
    @rule()
    def the_supervisor_handles_all(self) -> None:
        while self.model.mailbox:
            self.the_supervisor_handles_a_message()
            self.both_are_the_same()

    @precondition(lambda self: self.runs and self.model.starts > 4)
    @rule(reason=st.sampled_from(["shutdown", "normal"]))
    def the_supervisor_is_stopped(self, reason: str) -> None:
        self.ref.stop(reason, block=False)
        self.model.mailbox.append(("call", lambda: self.model.finish(reason)))

    def call(self, message: tuple[Any, ...], modelled: Callable[[], Any]) -> None:
        """Call both and compare what they return; it waits in the mailbox like everything else."""
        expected: list[Any] = []
        self.model.mailbox.append(("call", lambda: expected.append(modelled())))
        request = self.simulation.ask(self.ref, message)
        while self.model.mailbox and not expected:
            self.the_supervisor_handles_a_message()
            self.both_are_the_same()
        if expected:
            assert outcome_of(request) == expected[0]
        else:
            with pytest.raises(ActorExitError):
                request.result()

    @invariant()
    def both_are_the_same(self) -> None:
        if self.model is None:
            return
        model, world = self.model, self.world
        assert world.log == model.log
        ended = {pid: name_of(ref.exit_reason) for pid, ref in world.refs.items() if not ref.is_alive()}
        assert ended == model.reasons
        if not self.runs:
            assert ended.keys() == world.refs.keys()
            assert self.ref is None or self.ref.exit_reason == model.ended
            return
        assert self.ref.is_alive()
        assert len(self.ref._cell.inbox) == len(model.mailbox)
        assert self.simulation.timers.delays() == [wait.seconds for wait in model.waits()]
        supervisor = self.ref._cell.actor
        rows = [
            (row.id, row.state, row.type, row.ref and row.ref._cell.actor.pid, row.restarts)
            for row in supervisor._do_which_children()
        ]
        assert rows == model.which_children()
        assert attrs.astuple(supervisor._do_count_children()) == model.count_children()


class SupervisorMachine(Machine):
    """A `Supervisor`."""

    @precondition(lambda self: not self.runs)
    @rule(
        first=st.lists(plans(), min_size=1, max_size=5, unique_by=lambda plan: plan.id),
        strategy=STRATEGIES,
        auto_shutdown=st.sampled_from(["never", "any_significant", *["all_significant"] * 2]),
        all_of_them=st.sampled_from([False, True, True]),
        outcomes=st.just({}) | st.dictionaries(IDS, OUTCOMES, max_size=2),
        **OPTIONS,
    )
    def begin(
        self,
        *,
        first: list[Plan],
        outcomes: Any,
        limit: int,
        period: int,
        strategy: Any,
        auto_shutdown: Any,
        all_of_them: bool,
    ) -> None:
        if auto_shutdown == "never":
            first = [attrs.evolve(plan, significant=False) for plan in first]
        elif all_of_them:
            first = [attrs.evolve(plan, significant=True, restart="transient") for plan in first]
        more = {"strategy": strategy, "auto_shutdown": auto_shutdown}
        model = ModelSupervisor(limit=limit, period=period, clock=self.simulation.clock, **more)
        self.both(
            model, first, outcomes,
            lambda: Supervisor.start(
                [spec_of(plan, self.world) for plan in first], max_restarts=limit, max_seconds=period, **more
            ),
        )  # fmt: skip

    @precondition(lambda self: self.runs)
    @rule(plan=plans())
    def start_child(self, plan: Plan) -> None:
        self.call(("start_child", spec_of(plan, self.world), ()), lambda: self.model.start_child(plan))

    @precondition(lambda self: self.runs)
    @rule(id=IDS)
    def restart_child(self, id: str) -> None:
        self.call(("restart_child", id), lambda: self.model.restart_child(id))

    @precondition(lambda self: self.runs)
    @rule(id=IDS)
    def terminate_child(self, id: str) -> None:
        self.call(("terminate_child", id), lambda: self.model.terminate_child(id))

    @precondition(lambda self: self.runs)
    @rule(id=IDS)
    def delete_child(self, id: str) -> None:
        self.call(("delete_child", id), lambda: self.model.delete_child(id))


class PartitionMachine(Machine):
    """A `PartitionSupervisor`."""

    @precondition(lambda self: not self.runs)
    @rule(
        plan=plans(),
        count=st.integers(1, 4),
        strategy=STRATEGIES,
        outcomes=st.just({}) | st.dictionaries(st.integers(0, 3), OUTCOMES, max_size=1),
        **OPTIONS,
    )
    def begin(self, *, plan: Plan, count: int, outcomes: Any, limit: int, period: int, strategy: Any) -> None:
        all_of_them = [attrs.evolve(plan, id=number, significant=False) for number in range(count)]
        options = {"limit": limit, "period": period, "strategy": strategy}
        self.both(
            ModelPartitions(clock=self.simulation.clock, **options), all_of_them, outcomes,
            lambda: PartitionSupervisor.start(
                spec_of(all_of_them[0], self.world),
                partitions=count,
                with_arguments=lambda args, kwargs, number: ((args[0], all_of_them[number]), kwargs),
                strategy=strategy, max_restarts=limit, max_seconds=period,
            ),
        )  # fmt: skip

    @precondition(lambda self: self.runs)
    @rule(count=st.integers(-1, 5))
    def resize(self, count: int) -> None:
        self.call(("resize", count), lambda: self.model.resize(count))

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 4))
    def terminate_child(self, number: int) -> None:
        self.call(("terminate_child", number), lambda: self.model.terminate_child(number))

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 4))
    def restart_child(self, number: int) -> None:
        self.call(("restart_child", number), lambda: self.model.restart_child(number))

    @invariant()
    def a_key_has_its_partition(self) -> None:
        if self.runs:
            assert self.ref.partitions() == self.model.in_use
            assert [self.for_key(key) for key in range(6)] == [self.model.for_key(key) for key in range(6)]
        elif self.ref is not None:
            with pytest.raises(ActorExitError):
                self.ref.for_key(0)

    def for_key(self, key: int) -> Any:
        try:
            return self.ref.for_key(key)._cell.actor.pid
        except ChildError as error:
            return error.reason


class DynamicMachine(Machine):
    """A `DynamicSupervisor`."""

    @precondition(lambda self: not self.runs)
    @rule(most=st.sampled_from([None, None, 0, 1, 2, 3]), **OPTIONS)
    def begin(self, most: int | None, limit: int, period: int) -> None:
        model = ModelDynamic(max_children=most, limit=limit, period=period, clock=self.simulation.clock)
        options = {"max_children": most, "max_restarts": limit, "max_seconds": period}
        self.both(model, [], {}, lambda: DynamicSupervisor.start(**options))

    @precondition(lambda self: self.runs)
    @rule(plan=plans())
    def start_child(self, plan: Plan) -> None:
        self.call(("start_child", spec_of(plan, self.world), ()), lambda: self.model.start_child(plan))

    @precondition(lambda self: self.runs and self.world.refs)
    @rule(data=st.data())
    def terminate_child(self, data: st.DataObject) -> None:
        pid = data.draw(st.sampled_from(sorted(self.world.refs)))
        self.call(("terminate_child", self.world.refs[pid]), lambda: self.model.terminate_child(pid))


for machine in (SupervisorMachine, PartitionMachine, DynamicMachine):
    machine.TestCase.settings = QUICK
TestSupervisor = SupervisorMachine.TestCase
TestPartitionSupervisor = PartitionMachine.TestCase
TestDynamicSupervisor = DynamicMachine.TestCase


@pytest.mark.soak
@pytest.mark.parametrize("machine", [SupervisorMachine, PartitionMachine, DynamicMachine])
def test_for_long(machine: Any) -> None:
    """The same, with many more and longer stories."""
    run_state_machine_as_test(machine, settings=SOAK)
