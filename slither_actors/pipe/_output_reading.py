"""Reading each output of a run by itself, from one stream.

What is read for one output may bring items of another: they wait in that
one's buffer, which has a bound. When it is full the run cannot go on for
anybody, so whoever reads is told, instead of waiting for ever. Nothing is lost
by that: the item stays, and reading goes on once there is room. Items come in
lots, those of one output before those of another: so the bound is several lots.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import attrs

from slither_actors.config import build, did_you_mean, positive_int, wait_seconds
from slither_actors.errors import NotRunningError, OptionError, OutputFullError
from slither_actors.item import Item
from slither_actors.pipe._ack_reading import OutputAcks
from slither_actors.pipe._change import wait_for_change
from slither_actors.pipe._definition import PipeDefinition

__all__ = ["OutputBuffers", "OutputStream", "PipeOutputReader", "refuse_late_options"]


class OutputStream(Iterator[Item]):
    """The items of one output of a run, in the order in which they left by it.

    Made by `PipeStream.output`. Any number of threads may read; each item is
    for one of them.

    Raises:
        OutputFullError: the buffer of another output is full.
        PipeError: the run has halted, behind the last item of this output.
    """

    def __init__(self, name: str, reader: PipeOutputReader) -> None:
        self.name = name
        """The output."""
        self._reader = reader

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        return self._reader.read(self.name)

    def __repr__(self) -> str:
        return f"<the output {self.name!r}, {len(self)} items waiting>"

    def __len__(self) -> int:
        return self._reader.buffers.waiting(self.name)


@attrs.frozen(kw_only=True)
class _BufferOptions:
    """What `PipeStream.outputs` takes."""

    buffer_size: int = attrs.field(default=10_000, validator=positive_int)
    wait: float = attrs.field(default=0.0, validator=wait_seconds)


def refuse_late_options(options: Mapping[str, Any]) -> None:
    """Refuse options of buffers that are in use.

    Raises:
        OptionError: there are some.
    """
    if options:
        problem = "is given when outputs are being read; say it in the first call"
        raise OptionError(next(iter(options)), problem, where="stream.outputs")


class OutputBuffers:
    """The items of each output that wait for their reader, and those that wait for room. No lock."""

    def __init__(self, definition: PipeDefinition, options: Mapping[str, Any]) -> None:
        """Make one for each output of a pipe.

        Raises:
            OptionError: an option is wrong.
        """
        checked = build(_BufferOptions, options, where="stream.outputs")
        self._pipe = definition.name
        self._queues: dict[str, deque[Item]] = {name: deque() for name in definition.outputs}
        self._size = checked.buffer_size
        self.wait = checked.wait
        """Seconds that a reader waits for room in the buffer of another output."""
        self._arrived: Iterator[Item] = iter(())
        self._stuck: Item | None = None
        """What came next and has no room."""
        self._discarded: set[str] = set()
        self.dropped: Callable[[Iterable[Item]], object] | None = None
        """Is told what nobody wants."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._queues)

    def check(self, name: Any) -> str:
        """Refuse what is no output.

        Raises:
            OptionError: it is none.
        """
        if not isinstance(name, str) or name not in self._queues:
            known = ", ".join(map(repr, self._queues))
            problem = f"is {name!r:.200}; outputs of {self._pipe} are {known}"
            raise OptionError("output", problem + did_you_mean(str(name), self._queues).rstrip("."))
        return name

    def waiting(self, name: str) -> int:
        """How many items of an output are here."""
        return len(self._queues[name])

    @property
    def is_empty(self) -> bool:
        """Whether nothing is here, once `sort` has returned None."""
        return self._stuck is None and not any(self._queues.values())

    def take(self, name: str) -> Item | None:
        """Return the next item of an output, None if it is not here."""
        queue = self._queues[name]
        return queue.popleft() if queue else None

    def put(self, arrived: Iterable[Item]) -> None:
        """Take what has come; only when `sort` has returned None."""
        self._arrived = iter(arrived)

    def sort(self) -> str | None:
        """Put what has come where it belongs; return the output that has no room for the next one."""
        if self._stuck is not None and not self._place(self._stuck):
            return self._stuck.route
        self._stuck = None
        for item in self._arrived:
            if not self._place(item):
                self._stuck = item
                return item.route
        return None

    def _place(self, item: Item) -> bool:
        queue = self._queues[item.route]
        if item.route in self._discarded:
            if self.dropped is not None:
                self.dropped((item,))
            return True
        if len(queue) >= self._size:
            return False
        queue.append(item)
        return True

    def discard(self, name: str) -> None:
        """Drop what an output has and gets."""
        self._discarded.add(self.check(name))
        queue = self._queues[name]
        if self.dropped is not None and queue:
            self.dropped(tuple(queue))
        queue.clear()

    def refuse_discarded(self, name: str) -> None:
        """Refuse the reader of an output that nobody wants.

        Raises:
            RuntimeError: it is discarded.
        """
        if name in self._discarded:
            msg = f"the output {name!r} is discarded: nobody can read it"
            raise RuntimeError(msg)

    def full(self, output: str, wanted: str, waited: float) -> OutputFullError:
        """What the reader of `wanted` is told."""
        return OutputFullError(output, wanted, self._size, pipe=self._pipe, waited=waited)

    def clear(self) -> None:
        """Drop everything."""
        self._arrived, self._stuck = iter(()), None
        for queue in self._queues.values():
            queue.clear()


