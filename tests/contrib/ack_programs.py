"""Consumers that are killed: ``python -m tests.contrib.ack_programs sqlite|redis …``."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from slither_actors import Application, Many, Pipe, Skip, run_pipe, stage, workers
from slither_actors.dispatch import ThreadExecutor
from slither_actors.pipe import AckSource


def _write(pairs: Any) -> Any:
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, "".join(f"{number} {part}\n" for number, part in pairs).encode())
    finally:
        os.close(file)
    return pairs


class Noting(Pipe):
    """Writes each number to a file, in parts, and lets go of it then."""

    @stage
    def parts(item: Any) -> Any:  # noqa: N805
        time.sleep(0.001)
        return Many([(item.payload, "a"), (item.payload, "b")])

    note = workers(ThreadExecutor(_write), batch_size=5, batch_timeout=0.02)

    @stage
    def done(item: Any) -> Any:  # noqa: N805
        return Skip("it is in the file")


def source_of(kind: str, where: str) -> AckSource:
    if kind == "sqlite":
        from slither_actors.contrib.sqlite import SqliteQueue

        return SqliteQueue(
            where, lease_seconds=0.3, idle_seconds=0.6, poll_seconds=0.02, fetch_size=20, ack_seconds=0.05
        )
    from slither_actors.contrib.redis import RedisStream

    return RedisStream(
        where,
        stream="numbers",
        group="noting",
        min_idle_seconds=0.3,
        idle_seconds=0.6,
        fetch_size=20,
        ack_seconds=0.05,
        decode=lambda fields: int(fields[b"number"]),
    )


def main() -> None:
    kind, where = sys.argv[1:]
    source = source_of(kind, where)
    with Application(pools={}):
        print("ready", flush=True)
        run_pipe(Noting, source)


if __name__ == "__main__":
    main()
