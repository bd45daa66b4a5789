"""Who moves integers to two worker processes and back: ``dispatch``, its limit, and other libraries.

Each is a context manager that starts its processes, and yields its ways of
doing the work: a function that takes the numbers and the batch size, and
returns how many results there were. Whoever can be limited has at most
`MAX_IN_FLIGHT` batches at a time. Other libraries are imported on first use.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from typing import Any

from slither_actors import Application, dispatch
from tests.benchmarks.functions import increment, increment_all

__all__ = ["APART", "LIBRARIES", "OWN", "Measured", "Peer", "end_joblib", "installed", "no_ray_token"]

WORKERS = 2
MAX_IN_FLIGHT = 8

Measured = Callable[[range, int], int]
Peer = Callable[[], contextlib.AbstractContextManager[dict[str, Measured]]]

_LENGTH = struct.Struct("<I")


def drain(results: Any) -> int:
    """Read an iterator to its end, as fast as that goes, and count."""
    counter = enumerate(results, 1)
    last = deque(counter, maxlen=1)
    return last[0][0] if last else 0


def lists(numbers: range, size: int) -> Iterator[list[int]]:
    """The batches."""
    return (list(numbers[at : at + size]) for at in range(0, len(numbers), size))


def windowed(send: Callable[[list[int]], Any], receive: Callable[[Any], list[int]]) -> Measured:
    """Have `MAX_IN_FLIGHT` batches under way, and always wait for the oldest."""

    def measured(numbers: range, size: int) -> int:
        window: deque[Any] = deque()
        count = 0
        for batch in lists(numbers, size):
            if len(window) == MAX_IN_FLIGHT:
                count += drain(receive(window.popleft()))
            window.append(send(batch))
        return count + sum(drain(receive(each)) for each in window)

    return measured


@contextlib.contextmanager
def ours() -> Iterator[dict[str, Measured]]:
    with Application(pools={"default": WORKERS}):
        yield {
            "dispatch.run": lambda numbers, size: len(
                dispatch.run(numbers, executor=increment_all, batch_size=size, max_in_flight=MAX_IN_FLIGHT)
            ),
            "dispatch.stream": lambda numbers, size: drain(
                dispatch.stream(numbers, executor=increment_all, batch_size=size, max_in_flight=MAX_IN_FLIGHT)
            ),
        }


@contextlib.contextmanager
def by_hand() -> Iterator[dict[str, Measured]]:
    """Pickle over a socket pair and nothing else: no errors, no deaths, no threads. The limit."""
    context = multiprocessing.get_context("forkserver")
    pairs = [socket.socketpair() for _ in range(WORKERS)]
    processes = [context.Process(target=_answer, args=(theirs,), daemon=True) for _, theirs in pairs]
    for process, (_, theirs) in zip(processes, pairs, strict=True):
        process.start()
        theirs.close()
    sent = 0

    def send(batch: list[int]) -> socket.socket:
        nonlocal sent
        sent += 1
        sock = pairs[sent % WORKERS][0]
        _put(sock, batch)
        return sock

    try:
        yield {"pickle over a socket pair": windowed(send, _get)}
    finally:
        for mine, _ in pairs:
            mine.shutdown(socket.SHUT_RDWR)  # a fork may hold it, too
            mine.close()
        for process in processes:
            process.join()


def _answer(sock: socket.socket) -> None:
    with contextlib.suppress(EOFError):
        while True:
            _put(sock, increment_all(_get(sock)))


def _put(sock: socket.socket, values: list[int]) -> None:
    data = pickle.dumps(values, 5)
    sock.sendall(_LENGTH.pack(len(data)) + data)


def _get(sock: socket.socket) -> list[int]:
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size))
    values: list[int] = pickle.loads(_exactly(sock, length))
    return values


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = sock.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        raise EOFError
    return data


@contextlib.contextmanager
def pool_imap() -> Iterator[dict[str, Measured]]:
    with multiprocessing.get_context("forkserver").Pool(WORKERS) as pool:
        yield {"multiprocessing.Pool.imap": lambda numbers, size: drain(pool.imap(increment, numbers, size))}


@contextlib.contextmanager
def futures() -> Iterator[dict[str, Measured]]:
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        yield {
            "ProcessPoolExecutor.submit": windowed(
                lambda batch: pool.submit(increment_all, batch), lambda future: future.result()
            ),
            # without a window: it submits everything at once
            "ProcessPoolExecutor.map": lambda numbers, size: drain(
                pool.map(increment, numbers, chunksize=size)
            ),
        }


@contextlib.contextmanager
def mpire() -> Iterator[dict[str, Measured]]:
    from mpire import WorkerPool  # type: ignore[import-not-found]

    with WorkerPool(WORKERS, start_method="forkserver", keep_alive=True) as pool:
        yield {
            "mpire": lambda numbers, size: drain(
                pool.imap(increment, numbers, iterable_len=len(numbers), chunk_size=size)
            )
        }


@contextlib.contextmanager
def joblib() -> Iterator[dict[str, Measured]]:
    from joblib import Parallel, delayed  # type: ignore[import-not-found]

    def per_item(numbers: range, size: int) -> int:
        parallel = Parallel(
            n_jobs=WORKERS, batch_size=size, pre_dispatch=MAX_IN_FLIGHT * size, return_as="generator"
        )  # its processes stay
        return drain(parallel(delayed(increment)(number) for number in numbers))

    with Parallel(
        n_jobs=WORKERS, batch_size=1, pre_dispatch=MAX_IN_FLIGHT, return_as="generator"
    ) as parallel:
        yield {
            "joblib, per item": per_item,
            "joblib, of lists": lambda numbers, size: sum(
                len(results)
                for results in parallel(delayed(increment_all)(each) for each in lists(numbers, size))
            ),
        }
    end_joblib()


@contextlib.contextmanager
def pypeln() -> Iterator[dict[str, Measured]]:
    """It moves one thing at a time, so a list is one; and it starts its processes for each call."""
    from pypeln import process  # type: ignore[import-not-found]

    yield {
        "pypeln, of lists": lambda numbers, size: sum(
            len(results)
            for results in process.map(
                increment_all, lists(numbers, size), workers=WORKERS, maxsize=MAX_IN_FLIGHT
            )
        )
    }


@contextlib.contextmanager
def ray() -> Iterator[dict[str, Measured]]:
    no_ray_token()
    import ray as library

    library.init(num_cpus=WORKERS, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    remote = library.remote(increment_all)
    try:
        yield {"ray": windowed(remote.remote, library.get)}
    finally:
        library.shutdown()


@contextlib.contextmanager
def distributed() -> Iterator[dict[str, Measured]]:
    """Dask, with worker processes on this machine."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield {
            "dask": windowed(
                lambda batch: client.submit(increment_all, batch, pure=False), lambda future: future.result()
            )
        }


def end_joblib() -> None:
    """Its processes stay for later calls, and the end of the program has waited for them for minutes."""
    from joblib.externals.loky import get_reusable_executor  # type: ignore[import-not-found]

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def no_ray_token() -> None:
    """Newer ones write an access token into the home directory otherwise."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")


OWN: list[Peer] = [ours, by_hand, pool_imap, futures]
LIBRARIES: list[Peer] = [mpire, joblib]
APART: list[Peer] = [pypeln, ray, distributed]
"""They fork this process, or have servers of their own: nobody else is to run beside them."""


def installed(peers: list[Peer]) -> list[Peer]:
    """Those whose library is there."""
    return [peer for peer in peers if find_spec(peer.__name__)]
