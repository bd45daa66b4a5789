"""What kinds of functions the callbacks of a stage are: found once, when its class is defined."""

from __future__ import annotations

import enum
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias

__all__ = ["ASYNC_CALLBACKS", "Kind", "Made", "check_kinds", "kind_of"]

Made: TypeAlias = Iterable[Any] | AsyncIterator[Any] | Awaitable[Iterable[Any] | None] | None
"""What callbacks that make events return: events or an iterator of them; a coroutine does, an async
generator yields them."""


class Kind(enum.Enum):
    """How a callback gives its result."""

    PLAIN = "def"
    GENERATOR = "def with yield"
    COROUTINE = "async def"
    STREAM = "async def with yield"


ASYNC_CALLBACKS = ("init", "handle_call", "handle_cast", "handle_info", "terminate")
"""May be coroutines, besides those that handle events and demand."""

_ONLY_PLAIN = ("handle_subscribe", "handle_cancel", "handle_continue", "format_discarded", "format_state")


def kind_of(function: Callable[..., Any]) -> Kind:
    """Tell the kind of a function or method."""
    if inspect.isasyncgenfunction(function):
        return Kind.STREAM
    if inspect.iscoroutinefunction(function):
        return Kind.COROUTINE
    return Kind.GENERATOR if inspect.isgeneratorfunction(function) else Kind.PLAIN


def check_kinds(cls: type, handlers: tuple[str, ...], *, emits: bool) -> None:
    """Refuse callbacks of a kind that would never run as its author expects.

    Args:
        cls: a class of stages.
        handlers: its callbacks for events and demand.
        emits: whether what these yield goes anywhere.

    Raises:
        TypeError: there is one.
    """
    for name in (*handlers, *ASYNC_CALLBACKS, *_ONLY_PLAIN):
        kind = kind_of(getattr(cls, name, check_kinds))
        where = f"{cls.__name__}.{name}"
        yields = kind in (Kind.GENERATOR, Kind.STREAM)
        if yields and name in handlers and not emits:
            msg = f"{where} is a generator ({kind.value}), but a consumer emits nothing: take the `yield` out"
            raise TypeError(msg)
        if yields and name not in handlers:
            may = " and ".join(handlers) if emits else "none of a consumer's"
            msg = f"{where} is a generator ({kind.value}) and would never run; may be generators: {may}"
            raise TypeError(msg)
        if kind is Kind.COROUTINE and name in _ONLY_PLAIN:
            may = ", ".join((*handlers, *ASYNC_CALLBACKS))
            msg = f"{where} is `async def`, but the stage needs its answer at once; may be async: {may}"
            raise TypeError(msg)
