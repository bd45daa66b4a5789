"""What a worker says besides its results, from the driver: two pipes and the socket of its log records."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any, Final

from slither_actors.errors import class_name, safe_text
from slither_actors.pool._lines import Lines
from slither_actors.pool._log_records import MESSAGE_BYTES, unpack
from slither_actors.pool._outlet import RECORDS_PER_SECOND

__all__ = ["SETTLE_SECONDS", "Outputs"]

logger = logging.getLogger("slither_actors.pool")

SETTLE_SECONDS: Final = 1.0
"""After so long a line without an end is shown as it is."""

_RECORDS: Final = 1024
"""Records taken in one go. More do not fit into the socket: it is all that was said before a batch's end."""


class Outputs:
    """The three ends of one worker's outputs, and what becomes of it. One owner reads it.

    Standard output goes to this process's ``sys.stdout``, standard error to
    ``sys.stderr`` and log records to the loggers of the same name. They are
    written, and log handlers run, in the thread of the owner.
    """

    def __init__(self, *, logs: bool) -> None:
        """Make the pipes.

        Raises:
            OSError: out of descriptors.
        """
        self.jobs: Mapping[int, Any] = {}
        """The batches that the worker holds, by reference; for their descriptions."""
        self.worker_ends: list[int] = []
        """Standard output, standard error: to be closed here when the worker has them."""
        self.worker_log: socket.socket | None = None
        self._fds: list[int] = []
        self._log: socket.socket | None = None
        self._pid = self._slot = 0
        self._pool = ""
        self._told = 0
        self._complained = False
        self._settling = False
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            undo.callback(self.close_worker_ends)
            for _ in range(2):
                read, write = os.pipe()
                self._fds.append(read)
                self.worker_ends.append(write)
                os.set_blocking(read, False)
            if logs:
                kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
                if sys.platform == "darwin":
                    kind = socket.SOCK_DGRAM
                self._log, self.worker_log = socket.socketpair(socket.AF_UNIX, kind)
                self._log.setblocking(False)
            undo.pop_all()
        self._stdout = self._stderr = Lines(-1, "", "stderr")

    def open(self, pool: str, slot: int, pid: int) -> None:
        """The worker runs, and has a name."""
        self._pool, self._slot, self._pid = pool, slot, pid
        label = f"[pool {pool}, worker {slot}, pid {pid}] "
        self._stdout = Lines(self._fds[0], label, "stdout")
        self._stderr = Lines(self._fds[1], label, "stderr", keep=True)

    @property
    def fds(self) -> list[int]:
        """What to watch."""
        return self._fds if self._log is None else [*self._fds, self._log.fileno()]

    @property
    def stderr_tail(self) -> bytes:
        """The last bytes on standard error."""
        return self._stderr.tail

    def pump(self, fd: int) -> bool:
        """Pass on what has come through one of `fds`. False when nothing is left for now."""
        lines = self._lines(fd)
        return self._pump_log() if lines is None else lines.pump()

    def ended(self, fd: int) -> bool:
        """Whether nothing more can come through it."""
        lines = self._lines(fd)
        return lines is not None and lines.ended

    def _lines(self, fd: int) -> Lines | None:
        if not self._fds:
            return None
        return {self._fds[0]: self._stdout, self._fds[1]: self._stderr}.get(fd)

    def wants_settling(self) -> bool:
        """Whether `settle` should be called in `SETTLE_SECONDS`; asked for once until it was."""
        if self._settling or not (self._stdout.unsaid or self._stderr.unsaid):
            return False
        self._settling = True
        return True

    def settle(self) -> None:
        """Show what waits for the end of its line. Also after the worker's end."""
        self._settling = False
        self._stdout.flush()
        self._stderr.flush()

    def catch_up(self) -> None:
        """Pass on what was said before a batch ended."""
        self._pump_log()
        for lines in (self._stdout, self._stderr):
            lines.pump()
            lines.flush()

    def finish(self, dropped: int) -> None:
        """The worker has ended, having left out so many log records in all: pass on the rest.

        What a process that it had started writes from now on is not waited for.
        """
        self.catch_up()
        self._tell_dropped(dropped)

    # -- log records ----------------------------------------------------------------

    def _pump_log(self) -> bool:
        if self._log is None:
            return False
        for _ in range(_RECORDS):
            try:
                data = self._log.recv(MESSAGE_BYTES)
            except OSError:  # nothing left, or the worker is gone
                return False
            if not data:
                return False
            self._hear(data)
        return True

    def _hear(self, data: bytes) -> None:
        try:
            said = unpack(data)
        except ValueError:
            return  # garbage in a descriptor that is ours: its writer's business
        self._tell_dropped(said.dropped)
        if said.fields is None:
            return
        job = self.jobs.get(said.ref)
        batch = "" if job is None else job.description
        record = said.record(pool=self._pool, slot=self._slot, worker_pid=self._pid, batch=batch)
        try:
            home = logging.getLogger(record.name) if record.name != "root" else logging.root
            if not home.isEnabledFor(record.levelno):
                return
            if home.hasHandlers() or logging.lastResort is None:
                home.handle(record)
            elif record.levelno >= logging.lastResort.level and home.filter(record):
                # As `logging` does for who has configured nothing, but with the worker's label.
                self._stderr.say(logging.lastResort.format(record))
        except BaseException as broken:  # noqa: BLE001 - handlers are the user's; the pool goes on
            self._complain(record, broken)

    def _complain(self, record: logging.LogRecord, broken: BaseException) -> None:
        """Once per worker: a handler that raises once does so for each record."""
        if self._complained:
            return
        self._complained = True
        with contextlib.suppress(Exception):
            sys.stderr.write(
                f"{safe_text(record.msg)}\n"
                f"(not logged: a log handler raised {class_name(broken)} for a record of worker {self._pid}, "
                f"pool {self._pool!r}, slot {self._slot}; told once per worker)\n"
            )

    def _tell_dropped(self, total: int) -> None:
        count = total - self._told
        if count <= 0:
            return
        self._told = total
        try:
            logger.warning(
                "pool %s: %d log records of worker %d (slot %d) were left out: "
                "more than %d in a second, or more than were read",
                self._pool, count, self._pid, self._slot, RECORDS_PER_SECOND,
            )  # fmt: skip
        except BaseException:  # noqa: BLE001 - a handler of the user's
            return

    # -- the end ----------------------------------------------------------------------

    def close_worker_ends(self) -> None:
        """The worker has its ends, or will never have them."""
        while self.worker_ends:
            os.close(self.worker_ends.pop())
        if self.worker_log is not None:
            self.worker_log.close()
            self.worker_log = None

    def close(self) -> None:
        """Close our ends."""
        while self._fds:
            os.close(self._fds.pop())
        if self._log is not None:
            self._log.close()
            self._log = None
