"""Running a pipe over an input, from a thread or from a coroutine."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from functools import partial
from typing import Any

from slither_actors.dispatch import Halted
from slither_actors.dispatch._async_stream import AsyncOutlet
from slither_actors.dispatch._reader import Arrival, Outlet
from slither_actors.dispatch._stream import _END_SECONDS, close_run, halted_by, start_run
from slither_actors.dispatch._topology import RunPlan
from slither_actors.errors import NameTakenError
from slither_actors.item import Item
from slither_actors.pipe._ack_source import AckSource
from slither_actors.pipe._outputs import PipeOutputs
from slither_actors.pipe._pipe import Pipe
from slither_actors.pipe._plan import link_of, pipe_error, pipe_plan, session_in_use
from slither_actors.pipe._stream import AsyncPipeStream, PipeStream

__all__ = ["arun_pipe", "astream_pipe", "run_pipe", "stream_pipe"]

_Items = Iterable[Any] | AsyncIterable[Any] | AckSource


def run_pipe(
    pipe: type[Pipe], items: _Items, *, session_id: str | None = None, **options: Any
) -> PipeOutputs:
    """Run a pipe over `items` and return its outputs.

    Without an `Application` a default one is started: a pool with a worker per
    processor, stopped at exit.

    Args:
        pipe: the pipe's class.
        items: payloads or items, or an `AckSource`; read only as far as there is room. An async iterable,
            too, except in a running event loop, see `arun_pipe`.
        session_id: names the run to its views and workers; made by default. Runs one after the other may
            share it, and at one time those that have no views.
        **options: ``metadata``, a mapping that stages find in their context; ``timeout``, the seconds that
            the run may take, its set-up included; ``progress``, as in `dispatch.run`; ``handle``, a
            `RunHandle` by which another thread may look at the run and cancel it; ``rate_limit``, a
            `RateLimit` of the input.

    Raises:
        PipeError: the run halted; `partial_results` has what had come out.
        PipeTimeoutError: its time was over; so has this, and the message says how far it was.
        PipeCancelledError: somebody cancelled it.
        OptionError: an option is wrong.
        NotRunningError: the program is ending.
    """
    plan = pipe_plan(pipe, items, {"session_id": session_id, **options}, Outlet(), collect_all=True)
    link = link_of(plan)
    try:
        found, halted = _collect(plan)
    except NameTakenError as error:
        raise session_in_use(plan) from error
    if halted is not None:
        raise pipe_error(link, halted, found) from halted.error
    return PipeOutputs(link, found)


def stream_pipe(
    pipe: type[Pipe], items: _Items, *, session_id: str | None = None, **options: Any
) -> PipeStream:
    """Run a pipe over `items` and return an iterator over what comes out, as it comes.

    Lazy from the reader back to the input: an endless input and a slow reader
    take constant memory. ``item.route`` says by which output an item left;
    `PipeStream.outputs` has an iterator per output.
    Takes what `run_pipe` takes.
    """
    plan = pipe_plan(pipe, items, {"session_id": session_id, **options}, Outlet(), collect_all=False)
    return PipeStream(pipe, plan)


def _collect(plan: RunPlan) -> tuple[list[Item], Halted | None]:
    """Run to the end; return the items as they came out, and why it ended early."""
    items: list[Item] = []
    try:
        run = start_run(plan)
        while isinstance(arrived := plan.outlet.get(), Arrival):
            items += arrived
    except BaseException:
        close_run(plan.link)
        raise
    # For the statistics of its stages. Less than that for one that was interrupted.
    run.join(_END_SECONDS + plan.link.close_timeout)
    return items, halted_by(arrived.reason)


async def arun_pipe(
    pipe: type[Pipe], items: _Items, *, session_id: str | None = None, **options: Any
) -> PipeOutputs:
    """Run a pipe over `items` and return its outputs, as `run_pipe` does, without blocking the event loop.

    Args:
        pipe: the pipe's class.
        items: an iterable, which is read in another thread and may block that, or an async iterable, which
            is read in this loop; or an `AckSource`, which is used in other threads. None is read further than
            there is room.
        session_id: see `run_pipe`.
        **options: see `run_pipe`.

    Raises:
        PipeError: see `run_pipe`.
        OptionError: an option is wrong.
        CancelledError: the task was cancelled; the run is ended.
    """
    plan = pipe_plan(pipe, items, {"session_id": session_id, **options}, AsyncOutlet(), collect_all=True)
    link = link_of(plan)
    found: list[Item] = []
    chunks: Any = AsyncPipeStream(plan, lambda halted, _: pipe_error(link, halted, found), chunks=True)
    async with chunks:
        async for chunk in chunks:
            found += chunk
    return PipeOutputs(link, found)


def astream_pipe(
    pipe: type[Pipe], items: _Items, *, session_id: str | None = None, **options: Any
) -> AsyncPipeStream:
    """Run a pipe over `items` and return an async iterator over what comes out, as it comes.

    As lazy as `stream_pipe`. Use it in ``async with``, which ends the run when the block is left, also by an
    exception or a cancellation; or in a plain ``async for``. Takes what `arun_pipe` takes.
    """
    plan = pipe_plan(pipe, items, {"session_id": session_id, **options}, AsyncOutlet(), collect_all=False)
    return AsyncPipeStream(plan, partial(pipe_error, link_of(plan)))
