"""`Slither.Dispatch.Executor` and its executors: where a batch runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Application,
    DispatchError,
    FunctionExecutor,
    InlineExecutor,
    Pipe,
    PipeError,
    dispatch,
    run_pipe,
    workers,
)
from slither_actors.dispatch import Batch, CommandExecutor, Executor
from slither_actors.errors import (
    OptionError,
    PoolError,
    ResultError,
    TargetError,
)
from tests.slither import work
from tests.slither.reading import payloads

POOLS: dict[str, Any] = {"default": 1, "compute": {"workers": 1, "adapter": work.Model}}


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Application]:
    with Application(pools=POOLS) as running:
        yield running


def test_a_function_is_called_in_a_worker() -> None:
    """`Slither.Dispatch.Executors.SnakeBridge`: by the name of its module and its own."""
    executor = FunctionExecutor("tests.slither.work:double")
    assert payloads(dispatch.run([1, 2, 3], executor=executor)) == [2, 4, 6]


def test_a_function_may_be_given_itself() -> None:
    """`Slither.Dispatch.Executors.SnakeBridge`: here the driver is a Python program and has it."""
    assert payloads(dispatch.run([1], executor=work.double)) == [2]
    assert payloads(dispatch.run([1], executor="tests.slither.work:double")) == [2]


def test_a_command_of_the_pool_is_called() -> None:
    """`Slither.Dispatch.Executors.Snakepit`: a tool of the adapter of the pool's workers."""
    executor = CommandExecutor("process_batch", pool="compute")
    assert payloads(dispatch.run([1, 2, 3], executor=executor, batch_size=2)) == [2, 4, 6]


def test_a_batch_goes_to_the_pool_that_is_named() -> None:
    """``:pool``: workers of different pools are different processes."""
    pids = {
        dispatch.run([1], executor=work.about_the_run, pool=pool)[0].payload[0]
        for pool in ("default", "compute")
    }
    assert len(pids) == 2


def test_a_function_gets_payloads_and_returns_as_many() -> None:
    """The executors' contract: a list of payloads in, a list of results in their order out."""
    assert payloads(dispatch.run(["a", "b"], executor=work.sizes)) == [("a", 2), ("b", 2)]


def test_a_module_that_is_not_found_is_an_error() -> None:
    """Troubleshooting, "Python module not found": the batch fails, the error names the module."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1], executor="no_such_module:predict")
    assert isinstance(caught.value.reason, TargetError)
    assert "no_such_module" in str(caught.value.reason)


def test_another_number_of_results_fails_the_batch() -> None:
    """The executors' contract, broken: nothing is given to the wrong item."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1, 2], executor=InlineExecutor(lambda batch: batch[1:]))
    assert isinstance(caught.value.reason, ResultError)


def test_a_name_that_is_none_is_an_error() -> None:
    """`Slither.Dispatch.Executors.SnakeBridge`, ``:module`` and ``:function``: both are required."""
    with pytest.raises(OptionError, match="module:function"):
        FunctionExecutor("no colon")


# -- Slither.Dispatch.Executor --------------------------------------------------------------------


class External(Executor):
    """An executor of one's own: asks a service that answers at once."""

    def submit(self, batch: Batch) -> None:
        if 7 in batch.payloads:
            batch.fail(LookupError("the service has no seven"))
        else:
            batch.succeed([f"{payload}!" for payload in batch.payloads])


def test_an_executor_may_be_ones_own() -> None:
    """`Slither.Dispatch.Executor`: a batch in, results out; in pipes, too."""

    class Asking(Pipe):
        ask = workers(External(), batch_size=2)

    assert payloads(dispatch.run([1, 2, 3], executor=External(), batch_size=2)) == ["1!", "2!", "3!"]
    assert payloads(run_pipe(Asking, [1, 2, 3])["default"]) == ["1!", "2!", "3!"]


def test_an_executor_that_says_error_fails_the_batch() -> None:
    """`Slither.Dispatch.Executor`, ``{:error, reason}``: the policy of the run decides, batch by batch."""
    with pytest.raises(DispatchError) as caught:
        dispatch.run([1, 7], executor=External(), batch_size=1)
    assert isinstance(caught.value.reason, LookupError)
    results = dispatch.run([1, 7, 2], executor=External(), batch_size=1, on_error="skip")
    assert payloads(results) == ["1!", 7, "2!"]


def test_a_pool_that_is_not_there_is_an_error() -> None:
    """``:pool``: the error names it."""

    class Elsewhere(Pipe):
        work = workers(work.double, pool="gpu_pool")

    with pytest.raises(PipeError, match="gpu_pool") as caught:
        run_pipe(Elsewhere, [1])
    assert isinstance(caught.value.reason, PoolError)
