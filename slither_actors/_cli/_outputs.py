"""What comes out of a pipe as JSON lines: a file per output, or all on standard output.

Lines are gathered and written together, whole lines only, so that a process
that is killed leaves whole lines. A thread writes what is gathered when the
pipe is slow: nothing waits for longer than `FLUSH_SECONDS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self

from slither_actors.errors import SlitherError
from slither_actors.item import Item

__all__ = ["FLUSH_SECONDS", "OutputClosedError", "OutputError", "Outputs"]

FLUSH_SECONDS: Final = 0.25
_FLUSH_BYTES: Final = 2**16

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_encode_ascii = json.JSONEncoder(allow_nan=False).encode


class OutputError(SlitherError):
    """An output cannot be written, or an item cannot be written to it."""


class OutputClosedError(OutputError):
    """Nobody reads standard output any more."""


class _Sink:
    """One place that lines go to. Its owner's lock is held by whoever calls."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._lines: list[bytes] = []
        self._held = 0

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self._held += len(line)
        if self._held >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._lines:
            return
        data, self._lines, self._held = memoryview(b"".join(self._lines)), [], 0
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except BrokenPipeError as error:
            raise OutputClosedError(f"nobody reads {self._name} any more") from error
        except OSError as error:
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error

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
        """Items written, by output."""
        self._folder = folder
        self._on_failure = on_failure
        self._sinks: dict[str, _Sink] = {}
        self._lock = threading.Lock()
        self._unwritten = threading.Event()
        self._closing = threading.Event()
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
            return next(iter(self._sinks.values()), None) or _Sink(1, "standard output")
        path = self.path(self._folder, name)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return _Sink(fd, str(path))

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
            sink.add(line)
            self.counts[item.route] = self.counts.get(item.route, 0) + 1
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

    def flush_if_free(self) -> None:
        """Write what is gathered unless somebody is at it. For a signal handler: never waits nor raises."""
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
