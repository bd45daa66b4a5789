"""Keywords that nobody takes: a misspelt option, which would be an argument of `init` otherwise."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from types import FunctionType
from typing import Any

from slither_actors.config import did_you_mean
from slither_actors.errors import OptionError

__all__ = ["takes", "unknown_keyword"]


def takes(function: Any, given: Mapping[str, Any]) -> bool:
    """Whether `function` takes these keywords; true if there is no telling."""
    parameters = _parameters(function)
    return parameters is None or not [name for name in given if name not in parameters]


def unknown_keyword(
    function: Any, given: Mapping[str, Any], *, title: str, where: str, options: Collection[str] = ()
) -> OptionError:
    """Return the error for a keyword that `function` does not take, with what comes nearest.

    Args:
        function: what would get the keywords.
        given: those that are no options.
        title: what to call the function.
        where: whose options they are.
        options: those that there are besides.
    """
    parameters = {*(_parameters(function) or ())} - {"self"}
    name = next(name for name in given if name not in parameters)
    near = did_you_mean(name, [*options, *parameters])
    accepted = f"{title} takes {', '.join(sorted(parameters)) or 'none'}"
    if not options:
        return OptionError(name, f"is no parameter of {title}{near} Allowed: {accepted}", where=where)
    known = ", ".join(sorted(options))
    what = f"is neither an option nor a parameter of {title}{near}"
    return OptionError(name, f"{what} Allowed: the options {known}, and {accepted}", where=where)


def _parameters(function: Any) -> tuple[str, ...] | None:
    """The names that can be keywords; None if there is no telling, or any can."""
    if not isinstance(function, FunctionType):
        return None
    # Without `inspect.signature`, which takes longer than the start of an actor.
    code = function.__code__
    if code.co_flags & inspect.CO_VARKEYWORDS:
        return None
    return code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
