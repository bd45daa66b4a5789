"""The executors of the library keep to the protocol, as a user's would be tested."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest

from slither_actors import Application
from slither_actors.dispatch import (
    AsyncExecutor,
    CommandExecutor,
    Executor,
    FunctionExecutor,
    FuturesExecutor,
    InlineExecutor,
    ThreadExecutor,
)
from slither_actors.testing import ExecutorContract
from slither_actors.testing._functions import double, odd_results, raises
from slither_actors.testing._gate import wait_at_gate
from tests.dispatch.test_executors import OnThreads


class Functions:
    """An adapter with the functions of the contract."""

    double = staticmethod(double)
    odd_results = staticmethod(odd_results)
    raises = staticmethod(raises)
    wait_at_gate = staticmethod(wait_at_gate)


@pytest.fixture(autouse=True)
def application(request: pytest.FixtureRequest) -> Iterator[Application]:
    # Of each test's own: a batch past its timeout costs a worker, which the leak fixture would miss.
    with Application(pools=getattr(request.cls, "pools", {})) as running:
        yield running


class TestFunctionExecutor(ExecutorContract):
    pools = {"default": 2}

    def make_executor(self, function: Any) -> Executor:
        return FunctionExecutor(function)


class TestCommandExecutor(ExecutorContract):
    pools = {"commands": {"workers": 2, "adapter": Functions}}

    def make_executor(self, function: Any) -> Executor:
        return CommandExecutor(function.__name__, pool="commands")


class TestInlineExecutor(ExecutorContract):
    parallel = 1
    times_out = False
    can_be_left = False

    def make_executor(self, function: Any) -> Executor:
        return InlineExecutor(function)


class TestThreadExecutor(ExecutorContract):
    def make_executor(self, function: Any) -> Executor:
        return ThreadExecutor(function, threads=2)


class TestAsyncExecutor(ExecutorContract):
    def make_executor(self, function: Any) -> Executor:
        async def batch(payloads: list[Any]) -> Any:
            return await asyncio.to_thread(function, payloads)

        return AsyncExecutor(batch, concurrency=2)


class TestFuturesOfThreads(ExecutorContract):
    def make_executor(self, function: Any) -> Executor:
        self.pool = futures.ThreadPoolExecutor(2)
        return FuturesExecutor(self.pool, function)

    def dispose(self, executor: Executor) -> None:
        self.pool.shutdown(wait=False)


class TestFuturesOfProcesses(ExecutorContract):
    prefetch = 3

    def make_executor(self, function: Any) -> Executor:
        self.pool = futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver"))
        return FuturesExecutor(self.pool, function)

    def dispose(self, executor: Executor) -> None:
        self.pool.shutdown(wait=False)


class TestOneFromTheDocumentation(ExecutorContract):
    def make_executor(self, function: Any) -> Executor:
        self.pool = futures.ThreadPoolExecutor(2)
        return OnThreads(function, self.pool)

    def dispose(self, executor: Executor) -> None:
        self.pool.shutdown(wait=False)
