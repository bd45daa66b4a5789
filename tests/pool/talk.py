"""Functions that say something besides their results, for workers."""

from __future__ import annotations

import ctypes
import logging
import logging.config
import mmap
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from typing import Any

log = logging.getLogger("talk")


class Point:
    """Pickles; the driver can import it."""

    def __init__(self, x: int) -> None:
        self.x = x


class Mute:
    def __init__(self, part: Any = None) -> None:
        self.part = part

    def __str__(self) -> str:
        msg = "no text"
        raise RuntimeError(msg)

    __repr__ = __str__


# -- log records ---------------------------------------------------------------------


def say(batch: list[str]) -> list[int]:
    for text in batch:
        log.info("said %s", text)
    return [os.getpid()] * len(batch)


def say_more(batch: list[str]) -> list[str]:
    """Everything that a record may have with it."""
    extra = {
        "number": 7,
        "point": Point(3),
        "lock": threading.Lock(),
        "mute": Mute(threading.Lock()),
        "pool": "mine",
    }
    for text in batch:
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("failed with %s and %s", text, threading.current_thread(), extra=extra)
    return batch


def say_badly(batch: list[Any]) -> list[Any]:
    log.warning("two %s %s", 1)  # noqa: PLE1206 - that is what it is about
    log.warning("%s", Mute())
    log.warning(Mute())
    log.warning("x" * 1_000_000)
    log.warning(
        "\N{GRINNING FACE}" * 100_000, extra={f"field{n}": "\N{GRINNING FACE}" * 8000 for n in range(99)}
    )
    log.warning("last")
    return batch


def say_many(batch: list[int]) -> list[float]:
    """Each payload is a number of records; say how long each took."""
    took = []
    for count in batch:
        begun = time.monotonic()
        for number in range(count):
            log.info("%d", number)
        took.append(time.monotonic() - begun)
    return took


def say_and_die(batch: list[int]) -> None:
    for number in range(batch[0]):
        log.info("%d", number)
    print("on standard output", end="", flush=True)
    print("on standard error", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL)


def say_many_and_die(batch: list[int]) -> None:
    say_many(batch)
    os.kill(os.getpid(), signal.SIGKILL)


def say_from_threads(batch: list[int]) -> list[int]:
    def one(name: int) -> None:
        for number in range(50):
            log.info("%d %d", name, number)

    threads = [threading.Thread(target=one, args=(name,)) for name in batch]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return batch


