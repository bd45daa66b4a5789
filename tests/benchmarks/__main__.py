"""Run the benchmarks, each in a process of its own.

    python -m tests.benchmarks [dispatch …] [--rounds 5 …]

``dispatch`` is all that is about worker processes: integers, payloads, crash and
pool; ``stores`` is tables, views and replicas. Options, and what follows the
first one, go to every benchmark; all of them know ``--rounds``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GROUPS = {
    "dispatch": ["integers", "payloads", "crash", "pool"],
    "stores": ["tables", "views", "replicas"],
}


def main(arguments: list[str]) -> int:
    """Run the named ones, or all; return the worst exit status."""
    first_option = next((at for at, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:first_option], arguments[first_option:]
    known = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    wanted = [part for name in names for part in GROUPS.get(name, [name])]
    chosen = [f"bench_{name.removeprefix('bench_')}" for name in wanted] or known
    unknown = set(chosen) - set(known)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    status = 0
    for name in chosen:
        print(f"== {name.removeprefix('bench_')}", flush=True)
        status = max(status, subprocess.call([sys.executable, "-m", f"tests.benchmarks.{name}", *options]))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
