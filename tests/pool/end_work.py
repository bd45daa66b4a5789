"""Hooks and adapters whose beginning or end goes wrong."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any


def fork_and_return() -> None:
    os.fork()


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(600)


async def coroutine_hook() -> int:
    return 1


def generator_hook() -> Any:
    yield 1


class BadStream:
    """Stands in for standard output, badly."""

    def write(self, text: str) -> None:
        raise KeyboardInterrupt

    def flush(self) -> None:
        raise SystemExit(3)


def replace_stdout(batch: list[Any]) -> list[int]:
    sys.stdout = BadStream()  # type: ignore[assignment]
    return [os.getpid()] * len(batch)


class Model:
    def same(self, batch: list[Any]) -> list[Any]:
        return batch


class ClosedByError(Model):
    def close(self) -> None:
        msg = "cannot close the connection"
        raise RuntimeError(msg)


class ClosedByProperty(Model):
    @property
    def close(self) -> Any:
        msg = "no such attribute today"
        raise RuntimeError(msg)


class ClosedByCoroutine(Model):
    async def close(self) -> None: ...


class ClosedByFork(Model):
    def close(self) -> None:
        os.fork()


class _Raises:
    def __get__(self, instance: object, owner: type) -> Any:
        msg = "not on the class"
        raise RuntimeError(msg)


class Unreadable(Model):
    odd = _Raises()


class Unmakeable(Model):
    def __init__(self) -> None:
        msg = "no weights"
        raise RuntimeError(msg)