def say_from_signals(batch: list[int]) -> list[int]:
    """A signal handler logs while the main thread does."""
    signal.signal(signal.SIGALRM, lambda *_: log.info("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for count in batch:
        for number in range(count):
            log.info("%d", number)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return batch


def say_from_a_fork(batch: list[Any]) -> list[int]:
    child = multiprocessing.get_context("fork").Process(target=log.warning, args=("child speaks",))
    child.start()
    child.join()
    assert child.pid is not None
    return [child.pid] * len(batch)


def say_many_in_a_fork_too(batch: list[int]) -> list[Any]:
    """The worker says half of it before the child does, and half after."""
    for count in batch:
        say_many([count // 2])
        child = multiprocessing.get_context("fork").Process(target=say_many, args=([3 * count],))
        child.start()
        child.join()
        say_many([count // 2])
    return batch


def warn(batch: list[str]) -> list[str]:
    for text in batch:
        warnings.warn(text, UserWarning, stacklevel=1)
    return batch


def levels(batch: list[str]) -> list[int]:
    return [logging.getLogger(name).getEffectiveLevel() for name in batch]


def lower_level_and_say(batch: list[str]) -> list[str]:
    logging.getLogger("talk.low").setLevel(logging.DEBUG)
    for text in batch:
        logging.getLogger("talk.low").debug(text)
    return batch


def configure_basic(batch: list[str]) -> list[str]:
    """Each payload is a file for the worker's own log."""
    for path in batch:
        logging.basicConfig(filename=path, format="own %(message)s", level=logging.INFO)
        log.warning("to both")
    return batch


def configure_dict(batch: list[str]) -> list[str]:
    for path in batch:
        handler = {"class": "logging.FileHandler", "filename": path}
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"file": handler},
            "loggers": {"talk": {"handlers": ["file"], "level": "INFO", "propagate": False}},
            "root": {"handlers": [], "level": "INFO"},
        }
        logging.config.dictConfig(config)
        log.warning("to both")
    return batch


def use_multiprocessing_logger(batch: list[str]) -> list[str]:
    for text in batch:
        multiprocessing.get_logger().error(text)
    return batch


def say_at_start() -> None:
    log.warning("started")


def close_everything_and_say(batch: list[str]) -> list[str]:
    """The numbers of our descriptors come to stand for the user's file."""
    found = []
    for path in batch:
        for fd in range(3, 64):
            try:
                if os.fstat(fd).st_mode & 0o140000 == 0o140000 and is_log_socket(fd):
                    os.close(fd)
            except OSError:
                continue
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        log.warning("nobody hears this")
        found.append(os.pread(file, 100, 0).decode())
    return found


def is_log_socket(fd: int) -> bool:
    import socket

    with socket.socket(fileno=os.dup(fd)) as sock:
        return sock.type != socket.SOCK_STREAM


# -- standard streams ---------------------------------------------------------------------


def print_lines(batch: list[str]) -> list[str]:
    for text in batch:
        print(text)
        print(text, file=sys.stderr)
    return batch


def print_without_end(batch: list[str]) -> list[str]:
    for text in batch:
        print(text, end="")
    return batch


def write_raw(batch: list[tuple[int, bytes]]) -> list[int]:
    for fd, data in batch:
        os.write(fd, data)
    return [len(data) for _, data in batch]


def print_natively(batch: list[str]) -> list[str]:
    libc = ctypes.CDLL(None)
    for text in batch:
        libc.printf(b"%s\n", text.encode())
        subprocess.run(["/bin/echo", f"child {text}"], check=True)
    return batch


def flood(batch: list[tuple[str, int]]) -> list[int]:
    """Each payload is what is written, and how many mebibytes of it."""
    pieces = {
        "lines": b"a line of some length\n" * 2979,
        "empty lines": b"\n" * 65536,
        "garbage": bytes(range(256)) * 256,
        "no end": b"x" * 65536,
        "half characters": "\N{GRINNING FACE}".encode() * 16384,
    }
    for kind, size in batch:
        piece = pieces[kind]
        written = 0
        while written < size << 20:
            written += os.write(1, piece)
            written += os.write(2, piece[1:])
    return [size for _, size in batch]


def meddle(batch: list[str]) -> list[str]:
    for deed in batch:
        if deed == "close":
            os.close(1)
            os.close(2)
        elif deed == "dup2":
            with tempfile.TemporaryFile() as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            print("into a file that is gone")
        elif deed == "close streams":
            sys.stdout.close()
            sys.stderr.close()
        elif deed == "replace":
            sys.stdout = sys.stderr = None
    return batch


def leave_a_flooding_child(batch: list[int]) -> list[int]:
    """A process of another session that goes on writing."""
    script = "while :; do echo still here; done"
    return [subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True).pid for _ in batch]


# -- deaths ----------------------------------------------------------------------------------


def grow_and_die(batch: list[int]) -> None:
    """Each payload is a number of mebibytes; they are in use for a while before the end."""
    held = [bytearray(os.urandom(1 << 20) * size) for size in batch]
    time.sleep(1.6)
    os.kill(os.getpid(), signal.SIGKILL if held else 0)


def bus_error(batch: list[Any]) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(mmap.PAGESIZE)
        page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        file.truncate(0)
        page[0] = 1


def fill_and_touch(batch: list[str]) -> None:
    """Each payload is a file on a mount that is too small for it."""
    for path in batch:
        with open(path, "w+b") as file:  # noqa: PTH123 - it is a file, not a path, that is mapped
            file.truncate(16 << 20)
            page = mmap.mmap(file.fileno(), 16 << 20)
            for at in range(0, 16 << 20, mmap.PAGESIZE):
                page[at] = 1


def dive_and_fault(depth: int) -> None:
    if depth:
        dive_and_fault(depth - 1)
    else:
        import faulthandler

        faulthandler._sigsegv()  # type: ignore[attr-defined]


def fault_deep(batch: list[int]) -> None:
    for _ in range(5):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    dive_and_fault(batch[0])


def fill_memory(batch: list[int]) -> list[int]:
    """Each payload is a number of bytes, all of which are touched."""
    return [len(bytearray(b"x") * size) for size in batch]


def crash_a_child_and_die(batch: list[int]) -> None:
    code = "import faulthandler; faulthandler.enable(); faulthandler._sigsegv()"
    subprocess.run([sys.executable, "-c", code], check=False)
    os.kill(os.getpid(), signal.SIGKILL)


def fail_to_allocate(batch: list[int]) -> list[int]:
    """There is room for 64 MB more than now; each payload is a number of bytes."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
    try:
        return [len([bytearray(1 << 20) for _ in range(size >> 20)]) for size in batch]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
