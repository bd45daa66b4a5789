"""What a worker is to run, in the driver: a name, or a callable that is sent. `_function` is the worker."""

from __future__ import annotations

import functools
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any, Final

from slither_actors.config import flag
from slither_actors.errors import OptionError, PayloadError
from slither_actors.pool._obstacles import GUARD
from slither_actors.pool._payloads import PROTOCOL, dumps, dumps_main, main_can_be_imported

__all__ = ["Target"]

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
    spec = getattr(sys.modules.get(getattr(function, "__module__", None) or ""), "__spec__", None)
    if getattr(spec, "_initializing", False):
        # Pickle would wait for the end of the import, which waits for this run.
        raise PayloadError(
            f"function {name}: its module is being imported, and starts this run: {GUARD}, or in a function"
        )
    data = dumps(function, f"function {name}")
    if b"__main__" in data and not main_can_be_imported():
        # By name it was pickled, and would then not be found: workers have no such __main__.
        data = dumps_main(function, f"function {name}")
    return data
