"""Finding the pipe that a user names on the command line, and what it needs to run."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from types import ModuleType

import slither_actors
from slither_actors.dispatch import (
    AsyncExecutor,
    FuturesExecutor,
    InlineExecutor,
    PoolExecutor,
    ThreadExecutor,
)
from slither_actors.errors import SlitherError
from slither_actors.pipe import Pipe, WorkerStage

__all__ = ["PipeNotFoundError", "find_pipe", "pools_of"]

_OURS = os.path.dirname(slither_actors.__file__)  # noqa: PTH120 - a string, as in tracebacks


class PipeNotFoundError(SlitherError):
    """What was named on the command line is no pipe that can be imported."""

    def __init__(self, spec: str, problem: str, *, import_failed: bool = False) -> None:
        self.spec = spec
        self.import_failed = import_failed
        """The module is there and raised."""
        super().__init__(f"pipe {spec!r}: {problem}")


def find_pipe(spec: str) -> type[Pipe]:
    """Import ``"module:PipeClass"``; modules of the current folder are found, as ``python -m`` does.

    Workers get the same search path.

    Raises:
        PipeNotFoundError: it cannot be imported, or is no pipe.
    """
    module_name, colon, path = spec.partition(":")
    if not (module_name and colon and path):
        raise PipeNotFoundError(spec, "write it as module:PipeClass")
    if not all(part.isidentifier() for part in module_name.split(".")):
        problem = f"{module_name!r} is no name of a module; write module:PipeClass, modules of the current"
        raise PipeNotFoundError(spec, f"{problem} folder are found by their name alone")
    try:
        here = os.getcwd()  # noqa: PTH109 - a string for sys.path
    except OSError as error:
        raise PipeNotFoundError(spec, f"the current folder cannot be used: {error.strerror}") from error
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _import(spec, module_name)
    found: object = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise PipeNotFoundError(
                spec, f"{module_name} has no {path}{_near(part, _pipes(module))}"
            ) from error
    if not isinstance(found, type) or not issubclass(found, Pipe) or found is Pipe:
        raise PipeNotFoundError(spec, f"it is {_kind(found)}, not a Pipe{_near(path, _pipes(module))}")
    return found


def _import(spec: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in _parents(name):
            problem = f"there is no module {error.name!r} in the current folder or on the search path"
            raise PipeNotFoundError(spec, problem) from error
        problem = f"importing {name} failed: {_said(error)}{_place(error)}"
        raise PipeNotFoundError(spec, problem, import_failed=True) from error


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


def _pipes(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Pipe) and value is not Pipe
    ]


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; its pipes are {', '.join(known)}" if known else "; it has no pipes"


def _kind(found: object) -> str:
    return f"the class {found.__qualname__}" if isinstance(found, type) else f"a {type(found).__qualname__}"


def pools_of(pipe: type[Pipe]) -> list[str]:
    """The names of the pools that a pipe's worker stages use."""
    names = []
    for stage in pipe.definition.stages:
        declaration = stage.declaration
        if isinstance(declaration, WorkerStage):
            executor = declaration.dispatch.make_executor()
            if isinstance(executor, PoolExecutor):
                names.append(executor.pool)
            elif not isinstance(executor, (AsyncExecutor, FuturesExecutor, InlineExecutor, ThreadExecutor)):
                names.append(declaration.dispatch.pool)
    return list(dict.fromkeys(names))
