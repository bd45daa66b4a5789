"""Pipes of a user's, as the tests of the command line run them. Copied to a folder of its own."""

# ruff: noqa: N805 - a stage is a function of an item

import os
import time
from pathlib import Path
from typing import Any, Never

from slither_actors import Item, Pipe, Skip, Store, Table, router, stage, workers
from slither_actors.actors import whereis


class Plain(Pipe):
    @stage
    def keep(item: Item) -> Any:
        return item.payload


class Sorted(Pipe):
    """By length, with an output that nothing goes to."""

    outputs = ["short", "long", "never"]

    split = router(short=lambda item: len(item.payload) < 5, long=lambda item: len(item.payload) > 10)


class Numbers(Pipe):
    @stage
    def double(item: Item) -> Any:
        return 2 * item.payload


class Picky(Pipe):
    @stage
    def keep(item: Item) -> Any:
        return Skip("odd") if int(item.payload) % 2 else item.payload


def with_pid(texts: list[str]) -> list[Any]:
    return [[os.getpid(), text] for text in texts]


class InWorkers(Pipe):
    work = workers("pipes:with_pid", batch_size=10)


def explode(texts: list[str]) -> Never:
    raise ValueError("boom\nand more")


class Exploding(Pipe):
    work = workers("pipes:explode", batch_size=10)


class ExplodingSkipped(Pipe):
    work = workers("pipes:explode", batch_size=10, on_error="skip")


def fewer(texts: list[str]) -> list[Any]:
    return texts[1:]


class Fewer(Pipe):
    work = workers("pipes:fewer")


class NoSuchFunction(Pipe):
    work = workers("pipes:there_is_none")


class Failing(Pipe):
    @stage
    def fail(item: Item) -> Any:
        if item.payload == "3":
            raise KeyError("three")
        return item.payload


class NoJson(Pipe):
    @stage
    def make(item: Item) -> Any:
        return {item.payload} if item.payload == "3" else item.payload


class NoNumber(Pipe):
    @stage
    def make(item: Item) -> Any:
        return float("nan")


class Surrogate(Pipe):
    @stage
    def make(item: Item) -> Any:
        return "half \ud800 äöü"


class PoolSeen(Pipe):
    @stage
    def look(item: Item) -> Any:
        return whereis(("slither.pool", "default")) is not None


class NoFile(Pipe):
    split = router({"a/b": lambda item: True})


class BrokenStore(Store):
    rows = Table()

    def load(self, tables: Any) -> Never:
        raise OSError("the database is down")


class WithBrokenStore(Pipe):
    stores = [BrokenStore]

    @stage
    def keep(item: Item) -> Any:
        return item.payload


class Slow(Pipe):
    @stage
    def sleep(item: Item) -> Any:
        time.sleep(0.2)
        return item.payload


class Stuck(Pipe):
    @stage
    def sleep(item: Item) -> Any:
        print("stuck", flush=True)
        time.sleep(60)


def stick(texts: list[str]) -> None:
    Path(f"stuck{os.getpid()}").touch()
    time.sleep(60)


class StuckWorkers(Pipe):
    work = workers("pipes:stick", batch_size=1, timeout=None)


class NotAPipe:
    pass
