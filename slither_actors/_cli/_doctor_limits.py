"""The doctor's look at what a pool takes of the machine: processors, memory, descriptors, processes."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from slither_actors._cli._doctor_check import Check, bytes_text, failed, fine, warned
from slither_actors._cli._doctor_machine import Machine

__all__ = ["DESCRIPTORS", "DESCRIPTORS_PER_WORKER", "check_limits"]

DESCRIPTORS: Final = 48
"""Descriptors of a program with a pool, apart from those of the workers."""

DESCRIPTORS_PER_WORKER: Final = 12
"""Descriptors of the driver per worker, at most."""

_SHARED_DESCRIPTORS: Final = 256
"""Descriptors that large payloads may take in addition."""

_BARELY: Final = 24 * 2**20
_COMFORTABLY: Final = 64 * 2**20
"""Bytes per worker: the interpreter alone, and with something to do."""

_PROCESSES: Final = 3
"""Beside the workers: the fork server, its resource tracker, the guard."""

_THREADS: Final = 32
"""Threads that the driver may start without being asked for many."""

_SEGMENT: Final = 8 * 2**20
_SMALL_SHM: Final = 256 * 2**20
_SMALL_TEMP: Final = 16 * 2**20
_SHELL_SECONDS: Final = 5.0


def check_limits(machine: Machine, workers: int, methods: Sequence[str]) -> Iterator[Check]:
    """Check the machine for a pool of so many workers, started in one of these ways."""
    yield _processors(machine, workers)
    yield _memory(machine, workers)
    yield _anonymous_memory()
    yield _shared_memory(machine)
    yield _open_files(machine, workers)
    yield _processes(machine, workers)
    yield _shell(machine)
    yield _temporary_folder("forkserver" in methods)


def _processors(machine: Machine, workers: int) -> Check:
    usable, quota = machine.processors(), machine.processor_quota()
    text = f"{usable} usable"
    if quota is not None:
        text += f", the control group allows the time of {quota:g}"
    allowed = usable if quota is None else min(usable, max(1, math.ceil(quota)))
    details = {"usable": usable, "quota": quota}
    if workers > allowed:
        advice = f"{workers} workers take turns on {allowed}; give a pool workers={allowed}"
        return warned("processors", text, advice, **details)
    return fine("processors", text, **details)


def _memory(machine: Machine, workers: int) -> Check:
    available = _available_memory(machine)
    group = machine.memory_limit()
    if group.left is not None:
        available = group.left if available is None else min(available, group.left)
    if available is None:
        return warned("memory", "not known", "there is no /proc/meminfo to tell it")
    text = f"{bytes_text(available)} available"
    if group.limit is not None:
        text += f", the control group has {bytes_text(group.limit)}"
    details = {"available": available, "limit": group.limit}
    if available < workers * _BARELY:
        advice = (
            f"{workers} workers take {bytes_text(workers * _BARELY)} before they do anything;"
            " use fewer, or raise the container's limit"
        )
        return failed("memory", text, advice, **details)
    if available < workers * _COMFORTABLY:
        advice = f"that is {bytes_text(available / workers)} for each of {workers} workers; use fewer"
        return warned("memory", text, advice, **details)
    return fine("memory", text, **details)


def _available_memory(machine: Machine) -> int | None:
    for line in (machine.read("/proc/meminfo") or "").splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0] == "MemAvailable:" and fields[1].isdecimal():
            return int(fields[1]) * 1024
    return None


def _anonymous_memory() -> Check:
    """What the driver and a worker share: a page each, and the segments of large payloads."""
    name = "memfd"
    if not hasattr(os, "memfd_create"):
        text = "this platform has no memory without a name; a file in the temporary folder is used"
        return warned(name, text, "large payloads go through sockets")
    try:
        fd = os.memfd_create("slither-doctor", os.MFD_CLOEXEC)
        try:
            os.posix_fallocate(fd, 0, _SEGMENT)
            with mmap.mmap(fd, _SEGMENT) as memory:
                memory[-1] = 1
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        advice = "workers cannot share memory with the driver; look at the limits above and at seccomp"
        return failed(name, f"{type(error).__name__}: {error}", advice)
    return fine(name, f"{bytes_text(_SEGMENT)} made and mapped")


def _shared_memory(machine: Machine) -> Check:
    path = machine.path("/dev/shm")
    name = "/dev/shm"
    try:
        usage = shutil.disk_usage(path)
    except OSError as error:
        advice = "pools do without; multiprocessing's locks and queues, if you use any, do not"
        return warned(name, f"cannot be used: {error.strerror}", advice)
    text = f"{bytes_text(usage.free)} free of {bytes_text(usage.total)}"
    details = {"free": usage.free, "total": usage.total}
    if not os.access(path, os.W_OK):
        advice = "pools do without; multiprocessing's locks and queues, if you use any, do not"
        return warned(name, f"{text}, not writable", advice, **details)
    if usage.free < _SMALL_SHM:
        advice = (
            "pools do without, but libraries in workers may fill it, which kills them with SIGBUS;"
            " docker run --shm-size=1g"
        )
        return warned(name, text, advice, **details)
    return fine(name, text, **details)


def _open_files(machine: Machine, workers: int) -> Check:
    soft, hard = machine.rlimit(resource.RLIMIT_NOFILE)
    used = machine.open_descriptors()
    needed = used + DESCRIPTORS + workers * DESCRIPTORS_PER_WORKER
    text = (
        f"a limit of {'none' if soft is None else f'{soft:,}'}, up to {needed:,} needed for {workers} workers"
    )
    details = {"soft": soft, "hard": hard, "used": used, "needed": needed}
    wanted = needed + _SHARED_DESCRIPTORS
    raise_it = f"ulimit -n {max(1024, wanted)}"
    if hard is not None and hard < wanted:
        raise_it += f", for which the hard limit of {hard:,} has to be raised (LimitNOFILE=, limits.conf)"
    if soft is not None and soft < needed:
        return failed("open files", text, f"{raise_it}, or fewer workers", **details)
    if soft is not None and soft < wanted:
        return warned(
            "open files", text, f"large payloads take up to {_SHARED_DESCRIPTORS} more: {raise_it}", **details
        )
    return fine("open files", text, **details)


def _processes(machine: Machine, workers: int) -> Check:
    soft, _ = machine.rlimit(resource.RLIMIT_NPROC)
    group = machine.process_limit()
    is_root = os.geteuid() == 0
    running = None if soft is None or is_root else _threads_of_user(machine)
    needed = workers + _PROCESSES + _THREADS
    left = [group.left] if group.left is not None else []
    parts = []
    if soft is not None and is_root:
        parts.append(f"a limit of {soft:,} per user, which does not bind root")
    elif soft is not None and running is not None:
        left.append(max(0, soft - running))
        parts.append(f"{running:,} of {soft:,} of the user's")
    if group.limit is not None:
        parts.append(f"{group.used or 0:,} of {group.limit:,} of the control group's")
    text = f"{', '.join(parts) or 'no limit'}; up to {needed:,} needed, threads included"
    details = {"needed": needed, "left": min(left, default=None)}
    if left and min(left) < workers + _PROCESSES:
        advice = (
            "raise ulimit -u, or the container's pids.max (docker run --pids-limit), or use fewer workers"
        )
        return failed("processes", text, advice, **details)
    if left and min(left) < needed:
        advice = "that is tight: raise ulimit -u or the container's pids.max (docker run --pids-limit)"
        return warned("processes", text, advice, **details)
    return fine("processes", text, **details)


def _threads_of_user(machine: Machine) -> int:
    """Count what RLIMIT_NPROC counts: the threads of all processes of this user."""
    count, user = 0, os.geteuid()
    for process in machine.path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            if _owner(process) == user:
                count += sum(1 for _ in (process / "task").iterdir())
    return count


def _owner(path: Path) -> int:
    return path.stat().st_uid


def _shell(machine: Machine) -> Check:
    """The guard is a shell: it kills the workers when the driver cannot."""
    path = machine.path("/bin/sh")
    advice = "without it, a worker that is busy may outlive a driver that is killed; install a shell"
    try:
        ran = subprocess.run(
            [path, "-c", "trap '' TERM; while read -r line; do echo \"${line% *}\"; done"],
            input=b"works well\n",
            capture_output=True,
            timeout=_SHELL_SECONDS,
            check=False,
        )
    except OSError as error:
        return warned("shell", f"{path} does not run: {error.strerror}", advice)
    except subprocess.TimeoutExpired:
        return warned("shell", f"{path} takes longer than {_SHELL_SECONDS:g} s", advice)
    if ran.stdout != b"works\n":
        return warned("shell", f"{path} is no POSIX shell (status {ran.returncode})", advice)
    return fine("shell", f"{path} works")


def _temporary_folder(fork_server: bool) -> Check:
    name = "temporary folder"
    try:
        base = tempfile.gettempdir()
        free = shutil.disk_usage(base).free
        with tempfile.TemporaryDirectory(prefix="pymp-", dir=base) as folder:
            problem = _socket_problem(Path(folder) / "listener-12345678")
    except OSError as error:
        advice = "set TMPDIR to a folder that can be written, or mount one at /tmp"
        return failed(name, f"none that can be written: {error.strerror or error}", advice)
    text = f"{base}, {bytes_text(free)} free"
    details = {"path": base, "free": free}
    if problem:
        text = f"{text}; its path of {len(os.fsencode(base))} bytes {problem}"
        advice = "set TMPDIR to a shorter one, as /tmp"
        # Newer Pythons take another folder by themselves.
        falls_back = hasattr(sys.modules.get("multiprocessing.util"), "_get_base_temp_dir")
        if fork_server and not falls_back:
            return failed(name, text, f'{advice}, or use start_method="spawn"', **details)
        return warned(name, text, advice, **details)
    if free < _SMALL_TEMP:
        return warned(name, text, "make room: the fork server and many libraries write there", **details)
    return fine(name, text, **details)


def _socket_problem(path: Path) -> str:
    """Say why the fork server's socket cannot be there; empty if it can."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(path))
        except OSError as error:
            if "too long" in str(error):
                return "is too long for a Unix socket in it (107 bytes with 32 for the fork server's)"
            return f"takes no Unix socket: {error.strerror}"
    return ""
