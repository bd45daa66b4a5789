"""The partition supervisor: copies of one child, chosen by a key."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.actors import (
    ChildCounts,
    DynamicSupervisor,
    Ignore,
    PartitionSupervisor,
    PartitionSupervisorRef,
    Ref,
    Supervisor,
    whereis,
)
from slither_actors.errors import ActorExitError, ChildError, OptionError, StartError
from tests.actors.children import Child, spec, starts, stops
from tests.actors.probes import LONG, Gate, Log, Quiet


def numbered(args: tuple[Any, ...], kwargs: dict[str, Any], number: int) -> Any:
    """Give a `Child` its partition's number as its label."""
    return (args[0], str(number), *args[2:]), kwargs


def partitioned(log: Log, count: int, **options: Any) -> PartitionSupervisorRef:
    """Start a supervisor of noting children, and take their starts off the log."""
    child = options.pop("child", spec(log, "?"))
    ref = PartitionSupervisor.start(child, partitions=count, with_arguments=numbered, **options)
    log.take(count)
    return ref


def label(ref: Ref) -> str:
    found: str = ref.call(lambda child: child.label)
    return found


def gate_handler(_: Any, gate: Gate) -> None:
    gate()


# -- routing -------------------------------------------------------------------------


def test_a_key_has_one_partition() -> None:
    """The same one each time, and an integer chooses."""
    partitions = partitioned(Log(), 3)
    assert [label(partitions.for_key(key)) for key in (0, 1, 2, 3, -4)] == ["0", "1", "2", "0", "1"]
    assert partitions.for_key("a name") is partitions.for_key("a name")


def test_a_partition_whose_start_is_ignored_keeps_its_number() -> None:
    """A temporary one is not among the children then, and the others are still found by their keys."""

    def ignore_the_first(child: Any) -> None:
        if child.label == "0":
            raise Ignore

    log = Log()
    child = spec(log, "?", ignore_the_first, restart="temporary")
    partitions = partitioned(log, 3, child=child)
    assert [info.id for info in partitions.which_children()] == [2, 1]
    assert [label(partitions.for_key(key)) for key in (1, 2)] == ["1", "2"]
    with pytest.raises(ChildError, match="partition 0 .* does not run"):
        partitions.for_key(0)


def test_every_partition_is_used() -> None:
    """Many keys are spread over all of them."""
    partitions = partitioned(Log(), 4)
    assert len({partitions.for_key(f"key {number}") for number in range(200)}) == 4


def test_routing_does_not_wait_for_the_supervisor() -> None:
    """It may be busy with the start or stop of a child."""
    partitions = partitioned(Log(), 2)
    gate = Gate()
    partitions.send(gate_handler, gate)
    gate.wait()
    assert partitions.for_key(1).is_alive()
    assert partitions.partitions() == 2
    gate.open()


def test_a_restarted_partition_gets_the_keys_of_its_predecessor() -> None:
    """The others are left alone."""
    log = Log()
    partitions = partitioned(log, 2)
    first, second = partitions.for_key(0), partitions.for_key(1)
    first.kill()
    assert log.get() == ("start", "0")
    partitions.which_children()  # the start is on the supervisor's books
    assert partitions.for_key(0) is not first
    assert label(partitions.for_key(0)) == "0"
    assert partitions.for_key(1) is second


def test_a_partition_that_does_not_run_says_so() -> None:
    """It was stopped by hand, or could not be started again."""
    partitions = partitioned(Log(), 2)
    partitions.terminate_child(1)
    with pytest.raises(ChildError, match=r"partition 1 of PartitionSupervisor <\d+> does not run") as caught:
        partitions.for_key(1)
    assert caught.value.reason == "not_running"
    assert label(partitions.for_key(0)) == "0"


def test_a_supervisor_that_has_ended_has_no_partitions() -> None:
    """It is an error to ask, as it is to call."""
    partitions = partitioned(Log(), 2)
    partitions.stop("shutdown")
    with pytest.raises(ActorExitError):
        partitions.for_key(1)
    with pytest.raises(ActorExitError):
        partitions.partitions()


