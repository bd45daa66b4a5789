"""The partition supervisor: the same child several times over, and a key says which one is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs

from slither_actors.actors._child import Child
from slither_actors.actors._child_spec import ChildSpec
from slither_actors.actors._cores import cores
from slither_actors.actors._reasons import NOPROC
from slither_actors.actors._ref import Ref
from slither_actors.actors._request import Failure
from slither_actors.actors._supervisor import Strategy, Supervisor, SupervisorRef
from slither_actors.config import a_function, integer, shown
from slither_actors.core import Partitions
from slither_actors.errors import ActorExitError, ChildError, OptionError

__all__ = ["PartitionSupervisor", "PartitionSupervisorRef"]

_PARTITIONS = integer(1, most=100_000)

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class PartitionSupervisorRef(SupervisorRef):
    """The reference to a `PartitionSupervisor`; the children's ids are the numbers from 0.

    Elixir: PartitionSupervisor.
    """

    def for_key(self, key: object) -> Ref:
        """Return the partition of a key, without waiting. Equal keys have the same one until a `resize`.

        An integer chooses by its absolute value modulo the number of
        partitions, anything else by its hash. While a partition restarts the
        ref may be the one of its predecessor: a call to it raises
        `ActorExitError`, as a call at the moment of the crash would have.

        Raises:
            ChildError: the partition does not run (reason ``"not_running"``), or there are none
                (``"no_partitions"``).
            ActorExitError: the supervisor has ended.
        """
        return self._supervisor.for_key(key)

    def partitions(self) -> int:
        """Return how many partitions are in use."""
        return self._supervisor.in_use()

    def resize(self, partitions: int) -> int:
        """Start or stop partitions until so many are in use; return how many there were.

        Keys are spread over the new number at once: where the partitions hold
        state, it is for their owner to move it.

        Raises:
            OptionError: not a number from 0 to the one that the supervisor was started with.
            StartError: a partition did not start; the number stays as it was.
            ChildError: a partition that has to start is being restarted just now (``"restarting"``), or was
                temporary and is gone (``"not_found"``).
        """
        before: int = self.call(("resize", partitions), None)
        return before

    @property
    def _supervisor(self) -> PartitionSupervisor:
        supervisor = self._cell.actor
        assert isinstance(supervisor, PartitionSupervisor)
        if self._cell.dead:
            raise ActorExitError(str(self), NOPROC)
        return supervisor


class PartitionSupervisor(Supervisor):
    """A supervisor of so many copies of one child; their ids are the numbers from 0.

    Source: https://hexdocs.pm/elixir/PartitionSupervisor.html
    """

    ref_class: ClassVar[type[PartitionSupervisorRef]] = PartitionSupervisorRef

    _slots: tuple[Child, ...] = ()
    _partitions: Partitions | None = None

    def init(  # type: ignore[override]
        self,
        child: Any,
        *,
        partitions: int | None = None,
        with_arguments: Callable[[tuple[Any, ...], dict[str, Any], int], Arguments] | None = None,
        strategy: Strategy = "one_for_one",
        max_restarts: int = 3,
        max_seconds: float = 5,
        max_zombies: int = 3,
    ) -> None:
        """Start the partitions in order.

        Args:
            child: a child spec or server class.
            partitions: how many, 100,000 at the most; the number of cores by default.
            with_arguments: called with the spec's arguments, its keyword arguments and the number of the
                partition; returns the arguments and keyword arguments of that partition.
            strategy: what else is restarted with a partition.
            max_restarts: restarts allowed within `max_seconds`, of all partitions together.
            max_seconds: the window of `max_restarts`.
            max_zombies: as for a `Supervisor`.
        """
        count = cores() if partitions is None else partitions
        _PARTITIONS.check("partitions", count)
        if with_arguments is not None:
            a_function.check("with_arguments", with_arguments)
        spec = ChildSpec.of(child, self._cell.describe())
        specs = [_partition(spec, number, with_arguments) for number in range(count)]
        super().init(
            specs,
            strategy=strategy,
            max_restarts=max_restarts,
            max_seconds=max_seconds,
            max_zombies=max_zombies,
        )
        # A temporary one whose start was ignored is not among the children, but has its number.
        known = {child.id: child for child in self._children}
        self._slots = tuple(known.get(spec.id) or Child(spec) for spec in specs)
        self._partitions = Partitions(count)

    # -- readers: any thread ------------------------------------------------------

    def for_key(self, key: object) -> Ref:
        """Return the partition of a key."""
        number = None if self._partitions is None else self._partitions.of(key)
        if number is None:
            msg = f"{self._cell.describe()} has no partition in use"
            raise ChildError(msg, "no_partitions")
        ref = self._slots[number].ref
        if ref is None:
            msg = f"partition {number} of {self._cell.describe()} does not run"
            raise ChildError(msg, "not_running")
        return ref

    def in_use(self) -> int:
        """Return how many partitions are in use."""
        return 0 if self._partitions is None else self._partitions.in_use

    # -- the actor -----------------------------------------------------------------

    def _do_resize(self, count: int) -> int | Failure:
        partitions = self._partitions
        assert partitions is not None
        try:
            plan = partitions.plan(count)
        except ValueError as error:
            raise OptionError("partitions", str(error)) from None
        for number in plan.start:
            # It runs already if an earlier resize failed, or one_for_all has restarted it with the others.
            if self._slots[number].ref is None:
                self._do_restart_child(number)
        partitions.in_use = count
        for number in plan.stop:
            if self._slots[number].state != "stopped":
                self._do_terminate_child(number)
        return plan.before


def _partition(
    spec: ChildSpec,
    number: int,
    with_arguments: Callable[[tuple[Any, ...], dict[str, Any], int], Arguments] | None,
) -> ChildSpec:
    cls, args, kwargs = spec.start
    if with_arguments is not None:
        match with_arguments(args, dict(kwargs), number):
            case (tuple() as args, dict() as kwargs):
                pass
            case other:
                problem = (
                    f"returned {shown(other)} for {number}; allowed is (args, kwargs), a tuple and a dict"
                )
                raise OptionError("with_arguments", problem)
    return attrs.evolve(spec, id=number, start=(cls, args, kwargs))
