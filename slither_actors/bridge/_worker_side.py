"""What a worker process sees of the bridge: `Views`, and the line to the driver."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from slither_actors.bridge._calls import call_view
from slither_actors.bridge._sessions import SESSIONS
from slither_actors.pool import current_worker, in_worker
from slither_actors.pool._worker_views import views_here

__all__ = ["Views", "call_driver", "hear_driver", "in_batch", "in_worker"]


def call_driver(name: str, /, *arguments: Any, **keywords: Any) -> Any:
    """Ask the driver from a worker, and wait for its answer or the end of the batch."""
    return current_worker().call(name, *arguments, **keywords)


def hear_driver(hear: Callable[[bytes | bytearray | memoryview], object]) -> None:
    """Have `hear` called with what the driver tells this worker of the replicated tables."""
    current_worker().listen(hear)


def in_batch() -> bool:
    """Whether this worker runs a batch, and so whether the driver can be called."""
    return current_worker().is_running


class Views:
    """The views of one session, by attribute: ``views.lookup_feature(key="user:42")``.

    The same in a worker, where a call goes to the driver and is limited by the
    view's timeout, and in the driver, where it runs in the calling thread.
    Crosses to workers by pickle, where it becomes a `WorkerViews`.
    """

    __slots__ = ("_session_id",)

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            # Not a view: pickle and copy look for methods of theirs.
            raise AttributeError(name)
        return partial(self._call, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by its class: a worker would import the bridge for it, and all actors with it.
        return (views_here, (self._session_id,))

    def __repr__(self) -> str:
        return f"<Views of session {self._session_id}>"

    def _call(self, name: str, /, *arguments: Any, **keywords: Any) -> Any:
        if in_worker():
            return current_worker().call_view(self._session_id, name, arguments, keywords)
        return call_view(SESSIONS.find(self._session_id, name), self._session_id, arguments, keywords)
