"""Commands of the adapter that the workers have."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, dispatch
from slither_actors.context import Context
from slither_actors.dispatch import CommandExecutor
from slither_actors.dispatch._default import find_pool
from slither_actors.errors import (
    BatchTimeoutError,
    DispatchError,
    OptionError,
    PoolError,
    RemoteError,
    StartError,
    TargetError,
)
from slither_actors.pool import COMMANDS, Pool, command
from tests.dispatch.manual import payloads


class Base:
    def inherited(self, batch: list[Any]) -> list[Any]:
        return batch


class Model(Base):
    """Keeps what it has seen."""

    command_timeout = 20.0
    not_a_command = 7

    def __init__(self, worker: Any) -> None:
        self.where = (worker.pool, worker.slot)
        self.seen = 0

    def count(self, batch: list[Any]) -> list[int]:
        self.seen += len(batch)
        return [self.seen] * len(batch)

    def place(self, batch: list[Any], ctx: Context) -> list[Any]:
        return [(*self.where, ctx.session_id)] * len(batch)

    @command(timeout=0.3)
    def sleep(self, batch: list[float]) -> list[float]:
        time.sleep(batch[0])
        return batch

    @command
    def marked(self, batch: list[Any]) -> list[Any]:
        return batch

    @staticmethod
    def fails(batch: list[Any]) -> list[Any]:
        raise ValueError("no")

    def _private(self, batch: list[Any]) -> list[Any]:
        return batch


class Plain:
    """Without a constructor, or an end."""

    def double(self, batch: list[int]) -> list[int]:
        return [2 * value for value in batch]


class Tidy(Plain):
    def __init__(self) -> None:
        self.folder = Path(os.environ["SLITHER_TEST_FOLDER"])

    def close(self) -> None:
        (self.folder / f"{os.getpid()}.closed").touch()
        raise ValueError("a raise ends nothing")


class Broken(Plain):
    def __init__(self) -> None:
        raise ValueError("no model")


class Async:
    async def double(self, batch: list[int]) -> list[int]:
        return batch


class Empty:
    pass


@pytest.fixture
def model() -> Iterator[Application]:
    pools = {"default": {"workers": 1, "adapter": Model}, "bare": 1}
    with Application(pools=pools) as running:
        yield running


def test_an_adapter_is_made_once_per_worker_and_keeps_its_state(model: Application) -> None:
    """Its constructor may take the worker, its commands the context."""
    executor = CommandExecutor("count")
    assert payloads(dispatch.run(list("abc"), executor=executor, batch_size=1)) == [1, 2, 3]
    assert payloads(dispatch.run(["d"], executor=executor)) == [4]
    found = dispatch.run([1], executor=CommandExecutor("place"), context=Context(session_id="mine"))
    assert payloads(found) == [("default", 0, "mine")]
    for name in ("inherited", "marked"):
        assert payloads(dispatch.run([1], executor=CommandExecutor(name))) == [1]


def test_an_exception_is_the_batch_s_and_the_adapter_stays(model: Application) -> None:
    """With its state."""
    dispatch.run(list("ab"), executor=CommandExecutor("count"))
    [item] = dispatch.run([1], executor=CommandExecutor("fails"), on_error="skip")
    assert isinstance(item.meta["error"], RemoteError)
    assert payloads(dispatch.run(["c"], executor=CommandExecutor("count"))) == [3]


def test_the_pool_knows_its_commands_with_their_timeouts(model: Application) -> None:
    """From a worker: the driver imports nothing."""
    pool, bare = find_pool("default"), find_pool("bare")
    assert pool is not None
    assert bare is not None
    assert pool.call(COMMANDS) == {
        "count": 20.0,
        "fails": 20.0,
        "inherited": 20.0,
        "marked": 20.0,
        "place": 20.0,
        "sleep": 0.3,
    }
    assert bare.call(COMMANDS) is None


def test_an_unknown_command_fails_the_start_of_the_run(model: Application) -> None:
    """With the commands that there are, and the nearest."""
    for name in ("cuont", "not_a_command"):
        with pytest.raises(DispatchError) as caught:
            dispatch.run([1], executor=CommandExecutor(name))
        assert isinstance(caught.value.reason, OptionError)
        assert f"is '{name}', which the adapter of pool 'default' does not have" in str(caught.value.reason)
        assert "It has: count, fails, inherited, marked, place, sleep" in str(caught.value.reason)
    with pytest.raises(DispatchError, match="did you mean 'count'"):
        dispatch.run([1], executor=CommandExecutor("cuont"))
    with pytest.raises(DispatchError, match="pool 'bare' has no adapter; give it one"):
        dispatch.run([1], executor=CommandExecutor("count", pool="bare"))
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor=CommandExecutor("count", pool="gpu"))
    assert isinstance(caught.value.reason, PoolError)


def test_a_worker_looks_again(model: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody could ask before: the error is the batch's, and halts under any policy."""
    monkeypatch.setattr(CommandExecutor, "open", lambda executor: None)
    for name, pool, text in (
        ("cuont", "default", "did you mean 'count'"),
        ("count", "bare", "has no adapter"),
    ):
        with pytest.raises(DispatchError, match=text) as caught:
            dispatch.run([1], executor=CommandExecutor(name, pool=pool), on_error="skip")
        assert isinstance(caught.value.reason, TargetError)


