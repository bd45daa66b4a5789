"""Stores with views, good and bad, and worker functions that call them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from slither_actors import Context, Pipe, Store, Table, stage, view, workers
from slither_actors.actors import _life
from slither_actors.bridge._callers import Caller
from slither_actors.errors import NotRunningError, SlitherError
from slither_actors.pool import current_worker

let_go = threading.Event()
"""What a stuck view waits for, in the driver."""

entered = threading.Event()
"""Set by a view that is about to wait."""


class Features(Store):
    """Every kind of view."""

    features: Table[Any, Any] = Table()

    def load(self, tables: Any) -> None:
        tables.features.insert([("a", 1), ("b", 2)])

    @view
    def lookup_feature(self, key: str, *, default: Any = None) -> Any:
        return self.features.get(key, default)

    @view(batch=True)
    def lookup_features(self, keys: list[str]) -> list[Any]:
        return self.features.get_many(keys)

    @view(batch=True)
    def one_by_one(self, keys: list[str]) -> Iterator[Any]:
        for key in keys:
            yield self.features.get(key)

    @view(batch=True)
    def answers(self, keys: list[str], answer: Any) -> Any:
        return answer

    @view
    def broken(self, key: str) -> Any:
        raise LookupError(f"no tier {key}")

    @view
    def type_error(self) -> Any:
        return len(3)  # type: ignore[arg-type]

    @view
    def lock(self) -> Any:
        return threading.Lock()

    @view
    def loads_nowhere(self) -> Any:
        return LoadsNowhere()

    @view(timeout=0.2)
    def stuck(self) -> None:
        entered.set()
        let_go.wait(30)

    @view(timeout=30)
    def waits(self) -> str:
        entered.set()
        let_go.wait(30)
        return "waited"

    @view(scope="global")
    def everywhere(self) -> int:
        return os.getpid()

    @view
    def who(self) -> str:
        return "Features"

    @view
    def crash_with_much(self) -> None:
        much = Much()
        raise LookupError("with much in hand")
        del much


class Others(Store):
    """Has a view of a name that `Features` has, too, and one of its own."""

    rows: Table[Any, Any] = Table()

    @view
    def who(self) -> str:
        return "Others"

    @view
    def only_here(self) -> None:
        """Never called."""


class Much:
    """A hundred megabytes that nobody wants after the crash."""

    def __init__(self) -> None:
        self.bytes = bytearray(100 << 20)
        _living.add(self)


_living: weakref.WeakSet[Much] = weakref.WeakSet()


def living() -> int:
    return len(_living)


def callers() -> set[int]:
    """The numbers of the actors that run calls of workers, in the driver."""
    return {number for number, cell in _life.cells.items() if isinstance(cell.actor, Caller)}


class LoadsNowhere:
    """Can be pickled, and not be unpickled."""

    def __reduce__(self) -> Any:
        return (fail, ())


def fail() -> None:
    raise ValueError("not here")


def outcome(call: Callable[[], Any]) -> Any:
    """What it returns, or the error's kind, text and notes."""
    try:
        return call()
    except (SlitherError, NotRunningError, AttributeError) as error:
        return type(error).__name__, str(error), "".join(getattr(error, "__notes__", ()))


def call(payloads: list[Any], ctx: Context) -> list[Any]:
    """Call the view that a payload names, with arguments and keywords."""
    return [
        outcome(lambda given=given: getattr(ctx.views, given[0])(*given[1], **given[2])) for given in payloads
    ]


def call_with_odd_things(payloads: list[str], ctx: Context) -> list[Any]:
    """Arguments that are made here, as they cannot cross."""
    odd = {
        "lock": lambda: ctx.views.lookup_feature(key={"deep": [threading.Lock()]}),
        "set": lambda: ctx.views.lookup_features({"a", "b"}),
        "by place": lambda: ctx.views.lookup_feature("a", threading.Lock()),
        "unloadable": lambda: ctx.views.lookup_feature(LoadsNowhere()),
        "underscore": lambda: ctx.views._lookup,
    }
    return [outcome(odd[payload]) for payload in payloads]