# -- children -------------------------------------------------------------------------


def test_partitions_start_in_order_and_stop_in_reverse() -> None:
    """They are the children of a static supervisor."""
    log = Log()
    partitions = PartitionSupervisor.start(spec(log, "?"), partitions=3, with_arguments=numbered)
    assert log.take(3) == starts("0", "1", "2")
    partitions.stop("shutdown")
    assert log.take(3) == stops("2", "1", "0")


def test_children_are_named_by_their_numbers() -> None:
    """Newest first, as those of any supervisor."""
    partitions = partitioned(Log(), 3)
    children = partitions.which_children()
    assert [child.id for child in children] == [2, 1, 0]
    assert [child.ref for child in children] == [partitions.for_key(number) for number in (2, 1, 0)]
    assert partitions.count_children() == ChildCounts(specs=3, active=3, supervisors=0, workers=3)


def test_there_is_a_partition_for_each_core_by_default() -> None:
    """At least one."""
    assert PartitionSupervisor.start(Quiet).partitions() >= 1


def test_without_with_arguments_all_partitions_are_alike() -> None:
    """A class or a spec will do."""
    log = Log()
    PartitionSupervisor.start(spec(log, "same"), partitions=2)
    assert log.take(2) == starts("same", "same")


def test_keyword_arguments_can_differ_too() -> None:
    """The spec's own are not changed by it."""

    def named(args: tuple[Any, ...], kwargs: dict[str, Any], number: int) -> Any:
        kwargs["name"] = f"{kwargs['name']} {number}"
        return args, kwargs

    child = Quiet.child_spec(name="partition")
    partitions = PartitionSupervisor.start(child, partitions=2, with_arguments=named)
    assert whereis("partition 0") is partitions.for_key(0)
    assert whereis("partition 1") is partitions.for_key(1)


def test_partitions_may_be_supervisors() -> None:
    """Many dynamic supervisors instead of one that everybody waits for."""
    log = Log()
    partitions = PartitionSupervisor.start(DynamicSupervisor, partitions=2)
    for key in range(4):
        partitions.for_key(key).call(("start_child", spec(log, str(key)), ()))
    assert [partitions.for_key(key).call(("count_children",)).active for key in (0, 1)] == [2, 2]
    assert partitions.count_children().supervisors == 2
    partitions.stop("shutdown")
    assert sorted(log.take(8)[4:]) == stops("0", "1", "2", "3")


def test_the_strategy_holds_for_the_partitions() -> None:
    """One for all restarts all."""
    log = Log()
    partitions = partitioned(log, 2, strategy="one_for_all")
    partitions.for_key(0).kill()
    assert log.take(3) == [*stops("1"), *starts("0", "1")]


def test_the_restart_limit_is_that_of_all_partitions() -> None:
    """One crash in each of two is two."""
    log = Log()
    partitions = partitioned(log, 2, max_restarts=1)
    second = partitions.for_key(1)
    partitions.for_key(0).kill()
    assert log.get() == ("start", "0")
    second.kill()
    assert partitions.join(LONG)
    assert partitions.exit_reason == "shutdown"


