"""``slither-actors example``: run one of the examples, or list them."""

from __future__ import annotations

import argparse
import difflib

from slither_actors._cli._errors import FAILED, UsageError
from slither_actors._cli._progress import progress_on_stderr
from slither_actors._cli._signals import Stopper
from slither_actors.examples import EXAMPLES, ExampleOptions

__all__ = ["example_command"]


def example_command(options: argparse.Namespace, stopper: Stopper) -> int:
    """Run the example and return the exit status: 1 if what it proves is not so."""
    if options.all:
        if options.input:
            raise UsageError("--all runs several examples on made-up input; --input needs a NAME")
        names = [example.name for example in EXAMPLES.values() if example.standard_library]
        options.synthetic = True
        return max(_run(name, options) for name in names)
    if options.name is None:
        for example in EXAMPLES.values():
            print(f"{example.name:<16}{example.summary}")
        return 0
    if options.name not in EXAMPLES:
        near = difflib.get_close_matches(options.name, EXAMPLES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UsageError(f"there is no example {options.name!r}{hint} There are: {', '.join(EXAMPLES)}")
    return _run(options.name, options)


def _run(name: str, options: argparse.Namespace) -> int:
    wanted = ExampleOptions(
        paths=tuple(options.input or ()),
        synthetic=options.synthetic,
        workers=options.workers,
        limit=options.limit,
    )
    with progress_on_stderr(name) as progress:
        report = EXAMPLES[name].run(wanted, progress.advance)
    print(report, flush=True)
    return 0 if report.holds else FAILED
