"""What a worker is to run: a name that it imports, or a callable that is sent to it."""

from __future__ import annotations

import functools
import importlib
import inspect
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from slither_actors.config import flag
from slither_actors.errors import OptionError, TargetError, safe_text
from slither_actors.pool._payloads import PROTOCOL, dumps, dumps_main, main_can_be_imported

__all__ = [
    "Function",
    "Target",
    "adapt",
    "context_style",
    "load_target",
    "refuse_lazy",
    "resolve",
    "run_hook",
]

Function = Callable[[list[Any], Any], Any]
"""What a target becomes in a worker: called with the payloads and the context."""

_NAME: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class Target:
    """A function for batches, as ``"module:function"`` or as a callable.

    It is pickled once per pool and resolved once per worker, so make one
    target and use it for all batches.
    """

    __slots__ = ("_data", "_with_stopwatch", "name", "room", "spec", "timed", "writable")

    def __init__(self, spec: str | Callable[..., Any], *, writable: bool = False) -> None:
        if isinstance(spec, str):
            if not _NAME.fullmatch(spec):
                raise OptionError("function", f'is {spec!r}; allowed are a callable and "module:function"')
            self.name = spec
        elif callable(spec):
            self.name = _describe(spec)
        else:
            raise OptionError("function", f'is {spec!r:.200}; allowed are a callable and "module:function"')
        self.spec = spec
        self.writable = flag.check("writable", writable, self.name)
        """Whether the function gets arrays of its own, into which it may write."""
        self.room: int | None = None
        """How many bytes its results take in shared memory, as far as is known; written by pools."""
        self._data: bytes | None = None
        self.timed = False
        """Whether workers measure how long it runs, see `Job.timing`."""
        self._with_stopwatch: Target | None = None

    @classmethod
    def of(cls, value: Target | str | Callable[..., Any]) -> Target:
        """Return the value as a target."""
        return value if isinstance(value, cls) else cls(value)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<Target {self.name}>"

    def with_stopwatch(self) -> Target:
        """Return the same target as one that workers measure; always the same one."""
        if self._with_stopwatch is None:
            self._with_stopwatch = Target(self.spec, writable=self.writable)
            self._with_stopwatch.timed = True
        return self._with_stopwatch

    def dumps(self) -> bytes:
        """Return what a worker needs to `resolve` it.

        Raises:
            PayloadError: the callable cannot be pickled.
        """
        if self._data is None:
            if isinstance(self.spec, str):
                content: tuple[str, str, bytes] = (self.name, self.spec, b"")
            else:
                content = (self.name, "", _dump_callable(self.spec, self.name))
            self._data = pickle.dumps(content, PROTOCOL)
        return self._data


def _describe(function: Callable[..., Any]) -> str:
    if isinstance(function, functools.partial):
        return f"partial of {_describe(function.func)}"
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', '?')}:{named.__qualname__}"


def _dump_callable(function: Callable[..., Any], name: str) -> bytes:
    data = dumps(function, f"function {name}")
    if b"__main__" in data and not main_can_be_imported():
        # By name it was pickled, and would then not be found: workers have no such __main__.
        data = dumps_main(function, f"function {name}")
    return data


# -- in the worker -----------------------------------------------------------------


def resolve(data: bytes | bytearray | memoryview) -> tuple[str, Function]:
    """Import or unpickle a target; return its name and the function.

    Raises:
        TargetError: that failed.
    """
    name, found = load_target(data)
    if inspect.iscoroutinefunction(found):
        msg = f"{name} is a coroutine function; workers run plain ones, AsyncExecutor runs coroutines"
        raise TargetError(msg)
    return name, adapt(found)


def run_hook(data: bytes, worker: object) -> Any:
    """Call a target that runs once per worker, and return its value; it may take the worker as its argument.

    Raises:
        TargetError: it could not be loaded.
        BaseException: what it raised.
    """
    name, function = load_target(data)
    refuse_lazy(function, name)
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
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TargetError(f"{name} is a coroutine function; workers run plain ones: asyncio.run in it")
    if inspect.isgeneratorfunction(function):
        raise TargetError(
            f"{name} is a generator function, of which nothing would run; a plain one is wanted"
        )


def load_target(data: bytes | bytearray | memoryview) -> tuple[str, Callable[..., Any]]:
    """Import or unpickle what a target names, as it is.

    Raises:
        TargetError: that failed.
    """
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
        text += (
            f" (searched from {Path.cwd()} in {', '.join(sys.path[:4])}{', …' if len(sys.path) > 4 else ''}; "
            "install the package, or put its folder on PYTHONPATH)"
        )
    elif isinstance(error, AttributeError) and "__main__" in text:
        text += " (workers do not have this __main__: move the function to a module)"
    return text


def adapt(function: Callable[..., Any]) -> Function:
    """Turn a batch function into one of payloads and context; it gets the context if it asks for it.

    It asks with a parameter named ``ctx``, or with a second positional parameter that has no default.
    """
    match context_style(function):
        case "positional":
            return function
        case "keyword":
            return lambda payloads, context: function(payloads, ctx=context)
        case _:
            return lambda payloads, _: function(payloads)


def context_style(function: Callable[..., Any]) -> str:
    """How `function` takes the context: it has a parameter ``ctx``, or must have a second argument."""
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
