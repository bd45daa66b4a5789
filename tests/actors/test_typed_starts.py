"""What starts a supervisor or a registry returns the ref of its kind, for the type checker as well."""

from __future__ import annotations

from slither_actors.actors import (
    DynamicSupervisor,
    DynamicSupervisorRef,
    PartitionSupervisor,
    PartitionSupervisorRef,
    Registry,
    RegistryRef,
    Server,
    Supervisor,
    SupervisorRef,
    TaskSupervisor,
    TaskSupervisorRef,
    current_actors,
)
from tests.actors.probes import LONG, Quiet


class Starter(Server):
    """Starts one of each, linked."""

    def init(self) -> None:
        self.supervisor: SupervisorRef = Supervisor.start_link([])
        self.dynamic: DynamicSupervisorRef = DynamicSupervisor.start_link()
        self.tasks: TaskSupervisorRef = TaskSupervisor.start_link()
        self.partitions: PartitionSupervisorRef = PartitionSupervisor.start_link(Quiet, partitions=2)
        self.registry: RegistryRef = Registry.start_link(keys="unique")

    def handle_call(self, request: object, sender: object) -> object:
        children = self.supervisor.which_children(), self.dynamic.which_children()
        return children, self.tasks.children(), self.partitions.partitions(), self.registry.count()


def test_a_linked_start_returns_the_ref_of_its_kind() -> None:
    """With its methods, and no cast is needed."""
    starter = Starter.start()
    assert starter.call("?", LONG) == (([], []), [], 2, 0)
    refs = list(starter.get_state(LONG).values())
    starter.stop("shutdown")
    assert all(ref.join(LONG) for ref in refs)


def test_a_plain_start_returns_the_ref_of_its_kind() -> None:
    """As a linked one."""
    supervisor: SupervisorRef = Supervisor.start([])
    dynamic: DynamicSupervisorRef = DynamicSupervisor.start()
    assert supervisor.count_children() == dynamic.count_children()
    supervisor.stop("shutdown")
    dynamic.stop("shutdown")


class Child(Server):
    """Says who runs here."""

    def handle_call(self, request: object, sender: object) -> object:
        return [actor.actor_ref for actor in current_actors()]


class Family(Server):
    """Has a child."""

    def init(self) -> None:
        self.child = Child.start_link()


def test_the_current_actors_are_the_running_one_and_its_ancestors() -> None:
    """The nearest first; a plain thread has none."""
    family = Family.start()
    child = family.get_state(LONG)["child"]
    assert child.call("who?", LONG) == [child, family]
    assert list(current_actors()) == []
    family.stop("shutdown")
