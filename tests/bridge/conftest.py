"""A registry of its own for each test, and calls that a worker could have made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors.actors import Ref, Server
from slither_actors.bridge import RunningCalls, Sessions, View, ViewOptions, ViewRegistry


class Call:
    """A worker's call back: the first answer counts, as in the pool."""

    def __init__(self, name: str, /, *args: Any, session_id: str | None = "s1", **kwargs: Any) -> None:
        self.session_id = session_id
        self.name = name
        # As `Worker.call_view` sends it.
        self.args = (session_id, args[0], args[1:]) if name == "view" else args
        self.kwargs = kwargs
        self.answers: list[tuple[str, Any]] = []
        self._answered = threading.Event()

    def reply(self, value: Any = None, what: str = "") -> None:
        self.answers.append(("reply", value))
        self._answered.set()

    def fail(self, error: BaseException) -> None:
        self.answers.append(("fail", error))
        self._answered.set()

    def follow(self, following: Any, snapshot: Any) -> None:
        self.reply((following, snapshot))

    def result(self) -> Any:
        """Wait for the answer; return or raise it."""
        assert self._answered.wait(20)
        kind, value = self.answers[0]
        if kind == "fail":
            raise value
        return value


class Owner(Server):
    """Somebody to own a session."""

    def handle_call(self, request: Any, sender: object) -> Any:
        return request


class Bridge:
    """A running `ViewRegistry` and its records."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self.running = RunningCalls()
        self.registry = self.start()
        self._started: list[Ref] = [self.registry]

    def start(self) -> Ref:
        return ViewRegistry.start(self.sessions, self.running)

    def restart(self) -> Ref:
        """As a supervisor would, with the same records."""
        self.registry = self.start()
        self._started.append(self.registry)
        return self.registry

    def owner(self) -> Ref:
        ref = Owner.start()
        self._started.append(ref)
        return ref

    def stop(self) -> None:
        for ref in self._started:
            ref.stop()

    def settled(self) -> None:
        """Return when the registry has handled what it was sent so far."""
        self.registry.call("no such session")


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    """A registry with records of its own."""
    made = Bridge()
    yield made
    made.stop()


def make_view(name: str, function: Callable[..., Any], *, source: str = "m:S", **options: Any) -> View:
    """A view without a store."""
    return View(name=name, function=function, options=ViewOptions(**options), source=source, keys="keys")
