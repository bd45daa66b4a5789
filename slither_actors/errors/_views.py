"""Views."""

from __future__ import annotations

from typing import Any

from slither_actors.errors._base import SlitherError

__all__ = [
    "ViewError",
]


class ViewError(SlitherError):
    """A view is unknown in the session, was called in a wrong way, raised, or took too long.

    `store` is the name of the store that declares it, where that is known;
    `traceback_text` where in the driver it raised, which is also a note.
    """

    def __init__(self, view: str, problem: str, *, store: str = "", traceback_text: str = "") -> None:
        self.view = view
        self.problem = problem
        self.store = store
        self.traceback_text = traceback_text
        super().__init__(f"view {view!r}{f' of {store}' if store else ''} {problem}")
        if traceback_text:
            self.add_note(f"--- traceback in the driver ---\n{traceback_text}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_view_error, (self.view, self.problem, self.store, self.traceback_text))


def _view_error(view: str, problem: str, store: str, traceback_text: str) -> ViewError:
    return ViewError(view, problem, store=store, traceback_text=traceback_text)
