"""Adapters: classes of commands, made once in each worker.

In the driver an adapter is a target and nothing is imported. A worker makes
the adapter before its first batch and says which commands it has; a command is
then sent as a reference to a method of whatever adapter the worker has.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

from slither_actors.config import did_you_mean, seconds_or_none, shown
from slither_actors.errors import OptionError, TargetError, class_name, safe_text
from slither_actors.pool._function import load_target, refuse_lazy
from slither_actors.pool._target import Target

__all__ = ["Adapter", "adapter_target", "command", "command_target", "install", "unknown_command"]

F = TypeVar("F", bound=Callable[..., Any])

_TIMEOUT: Final = "__slither_timeout__"
_ENDS: Final = ("close", "exit")
"""Called when the worker ends; the first that there is."""


@overload
def command(function: F, /) -> F: ...
@overload
def command(*, timeout: float | None = None) -> Callable[[F], F]: ...
def command(function: Any = None, /, *, timeout: float | None = None) -> Any:
    """Say of a method of an adapter how long it may take, in seconds: ``@command(timeout=5.0)``.

    It holds where the `CommandExecutor` has no timeout of its own, and goes
    before that of the run. `math.inf` is no limit. Public methods are commands without it.

    Raises:
        OptionError: `timeout` is no number above 0.
    """
    seconds_or_none.check("timeout", timeout, "command")

    def mark(method: Any) -> Any:
        if not callable(method) or isinstance(method, type):
            raise OptionError("command", f"is put on {shown(method)}; allowed is a method", where="command")
        setattr(method, _TIMEOUT, timeout)
        return method

    return mark if function is None else mark(function)


# -- in the driver -----------------------------------------------------------------


def adapter_target(value: Any) -> Target | None:
    """Take what a user gave as ``adapter``: a class, or ``"module:Class"``."""
    if value is None or isinstance(value, Target):
        return value
    if isinstance(value, type):
        commands_of(value)
        return Target(value)
    if isinstance(value, str):
        try:
            return Target(value)
        except OptionError:
            pass  # what is wrong is the same, but the option has another name here
    raise OptionError("adapter", f'is {shown(value)}; allowed are a class and "module:Class"')


def command_target(name: str) -> Target:
    """Return the target that is the command of this name, in whichever worker it arrives."""
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        problem = f"is {shown(name)}; allowed is the name of a public method of the pool's adapter"
        raise OptionError("command", problem, where="CommandExecutor")
    target = Target(_Command(name))
    target.name = f"command {name}"
    return target


def unknown_command(name: str, commands: Mapping[str, Any] | None, pool: str) -> str:
    """What to say about a command that there is not, to follow its name."""
    if commands is None:
        return f'is {name!r}, and pool {pool!r} has no adapter; give it one: adapter="module:Class"'
    known = ", ".join(sorted(commands)) or "none"
    near = did_you_mean(name, commands)
    return f"is {name!r}, which the adapter of pool {pool!r} does not have{near} It has: {known}"


class _Command:
    """Pickles as the method of this name, where it is unpickled."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, payloads: Any) -> Any:
        """Only workers have the adapter."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return _find, (self._name,)


# -- both ---------------------------------------------------------------------------


def commands_of(adapter: type) -> dict[str, float | None]:
    """Return the commands of a class with their timeouts: its public methods, those of its bases too.

    Raises:
        OptionError: it has none, or one is a coroutine function.
    """
    found: dict[str, float | None] = {}
    try:
        members = inspect.getmembers(adapter, inspect.isroutine)
    except Exception as error:
        problem = f"one of whose attributes cannot be read: {class_name(error)}: {safe_text(error)}"
        raise OptionError("adapter", f"is {adapter.__qualname__}, {problem}") from error
    for name, method in members:
        if name.startswith("_") or name in _ENDS:
            continue
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            problem = f"has the coroutine function {name}; commands are plain methods"
            raise OptionError("adapter", f"is {adapter.__qualname__}, which {problem}")
        found[name] = getattr(method, _TIMEOUT, None) or getattr(adapter, "command_timeout", None)
        seconds_or_none.check("command_timeout", found[name], adapter.__qualname__)
    if not found:
        raise OptionError(
            "adapter", f"is {adapter.__qualname__}, which has no public method; those are commands"
        )
    return found


# -- in the worker ------------------------------------------------------------------


class Adapter:
    """The adapter of this worker. Called by the worker's loop."""

    def __init__(self, data: bytes, worker: Any) -> None:
        """Make it; its constructor may take the worker.

        Raises:
            BaseException: it cannot be imported, is no adapter, or its constructor raised.
        """
        self.pool: str = worker.pool
        name, found = load_target(data)
        if not isinstance(found, type):
            raise TargetError(f"{name} is a {type(found).__qualname__}; an adapter is a class")
        self.commands = commands_of(found)
        """Command to timeout."""
        self._instance = found(worker) if _takes_worker(found) else found()

    def find(self, name: str) -> Any:
        """Return the method."""
        if name not in self.commands:
            raise TargetError(f"the command {unknown_command(name, self.commands, self.pool)}")
        return getattr(self._instance, name)

    def close(self) -> None:
        """Tell it that the worker ends.

        Raises:
            TargetError: its ``close`` is a coroutine function.
            BaseException: what it raised.
        """
        for name in _ENDS:
            end = getattr(self._instance, name, None)
            if callable(end):
                refuse_lazy(end, f"{type(self._instance).__qualname__}.{name}")
                end()
                return


_adapter: Adapter | None = None


def install(data: bytes, worker: Any) -> Adapter:
    """Make the adapter of this process; its commands can be found then."""
    global _adapter  # noqa: PLW0603 - unpickling has no other way to it
    _adapter = Adapter(data, worker)
    return _adapter


def _find(name: str) -> Any:
    if _adapter is None:
        from slither_actors.pool._worker import current_worker  # noqa: PLC0415 - it imports us

        raise TargetError(f"the command {unknown_command(name, None, current_worker().pool)}")
    return _adapter.find(name)


def _takes_worker(adapter: type) -> bool:
    """Whether the constructor must have an argument."""
    try:
        parameters = inspect.signature(adapter).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and (p.default is p.empty or p.name == "worker")
        for p in parameters
    )
