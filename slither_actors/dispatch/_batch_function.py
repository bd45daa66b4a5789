"""The function that a user gives to an executor: looked at once, where it is given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from slither_actors.config import shown
from slither_actors.errors import OptionError

__all__ = ["checked_coroutine_function", "checked_function", "function_name", "makes_coroutines"]


def checked_function(function: Any, where: str) -> Callable[..., Any]:
    """Return a function that can be called with a list of payloads, and the context if it wants it.

    Raises:
        OptionError: it is none, it is a coroutine function, or it takes other arguments.
    """
    if not callable(function):
        raise OptionError("function", f"is {shown(function)}; allowed is a callable", where=where)
    if makes_coroutines(function):
        problem = (
            f"is the coroutine function {function_name(function)}; "
            "allowed is a plain function, and AsyncExecutor runs coroutine functions"
        )
        raise OptionError("function", problem, where=where)
    _check_parameters(function, where, "payloads")
    return function  # type: ignore[no-any-return]


def checked_coroutine_function(function: Any, where: str, first: str) -> Callable[..., Any]:
    """Return a coroutine function that can be called with `first`, and the context if it wants it.

    Raises:
        OptionError: it is none, or it takes other arguments.
    """
    if not callable(function) or not makes_coroutines(function) or isinstance(function, type):
        what = f"the plain function {function_name(function)}" if callable(function) else shown(function)
        problem = f"is {what}; allowed is a coroutine function (async def)"
        raise OptionError("function", problem, where=where)
    if inspect.isasyncgenfunction(_innermost(function)):
        problem = (
            f"is the async generator function {function_name(function)}; "
            "allowed is a coroutine function, which returns its results"
        )
        raise OptionError("function", problem, where=where)
    _check_parameters(function, where, first)
    return function  # type: ignore[no-any-return]


def makes_coroutines(function: Any) -> bool:
    """Whether a call returns something to await, or an async iterator, in place of results."""
    inner = _innermost(function)
    return inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)


def function_name(function: Any) -> str:
    """How errors and telemetry call it."""
    inner = function.func if isinstance(function, functools.partial) else function
    name = getattr(inner, "__qualname__", None)
    return name if isinstance(name, str) else type(inner).__qualname__


def _innermost(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return getattr(type(function), "__call__", function)  # noqa: B004 - an object that can be called


def _check_parameters(function: Any, where: str, first: str) -> None:
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return  # a builtin that does not tell
    for arguments, keywords in (((first,), {}), ((first, "ctx"), {}), ((first,), {"ctx": "ctx"})):
        try:
            signature.bind(*arguments, **keywords)
        except TypeError:
            continue
        return
    problem = f"is {function_name(function)}{signature}; allowed are ({first}) and ({first}, ctx)"
    raise OptionError("function", problem, where=where)
