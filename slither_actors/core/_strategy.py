"""Restart strategies: which children a failure takes along.

The children that follow the failed one are taken to depend on it (rest_for_one),
or all depend on each other (one_for_all). When a start fails in the middle of
a group restart, asking again with the child that failed to start gives what
OTP does next: one_for_all stops those that are up again, rest_for_one keeps
the ones before.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Hashable, Sequence
from typing import Generic, TypeVar

import attrs

__all__ = ["RestartPlan", "RestartStrategy", "restart_plan"]

K = TypeVar("K", bound=Hashable)


class RestartStrategy(enum.Enum):
    """What a supervisor restarts when one child fails."""

    ONE_FOR_ONE = "one_for_one"
    """The child that failed."""

    ONE_FOR_ALL = "one_for_all"
    """All children."""

    REST_FOR_ONE = "rest_for_one"
    """The child that failed and those started after it."""


@attrs.frozen
class RestartPlan(Generic[K]):
    """The two steps of a restart, each in the order in which to go."""

    terminate: tuple[K, ...]
    """The children to stop, last started first; the failed one is not among them."""

    restart: tuple[K, ...]
    """The children to start, in start order."""


def restart_plan(
    strategy: RestartStrategy, children: Sequence[K], failed: K, *, temporary: Container[K] = ()
) -> RestartPlan[K]:
    """Return what to stop and what to start after `failed` went down.

    `children` are the ids in start order, those that are down included: a group
    restart revives them. `temporary` children are stopped with their group and
    stay down.

    Raises:
        ValueError: `failed` is not one of the children.
    """
    at = children.index(failed)
    if strategy is RestartStrategy.ONE_FOR_ONE:
        group = children[at : at + 1]
    elif strategy is RestartStrategy.REST_FOR_ONE:
        group = children[at:]
    else:
        group = children
    return RestartPlan(
        tuple(child for child in reversed(group) if child != failed),
        tuple(child for child in group if child not in temporary),
    )
