"""One call of a handler that is a coroutine, as its stage and the event loop see it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

from slither_actors.actors import blocking, interruptible
from slither_actors.actors._interrupts import waits
from slither_actors.stages._unfinished import OpenDemand, Unfinished

if TYPE_CHECKING:
    import asyncio

    from slither_actors.stages._async_server import AsyncServer
    from slither_actors.stages._coroutines import Quota
    from slither_actors.stages._lanes import Lane

__all__ = ["Job", "current_job", "without_job"]

_current: ContextVar[Job | None] = ContextVar("slither_actors_stage_job", default=None)


class Job(Unfinished):
    """A call that runs as a coroutine.

    Made by the stage and, but for what says otherwise, read by it once the
    event loop has told it of the end.
    """

    __slots__ = (
        "__weakref__", "basket", "began", "call", "demand", "error", "finish", "force",
        "lane", "last", "name", "number", "over", "quota",
        "result", "stage", "task", "told", "what",
    )  # fmt: skip

    def __init__(
        self,
        stage: AsyncServer,
        name: str,
        args: tuple[Any, ...],
        *,
        call: Callable[..., Any],
        finish: Callable[[Job], object],
    ) -> None:
        super().__init__()
        self.stage = stage
        self.name = name
        self.what = args
        self.call = call
        """Makes the coroutine of `what`, in the loop's thread."""
        self.finish = finish
        """What the stage does with the result, when it is this job's turn."""
        self.lane: Lane | None = None
        """What it is one of; None if it is waited for."""
        self.number = 0
        """Its place in the order of its lane."""
        self.task: asyncio.Task[None] | None = None
        """Touched by the loop's thread only."""
        self.force = False
        """Whether it runs although the stage ends: `terminate`."""
        self.last: Callable[[], object] | None = None
        """Called in the loop's thread at the end, instead of telling the stage."""
        self.result: Any = None
        self.error: BaseException | None = None
        self.began = time.monotonic()
        """When the stage made it, which starts it at once, or in its turn if it handles a message."""
        self.over = False
        """Whether the coroutine has ended. Written in the loop's thread."""
        self.basket: deque[Any] = deque()
        """What an async generator has yielded: the loop puts, the stage takes."""
        self.told = False
        """Whether the stage will look into the basket."""
        self.quota: Quota | None = None
        """How far an async generator may be pulled."""
        self.demand: OpenDemand | None = None

    def __repr__(self) -> str:
        what = self.what[0] if self.what else ""
        if self.name == "handle_events":
            what = f"{len(what)} events"
        return f"the coroutine {type(self.stage).__name__}.{self.name}({what!s:.100})"

    def take(self) -> list[Any]:
        """Return what was yielded since the last time."""
        self.told = False
        get = self.basket.popleft
        return [get() for _ in range(len(self.basket))]

    @waits
    def wait(self, start: Callable[[Job], None]) -> Any:
        """Start the job, wait for its end in this thread, and return its result or raise its error.

        Raises:
            ExitPendingError: the actor is to end; the coroutine is cancelled with it.
        """
        ended = threading.Event()
        self.last = ended.set
        start(self)
        with interruptible(ended.set) as refuse:
            blocking()
            ended.wait()
            if not self.over:
                refuse()
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self.result

    def run_as_current(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in a context in which this is the job that runs."""
        _current.set(self)
        return function(*args)


def without_job(context: Context) -> Context:
    """Take the job out of a context, which would keep its stage in memory."""
    context.run(_current.set, None)
    return context


def current_job(stage: AsyncServer) -> Job | None:
    """Return the job of the stage's whose coroutine the code that asks belongs to, if any."""
    job = _current.get()
    return job if job is not None and job.stage is stage else None
