"""What is checked of functions and names when a stage is declared."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from slither_actors.errors import OptionError

__all__ = ["accepts", "check_function", "check_methods", "check_route", "name_of", "names", "positional"]

_ASYNCHRONOUS = "is asynchronous; a stage is called by an actor: make it a plain def"
_GENERATOR = "is a generator; return Many(...) to make many items of one"


def check_route(output: Any, predicate: Any) -> None:
    """Refuse what is no name of a route, or no predicate."""
    if not isinstance(output, str) or not output:
        raise OptionError("routes", f"has the output {output!r}; allowed are names", where="router")
    if not callable(predicate):
        hint = "; did you mean 'on_error'?" if difflib.get_close_matches(output, ["on_error"]) else ""
        problem = f"is {predicate!r:.200}; allowed is a predicate of an item{hint}"
        raise OptionError(output, problem, where="router")
    if _is_async(predicate):
        raise OptionError(output, f"{_ASYNCHRONOUS}, or it would hold for every item", where="router")
    if not accepts(predicate, 1):
        takes = ", ".join(inspect.signature(predicate).parameters)
        raise OptionError(output, f"takes ({takes}); it gets (item)", where="router")


def check_function(function: Any, option: str = "function", given: str = "(item, ctx) or (item)") -> None:
    """Refuse what would not do what it looks like."""
    if not callable(function) or isinstance(function, type):
        allowed = "a function, a Stage subclass and a Pipe" if option == "function" else "a function"
        raise OptionError(
            option, f"is {function!r:.200}; allowed {'are' if ',' in allowed else 'is'} {allowed}"
        )
    if _is_async(function):
        raise OptionError(option, _ASYNCHRONOUS)
    if inspect.isgeneratorfunction(function):
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
        if _is_async(method):
            raise _of_class(stage, f"whose {name} {_ASYNCHRONOUS}")
        if name != "handle_batch" and inspect.isgeneratorfunction(method):
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


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def accepts(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True  # a builtin that does not tell
    return True


def positional(function: Callable[..., Any]) -> int:
    """Return how many of (item, ctx) a function wants."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1  # a builtin that does not tell
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 2
    return sum(1 for p in parameters if p.kind in kinds and (p.default is p.empty or p.name == "ctx"))


def name_of(function: Any) -> str:
    """Return the name of a function or of what is called like one."""
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def names(option: str, value: Any) -> tuple[str, ...]:
    """Take a list of different names, or one name.

    Raises:
        OptionError: it is something else.
    """
    if isinstance(value, str):
        value = (value,)
    allowed = "allowed are a name and a list of names"
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise OptionError(option, f"is {value!r:.200}; {allowed}")
    found = tuple(value)
    if not found:
        raise OptionError(option, f"is empty; {allowed}")
    for each in found:
        if not isinstance(each, str) or not each:
            raise OptionError(option, f"has {each!r:.200}; {allowed}")
        if found.count(each) > 1:
            raise OptionError(option, f"has {each!r} twice")
    return found
