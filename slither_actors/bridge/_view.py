"""`view` marks what workers may call; a `View` is one of those, ready to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sized
from typing import Any, TypeVar, overload

import attrs

from slither_actors.config import build, one_of, positive_seconds
from slither_actors.errors import OptionError, ViewError

__all__ = ["View", "ViewOptions", "view"]

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__slither_view__"


def _boolean(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise OptionError(field.name, f"is {value!r}; allowed are True and False")


@attrs.frozen(kw_only=True)
class ViewOptions:
    """What ``@view(…)`` takes."""

    batch: bool = attrs.field(default=False, validator=_boolean)
    """The view takes a sequence of keys as its first argument and returns one result per key."""

    scope: str = attrs.field(default="session", validator=one_of("session", "global"))
    """``"session"``: callable in the runs that use its store. ``"global"``: in any, and outside of runs."""

    timeout: float = attrs.field(default=5.0, validator=positive_seconds)
    """Seconds after which a worker's call fails. The view itself is left to end on its own."""

    @staticmethod
    def of(function: object) -> ViewOptions | None:
        """The options that `view` gave to `function`, or None."""
        options = getattr(function, _MARK, None) if inspect.isfunction(function) else None
        return options if isinstance(options, ViewOptions) else None


@overload
def view(function: F, /) -> F: ...
@overload
def view(*, batch: bool = ..., scope: str = ..., timeout: float = ...) -> Callable[[F], F]: ...
def view(function: Any = None, /, **options: Any) -> Any:
    """Mark a method of a `Store` as callable from a worker.

    ``@view`` or ``@view(batch=True, scope="global", timeout=10.0)``; see
    `ViewOptions`. The method itself stays as it is.

    Raises:
        OptionError: an option is unknown or has a value that is not allowed.
    """
    if function is None:
        checked = build(ViewOptions, options, where="view")
        return lambda marked: _mark(marked, checked)
    return _mark(function, ViewOptions())


def _mark(function: Any, options: ViewOptions) -> Any:
    if not inspect.isfunction(function):
        raise OptionError("view", f"marks functions, not {function!r}")
    if options.batch and _keys_parameter(function) is None:
        raise OptionError("batch", "needs a parameter for the keys", where=f"view {function.__qualname__}")
    setattr(function, _MARK, options)
    return function


def _keys_parameter(method: Callable[..., Any]) -> str | None:
    """The name of the first parameter after ``self``."""
    names = list(inspect.signature(method).parameters)
    return names[1] if len(names) > 1 else None


@attrs.frozen(kw_only=True, eq=False)
class View:
    """A callable that workers know by name."""

    name: str

    function: Callable[..., Any]
    """Called with what the worker gave."""

    options: ViewOptions = attrs.field(factory=ViewOptions)

    source: str = ""
    """The key of the store that declares it, for messages."""

    sender: Any = None
    """The store class: the sender of the view's events."""

    keys: str | None = None
    """Name of the parameter that takes a batch view's keys."""

    @classmethod
    def of(
        cls,
        name: str,
        method: Callable[..., Any],
        *,
        function: Callable[..., Any],
        source: str,
        sender: Any = None,
    ) -> View:
        """The view that a marked `method` describes, called through `function` (the method, bound)."""
        options = ViewOptions.of(method)
        assert options is not None
        return cls(
            name=name,
            function=function,
            options=options,
            source=source,
            sender=sender,
            keys=_keys_parameter(method),
        )

    def call(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Run the view in this thread and return its result, a list of results for a batch view.

        Raises:
            ViewError: a batch view returned something other than one result per key.
        """
        result = self.function(*arguments, **keywords)
        if not self.options.batch:
            return result
        # A generator is fine as a result: it is read here, in the driver.
        results = list(result)
        keys = arguments[0] if arguments else keywords.get(self.keys or "")
        if isinstance(keys, Sized) and len(results) != len(keys):
            problem = f"returned {len(results)} results for {len(keys)} keys"
            raise ViewError(self.name, problem)
        return results
