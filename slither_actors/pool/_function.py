"""What a worker runs: a target that it has imported or unpickled.

In a file of its own, apart from `_target`: every worker imports it before it is
ready, so it imports little.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final, TypeGuard

from slither_actors.errors import TargetError, safe_text

__all__ = [
    "Function",
    "adapt",
    "context_style",
    "is_loading",
    "load_target",
    "refuse_lazy",
    "resolve",
    "run_hook",
]

Function = Callable[[list[Any], Any], Any]
"""What a target becomes in a worker: called with the payloads and the context."""

_VARIADIC: Final = 0x04 | 0x08
_COROUTINE: Final = 0x80
"""Flags of code, as in `inspect`, whose import takes as long as the start of a worker."""


def resolve(data: bytes | bytearray | memoryview) -> tuple[str, Function, bool]:
    """Import or unpickle a target; return its name, the function, and whether it looks at the context.

    Raises:
        TargetError: that failed.
    """
    name, found = load_target(data)
    if _is_coroutine_function(found):
        msg = f"{name} is a coroutine function; workers run plain ones, AsyncExecutor runs coroutines"
        raise TargetError(msg)
    style = context_style(found)
    return name, _adapted(found, style), style != "none"


def run_hook(data: bytes, worker: object) -> Any:
    """Call a target that runs once per worker, and return its value; it may take the worker as its argument.

    Raises:
        TargetError: it could not be loaded.
        BaseException: what it raised.
    """
    name, function = load_target(data)
    refuse_lazy(function, name)
    import inspect  # noqa: PLC0415 - most workers have no hook

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]  # a builtin that does not tell
    if any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters.values()):
        return function(worker)
    return function()


def refuse_lazy(function: Callable[..., Any], name: str) -> None:
    """Refuse what would do nothing if it were called.

    Raises:
        TargetError: it is a coroutine function or a generator function.
    """
    import inspect  # noqa: PLC0415 - as above

    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TargetError(f"{name} is a coroutine function; workers run plain ones: asyncio.run in it")
    if inspect.isgeneratorfunction(function):
        raise TargetError(
            f"{name} is a generator function, of which nothing would run; a plain one is wanted"
        )


_loading = False


def is_loading() -> bool:
    """Whether this process is a worker that imports what it is to run."""
    return _loading


def load_target(data: bytes | bytearray | memoryview) -> tuple[str, Callable[..., Any]]:
    """Import or unpickle what a target names, as it is.

    Raises:
        TargetError: that failed.
    """
    global _loading  # noqa: PLW0603 - a worker loads one target at a time
    _loading = True
    try:
        return _load_target(data)
    finally:
        _loading = False


def _load_target(data: bytes | bytearray | memoryview) -> tuple[str, Callable[..., Any]]:
    name, spec, pickled = pickle.loads(data)  # strings and bytes of our own making
    if spec:
        found = _import(spec)
    else:
        try:
            found = pickle.loads(pickled)  # from our own driver
        except TargetError:
            raise  # it says by itself what is wrong
        except BaseException as error:
            raise TargetError(_failure(name, error)) from error
    if not callable(found):
        raise TargetError(f"{name} is a {type(found).__qualname__}, not a function")
    return name, found


def _import(spec: str) -> Any:
    module_name, _, path = spec.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except BaseException as error:
        raise TargetError(_failure(spec, error)) from error
    return found


def _failure(name: str, error: BaseException) -> str:
    text = f"a worker cannot import {name}: {type(error).__qualname__}: {safe_text(error)}"
    if isinstance(error, ModuleNotFoundError):
        from pathlib import Path  # noqa: PLC0415 - workers need it for this only

        text += (
            f" (searched from {Path.cwd()} in {', '.join(sys.path[:4])}{', …' if len(sys.path) > 4 else ''}; "
            "install the package, or put its folder on PYTHONPATH)"
        )
    elif isinstance(error, AttributeError) and "__main__" in text:
        text += (
            " (workers import the program's main module, without what is under its "
            "\"if __name__ == '__main__':\": define the function above that, or in a module of its own)"
        )
    return text


def adapt(function: Callable[..., Any]) -> Function:
    """Turn a batch function into one of payloads and context; it gets the context if it asks for it.

    It asks with a parameter named ``ctx``, or with a second positional parameter that has no default.
    """
    return _adapted(function, context_style(function))


def _adapted(function: Callable[..., Any], style: str) -> Function:
    match style:
        case "positional":
            return function
        case "keyword":
            return lambda payloads, context: function(payloads, ctx=context)
        case _:
            return lambda payloads, _: function(payloads)


def context_style(function: Callable[..., Any]) -> str:
    """How `function` takes the context: it has a parameter ``ctx``, or must have a second argument."""
    if _is_simple(function) and function.__code__.co_argcount == 1:
        return "none"
    import inspect  # noqa: PLC0415 - many functions take nothing but a batch

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return "none"  # a builtin that does not tell
    for parameter in parameters[1:]:
        if parameter.name == "ctx" and parameter.kind is not parameter.POSITIONAL_ONLY:
            return "keyword"
    if len(parameters) > 1:
        second = parameters[1]
        positional = second.kind in (second.POSITIONAL_ONLY, second.POSITIONAL_OR_KEYWORD)
        if positional and (second.default is second.empty or second.name == "ctx"):
            return "positional"
    return "none"


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    if _is_simple(function):
        return bool(function.__code__.co_flags & _COROUTINE)
    import inspect  # noqa: PLC0415 - as above

    return inspect.iscoroutinefunction(function)


def _is_simple(function: Callable[..., Any]) -> TypeGuard[FunctionType]:
    """Whether its code says all: positional parameters only, and no attribute claims something else."""
    if type(function) is not FunctionType or function.__dict__:
        return False
    code = function.__code__
    return not (code.co_kwonlyargcount or code.co_flags & _VARIADIC)