def in_threads(payloads: list[str], ctx: Context) -> list[Any]:
    """Every payload in a thread of its own, at one time."""
    found: dict[int, Any] = {}

    def look(at: int, key: str) -> None:
        found[at] = [ctx.views.lookup_feature(key=key) for _ in range(20)]

    threads = [threading.Thread(target=look, args=each) for each in enumerate(payloads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[at] for at in range(len(payloads))]


def in_a_loop(payloads: list[str], ctx: Context) -> list[Any]:
    """Every payload in a task of an event loop in the worker."""

    async def look(key: str) -> Any:
        return await asyncio.to_thread(ctx.views.lookup_feature, key), ctx.views.lookup_feature(key)

    async def all_of_them() -> list[Any]:
        return list(await asyncio.gather(*map(look, payloads)))

    return asyncio.run(all_of_them())


async def as_a_coroutine(payloads: list[str], ctx: Context) -> list[Any]:
    return [(ctx.views.everywhere(), key) for key in payloads]


async def who_async(payloads: list[Any], ctx: Context) -> list[Any]:
    return [ctx.views.who() for _ in payloads]


def globally(payloads: list[str], ctx: Context) -> list[Any]:
    return [(ctx.views.everywhere(), key) for key in payloads]


_left: dict[str, Any] = {}


def leave_behind(payloads: list[Any], ctx: Context) -> list[Any]:
    """Keep the views of this run for the next one."""
    _left["views"] = ctx.views
    return [ctx.views.who() for _ in payloads]


def use_what_was_left(payloads: list[Any], ctx: Context) -> list[Any]:
    """Call the view of a run that is over, and of this one."""
    return [(outcome(_left["views"].who), ctx.views.who()) for _ in payloads]


def leave_a_large_call(payloads: list[Any], ctx: Context) -> list[Any]:
    """End, with a large result, while a thread is in the middle of a large call."""
    large = os.urandom(4 << 20)
    reading = current_worker()._line._reading

    def call() -> None:
        with contextlib.suppress(SlitherError):
            ctx.views.lookup_feature(large)

    while reading.locked():  # by the thread of the batch before
        time.sleep(0.001)
    calling = threading.Thread(target=call)
    calling.start()
    while calling.is_alive() and not reading.locked():  # on a busy machine it may be over before we look
        time.sleep(0)
    return [large for _ in payloads]


def who(payloads: list[Any], ctx: Context) -> list[Any]:
    return [ctx.views.who() for _ in payloads]


def die_in_a_call(payloads: list[str], ctx: Context) -> list[Any]:
    """The first time: be killed while the driver runs the view."""
    if payloads == ["die"]:
        timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL))
        timer.start()
        ctx.views.waits()
    return [ctx.views.lookup_feature(key) for key in payloads]


class Calling(Pipe):
    stores = (Features,)
    ask = workers(call, batch_size=1)


class Odd(Pipe):
    stores = (Features,)
    ask = workers(call_with_odd_things, batch_size=1)


class InThreads(Pipe):
    stores = (Features,)
    ask = workers(in_threads, batch_size=8)


class InALoop(Pipe):
    stores = (Features,)
    ask = workers(in_a_loop, batch_size=8)


class Dying(Pipe):
    stores = (Features,)
    ask = workers(die_in_a_call, batch_size=1, on_error="skip")


class Leaving(Pipe):
    stores = (Others,)
    ask = workers(leave_behind, pool="one", batch_size=1)


class UsingWhatWasLeft(Pipe):
    stores = (Features,)
    ask = workers(use_what_was_left, pool="one", batch_size=1)


class LeavingALargeCall(Pipe):
    stores = (Features,)
    ask = workers(leave_a_large_call, batch_size=1)


class OfFeatures(Pipe):
    stores = (Features,)
    ask = workers(who, batch_size=1)


class OfOthers(Pipe):
    stores = (Others,)
    ask = workers(who, batch_size=1)


class WithADriverStage(Pipe):
    """Two stages, of which the first calls in the driver."""

    stores = (Features,)

    @stage
    def look(item: Any, ctx: Context) -> Any:  # noqa: N805
        if item.payload == "fail":
            raise LookupError("as told")
        return ctx.views.lookup_feature(item.payload)
