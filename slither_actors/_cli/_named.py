"""Finding what a user names on the command line: a pipe, or a store."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs

import slither_actors
from slither_actors.errors import SlitherError
from slither_actors.pipe import Pipe
from slither_actors.store import Store

__all__ = ["NotFoundError", "find_pipe", "find_stores"]

_OURS = os.path.dirname(slither_actors.__file__)  # noqa: PTH120 - a string, as in tracebacks


@attrs.frozen
class _Wanted:
    """What is looked for, in words and as classes."""

    noun: str
    form: str
    classes: tuple[type, ...]


_PIPE: Final = _Wanted("pipe", "module:PipeClass", (Pipe,))
_STORE: Final = _Wanted("store", "module:StoreClass", (Store, Pipe))


class NotFoundError(SlitherError):
    """What was named on the command line cannot be imported, or is something else."""

    def __init__(self, noun: str, spec: str, problem: str, *, import_failed: bool = False) -> None:
        self.spec = spec
        self.import_failed = import_failed
        """The module is there and raised."""
        super().__init__(f"{noun} {spec!r}: {problem}")


def find_pipe(spec: str) -> type[Pipe]:
    """Import ``"module:PipeClass"``; modules of the current folder are found, as ``python -m`` does.

    Workers get the same search path.

    Raises:
        NotFoundError: it cannot be imported, or is no pipe.
    """
    return _find(spec, _PIPE)


def find_stores(spec: str) -> list[type[Store]]:
    """Import ``"module:StoreClass"``, or ``"module:PipeClass"`` for the stores that the pipe lists.

    Raises:
        NotFoundError: it cannot be imported, is neither, or is a pipe without stores.
    """
    found = _find(spec, _STORE)
    if issubclass(found, Store):
        return [found]
    stores = list(found.definition.stores.values())
    if not stores:
        raise NotFoundError("store", spec, "the pipe lists no stores")
    return stores


def _find(spec: str, wanted: _Wanted) -> type[Any]:
    module_name, colon, path = spec.partition(":")
    if not (module_name and colon and path):
        raise NotFoundError(wanted.noun, spec, f"write it as {wanted.form}")
    if not all(part.isidentifier() for part in module_name.split(".")):
        problem = f"{module_name!r} is no name of a module; write {wanted.form}, modules of the current"
        raise NotFoundError(wanted.noun, spec, f"{problem} folder are found by their name alone")
    try:
        here = os.getcwd()  # noqa: PTH109 - a string for sys.path
    except OSError as error:
        raise NotFoundError(
            wanted.noun, spec, f"the current folder cannot be used: {error.strerror}"
        ) from error
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _import(spec, module_name, wanted)
    found: object = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise NotFoundError(
                wanted.noun, spec, f"{module_name} has no {path}{_near(part, module, wanted)}"
            ) from error
    if not isinstance(found, type) or not issubclass(found, wanted.classes) or found in wanted.classes:
        raise NotFoundError(
            wanted.noun,
            spec,
            f"it is {_kind(found)}, not a {wanted.classes[0].__name__}{_near(path, module, wanted)}",
        )
    return found


def _import(spec: str, name: str, wanted: _Wanted) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in _parents(name):
            problem = f"there is no module {error.name!r} in the current folder or on the search path"
            problem += _near_module(name)
            raise NotFoundError(wanted.noun, spec, problem) from error
        problem = f"importing {name} failed: {_said(error)}{_place(error)}"
        raise NotFoundError(wanted.noun, spec, problem, import_failed=True) from error


def _near_module(name: str) -> str:
    """What was probably meant: the module of a file whose name was given, or one of the current folder."""
    if name.endswith(".py"):
        return f"; write {name.removesuffix('.py')!r}, without the ending"
    try:
        here = {path.stem for path in Path().glob("*.py")}
    except OSError:
        return ""
    near = difflib.get_close_matches(name, sorted(here), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _said(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(error: BaseException) -> str:
    """Where in the user's code it was raised."""
    if isinstance(error, SyntaxError):
        return ""  # says so itself
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", _OURS))
    ]
    # The first one is in importlib.
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if len(theirs) > 1 else ""


def _near(name: str, module: ModuleType, wanted: _Wanted) -> str:
    known = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, wanted.classes) and value not in wanted.classes
    ]
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    nouns = f"{wanted.noun}s"
    return f"; its {nouns} are {', '.join(known)}" if known else f"; it has no {nouns}"


def _kind(found: object) -> str:
    return f"the class {found.__qualname__}" if isinstance(found, type) else f"a {type(found).__qualname__}"
