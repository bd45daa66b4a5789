"""Which views a session has: what `ViewRegistry` writes and everybody reads.

The record outlives the registry's process, as a table with an heir does in
Erlang: a restarted registry finds its sessions here. One dict entry is all
there is of a session, and an entry never changes: each change is one dict
operation, so there is no moment at which a crash could leave half of one.
What the registry keeps besides (its monitors) is made again from the entries.

Readers take no lock: a look-up is one ``dict.get``.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors.actors._interrupts import waits
from slither_actors.bridge._view import View
from slither_actors.errors import NotRunningError, ViewError

if TYPE_CHECKING:
    from slither_actors.actors import Ref

__all__ = ["SESSIONS", "Session", "Sessions", "by_name"]


@attrs.frozen(kw_only=True, eq=False)
class Session:
    """One run's views. They are gone when `owner` is."""

    session_id: str
    views: Mapping[str, View]
    owner: Ref


class Sessions:
    """The views of all sessions, and the global ones.

    `find` from any thread; `put` and `remove` by the registry; the rest as stated.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}
        self._global: Mapping[str, View] = {}
        self._declared: Mapping[str, tuple[View, ...]] = {}
        """By source, for messages: who has a view of a name that a session has not."""
        self._changed = threading.Condition()  # between writers; readers never take it
        self._server: Ref | None = None

    def find(self, session_id: str | None, name: str) -> View:
        """The view `name` as the session sees it: its own, else a global one.

        Raises:
            ViewError: neither has it.
        """
        session = None if session_id is None else self._by_id.get(session_id)
        found = session.views.get(name) if session is not None else None
        if found is None:
            found = self._global.get(name)
        if found is None:
            raise ViewError(name, self._unknown(name, session_id, session))
        return found

    def _unknown(self, name: str, session_id: str | None, session: Session | None) -> str:
        views = {**self._global, **(session.views if session else {})}
        known = ", ".join(_in_words(views[each]) for each in sorted(views)) or "none"
        if session_id is None:
            text = f"is not global, and the batch has no session; known without one: {known}"
        else:
            state = "" if session else ", which is not registered or has ended"
            text = f"is not registered in session {session_id}{state}; known there: {known}"
        return text + self._advice(name, views)

    def _advice(self, name: str, views: Mapping[str, View]) -> str:
        near = difflib.get_close_matches(name, sorted(views), n=3)
        if near:
            return f". Did you mean {' or '.join(map(repr, near))}?"
        declared = [view for group in self._declared.values() for view in group]
        elsewhere = sorted({view.store for view in declared if view.name == name and view.store})
        if elsewhere:
            stores = " and ".join(elsewhere)
            return f". {stores} declares it, for the runs of pipes that have it in their stores"
        near = difflib.get_close_matches(name, sorted({view.name for view in declared}), n=1)
        found = [view for view in declared if near and view.name == near[0]]
        return f". Of another store there is {_in_words(found[0])}" if found else ""

    def all(self) -> list[Session]:
        """The sessions at one moment."""
        return list(self._by_id.copy().values())

    # -- the registry --------------------------------------------------------

    def put(self, session: Session) -> None:
        """Add a session, or replace it."""
        self._by_id[session.session_id] = session

    def remove(self, session_id: str) -> bool:
        """Remove a session; return whether there was one."""
        return self._by_id.pop(session_id, None) is not None

    def serve(self, server: Ref) -> None:
        """Send the changes to `server` from now on."""
        with self._changed:
            self._server = server
            self._changed.notify_all()

    # -- any thread ----------------------------------------------------------

    @waits
    def server(self, *, after: Ref | None = None, timeout: float) -> Ref:
        """The registry that takes changes; waits while the one `after` is being replaced.

        Raises:
            NotRunningError: there is none within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._server not in (None, after), timeout):
                msg = "the view registry is not running; it is part of an Application"
                raise NotRunningError(msg)
            assert self._server is not None
            return self._server

    @property
    def current(self) -> Ref | None:
        """The registry that serves, or did last."""
        return self._server

    @property
    def global_views(self) -> Mapping[str, View]:
        """The views that every session has."""
        return self._global

    def add_global(self, views: Iterable[View]) -> None:
        """Let every session call `views`, until they are removed.

        Raises:
            ViewError: another source has a global view of the same name.
        """
        with self._changed:
            merged = dict(self._global)
            for view in views:
                _refuse_clash(merged.get(view.name), view)
                merged[view.name] = view
            self._global = merged

    def declare(self, source: str, views: Iterable[View]) -> None:
        """Know the views of a source that runs: the global ones are every session's from now on.

        Raises:
            ViewError: another source has a global view of the same name.
        """
        views = tuple(views)
        self.add_global(view for view in views if view.options.scope == "global")
        with self._changed:
            self._declared = {**self._declared, source: views}

    def remove_global(self, source: str) -> None:
        """Remove the global views of one source, and forget what it declares."""
        with self._changed:
            self._declared = {name: views for name, views in self._declared.items() if name != source}
            self._global = {name: view for name, view in self._global.items() if view.source != source}


SESSIONS = Sessions()
"""The sessions of this process. Their ids are unique, so one record serves all that run in it."""


def _in_words(view: View) -> str:
    return f"{view.name} ({view.store})" if view.store else view.name


def by_name(views: Iterable[View]) -> dict[str, View]:
    """The views of one session by their names.

    Raises:
        ViewError: two sources have a view of the same name.
    """
    named: dict[str, View] = {}
    for view in views:
        _refuse_clash(named.get(view.name), view)
        named[view.name] = view
    return named


def _refuse_clash(known: Any, view: View) -> None:
    if known is not None and known.source != view.source:
        raise ViewError(view.name, f"is declared by both {known.source} and {view.source}; rename one")
