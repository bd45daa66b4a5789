"""What one live actor keeps in memory, measured in a process that does nothing else.

    python -m tests.benchmarks.actor_memory {Server,Actor,ThreadingActor} 100000 {rss,tracemalloc}

Prints bytes per actor. Each has started and has handled one message, and all
refs are held. ``rss`` is what the operating system counts, ``tracemalloc``
what Python asked for; the first has to be measured without the second, which
needs memory itself.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pykka

from slither_actors.actors import Actor, Server

__all__ = ["bytes_each"]

PATIENCE = 60.0
PAGE = 4096


class EmptyServer(Server):
    def handle_info(self, message: Any) -> None:
        message()


class EmptyActor(Actor):
    def on_receive(self, message: Any) -> None:
        message()


class EmptyThread(pykka.ThreadingActor):
    def on_receive(self, message: Any) -> None:
        message()


KINDS: dict[str, Any] = {"Server": EmptyServer, "Actor": EmptyActor, "ThreadingActor": EmptyThread}


def bytes_each(kind: str, count: int, how: str) -> float:
    """Measure in a new process."""
    command = [sys.executable, "-m", "tests.benchmarks.actor_memory", kind, str(count), how]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return float(ran.stdout)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def start(kind: str, count: int) -> list[Any]:
    """Start them and have each handle one message."""
    refs = [KINDS[kind].start() for _ in range(count)]
    done = threading.Semaphore(0)
    for ref in refs:
        ref.tell(done.release)
    for _ in refs:
        if not done.acquire(timeout=PATIENCE):
            msg = "an actor did not handle its message"
            raise TimeoutError(msg)
    return refs


def main(kind: str, count: int, how: str) -> None:
    """Start a few, so that the runtime is there, then count what the rest takes."""
    few = start(kind, 10)
    gc.collect()
    if how == "tracemalloc":
        tracemalloc.start()
    before = resident() if how == "rss" else tracemalloc.get_traced_memory()[0]
    refs = start(kind, count)
    gc.collect()
    after = resident() if how == "rss" else tracemalloc.get_traced_memory()[0]
    print((after - before) / count, flush=True)
    del few, refs
    os._exit(0)  # the orderly end of so many actors would take as long as all the rest


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
