"""Functions that workers run in the tests. Each takes a batch; many misbehave."""

from __future__ import annotations

import ctypes
import faulthandler
import functools
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

from slither_actors.pool import Worker, current_worker, in_worker


def increment(batch: list[int]) -> list[int]:
    return [value + 1 for value in batch]


def echo(batch: list[Any]) -> list[Any]:
    return batch


def pids(batch: list[Any]) -> list[int]:
    return [os.getpid()] * len(batch)


def sleep(batch: list[float]) -> list[int]:
    for seconds in batch:
        time.sleep(seconds)
    return [os.getpid()] * len(batch)


def do(batch: list[str]) -> list[Any]:
    """Run the named deed for each payload."""
    return [DEEDS[name]() for name in batch]


# -- ends --------------------------------------------------------------------------


def libc_exit() -> None:
    ctypes.CDLL(None).exit(0)


def close_all_descriptors() -> None:
    os.closerange(3, 256)
    time.sleep(60)


def stop_reading() -> None:
    """Sockets only: what the driver sends from now on does not arrive."""
    for fd in range(3, 64):
        try:
            sock = socket.socket(fileno=os.dup(fd))
            sock.shutdown(socket.SHUT_RD)
            sock.close()
        except OSError:
            continue


def write_garbage() -> None:
    for fd in range(3, 64):
        try:
            socket.socket(fileno=fd).sendall(b"\xff" * 64)
        except OSError:
            continue
    time.sleep(60)


def burn_holding_the_lock() -> None:
    """Never return from native code, and never release the interpreter lock."""
    sum(range(10**12))


def spin() -> None:
    while True:
        pass


def ignore_sigterm_and_sleep() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


DEEDS = {
    "nothing": lambda: None,
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": faulthandler._sigsegv,  # type: ignore[attr-defined]
    "abort": os.abort,
    "_exit(0)": lambda: os._exit(0),
    "_exit(42)": lambda: os._exit(42),
    "libc exit(0)": libc_exit,
    "sys.exit(3)": lambda: sys.exit(3),
    "close descriptors": close_all_descriptors,
    "garbage": write_garbage,
    "stop reading": stop_reading,
    "spin": spin,
    "native loop": burn_holding_the_lock,
    "sleep": lambda: time.sleep(600),
    "ignore SIGTERM": ignore_sigterm_and_sleep,
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}


def crash_on(batch: list[tuple[str, int]]) -> list[int]:
    """Each payload is the deed to do and the value to return."""
    for deed, _ in batch:
        DEEDS[deed]()
    return [value for _, value in batch]


def shout_and_die(batch: list[Any]) -> None:
    print("the last words", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL)


# -- results -----------------------------------------------------------------------


class OnlyInDriver:
    """Pickles, and cannot be unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _only_here, ()


def _only_here() -> None:
    raise RuntimeError("only here")


def pipe_by_keyword(batch: list[Any], *, ctx: Any) -> list[Any]:
    return [ctx.pipe for _ in batch]


def pipe_by_position(batch: list[Any], run: Any) -> list[Any]:
    return [run.pipe for _ in batch]


def _wraps(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@_wraps
def pipe_wrapped(batch: list[Any], ctx: Any) -> list[Any]:
    return [ctx.pipe for _ in batch]


class PipeCaller:
    def __call__(self, batch: list[Any], ctx: Any) -> list[Any]:
        return [ctx.pipe for _ in batch]


def with_context(batch: list[Any], ctx: Any) -> list[Any]:
    return [(ctx.session_id, ctx.pipe, ctx.stage, dict(ctx.metadata), dict(ctx.stores))] * len(batch)


def one_too_few(batch: list[Any]) -> list[Any]:
    return batch[1:]


def a_dict(batch: list[Any]) -> dict[Any, Any]:
    return dict.fromkeys(batch)


def a_string(batch: list[Any]) -> str:
    return "x" * len(batch)


def nothing(batch: list[Any]) -> None:
    return None


def generate(batch: list[int]) -> Any:
    return (value + 1 for value in batch)


class Handle:
    def __init__(self) -> None:
        self.lock = threading.Lock()


def a_lock_in_the_third(batch: list[Any]) -> list[Any]:
    return [Handle() if index == 2 else value for index, value in enumerate(batch)]


class RaisesWhenUnpickled:
    """Pickles, and then raises where it arrives. An exit is worse than an error."""

    def __init__(self, kind: str, in_driver: bool) -> None:
        self.kind, self.in_driver = kind, in_driver

    def __reduce__(self) -> Any:
        return _explode, (self.kind, self.in_driver)


def _explode(kind: str, in_driver: bool) -> Any:
    if in_driver == in_worker():
        return RaisesWhenUnpickled(kind, in_driver)
    if kind == "exit":
        sys.exit(7)
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    msg = "not like this"
    raise ValueError(msg)


def bombs(batch: list[str]) -> list[RaisesWhenUnpickled]:
    return [RaisesWhenUnpickled(kind, in_driver=True) for kind in batch]


class RaisesWhenPickled:
    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __reduce__(self) -> Any:
        if self.kind == "exit":
            sys.exit(9)
        msg = "cannot be reduced"
        raise ValueError(msg)


class DiesWhenFreed:
    """Its last reference takes the worker along. Only there."""

    def __del__(self) -> None:
        if in_worker():
            os.kill(os.getpid(), signal.SIGKILL)


def blob(batch: list[int]) -> list[bytes]:
    return [bytes(size) for size in batch]


def blob_and_die(batch: list[int]) -> list[bytes]:
    """Die while the result, which is larger than the socket's buffer, is being sent."""
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    return [bytes(size) for size in batch]


