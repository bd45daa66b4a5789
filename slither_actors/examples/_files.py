"""The files that a person names: those that are there, can be read, and have an end."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from slither_actors.errors import InputError

__all__ = ["check_file", "check_path", "files_below"]


def check_file(path: Path) -> None:
    """Refuse what is no file to be read from its beginning to its end, and again.

    Raises:
        InputError: it is missing, not readable, a folder, a pipe or a device.
    """
    problem = _problem(path)
    if problem:
        raise InputError(str(path), problem)


def check_path(path: Path) -> None:
    """As `check_file`; a folder will do.

    Raises:
        InputError: as there, or the folder cannot be listed.
    """
    if path.is_dir():
        _entries(path)
    else:
        check_file(path)


def files_below(paths: Sequence[Path], passed_over: list[str]) -> Iterator[Path]:
    """Yield the files among `paths` and in the folders among them, sorted by name, without hidden ones.

    What cannot be read in a folder is added to `passed_over`, with the reason.

    Raises:
        InputError: one of `paths` itself cannot be read.
    """
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path, _entries(path), passed_over)
        else:
            check_file(path)
            yield path


def _in_folder(folder: Path, entries: Sequence[Path], passed_over: list[str]) -> Iterator[Path]:
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if entry.is_symlink():  # it may lead back here
                continue
            try:
                below = _entries(entry)
            except InputError as error:
                passed_over.append(str(error))
            else:
                yield from _in_folder(entry, below, passed_over)
        elif problem := _problem(entry):
            passed_over.append(f"{entry}: {problem}")
        else:
            yield entry


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(str(folder), f"cannot be read: {error.strerror}") from error


def _problem(path: Path) -> str:
    try:
        # Before it is opened: to open a pipe waits for somebody who writes.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            return "cannot be read: it is a pipe or a device, and no file"
        path.open("rb").close()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError as error:  # a null byte in the name
        return f"cannot be read: {error}"
    return ""
