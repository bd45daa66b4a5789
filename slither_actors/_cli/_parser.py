"""The command line, and what ``--help`` says about it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from slither_actors import __version__
from slither_actors._cli._records import FORMATS
from slither_actors.pool._process import START_METHODS

__all__ = ["make_parser"]

_MAX_WORKERS: Final = 1024
"""More of them are a slip of the finger, and no machine starts them."""

_STATUSES: Final = """\
exit status:
  0    done
  1    the run failed, a proof does not hold, or a check failed
  2    the command line or the input is wrong
  129  stopped by SIGHUP      130  stopped by SIGINT (Ctrl-C)
  143  stopped by SIGTERM     141  nobody reads standard output any more
"""

_RUN: Final = """\
Run a pipe over the lines of a file or of standard input.

The input is read only as fast as results are written, so its size does not
matter. Every output of the pipe becomes a file OUTPUT.jsonl, also one that
nothing comes out of; files of that name are overwritten.

A signal stops the run: no more is read, what had been read has two seconds to
come out, and the files hold whole lines of what was done. A second signal ends
it at once.
"""

_EXAMPLES: Final = """\
examples:
  slither-actors run my_pipes:ScorePipe --input items.jsonl --output results
  zcat log.gz | slither-actors run my_pipes:LogPipe --input - --output - | jq .payload

"""

_EXAMPLE: Final = """\
Run an example and show what it proves. Without a name, list the examples.

The examples' own input is what is installed: the texts of the standard library,
and the tables and photographs of scikit-learn (the extra 'examples').
"""

_BASELINE: Final = """\
Do the work of an example in plain Python, with threads, in two ways:
unsafe_threaded shares its state without coordination, safe_python coordinates.
The report says what each got right, on which interpreter, and how many lines
it took. It fails if safe_python is wrong.
"""

_DOCTOR: Final = """\
Check what a pool of worker processes needs on this machine, and run one.

A line per check: ok, warn (pools work, but), or FAIL, with what to do. At the
end a pool of two is started in each of the ways there are: it runs a batch,
survives the crash of a worker, and stops.
"""

_STORES: Final = """\
Start stores, and print a line per table: kind, rows, estimated bytes, version,
reads, writes, and how long ago it was loaded.

A store is loaded here as in your program. One that is kept in a file is read
from it; while your program has the file open, that is an error which says so.
To see the stores of a program that is in Application.run(), send it SIGUSR1:
it prints the same table on its standard error.
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="slither-actors",
        description="Supervised, demand-driven pipelines: actors coordinate, worker processes compute.",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"slither-actors {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--workers",
        type=_worker_count,
        metavar="N",
        help="worker processes of each pool (default: one per processor)",
    )
    common.add_argument("--traceback", action="store_true", help="show the traceback of an error")
    _add_run(commands, common)
    _add_example(commands, common)
    _add_baseline(commands, common)
    _add_doctor(commands)
    _add_stores(commands)
    return parser


def _add_run(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    parser = commands.add_parser(
        "run",
        parents=[common],
        help="run a pipe of yours over a file or standard input",
        description=_RUN,
        epilog=_EXAMPLES + _STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "pipe", metavar="module:PipeClass", help="the pipe; modules of the current folder are found"
    )
    parser.add_argument("--input", required=True, metavar="FILE|-", help="the input; - is standard input")
    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        help="what a line is: text, a JSON value, or a row under a header, which becomes a mapping of"
        " column to text (default: by the name of the file, else lines)",
    )
    parser.add_argument(
        "--output",
        default=".",
        metavar="DIR|-",
        help="folder of the outputs, made if missing (default: the current one); - writes all of them to"
        ' standard output, each line as {"output": …, "payload": …}',
    )
    parser.add_argument(
        "--on-bad-line",
        choices=["halt", "skip"],
        default="halt",
        help="what a line does that is not UTF-8, JSON or a row: halt ends the run after what precedes it,"
        " skip leaves it out and counts it (default: halt)",
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="stop after N items of the input")


def _add_example(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    parser = commands.add_parser(
        "example",
        parents=[common],
        help="run an example, or list them",
        description=_EXAMPLE,
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_example_options(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("name", nargs="?", metavar="NAME", help="the example")
    which.add_argument(
        "--all",
        action="store_true",
        help="run those that need only the standard library, on made-up input, one after the other",
    )
    parser.add_argument(
        "--no-baseline",
        dest="baseline",
        action="store_false",
        help="leave out the same work in plain Python, which comes after the example",
    )


def _add_baseline(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    parser = commands.add_parser(
        "baseline",
        parents=[common],
        help="do the work of an example in plain Python, with threads",
        description=_BASELINE,
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_example_options(parser)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="the example (default: all, on made-up input)"
    )


def _add_example_options(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--input",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="files of yours in place of the example's own input: text, CSV or pictures, also folders of"
        " them where that makes sense",
    )
    source.add_argument(
        "--synthetic",
        action="store_true",
        help="made-up input, the same on every machine; needs no other packages",
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="take N items of the input at most")


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="check whether worker pools can work on this machine",
        description=_DOCTOR,
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--workers",
        type=_worker_count,
        metavar="N",
        help="worker processes that the limits are checked for (default: one per processor)",
    )
    parser.add_argument(
        "--pool-start-method",
        choices=START_METHODS,
        help="check this way to start workers only (default: all that there are)",
    )
    parser.add_argument("--no-smoke", dest="smoke", action="store_false", help="start no pool")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the lines")
    parser.add_argument("--traceback", action="store_true", help="show the traceback of an error")


def _add_stores(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "stores",
        help="load stores of yours and show what is in their tables",
        description=_STORES,
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "stores",
        nargs="+",
        metavar="module:StoreClass",
        help="a store, or a pipe for all stores that it lists; modules of the current folder are found",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--traceback", action="store_true", help="show the traceback of an error")


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return count


def _worker_count(text: str) -> int:
    count = _count(text)
    if count > _MAX_WORKERS:
        raise argparse.ArgumentTypeError(
            f"{count:,} processes in a pool are too many; at most {_MAX_WORKERS:,}"
        )
    return count
