"""Pipes, their items and input files."""

from __future__ import annotations

from typing import Any

from slither_actors.errors._base import SlitherError
from slither_actors.errors._text import safe_text

__all__ = [
    "InputError",
    "ItemError",
    "OutputFullError",
    "PipeCancelledError",
    "PipeDefinitionError",
    "PipeError",
    "PipeStoppedError",
    "PipeTimeoutError",
    "PushTimeoutError",
]


class PipeDefinitionError(SlitherError):
    """A pipe's class body is wrong; the message names the pipe and the stage."""

    def __init__(self, pipe: str, problem: str, *, stage: str = "") -> None:
        self.pipe = pipe
        self.stage = stage
        where = f"{pipe}.{stage}" if stage else pipe
        super().__init__(f"pipe {where}: {problem}")


class ItemError(SlitherError):
    """A stage's handler said that one item failed; `reason` is what it gave."""

    def __init__(self, item: str, problem: str, reason: object = None) -> None:
        self.item = item
        self.reason = reason
        super().__init__(f"{item} {problem}")


class PipeError(SlitherError):
    """A run of a pipe ended early.

    `partial_results` maps every output to the items that had reached it.
    """

    def __init__(
        self,
        reason: BaseException,
        partial_results: dict[str, list[Any]],
        *,
        pipe: str = "",
        stage: str = "",
        item: str = "",
    ) -> None:
        self.reason = reason
        self.partial_results = partial_results
        self.pipe = pipe
        self.stage = stage
        self.item = item
        """What failed, in words: an item, a batch, or how far the input had been read."""
        where = f"{pipe}.{stage}" if stage else pipe
        said = f"{type(reason).__name__}: {safe_text(reason)}"
        super().__init__(f"pipe {where} halted: {_with_item(said, item)}{_about_items(reason)}")


def _with_item(said: str, item: str) -> str:
    """Put the item behind the first line of what was said, unless it is in there."""
    if not item or item in said:
        return said
    first, newline, rest = said.partition("\n")
    return f"{first} ({item}){newline}{rest}"


def _about_items(reason: BaseException) -> str:
    """Help whoever takes the item for its payload."""
    if isinstance(reason, (AttributeError, TypeError)) and "'Item' object" in safe_text(reason):
        return "; a stage gets an Item: what was put in is item.payload"
    return ""


class PipeTimeoutError(PipeError):
    """A run of a pipe took longer than its ``timeout``. What still ran of it is ended."""

    def __init__(
        self, seconds: float, partial_results: dict[str, list[Any]], *, pipe: str = "", far: str = ""
    ) -> None:
        super().__init__(TimeoutError(f"longer than {seconds:g} s"), partial_results, pipe=pipe)
        self.seconds = seconds
        """The timeout."""
        self.args = (f"pipe {pipe} was not done after {seconds:g} s: {far}",)


class PipeCancelledError(PipeError):
    """Somebody cancelled a run of a pipe."""

    def __init__(
        self, why: str, partial_results: dict[str, list[Any]], *, pipe: str = "", far: str = ""
    ) -> None:
        super().__init__(InterruptedError(why), partial_results, pipe=pipe)
        self.why = why
        """What the canceller gave as the reason."""
        self.args = (f"pipe {pipe} was cancelled{f' ({why})' if why else ''}: {far}",)


class PipeStoppedError(SlitherError):
    """A pipe that was running on takes no more items."""

    def __init__(self, pipe: str, why: str, pushed: int = 0) -> None:
        self.pipe = pipe
        self.why = why
        """Why it takes none."""
        self.pushed = pushed
        """Items of this push that it took before."""
        super().__init__(f"pipe {pipe!r} {why}; it took {pushed:,} items of this push, and takes no more")


class PushTimeoutError(SlitherError):
    """A pipe that runs on did not want all items of a push in time."""

    def __init__(
        self, pipe: str, seconds: float, pushed: int, *, paused: bool = False, within: bool = False
    ) -> None:
        self.pipe = pipe
        self.seconds = seconds
        """How long it was waited for."""
        self.pushed = pushed
        """Items that it took."""
        slow = "its stages, or its rate_limit, are slower than the push, see status()"
        why = "it is paused: call resume()" if paused else slow
        if within:
            why = "one of its own stages pushes, and holds it up: push in another thread, or return Many(...)"
        super().__init__(f"pipe {pipe!r} took {pushed:,} items in {seconds:g} s, and no more; {why}")


class OutputFullError(SlitherError):
    """One output of a stream is read, and the next item is for another one, whose buffer is full.

    Nothing is lost: once there is room, reading goes on where it stopped.
    """

    def __init__(self, output: str, wanted: str, size: int, *, pipe: str = "", waited: float = 0.0) -> None:
        self.output = output
        """The one that is full."""
        self.wanted = wanted
        """The one that was read."""
        self.size = size
        """Items that a buffer may hold."""
        self.pipe = pipe
        waiting = f", and nobody took one for {waited:g} s" if waited else ""
        super().__init__(
            f"output {output!r} of pipe {pipe} is full: {size:,} of its items wait for a reader{waiting}, "
            f"and the next item is for it, so {wanted!r} gets none. Read {output!r} too (in the same loop, "
            f"or in a thread of its own with outputs(wait=seconds)), call stream.discard({output!r}) if "
            f"nobody wants it, or raise outputs(buffer_size={size})"
        )


class InputError(SlitherError):
    """An input file is missing, unreadable or has a broken line.

    `line` counts from one; None where the whole file is meant.
    """

    def __init__(self, path: str, problem: str, *, line: int | None = None) -> None:
        self.path = path
        self.line = line
        where = f"{path}, line {line:,}" if line is not None else path
        super().__init__(f"{where}: {problem}")