# -- exceptions ----------------------------------------------------------------------


class TwoArgumentsError(Exception):
    """Survives pickling, but not unpickling."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class LockedError(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class ConnectedError(Exception):
    def __init__(self) -> None:
        super().__init__("holds a socket")
        self.sock = socket.socket()


def _raise_of_a_module_that_only_the_worker_has() -> None:
    module = types.ModuleType("only_the_worker_has_it")
    error = type("FarError", (Exception,), {"__module__": module.__name__})
    module.FarError = error  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    raise error("from afar")


class SilentError(Exception):
    def __str__(self) -> str:
        msg = "no text"
        raise RuntimeError(msg)

    __repr__ = __str__


def _raise(error: BaseException) -> None:
    raise error


def _chained() -> None:
    try:
        _raise(KeyError("inner"))
    except KeyError as error:
        msg = "outer"
        raise ValueError(msg) from error


def _local_class() -> None:
    class LocalError(Exception):
        pass

    raise LocalError("nobody can import me")


def _recurse() -> None:
    _recurse()


RAISES = {
    "plain": lambda: _raise(ValueError("bad value")),
    "two arguments": lambda: _raise(TwoArgumentsError(5, "five")),
    "lock": lambda: _raise(LockedError()),
    "socket": lambda: _raise(ConnectedError()),
    "far module": _raise_of_a_module_that_only_the_worker_has,
    "silent": lambda: _raise(SilentError()),
    "chained": _chained,
    "group": lambda: _raise(ExceptionGroup("several", [ValueError("a"), TypeError("b")])),
    "large": lambda: _raise(ValueError("x" * 10_000_000)),
    "local class": _local_class,
    "SystemExit": lambda: sys.exit(3),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "GeneratorExit": lambda: _raise(GeneratorExit()),
    "MemoryError": lambda: _raise(MemoryError()),
    "recursion": _recurse,
}


def raise_named(batch: list[str]) -> list[None]:
    return [RAISES[name]() for name in batch]


def allocate(batch: list[int]) -> list[int]:
    """Each payload is a number of bytes; there is room for 200 MB more than now."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000, resource.RLIM_INFINITY))
    return [len(bytearray(size)) for size in batch]


# -- other processes -------------------------------------------------------------------


def start_grandchild(batch: list[str]) -> list[int]:
    """Start a sleeping process, or several, in each of the ways there are; then sleep or return."""
    found = []
    for way in batch:
        if way == "exec":
            found.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
        elif way == "fork":
            pid = os.fork()
            if pid == 0:
                time.sleep(600)
                os._exit(0)
            found.append(pid)
        elif way == "die":
            os.kill(os.getpid(), signal.SIGKILL)
    return found


def start_grandchild_and_die(batch: list[str]) -> None:
    """Each payload is a file for the grandchild's pid."""
    for path in batch:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        Path(path).write_text(f"{child.pid} {pid}")
    os.kill(os.getpid(), signal.SIGKILL)


def start_grandchild_and_burn(batch: list[str]) -> None:
    """Each payload is a file for the pids: of this worker and of its child."""
    for path in batch:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(path).write_text(f"{os.getpid()} {child.pid}")
    burn_holding_the_lock()


