"""Actors that follow a plan, and how long the machines play with them."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import HealthCheck, Phase, settings

from slither_actors.actors import Backoff, ChildSpec, Crash, Ignore, Ref, Server
from slither_actors.actors._request import Request
from slither_actors.errors import ChildError, SlitherError
from tests.actors.model_supervisor import Plan, Script
from tests.actors.probes import crash

__all__ = ["QUICK", "SOAK", "World", "name_of", "outcome_of", "spec_of"]

QUICK = settings(
    max_examples=2 * settings.default.max_examples,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # No explanations of failures: they take longer than the search.
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
SOAK = settings(QUICK, max_examples=20_000, stateful_step_count=80)


@attrs.define
class World:
    """What the real children share: their script, and what they note."""

    script: Script = attrs.field(factory=Script)
    log: list[tuple[Any, ...]] = attrs.field(factory=list)
    refs: dict[int, Ref] = attrs.field(factory=dict)
    """Those that were started, by the number of the start."""
    starts: int = 0


class Real(Server):
    """A child that does what its plan and the script say."""

    def init(self, world: World, plan: Plan) -> None:
        self.world, self.plan = world, plan
        world.starts += 1
        self.pid = world.starts
        world.log.append(("start", plan.id))
        outcome = world.script.take(plan.id)
        if outcome == "fail":
            crash()
        if outcome == "ignore":
            raise Ignore
        world.refs[self.pid] = self.ref


class Trapping(Real):
    trap_exit = True


class Noting(Real):
    def terminate(self, reason: Any) -> None:
        self.world.log.append(("stop", self.plan.id, name_of(reason)))
        if self.plan.last_words == "raise":
            crash()


class TrappingAndNoting(Noting):
    trap_exit = True


BACKOFF = Backoff(min=1, max=8, jitter=0, reset_after=3)

CLASSES = {
    (False, False): Real,
    (True, False): Trapping,
    (False, True): Noting,
    (True, True): TrappingAndNoting,
}


def name_of(reason: Any) -> Any:
    return "crash" if isinstance(reason, Crash) else reason


def spec_of(plan: Plan, world: World) -> ChildSpec:
    return ChildSpec(
        id=plan.id,
        start=(CLASSES[plan.traps, plan.last_words != "none"], (world, plan), {}),
        restart=plan.restart,
        shutdown=plan.shutdown,
        type=plan.type,
        significant=plan.significant,
        backoff=BACKOFF if plan.waits else None,
    )


def outcome_of(request: Request) -> Any:
    """What a call returned, as the model says it."""
    try:
        result = request.result()
    except ChildError as error:
        return error.reason
    except SlitherError as error:
        return type(error).__name__
    return result._cell.actor.pid if isinstance(result, Ref) else result