def test_it_is_a_child_of_a_supervisor() -> None:
    """With its options in its spec."""
    child = PartitionSupervisor.child_spec(Quiet, partitions=2, name="shards")
    tree = Supervisor.start([child])
    shards = whereis("shards")
    assert isinstance(shards, PartitionSupervisorRef)
    assert shards.partitions() == 2
    assert child.type == "supervisor"
    tree.stop("shutdown")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partitions": 0}, "allowed is an integer from 1 to 100000"),
        ({"partitions": True}, "allowed is an integer from 1 to 100000"),
        ({"strategy": "all"}, "allowed are 'one_for_one'"),
        ({"with_arguments": lambda args, _kwargs, _number: args}, r"allowed is \(args, kwargs\)"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """Before any partition has started."""
    with pytest.raises(StartError, match=message):
        PartitionSupervisor.start(Child.child_spec(), **options)


# -- resize -----------------------------------------------------------------------------


def test_fewer_partitions_end_the_last_ones() -> None:
    """Keys go to those that are left; the specs are kept."""
    log = Log()
    partitions = partitioned(log, 4)
    assert partitions.resize(2) == 4
    assert log.take(2) == stops("2", "3")
    assert partitions.partitions() == 2
    assert {label(partitions.for_key(key)) for key in range(8)} == {"0", "1"}
    assert partitions.count_children() == ChildCounts(specs=4, active=2, supervisors=0, workers=4)


def test_more_partitions_start_those_that_were_ended() -> None:
    """In order, up to as many as there were at the start."""
    log = Log()
    partitions = partitioned(log, 3)
    partitions.resize(0)
    log.take(3)
    assert partitions.resize(2) == 0
    assert log.take(2) == starts("0", "1")
    assert partitions.resize(3) == 2
    assert log.get() == ("start", "2")
    assert label(partitions.for_key(2)) == "2"


def test_the_same_number_changes_nothing() -> None:
    """No partition is started or stopped for it."""
    log = Log()
    partitions = partitioned(log, 2)
    before = partitions.for_key(0)
    assert partitions.resize(2) == 2
    assert partitions.for_key(0) is before
    assert log.rest() == []


@pytest.mark.parametrize("count", [-1, 3, 1.5, "2", True])
def test_a_number_out_of_range_is_refused(count: Any) -> None:
    """There are specs for as many as it was started with."""
    partitions = partitioned(Log(), 2)
    with pytest.raises(OptionError, match="allowed are 0 to 2, the number that it was started with"):
        partitions.resize(count)
    assert partitions.partitions() == 2


def test_without_partitions_no_key_has_one() -> None:
    """All of them may be stopped for a while."""
    partitions = partitioned(Log(), 2)
    partitions.resize(0)
    with pytest.raises(ChildError, match="no partition in use") as caught:
        partitions.for_key("key")
    assert caught.value.reason == "no_partitions"


def test_no_key_is_sent_to_a_partition_that_is_being_stopped() -> None:
    """The number changes first."""
    seen: list[int] = []
    box: list[PartitionSupervisorRef] = []

    class Last(Quiet):
        def terminate(self, reason: Any) -> None:
            seen.append(box[0].partitions())

    box.append(PartitionSupervisor.start(Last, partitions=2))
    box[0].resize(1)
    assert seen == [1]


def test_no_key_is_sent_to_a_partition_that_is_being_started() -> None:
    """The number changes last."""
    seen: list[int] = []
    box: list[PartitionSupervisorRef] = []

    class First(Quiet):
        def init(self, *_: Any) -> None:
            if box:
                seen.append(box[0].partitions())

    box.append(PartitionSupervisor.start(First, partitions=2))
    box[0].resize(0)
    box[0].resize(2)
    assert seen == [0, 0]


def test_a_partition_that_does_not_start_keeps_the_number() -> None:
    """And the next attempt goes on where this one failed."""
    fails: list[int] = []

    class Fragile(Quiet):
        def init(self, number: int) -> None:  # type: ignore[override]
            if number in fails:
                raise OSError("no room")

    partitions = PartitionSupervisor.start(
        Fragile, partitions=3, with_arguments=lambda _args, _kwargs, number: ((number,), {})
    )
    partitions.resize(0)
    fails.append(1)
    with pytest.raises(StartError, match="no room"):
        partitions.resize(3)
    assert partitions.partitions() == 0
    fails.clear()
    assert partitions.resize(3) == 0
    assert partitions.count_children().active == 3


def test_a_temporary_partition_that_is_gone_can_be_left_out() -> None:
    """Its spec went with it, so it cannot come back."""
    log = Log()
    partitions = partitioned(log, 2, child=spec(log, "?", restart="temporary"))
    gone = partitions.for_key(1)
    gone.kill()
    assert gone.join(LONG)
    partitions.resize(1)
    with pytest.raises(ChildError, match="no child 1"):
        partitions.resize(2)
    assert partitions.partitions() == 1
