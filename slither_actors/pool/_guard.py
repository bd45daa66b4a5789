"""The process that kills the workers when the driver cannot.

Workers end when their socket does, but one that is deep in native code with
the interpreter lock held never looks at it, and what a worker has started
does not look at all. So one small shell waits for the driver's death, which
closes its standard input, and kills the process groups that are left.

Rejected: ``PR_SET_PDEATHSIG`` alone (it follows the *thread* that started the
worker, it cannot reach grandchildren, and under a fork server it waits for
the server, which lives as long as any worker does); a watching thread in each
worker (it needs the interpreter lock, and it makes every ``os.fork`` in the
user's code one of a threaded process, against which Python warns).
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import threading
from typing import Final

__all__ = ["Guard", "guard"]

logger = logging.getLogger("slither_actors.pool")

# A group is killed even after its leader is gone. The number of one that still has members is
# not given to another process, and the list is short-lived: the driver takes off what it reaps.
_SCRIPT: Final = """
trap '' HUP INT QUIT TERM
groups=' '
while read -r verb group; do
  case $verb in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do
  kill -s KILL -- "-$group"
  kill -s KILL "$group"
done
"""


class Guard:
    """The guard of this driver, shared by its pools. Usable from any thread.

    It runs while anybody holds it: `hold` and `drop` count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._groups: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None

    def hold(self) -> None:
        """Start the guard unless it runs."""
        with self._lock:
            self._holders += 1
            self._ensure()

    def drop(self) -> None:
        """End the guard if nobody holds it any more."""
        with self._lock:
            self._holders -= 1
            if self._holders > 0:
                return
            shell, self._shell = self._shell, None
        if shell is not None:
            _end(shell)

    def add(self, group: int) -> None:
        """Kill this process group when the driver dies."""
        with self._lock:
            self._groups.add(group)
            self._tell(f"+ {group}\n")

    def remove(self, group: int) -> None:
        """Forget a group that is gone."""
        with self._lock:
            if group in self._groups:
                self._groups.discard(group)
                self._tell(f"- {group}\n")

    @property
    def pid(self) -> int | None:
        """The guard's process, or None while there is none."""
        shell = self._shell
        return None if shell is None else shell.pid

    def _tell(self, line: str) -> None:
        if self._shell is None or self._shell.stdin is None:
            return
        try:
            os.write(self._shell.stdin.fileno(), line.encode())
        except OSError:  # somebody killed it: another one takes over the whole list
            _end(self._shell)
            self._shell = None
            self._ensure()

    def _ensure(self) -> None:
        if self._shell is not None or self._holders <= 0:
            return
        try:
            # In a session of its own: a Ctrl-C or a hang-up of the terminal is not for it.
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            logger.warning(
                "no guard for the workers (%s): if this process is killed, a worker that is busy may stay",
                error,
            )
            return
        for group in sorted(self._groups):
            self._tell(f"+ {group}\n")

    def after_fork_in_child(self) -> None:
        """A child of the driver is not the driver: it must not keep the guard's input open."""
        shell, self._shell = self._shell, None
        self._lock = threading.Lock()
        self._holders = 0
        self._groups = set()
        if shell is not None and shell.stdin is not None:
            with contextlib.suppress(OSError):
                shell.stdin.close()
            shell.returncode = 0  # not ours to wait for


def _end(shell: subprocess.Popen[bytes]) -> None:
    """Close the guard's input and wait for it; with no groups left it ends at once."""
    if shell.stdin is not None:
        with contextlib.suppress(OSError):
            shell.stdin.close()
    try:
        shell.wait(2.0)
    except subprocess.TimeoutExpired:
        shell.kill()
        shell.wait()


guard = Guard()
"""The guard of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=guard.after_fork_in_child)
