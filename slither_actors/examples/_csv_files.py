"""CSV files as people have them: with a header or without, with commas or spaces, plain or gzipped.

The first line is a header unless all of it are numbers. Scikit-learn's own
files begin with the number of rows, of columns and the names of classes; such
a line describes the file and is no row.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import attrs

from slither_actors.errors import InputError
from slither_actors.examples._files import check_file
from slither_actors.examples._packages import sklearn_folder

__all__ = ["CsvFile", "csv_files", "number"]

_BROKEN: Final = (csv.Error, OSError, EOFError, zlib.error)
"""What reading a file raises that is no CSV file, is compressed wrongly, or breaks off."""

_LARGEST: Final = 1e150
"""The sum of the squares of many of them is finite."""

_COUNT: Final = re.compile(r"[0-9]{1,12}")


def number(cell: str) -> float | None:
    """Return the number that a cell holds, or None; also for one that cannot be reckoned with."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None


@attrs.frozen(kw_only=True)
class CsvFile:
    """One file. Iterating it reads its rows anew, one at a time, each with its line."""

    name: str
    """The file's name, without its folder; that of a second file of a name says that it is."""

    path: Path
    columns: tuple[str, ...]
    separator: str
    skipped: int
    """Lines that are not empty before the first row."""

    promised: int | None = None
    """Rows that the file's first line says it has."""

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        with _opened(self.path) as file:
            rows = csv.reader(file, delimiter=self.separator, skipinitialspace=True)
            try:
                for row in itertools.islice(filter(None, rows), self.skipped, None):
                    yield rows.line_num, row
            except _BROKEN as error:
                unread = not isinstance(error, csv.Error)  # which is raised behind the line
                raise InputError(str(self.path), str(error), line=rows.line_num + unread) from error


def csv_files(example: str, paths: Sequence[Path]) -> list[CsvFile]:
    """Return the files of `paths`, or those that scikit-learn ships.

    Raises:
        InputError: one is missing, not readable or empty; scikit-learn is wanted and not installed.
    """
    if not paths:
        folder = sklearn_folder(example, "data")
        paths = [path for path in sorted(folder.iterdir()) if path.name.endswith((".csv", ".csv.gz"))]
    seen: Counter[str] = Counter()
    files = []
    for path in paths:
        seen[path.name] += 1
        again = f" ({seen[path.name]})" if seen[path.name] > 1 else ""
        files.append(_examined(path, path.name + again))
    return files


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _examined(path: Path, name: str) -> CsvFile:
    check_file(path)
    try:
        with _opened(path) as file:
            lines = list(itertools.islice((line for line in file if line.strip()), 2))
        first, second = [*lines, "", ""][:2]
        if "\0" in first + second:
            raise InputError(
                str(path), "is no text that can be read: it has null bytes, as UTF-16 and pictures have"
            )
        separator = next((each for each in (",", ";", "\t", " ") if each in first), ",")
        cells, below = (
            next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
            for line in (first, second)
        )
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(str(path), f"cannot be read: {reason}") from error
    if not cells:
        raise InputError(str(path), "is empty")
    unnamed = tuple(f"column {position}" for position in range(1, len(below or cells) + 1))
    numbers = [number(cell) is not None for cell in cells]
    if all(numbers):
        return CsvFile(name=name, path=path, columns=unnamed, separator=separator, skipped=0)
    if len(cells) > 2 and all(map(_COUNT.fullmatch, cells[:2])) and not any(numbers[2:]):
        promised = int(cells[0])
        return CsvFile(
            name=name, path=path, columns=unnamed, separator=separator, skipped=1, promised=promised
        )
    return CsvFile(name=name, path=path, columns=tuple(cells), separator=separator, skipped=1)