def fork_and_return(batch: list[Any]) -> list[int]:
    """The child returns from the batch as well, as a careless fork does."""
    os.fork()
    return [os.getpid()] * len(batch)


def use_multiprocessing(batch: list[int]) -> list[int]:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=queue.put, args=(sum(batch),))
    child.start()
    child.join()
    return [queue.get()] * len(batch)


def terminate_a_forked_child(batch: list[Any]) -> list[int | None]:
    """SIGTERM does nothing to a worker, but everything to its children."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join(5)
    return [child.exitcode] * len(batch)


# -- standard error ---------------------------------------------------------------------


def flood_stderr(batch: list[int]) -> list[int]:
    """Each payload is a number of mebibytes."""
    for size in batch:
        for _ in range(size):
            os.write(2, b"\xff\x00garbage" * 116508 + b"\n")
    return batch


def close_standard_streams(batch: list[Any]) -> list[Any]:
    os.close(1)
    os.close(2)
    return batch


# -- calls back ---------------------------------------------------------------------------


def ask(batch: list[Any]) -> list[Any]:
    return [current_worker().call("ask", value, twice=True) for value in batch]


def ask_a_view(batch: list[Any], ctx: Any) -> list[Any]:
    return [ctx.views.lookup(key=value) for value in batch]


def ask_and_report(batch: list[Any]) -> list[str]:
    answers = []
    for value in batch:
        try:
            answers.append(f"got {current_worker().call('ask', value)!r}")
        except Exception as error:  # noqa: BLE001 - the test looks at what it is
            answers.append(f"{type(error).__name__}: {error}")
    return answers


def ask_from_threads(batch: list[int]) -> list[Any]:
    answers: dict[int, Any] = {}
    worker = current_worker()

    def one(value: int) -> None:
        answers[value] = worker.call("ask", value)

    threads = [threading.Thread(target=one, args=(value,)) for value in batch]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[value] for value in batch]


def ask_with_a_lock(batch: list[Any]) -> list[Any]:
    return [current_worker().call("ask", threading.Lock()) for _ in batch]


def session(batch: list[Any]) -> list[Any]:
    return [current_worker().session_id] * len(batch)


# -- init hooks ------------------------------------------------------------------------------

state: dict[str, Any] = {}


def set_up(worker: Worker) -> None:
    state["slot"] = worker.slot
    state["pool"] = worker.pool


def set_up_alone() -> None:
    state["alone"] = True


def fail_to_set_up() -> None:
    msg = "no model here"
    raise RuntimeError(msg)


def die_at_start() -> None:
    print("about to die", file=sys.stderr)
    os._exit(13)


def die_at_start_if_told() -> None:
    """Dies while the file named by the environment exists."""
    if Path(os.environ["SLITHER_TEST_DIE"]).exists():
        print("told to die", file=sys.stderr)
        os._exit(14)


def hang_at_start() -> None:
    time.sleep(600)


def known_state(batch: list[Any]) -> list[Any]:
    return [dict(state)] * len(batch)


# -- gates ------------------------------------------------------------------------------------


def wait_for_file(batch: list[str]) -> list[int]:
    """Each payload is a path: note that we are here, then wait until it exists."""
    for path in batch:
        Path(f"{path}.{os.getpid()}").touch()
        while not Path(path).exists():
            time.sleep(0.005)
    return [os.getpid()] * len(batch)


# -- standard input ---------------------------------------------------------------------------


def read_standard_input(batch: list[Any]) -> list[Any]:
    return [(os.read(0, 1), sys.stdin.read()) for _ in batch]


def write_down(batch: list[tuple[str, int]]) -> list[int]:
    """Append each number to the file, so that it tells which batches began."""
    for path, number in batch:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{number}\n".encode())
        os.close(file)
    return [number for _, number in batch]


def arguments(batch: list[object]) -> list[list[str]]:
    """The program's, for each payload."""
    return [sys.argv for _ in batch]


def ask_too_late(paths: list[Path]) -> list[Any]:
    """Leave a thread behind that asks once the batch is over, and writes down what it gets."""

    def ask(path: Path) -> None:
        worker = current_worker()
        while worker.is_running or not worker._line._reading.locked():
            time.sleep(0.001)
        try:
            found = repr(worker.call("ask"))
        except Exception as error:  # noqa: BLE001 - for the test
            found = repr(error)
        path.with_suffix(".part").write_text(found)
        path.with_suffix(".part").rename(path)

    for path in paths:
        threading.Thread(target=ask, args=(path,), daemon=True).start()
    return list(paths)
