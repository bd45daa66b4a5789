"""``slither-actors doctor``: whether worker pools can work on this machine, and what to do if not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Final

from slither_actors._cli._doctor_check import Check, Verdict
from slither_actors._cli._doctor_limits import check_limits
from slither_actors._cli._doctor_machine import Machine
from slither_actors._cli._doctor_python import check_python
from slither_actors._cli._doctor_smoke import smoke_test
from slither_actors._cli._errors import FAILED
from slither_actors._cli._signals import Stopper
from slither_actors.pool import PoolOptions

__all__ = ["doctor_command"]

_NAME_WIDTH: Final = 18


def doctor_command(options: argparse.Namespace, stopper: Stopper) -> int:
    """Print a line per check as it is done and return the exit status: 1 if one has failed."""
    machine = Machine()
    workers = options.workers or PoolOptions().workers
    methods = machine.start_methods
    wanted = (options.pool_start_method,) if options.pool_start_method else methods
    done: list[Check] = []
    for check in _checks(machine, workers, wanted, smoke=options.smoke):
        done.append(check)
        if not options.json:
            print(_line(check), flush=True)
    verdict = max((check.verdict for check in done), key=list(Verdict).index)
    print(_as_json(done, verdict, workers) if options.json else _last_line(done, workers))
    return FAILED if verdict is Verdict.FAIL else 0


def _checks(machine: Machine, workers: int, methods: Sequence[str], *, smoke: bool) -> Iterator[Check]:
    yield from check_python(machine, methods)
    yield from check_limits(machine, workers, methods)
    if smoke:
        for method in methods:
            yield smoke_test(method)


def _line(check: Check) -> str:
    advice = f"; {check.advice}" if check.advice else ""
    return f"{check.verdict.value:<6}{check.name:<{_NAME_WIDTH}}{check.found}{advice}"


def _last_line(checks: Sequence[Check], workers: int) -> str:
    counts = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    text = f"{len(checks)} checks for {workers} worker{'s' if workers > 1 else ''} per pool: "
    return text + ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items())


def _as_json(checks: Sequence[Check], verdict: Verdict, workers: int) -> str:
    report = {
        "verdict": verdict.value.lower(),
        "workers": workers,
        "checks": [
            {
                "name": check.name,
                "verdict": check.verdict.value.lower(),
                "found": check.found,
                "advice": check.advice,
                **({"details": dict(check.details)} if check.details else {}),
            }
            for check in checks
        ],
    }
    return json.dumps(report, indent=2)
