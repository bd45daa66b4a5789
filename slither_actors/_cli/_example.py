"""``slither-actors example`` and ``baseline``: run the examples, and the same in plain Python."""

from __future__ import annotations

import argparse
import difflib

from slither_actors._cli._errors import FAILED, UsageError
from slither_actors._cli._progress import progress_on_stderr
from slither_actors._cli._signals import Stopper
from slither_actors.examples import EXAMPLES, Example, ExampleOptions

__all__ = ["baseline_command", "example_command"]


def example_command(options: argparse.Namespace, stopper: Stopper) -> int:
    """Run the example and return the exit status: 1 if what it proves is not so."""
    if options.all:
        if options.input:
            raise UsageError("--all runs several examples on made-up input; --input needs a NAME")
        options.synthetic = True
        return max([_run(example, options) for example in EXAMPLES.values() if example.standard_library])
    if options.name is None:
        if options.input or options.synthetic or options.limit or options.workers or not options.baseline:
            raise UsageError(f"which example? Name one of {', '.join(EXAMPLES)}, or say --all")
        for example in EXAMPLES.values():
            print(f"{example.name:<16}{example.summary}")
        return 0
    return _run(_known(options.name), options)


def baseline_command(options: argparse.Namespace, stopper: Stopper) -> int:
    """Do the work of examples in plain Python and return the exit status: 1 if the safe variant is wrong."""
    if options.name is not None:
        return _baseline(_known(options.name), options)
    if options.input:
        raise UsageError("--input needs a NAME: without one all baselines run, on made-up input")
    options.synthetic = True
    return max([_baseline(example, options) for example in EXAMPLES.values()])


def _known(name: str) -> Example:
    if name not in EXAMPLES:
        near = difflib.get_close_matches(name, EXAMPLES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UsageError(f"there is no example {name!r}{hint} There are: {', '.join(EXAMPLES)}")
    return EXAMPLES[name]


def _run(example: Example, options: argparse.Namespace) -> int:
    with progress_on_stderr(example.name) as progress:
        report = example.run(_wanted(options), progress.advance)
    print(report, "\n", sep="", flush=True)
    status = 0 if report.holds else FAILED
    return max(status, _baseline(example, options)) if options.baseline else status


def _baseline(example: Example, options: argparse.Namespace) -> int:
    report = example.baseline(_wanted(options))
    print(report, "\n", sep="", flush=True)
    return 0 if report.holds else FAILED


def _wanted(options: argparse.Namespace) -> ExampleOptions:
    return ExampleOptions(
        paths=tuple(options.input or ()),
        synthetic=options.synthetic,
        workers=options.workers,
        limit=options.limit,
    )