@pytest.mark.parametrize("name", ["_private", "__init__", "", "no name", "a.b", None, 7])
def test_what_can_be_no_command_is_refused(name: Any) -> None:
    """When the executor is made; private methods are none."""
    with pytest.raises(OptionError, match="is .*; allowed is the name of a public method") as caught:
        CommandExecutor(name)
    assert (caught.value.option, caught.value.where) == ("command", "CommandExecutor")


@pytest.mark.parametrize(
    ("option", "value"), [("timeout", 0), ("timeout", "long"), ("pool", ""), ("pool", 7)]
)
def test_a_wrong_option_is_refused(option: str, value: Any) -> None:
    """With what is allowed."""
    with pytest.raises(OptionError, match=rf"CommandExecutor.*'{option}' is .*; allowed is"):
        CommandExecutor("count", **{option: value})


def test_a_command_has_its_own_timeout(model: Application) -> None:
    """Before the run's; the executor's goes before both."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([30.0], executor=CommandExecutor("sleep"))
    assert isinstance(caught.value.reason, BatchTimeoutError)
    assert caught.value.reason.timeout == 0.3
    assert payloads(dispatch.run([0.4], executor=CommandExecutor("sleep", timeout=math.inf))) == [0.4]
    with pytest.raises(DispatchError) as caught:
        dispatch.run([30.0], executor=CommandExecutor("sleep", timeout=0.2), timeout=None)
    assert isinstance(caught.value.reason, BatchTimeoutError)
    assert caught.value.reason.timeout == 0.2


@pytest.mark.parametrize(
    ("adapter", "problem"),
    [
        (7, 'is 7; allowed are a class and "module:Class"'),
        ("no colon", "is 'no colon'; allowed are a class and \"module:Class\""),
        (Async, "has the coroutine function double"),
        (Empty, "has no public method"),
    ],
)
def test_what_is_no_adapter_is_refused(adapter: Any, problem: str) -> None:
    """When the pool's options are read."""
    with pytest.raises(OptionError, match=problem):
        Application(pools={"default": {"adapter": adapter}})


@pytest.mark.parametrize("timeout", [0, -1, "long", True])
def test_a_wrong_timeout_of_a_command_is_refused(timeout: Any) -> None:
    """Where it is written."""
    with pytest.raises(OptionError, match="'timeout' is .*; allowed is a number of seconds above 0"):
        command(timeout=timeout)
    with pytest.raises(OptionError, match="allowed is a method"):
        command(timeout)


@pytest.mark.parametrize(
    ("adapter", "problem"),
    [
        (Broken, "its adapter failed: .*no model"),
        ("tests.dispatch.test_command_executor:Nothing", "its adapter failed: .*cannot import"),
        ("tests.dispatch.test_command_executor:payloads", "an adapter is a class"),
        ("tests.dispatch.test_command_executor:Async", "has the coroutine function double"),
    ],
)
def test_an_adapter_that_cannot_be_made_fails_the_start_of_its_worker(adapter: Any, problem: str) -> None:
    """And says why."""
    with pytest.raises(StartError, match=problem):
        Pool.start("default", workers=1, adapter=adapter, max_failed_starts=1, name=None)


def test_an_adapter_by_name_is_closed_when_its_worker_ends_orderly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A raise there harms nobody."""
    monkeypatch.setenv("SLITHER_TEST_FOLDER", str(tmp_path))
    options = {"workers": 1, "adapter": "tests.dispatch.test_command_executor:Tidy", "start_method": "spawn"}
    with Application(pools={"default": options}):
        found = dispatch.run(range(20), executor=CommandExecutor("double"), batch_size=1)
        assert payloads(found) == [2 * n for n in range(20)]
        assert not list(tmp_path.iterdir())
    assert len(list(tmp_path.glob("*.closed"))) == 1
