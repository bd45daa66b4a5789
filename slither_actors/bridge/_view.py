"""`view` marks what workers may call; a `View` is one of those, ready to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Set, Sized
from itertools import islice
from typing import Any, NoReturn, TypeVar, overload

import attrs

from slither_actors.config import build, one_of, positive_seconds
from slither_actors.errors import OptionError, ViewError

__all__ = ["View", "ViewOptions", "view"]

F = TypeVar("F", bound=Callable[..., Any])

_NOT_RESULTS = (str, bytes, bytearray, memoryview, Set, Mapping)
"""What can be iterated over and is not one result per key."""

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
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        problem = f"marks {function.__qualname__}, which is asynchronous: a view is called in a thread"
        raise OptionError("view", f"{problem}; make it a plain def")
    if function.__name__.startswith("_"):
        problem = f"marks {function.__qualname__}, and the name of a view cannot begin with an underscore"
        raise OptionError("view", problem)
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

    method: Callable[..., Any] | None = None
    """As it is declared, with ``self``, for messages."""

    store: str = attrs.field(init=False)
    """The name of the store that declares it."""

    result_name: str = attrs.field(init=False)
    """What it returns, in words, for messages."""

    def __attrs_post_init__(self) -> None:
        store = self.source.rpartition(":")[2]
        object.__setattr__(self, "store", store)
        object.__setattr__(self, "result_name", f"the result of view {self.name!r} of {store}")

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
            method=method,
        )

    def call(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Run the view in this thread and return its result, a list of results for a batch view.

        Raises:
            ViewError: the arguments are none that it takes, or a batch view returned something other
                than one result per key.
        """
        if self.options.batch:
            return self._call_batch(arguments, keywords)
        try:
            return self.function(*arguments, **keywords)
        except TypeError:
            self._check(arguments, keywords)
            raise

    def _call_batch(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> list[Any]:
        keys = arguments[0] if arguments else keywords.get(self.keys or "")
        if isinstance(keys, Set):
            self.fail(f"takes keys that have an order, not a {_name_of(keys)}: give it a list of them")
        try:
            found = self.function(*arguments, **keywords)
        except TypeError:
            self._check(arguments, keywords)
            raise
        if isinstance(found, _NOT_RESULTS) or not isinstance(found, Iterable):
            self.fail(f"returned {_name_of(found)}; one result per key, in a list, is wanted")
        # A generator is fine as a result: it is read here, in the driver; an endless one not to its end.
        most = len(keys) if isinstance(keys, Sized) else None
        results = (
            found if isinstance(found, list) else list(found if most is None else islice(found, most + 1))
        )
        if most is not None and len(results) != most:
            more = "or more " if not isinstance(found, Sized) and len(results) > most else ""
            self.fail(f"returned {len(results)} {more}results for {most} keys")
        return results

    def _check(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """After a `TypeError`: is it that of the call?"""
        if self.method is None:
            return
        signature = inspect.signature(self.method)
        try:
            signature.bind(None, *arguments, **keywords)
        except TypeError as error:
            taken = signature.replace(
                parameters=list(signature.parameters.values())[1:], return_annotation=signature.empty
            )
            self.fail(f"takes {taken}; the call has {_given(arguments, keywords)}: {error}")

    def fail(self, problem: str, traceback_text: str = "") -> NoReturn:
        """Raise a `ViewError` that names the view and its store."""
        raise self.error(problem, traceback_text)

    def error(self, problem: str, traceback_text: str = "") -> ViewError:
        """Make an error that names the view and its store."""
        return ViewError(self.name, problem, store=self.store, traceback_text=traceback_text)


def _name_of(value: object) -> str:
    return "None" if value is None else type(value).__qualname__


def _given(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
    words = [f"{len(arguments)} by place"] if arguments else []
    words += [f"{name}=" for name in keywords]
    return " and ".join(words) or "none"