class PipeOutputReader:
    """Reads a stream for the readers of its outputs: whoever finds nothing reads, the others wait for it."""

    def __init__(
        self,
        buffers: OutputBuffers,
        read: Callable[[], Iterable[Item]],
        may_wait: Callable[[], object],
    ) -> None:
        self.buffers = buffers
        self._read = read
        """Waits for what comes next; `StopIteration` at the end."""
        self._changed = threading.Condition()
        self._reading = False
        self._over = False
        self._error: BaseException | None = None
        self._told: set[str] = set()
        """Outputs whose readers know of the error."""
        self._may_wait = may_wait
        """Raises where nothing would come as long as this thread waits."""
        self._acks: OutputAcks | None = None
        self._leave: Callable[[], object] = _nothing
        self.streams: Mapping[str, OutputStream] = MappingProxyType(
            {name: OutputStream(name, self) for name in buffers.outputs}
        )

    def follow(self, acks: OutputAcks, leave: Callable[[], object]) -> None:
        """Say what becomes of the items; call `leave` when all of them are read. Before the first read."""
        self._acks = acks
        self._leave = leave
        self.buffers.dropped = acks.dropped

    def read(self, name: str) -> Item:
        """Return the next item of an output. See `OutputStream`."""
        if self._acks is None:
            return self._next(name)
        self._acks.asked(name)
        try:
            return self._next(name)
        except BaseException:
            self._leave_if_done()
            raise

    def _leave_if_done(self) -> None:
        if self._acks is not None:
            with self._changed:
                done = self._over and self.buffers.is_empty and self._acks.all_done
            if done:
                self._leave()

    def _next(self, name: str) -> Item:
        deadline: float | None = None
        with self._changed:
            self.buffers.refuse_discarded(name)
            while True:
                item = self.buffers.take(name)
                if item is not None:
                    if self._acks is not None:
                        self._acks.gave(name, item)
                    self._changed.notify_all()
                    return item
                self._may_wait()
                if self._reading:
                    wait_for_change(self._changed, None)
                    continue
                full = self.buffers.sort()
                if self.buffers.waiting(name):
                    continue
                if full is not None:
                    now = time.monotonic()
                    deadline = now + self.buffers.wait if deadline is None else deadline
                    if now >= deadline:
                        raise self.buffers.full(full, name, self.buffers.wait)
                    wait_for_change(self._changed, deadline - now)
                elif self._over:
                    self._end(name)
                else:
                    self._fetch()

    def _fetch(self) -> None:
        """Read on, without the lock: it may take long."""
        self._reading = True
        self._changed.release()
        try:
            arrived = self._read()
        except StopIteration:
            arrived = ()
            self._over = True
        except BaseException as error:
            arrived = ()
            self._over = True
            if not isinstance(error, Exception):
                # An interrupt, say. It is for this thread alone; but the run has ended with it.
                msg = f"the thread that read for all outputs was interrupted by {type(error).__name__}"
                self._error = NotRunningError(f"{msg}, which ended the run")
                raise
            self._error = error
        finally:
            self._changed.acquire()
            self._reading = False
            self._changed.notify_all()
        self.buffers.put(arrived)

    def _end(self, name: str) -> None:
        if self._error is not None and name not in self._told:
            self._told.add(name)
            raise self._error
        raise StopIteration

    def discard(self, name: str) -> None:
        """Drop what an output has and gets."""
        with self._changed:
            self.buffers.discard(name)
            self._changed.notify_all()
        self._leave_if_done()

    def close(self) -> None:
        """Give nothing more."""
        with self._changed:
            self._over, self._error = True, None
            self.buffers.clear()
            self._changed.notify_all()


def _nothing() -> None:
    """Nobody wants to know."""
