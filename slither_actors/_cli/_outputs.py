"""What comes out of a pipe as JSON lines: a file per output, or all on standard output.

Lines are gathered and written together, whole lines only, so that a process
that is killed leaves whole lines. A thread writes what is gathered when the
pipe is slow: nothing waits for longer than `FLUSH_SECONDS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Self

from slither_actors.errors import SlitherError
from slither_actors.item import Item

__all__ = ["FLUSH_SECONDS", "OutputClosedError", "OutputError", "OutputStalledError", "Outputs"]

FLUSH_SECONDS: Final = 0.25
_FLUSH_BYTES: Final = 2**16
_LOOK_MS: Final = 50

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_encode_ascii = json.JSONEncoder(allow_nan=False).encode


class OutputError(SlitherError):
    """An output cannot be written, or an item cannot be written to it."""


class OutputClosedError(OutputError):
    """Nobody reads standard output any more."""


class OutputStalledError(OutputError):
    """Somebody holds the output open and does not read it, and the run is to end."""


class _Sink:
    """One place that lines go to. Its owner's lock is held by whoever calls.

    What is no file may keep a writer waiting. There lines are written when there is room,
    and few enough at a time that a pipe takes all of them or none: the wait can be given up
    between whole lines.

    Args:
        counts: lines written by output; counted here.
        abandoned: set when nobody is to wait for a reader any more.
    """

    def __init__(self, fd: int, name: str, counts: dict[str, int], abandoned: threading.Event) -> None:
        self._fd = fd
        self._name = name
        self._counts = counts
        self._abandoned = abandoned
        self._lines: list[tuple[str, bytes]] = []
        self._held = 0
        self._failure: OutputError | None = None
        self._room: select.poll | None = None
        with contextlib.suppress(OSError):  # closed: the first write says so
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                self._room = select.poll()
                self._room.register(fd, select.POLLOUT)

    def add(self, output: str, line: bytes) -> None:
        self._lines.append((output, line))
        self._held += len(line)
        if self._held >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._failure is not None:  # there may be half a line: nothing goes after it
            raise self._failure
        lines, self._lines, self._held = self._lines, [], 0
        try:
            for some in self._portions(lines):
                self._write(b"".join(line for _, line in some))
                for output, _ in some:
                    self._counts[output] += 1
        except BrokenPipeError as error:
            self._failure = OutputClosedError(f"nobody reads {self._name} any more")
            raise self._failure from error
        except OSError as error:
            self._failure = OutputError(f"cannot write {self._name}: {error.strerror}")
            raise self._failure from error
        except OutputStalledError as error:
            self._failure = error
            raise

    def _portions(self, lines: list[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
        if self._room is None:
            yield lines
            return
        some: list[tuple[str, bytes]] = []
        size = 0
        for output, line in lines:
            if some and size + len(line) > select.PIPE_BUF:
                yield some
                some, size = [], 0
            some.append((output, line))
            size += len(line)
        if some:
            yield some

    def _write(self, portion: bytes) -> None:
        data = memoryview(portion)
        while data:
            if self._room is None:
                data = data[os.write(self._fd, data) :]
                continue
            # In short waits: a signal's handler cannot interrupt one for good.
            while not self._room.poll(_LOOK_MS):
                if self._abandoned.is_set():
                    raise OutputStalledError(f"nobody reads from {self._name}")
            with contextlib.suppress(BlockingIOError):  # somebody else took the room
                data = data[os.write(self._fd, data[: select.PIPE_BUF]) :]

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd > 2:
            os.close(fd)


class Outputs:
    """The outputs of one run, open for writing. `write` is for one thread.

    Args:
        folder: where ``OUTPUT.jsonl`` are made, or None for standard output, whose
            lines then are ``{"output": …, "payload": …}``.
        names: outputs whose files are made even if nothing comes.
        on_failure: called, in another thread, when lines that waited cannot be written.

    Raises:
        OutputError: a file cannot be made.
    """

    def __init__(
        self,
        folder: Path | None,
        names: Iterable[str],
        *,
        on_failure: Callable[[OutputError], object] = lambda error: None,
    ) -> None:
        self.counts: dict[str, int] = dict.fromkeys(names, 0)
        """Items written, by output. One that waits, or could not be written, is not among them."""
        self._folder = folder
        self._on_failure = on_failure
        self._sinks: dict[str, _Sink] = {}
        self._lock = threading.Lock()
        self._unwritten = threading.Event()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._failure: OutputError | None = None
        try:
            for name in self.counts:
                self._sinks[name] = self._open(name)
        except BaseException:
            self._close_sinks()
            raise
        self._flusher = threading.Thread(target=self._flush_now_and_then, name="slither-outputs", daemon=True)
        self._flusher.start()

    @staticmethod
    def path(folder: Path, name: str) -> Path:
        """The file of an output.

        Raises:
            OutputError: the output's name cannot be that of a file.
        """
        if "/" in name or "\0" in name:
            raise OutputError(f"the output {name!r} cannot be the name of a file")
        return folder / f"{name}.jsonl"

    def _open(self, name: str) -> _Sink:
        if self._folder is None:
            return next(iter(self._sinks.values()), None) or self._sink(1, "standard output")
        path = self.path(self._folder, name)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return self._sink(fd, str(path))

    def _sink(self, fd: int, name: str) -> _Sink:
        return _Sink(fd, name, self.counts, self._abandoned)

    def write(self, item: Item) -> None:
        """Add an item to the output that it left by.

        Raises:
            OutputError: its payload is no JSON, or what had waited could not be written.
        """
        line = self._line(item)
        with self._lock:
            if self._failure is not None:
                raise self._failure
            sink = self._sinks.get(item.route)
            if sink is None:
                sink = self._sinks[item.route] = self._open(item.route)
                self.counts.setdefault(item.route, 0)
            sink.add(item.route, line)
        if not self._unwritten.is_set():
            self._unwritten.set()

    def _line(self, item: Item) -> bytes:
        value = {"output": item.route, "payload": item.payload} if self._folder is None else item.payload
        try:
            try:
                return f"{_encode(value)}\n".encode()
            except UnicodeEncodeError:  # half of a surrogate pair; escaped it is fine
                return f"{_encode_ascii(value)}\n".encode()
        except (TypeError, ValueError, RecursionError) as error:
            kind = type(item.payload).__qualname__
            problem = f"item {item.id}: a payload of type {kind} cannot be written as JSON: {error}"
            raise OutputError(f"output {item.route!r}, {problem}") from error

    def flush(self) -> None:
        """Write what is gathered.

        Raises:
            OutputError: that failed.
        """
        with self._lock:
            self._flush_sinks()

    def abandon(self) -> None:
        """Wait for no reader any more: what has no room raises `OutputStalledError`. Never blocks."""
        self._abandoned.set()

    def flush_if_free(self) -> None:
        """Write what is gathered unless somebody is at it. For a signal handler: never waits nor raises."""
        self._abandoned.set()
        if self._lock.acquire(blocking=False):
            try:
                with contextlib.suppress(OutputError):
                    self._flush_sinks()
            finally:
                self._lock.release()

    def _flush_sinks(self) -> None:
        for sink in self._sinks.values():
            sink.flush()

    def _flush_now_and_then(self) -> None:
        while self._unwritten.wait() and not self._closing.wait(FLUSH_SECONDS):
            self._unwritten.clear()
            try:
                self.flush()
            except OutputError as error:
                self._failure = error
                self._on_failure(error)
                return

    def close(self) -> None:
        """Write everything and close the files. Closing again does nothing.

        Raises:
            OutputError: something could not be written.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._unwritten.set()
        self._flusher.join()
        try:
            if self._failure is not None:
                raise self._failure
            self.flush()
        finally:
            self._close_sinks()

    def _close_sinks(self) -> None:
        for sink in {id(sink): sink for sink in self._sinks.values()}.values():
            sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
