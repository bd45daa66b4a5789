"""The future of a Pykka ask, for callers that may be actors themselves."""

from __future__ import annotations

from typing import Any, TypeVar

import pykka

from slither_actors.actors import _runtime
from slither_actors.actors._interrupts import waits

__all__ = ["Future"]

T = TypeVar("T")


class Future(pykka.ThreadingFuture[T]):
    """A `pykka.ThreadingFuture` whose `get` hands the run queue over before it waits."""

    @waits
    def get(self, *, timeout: float | None = None) -> Any:
        """Return or raise the result; see `pykka.Future.get`."""
        if self._result is None:
            _runtime.blocking()
        return super().get(timeout=timeout)
