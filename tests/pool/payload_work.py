"""Payloads with buffers, and functions that look at them, keep them, or take them along."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import time
from pathlib import Path
from typing import Any

from slither_actors.pool import current_worker


class Blob:
    """What an array is to pickle: a class, and a buffer beside it."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, _: Any) -> Any:
        return Blob, (pickle.PickleBuffer(self.data),)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def readonly(self) -> bool:
        return memoryview(self.data).readonly


def pattern(size: int, seed: int = 0) -> Blob:
    """A blob whose content tells which one it is."""
    block = bytes((seed * 31 + at) % 251 for at in range(4096))
    return Blob(bytearray((block * (size // 4096 + 1))[:size]))


def sums(batch: list[Blob]) -> list[tuple[int, int]]:
    return [(len(blob), sum(memoryview(blob.data)[:: max(1, len(blob) // 500)])) for blob in batch]


def sums_here(blob: Blob) -> tuple[int, int]:
    return sums([blob])[0]


def reversed_blobs(batch: list[Blob]) -> list[Blob]:
    return [Blob(bytearray(bytes(blob.data)[::-1])) for blob in batch]


def echo(batch: list[Any]) -> list[Any]:
    return batch


def copies(batch: list[Blob]) -> list[Blob]:
    return [Blob(bytearray(blob.data)) for blob in batch]


def make(batch: list[tuple[int, int]]) -> list[Blob]:
    """Each payload is the size and the seed of a blob."""
    return [pattern(size, seed) for size, seed in batch]


def are_readonly(batch: list[Blob]) -> list[bool]:
    return [blob.readonly for blob in batch]


def overwrite(batch: list[Blob]) -> list[Blob]:
    for blob in batch:
        memoryview(blob.data)[:4] = b"mine"
    return batch


kept: list[Blob] = []


def keep(batch: list[Blob]) -> list[int]:
    kept.extend(batch)
    return [len(kept)] * len(batch)


def keep_and_copy(batch: list[Blob]) -> list[Blob]:
    """Keep the last three batches, and make sure that the older ones are what they were."""
    kept.extend(batch)
    del kept[:-3]
    remembered.extend(sums(batch))
    del remembered[:-3]
    assert sums(kept) == remembered, "somebody wrote into a payload that was kept"
    return copies(batch)


remembered: list[tuple[int, int]] = []


def look_at_kept(batch: list[Any]) -> list[Any]:
    return [sums(kept)] * len(batch)


def drop_kept(batch: list[Any]) -> list[Any]:
    kept.clear()
    return batch


def length_of_bytes(batch: list[bytes]) -> list[bytes]:
    return [value[::-1] for value in batch]


def die(batch: list[Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after_file(batch: list[Any]) -> None:
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def wait_forever(batch: list[Any]) -> None:
    time.sleep(600)


def fork_and_keep(batch: list[Any]) -> list[int]:
    """A child that goes on looking at the payload after the batch has ended. Payload: path, blob."""
    pids = []
    for path, blob in batch:
        pid = os.fork()
        if pid == 0:
            while not Path(path).exists():
                time.sleep(0.005)
            Path(f"{path}.seen.tmp").write_text(repr(sums_here(blob)))
            Path(f"{path}.seen.tmp").rename(f"{path}.seen")
            os._exit(0)
        pids.append(pid)
    return pids


def use_up_descriptors(batch: list[Any]) -> list[Any]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 8,) * 2)
    try:
        while True:
            os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return batch


def send_frames(batch: list[bytes]) -> list[bytes]:
    """Write the payloads to the worker's own socket: whatever follows is out of step, or worse."""
    sock = current_worker()._line._sock
    for data in batch:
        sock.sendall(data)
    time.sleep(600)
    return batch
