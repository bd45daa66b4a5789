"""The views of a session as a worker sees them: calls to the driver, by attribute.

Most workers have no views, so this is imported with the first context that one looks at.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from slither_actors.pool._worker import Worker, current_worker, in_worker

__all__ = ["WorkerViews", "views_here"]


class WorkerViews:
    """The session's views by attribute: ``ctx.views.lookup_feature(key="user:42")``."""

    def __init__(self, worker: Worker, session_id: str | None = None) -> None:
        self._worker = worker
        self._session_id = session_id

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            # Not a view: pickle and copy look for methods of theirs.
            raise AttributeError(name)
        call_view, session_id = self._worker.call_view, self._session_id

        def call(*arguments: Any, **keywords: Any) -> Any:
            return call_view(session_id, name, arguments, keywords)

        vars(self)[name] = call  # for the next call
        return call

    def __repr__(self) -> str:
        return f"<Views of session {self._session_id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (views_here, (self._session_id,))


def views_here(session_id: str | None) -> Any:
    """The views of a session, as one calls them in this process. For pickle."""
    if in_worker():
        return WorkerViews(current_worker(), session_id)
    # By name: it is the floor above, and only a driver that has it gets here.
    return importlib.import_module("slither_actors.bridge").Views(session_id)
