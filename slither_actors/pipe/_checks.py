"""What is checked of functions and names when a stage is declared."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from functools import partial
from types import FunctionType
from typing import Any

from slither_actors.dispatch._batch_function import makes_coroutines
from slither_actors.errors import OptionError

__all__ = [
    "accepts",
    "check_function",
    "check_methods",
    "check_route",
    "comparable",
    "is_generator",
    "name_of",
    "names",
    "positional",
]

_ASYNCHRONOUS = "is asynchronous; a stage is called by an actor: make it a plain def"
_GENERATOR = "is a generator; return Many(...) to make many items of one"

_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check_route(output: Any, predicate: Any) -> None:
    """Refuse what is no name of a route, or no predicate."""
    if not isinstance(output, str) or not output:
        raise OptionError("routes", f"has the output {output!r}; allowed are names", where="router")
    problem = ""
    problem = ""
    if not callable(predicate):
        hint = "; did you mean 'on_error'?" if difflib.get_close_matches(output, ["on_error"]) else ""
        problem = f"is {predicate!r:.200}; allowed is a predicate of an item{hint}"
    elif makes_coroutines(predicate):
        problem = f"{_ASYNCHRONOUS}, or it would hold for every item"
    elif is_generator(predicate):
        problem = "is a generator, which would hold for every item; allowed is a plain def"
    elif not accepts(predicate, 1):
        takes = ", ".join(inspect.signature(predicate).parameters)
        problem = f"takes ({takes}); it gets (item)"
    if problem:
        raise OptionError(output, problem, where="router")


def check_function(function: Any, option: str = "function", given: str = "(item, ctx) or (item)") -> None:
    """Refuse what would not do what it looks like."""
    if not callable(function) or isinstance(function, type):
        allowed = "a function, a Stage subclass and a Pipe" if option == "function" else "a function"
        raise OptionError(
            option, f"is {function!r:.200}; allowed {'are' if ',' in allowed else 'is'} {allowed}"
        )
    if makes_coroutines(function):
        raise OptionError(option, _ASYNCHRONOUS)
    if is_generator(function):
        raise OptionError(option, _GENERATOR)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return  # a builtin that does not tell
    found = list(parameters)
    if found and found[0] == "self":
        raise OptionError(option, f"has a parameter 'self'; it gets {given}, and no self")
    if not any(accepts(function, count) for count in (1, 2)):
        raise OptionError(option, f"takes ({', '.join(found)}); it gets {given}")
    if "ctx" in found[:1] + found[2:] and not isinstance(function, partial):
        raise OptionError(option, f"takes ({', '.join(found)}); 'ctx' is the second of two: it gets {given}")


def is_generator(function: Any) -> bool:
    """Whether a call only makes a generator."""
    call = getattr(type(function), "__call__", None)  # noqa: B004 - an object that can be called
    return inspect.isgeneratorfunction(function) or inspect.isgeneratorfunction(call)


def check_methods(stage: type, base: type) -> None:
    """Refuse methods of a stage's class that would not do what they look like.

    Args:
        stage: a subclass of `base`, which has the four methods and does nothing in them.
        base: `Stage`.
    """
    for name, given in _GIVEN.items():
        method = getattr(stage, name)
        if method is getattr(base, name):
            continue
        if not callable(method):
            raise _of_class(stage, f"whose {name} is {method!r:.200}; allowed is a method")
        if makes_coroutines(method):
            raise _of_class(stage, f"whose {name} {_ASYNCHRONOUS}")
        if name != "handle_batch" and is_generator(method):
            problem = _GENERATOR if name == "handle_item" else "is a generator, of which nothing would run"
            raise _of_class(stage, f"whose {name} {problem}")
        # What is no plain function, a static method say, may get the stage or not.
        is_plain = isinstance(inspect.getattr_static(stage, name), FunctionType)
        most = given.count(",") + 1
        if given and not any(
            accepts(method, count) for count in range(most if is_plain else most - 1, most + 1)
        ):
            takes = ", ".join(inspect.signature(method).parameters)
            raise _of_class(stage, f"whose {name} takes ({takes}); it gets {given}")


_GIVEN = {
    "init": "",
    "handle_item": "(self, item, ctx)",
    "handle_batch": "(self, items, ctx)",
    "shutdown": "(self)",
}
"""The methods of a stage and what they get; that `init` takes the options is checked by `ClassStage`."""


def _of_class(stage: type, problem: str) -> OptionError:
    return OptionError("function", f"is {stage.__name__}, {problem}")


def accepts(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments, as far as it tells."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True  # a builtin that does not tell
    return True


def positional(function: Callable[..., Any]) -> int:
    """Return how many of (item, ctx) a function wants: ctx is what comes second and has no default."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 1  # a builtin that does not tell
    placed = [each for each in parameters if each.kind in _PLACED]
    if len(placed) > 1:
        return 2 if placed[1].default is placed[1].empty or placed[1].name == "ctx" else 1
    return 2 if any(each.kind is each.VAR_POSITIONAL for each in parameters) else 1


def name_of(function: Any) -> str:
    """Return the name of a function or of what is called like one."""
    if isinstance(function, partial):
        return f"partial of {name_of(function.func)}"
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def comparable(function: Any) -> Any:
    """Return what is equal for two functions that do the same: partials of one function, say."""
    if isinstance(function, partial):
        return partial, comparable(function.func), function.args, function.keywords
    return function


def names(option: str, value: Any) -> tuple[str, ...]:
    """Take a list of different names, or one name. Those of a set are sorted: its order is no one's.

    Raises:
        OptionError: it is something else.
    """
    if isinstance(value, str):
        value = (value,)
    allowed = "allowed are a name and a list of names"
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise OptionError(option, f"is {value!r:.200}; {allowed}")
    found = tuple(sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)
    if not found:
        raise OptionError(option, f"is empty; {allowed}")
    for each in found:
        if not isinstance(each, str) or not each:
            raise OptionError(option, f"has {each!r:.200}; {allowed}")
        if found.count(each) > 1:
            raise OptionError(option, f"has {each!r} twice")
    return found
