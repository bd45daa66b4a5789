"""Lines as payloads: text, JSON or rows, with what to do about one that is broken.

`Records` is an iterator and no generator: after a broken line under ``"halt"``
it has raised, yet what was read before it is on its way through the pipe.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any, Final, Never, Self

from slither_actors._cli._lines import MAX_LINE, Line
from slither_actors.errors import InputError

__all__ = ["FORMATS", "Records", "format_of"]

_BY_SUFFIX: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
}
_BLANK: Final = b" \t\r"


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON value")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


class BrokenLineError(Exception):
    """A line that cannot be taken."""

    def __init__(self, line: int, problem: str, *, fatal: bool = False) -> None:
        self.line = line
        self.problem = problem
        self.fatal = fatal
        """Without it nothing can be read, so it cannot be left out."""
        super().__init__(problem)


Decoder = Callable[[Iterator[Line]], Iterator[Any]]
"""Takes lines, returns an iterator that may raise `BrokenLineError` and be asked again."""


def format_of(path: str) -> str:
    """Guess the format from the name; ``"lines"`` where it says nothing."""
    return _BY_SUFFIX.get(PurePath(path).suffix.lower(), "lines")


class Records(Iterator[Any]):
    """The payloads of an input.

    Args:
        lines: the input's lines.
        name: how errors call the input.
        form: ``"lines"``, ``"jsonl"`` or ``"csv"``.
        skip: whether a broken line is left out and counted; else it raises `InputError`.
        on_skip: told the line and the problem of each that is left out.
    """

    def __init__(
        self,
        lines: Iterable[Line],
        *,
        name: str,
        form: str,
        skip: bool = False,
        on_skip: Callable[[int, str], object] = lambda line, problem: None,
    ) -> None:
        self.name = name
        self.read = 0
        """Payloads given out."""
        self.broken = 0
        """Lines left out."""
        self._skip = skip
        self._on_skip = on_skip
        self._payloads = FORMATS[form](iter(lines))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                payload = next(self._payloads)
            except BrokenLineError as broken:
                if broken.fatal or not self._skip:
                    raise InputError(self.name, broken.problem, line=broken.line) from broken.__cause__
                self.broken += 1
                self._on_skip(broken.line, broken.problem)
                continue
            self.read += 1
            return payload


def _text(line: Line) -> str:
    """Decode one line, without the end that Windows gives it."""
    data = line.data
    if data is None:
        raise BrokenLineError(line.number, f"is longer than {MAX_LINE // 2**20} MiB")
    if line.number == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte 0x{data[error.start]:02x} at byte {error.start + 1} of the line"
        raise BrokenLineError(line.number, problem) from error


class _Texts(Iterator[str]):
    """Each line is a string."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines

    def __next__(self) -> str:
        return _text(next(self._lines))


class _Values(Iterator[Any]):
    """Each line is a JSON value; blank ones are passed over."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines

    def __next__(self) -> Any:
        while True:
            line = next(self._lines)
            if line.data is None or line.data.strip(_BLANK):
                return self._value(line)

    def _value(self, line: Line) -> Any:
        text = _text(line)
        try:
            return _decode(text)
        except json.JSONDecodeError as error:
            raise BrokenLineError(line.number, f"is not JSON: {error.msg} at column {error.colno}") from error
        except (ValueError, RecursionError) as error:  # a number of too many digits, too deep a nesting
            raise BrokenLineError(line.number, f"is not JSON that can be read: {error}") from error


class _Rows(Iterator[dict[str, str]]):
    """The first row names the columns; each other row is a mapping of column to text.

    A row may span lines, inside quotes. One that turns out to be broken costs
    its first line only, the others are looked at again: a stray quote does not
    swallow what follows.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._columns: list[str] | None = None

    def __next__(self) -> dict[str, str]:
        if self._columns is None:
            self._columns = self._header()
        while True:
            row = self._row()
            if not row:
                continue  # a blank line
            if len(row) != len(self._columns):
                problem = f"has {len(row)} fields, the header has {len(self._columns)}"
                raise BrokenLineError(self._taken[0].number, problem)
            return dict(zip(self._columns, row, strict=True))

    def _header(self) -> list[str]:
        columns: list[str] = []
        try:
            while not columns:
                columns = self._row()
        except BrokenLineError as broken:
            raise BrokenLineError(broken.line, f"{broken.problem} (the header)", fatal=True) from broken
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            problem = f"names the column {twice[0]!r} twice (the header)"
            raise BrokenLineError(self._taken[0].number, problem, fatal=True)
        return columns

    def _row(self) -> list[str]:
        self._taken = []
        try:
            # A reader of its own for each row: one that has raised is left in the middle of something.
            return next(csv.reader(self._take(), strict=True))
        except csv.Error as error:
            first, *others = self._taken
            self._again.extendleft(reversed(others))
            problem = str(error)
            if len(self._taken) > 1:
                problem = f"{problem} ({len(self._taken)} lines on: a quote is never closed?)"
            raise BrokenLineError(first.number, f"is not CSV: {problem}") from error
        except BrokenLineError as broken:
            if len(self._taken) > 1:
                first, *others = self._taken
                self._again.extendleft(reversed(others))
                problem = f"is not CSV: a quoted field runs into line {broken.line:,}, which {broken.problem}"
                raise BrokenLineError(first.number, problem) from broken
            raise

    def _take(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            self._taken.append(line)
            yield f"{_text(line)}\n"


FORMATS: Final[dict[str, Decoder]] = {"lines": _Texts, "jsonl": _Values, "csv": _Rows}
"""Format name to what reads it."""
