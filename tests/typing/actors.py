"""What starts and what waits has the type of its kind. Checked by mypy, never run."""

from typing import assert_type

from slither_actors.actors import (
    DynamicSupervisor,
    DynamicSupervisorRef,
    PartitionSupervisor,
    PartitionSupervisorRef,
    Ref,
    Registry,
    RegistryRef,
    Server,
    Supervisor,
    SupervisorRef,
    Task,
    TaskSupervisor,
    TaskSupervisorRef,
    await_many,
    whereis,
)

assert_type(Server.start(), Ref)
assert_type(Supervisor.start([]), SupervisorRef)
assert_type(Supervisor.start_link([]), SupervisorRef)
assert_type(DynamicSupervisor.start(), DynamicSupervisorRef)
assert_type(DynamicSupervisor.start_link(), DynamicSupervisorRef)
assert_type(PartitionSupervisor.start(Server), PartitionSupervisorRef)
assert_type(PartitionSupervisor.start_link(Server), PartitionSupervisorRef)
assert_type(TaskSupervisor.start(), TaskSupervisorRef)
assert_type(TaskSupervisor.start_link(), TaskSupervisorRef)
assert_type(Registry.start(), RegistryRef)
assert_type(Registry.start_link(), RegistryRef)
assert_type(whereis("name"), Ref | None)
assert_type(TaskSupervisor.start().async_(int, "1"), Task[int])
assert_type(Task.async_(int, "1").await_(), int)
assert_type(await_many([Task.async_(str, 1)]), list[str])
