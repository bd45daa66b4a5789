"""What a worker's call gets for an answer."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slither_actors import telemetry
from slither_actors.bridge import (
    SESSIONS,
    View,
    ViewRegistry,
    Views,
    answer,
    register,
    register_tables,
    unregister_tables,
)
from slither_actors.errors import NotRunningError, SlitherError, ViewError
from tests.bridge.conftest import Bridge, Call, make_view

Ask = Callable[..., Any]


def broken(key: str) -> str:
    msg = f"no {key}"
    raise LookupError(msg)


@pytest.fixture
def ask(bridge: Bridge) -> Ask:
    """Register views for the session of a call, make the call, and return its answer."""

    def make(views: list[View], *args: Any, **kwargs: Any) -> Any:
        register("s1", views, bridge.owner(), sessions=bridge.sessions)
        call = Call("view", *args, **kwargs)
        answer(call, sessions=bridge.sessions, running=bridge.running)
        return call.result()

    return make


def test_a_view_is_called_with_what_the_worker_gave(ask: Ask) -> None:
    """Arguments by place and by name, whatever their names."""
    echo = make_view("echo", lambda *args, **kwargs: (args, kwargs))
    assert ask([echo], "echo", 1, name="n", self="s", view="v") == (
        (1,),
        {"name": "n", "self": "s", "view": "v"},
    )


def test_an_unknown_view(ask: Ask) -> None:
    """The error names what there is."""
    with pytest.raises(
        ViewError, match=r"view 'other' is not registered in session s1; known there: echo \(S\)"
    ):
        ask([make_view("echo", str)], "other")


def test_a_view_that_raises(ask: Ask) -> None:
    """The error names the view and the reason, and carries the driver's traceback."""
    with pytest.raises(ViewError, match="view 'broken' of S raised LookupError: no k") as caught:
        ask([make_view("broken", broken)], "broken", "k")
    assert "def broken" not in str(caught.value)
    assert "raise LookupError" in caught.value.traceback_text


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_view_that_raises_what_cannot_be_shown(ask: Ask) -> None:
    """The worker has its answer all the same."""

    def mute() -> None:
        raise MuteError

    with pytest.raises(ViewError, match="view 'mute' of S raised MuteError: "):
        ask([make_view("mute", mute)], "mute")


def test_a_view_that_wants_to_exit(ask: Ask) -> None:
    """A SystemExit is an answer too, and ends nothing else."""

    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(ViewError, match="view 'leave' of S raised SystemExit: 3"):
        ask([make_view("leave", leave)], "leave")


def test_a_batch_view_returns_one_result_per_key(ask: Ask) -> None:
    """In a list, also where it made them one by one; another number is an error."""
    double = make_view("double", lambda keys: (key * 2 for key in keys), batch=True)
    assert ask([double], "double", [1, 2, 3]) == [2, 4, 6]
    assert ask([double], "double", keys=[1]) == [2]
    short = make_view("short", lambda keys: keys[1:], batch=True)
    with pytest.raises(ViewError, match="view 'short' of S returned 2 results for 3 keys"):
        ask([short], "short", [1, 2, 3])
    endless = make_view("endless", lambda _: itertools.count(), batch=True)
    with pytest.raises(ViewError, match="view 'endless' of S returned 3 or more results for 2 keys"):
        ask([endless], "endless", [1, 2])


def test_a_slow_view_runs_out_of_time(bridge: Bridge) -> None:
    """The worker is answered; what the view returns later goes nowhere."""
    go_on, done = threading.Event(), threading.Event()

    def slow() -> int:
        assert go_on.wait(20)
        done.set()
        return 1

    register("s1", [make_view("slow", slow, timeout=0.05)], bridge.owner(), sessions=bridge.sessions)
    call = Call("view", "slow")
    answer(call, sessions=bridge.sessions, running=bridge.running)
    with pytest.raises(ViewError, match=r"view 'slow' of S took longer than 0\.05 s"):
        call.result()
    stats = ViewRegistry.statistics(bridge.sessions, bridge.running)
    assert (stats.running, stats.timed_out) == (0, 1)
    go_on.set()
    assert done.wait(20)
    assert len(call.answers) == 1


def test_a_slow_view_holds_up_nobody(bridge: Bridge) -> None:
    """`answer` returns at once, and other calls are answered meanwhile."""
    go_on = threading.Event()
    views = [make_view("slow", lambda: go_on.wait(20)), make_view("fast", lambda: "fast")]
    register("s1", views, bridge.owner(), sessions=bridge.sessions)
    slow, fast = Call("view", "slow"), Call("view", "fast")
    answer(slow, sessions=bridge.sessions, running=bridge.running)
    answer(fast, sessions=bridge.sessions, running=bridge.running)
    assert fast.result() == "fast"
    assert slow.answers == []
    go_on.set()
    assert slow.result() is True


def test_the_clock_survives_the_registry(bridge: Bridge) -> None:
    """A call that began before the registry's death is failed by its successor."""
    go_on = threading.Event()
    register(
        "s1",
        [make_view("slow", lambda: go_on.wait(20), timeout=0.1)],
        bridge.owner(),
        sessions=bridge.sessions,
    )
    bridge.registry.kill()
    assert bridge.registry.join(20)
    call = Call("view", "slow")
    answer(call, sessions=bridge.sessions, running=bridge.running)
    bridge.restart()
    with pytest.raises(ViewError, match="took longer"):
        call.result()
    go_on.set()


def test_views_are_told(ask: Ask) -> None:
    """A start and a stop, or a start and an exception with the view's own error."""
    seen: list[tuple[Any, ...]] = []
    views = [make_view("fine", lambda: 1), make_view("broken", broken)]
    with telemetry.attach("slither.bridge.view.*", lambda *event: seen.append(event)):
        ask(views, "fine")
        with pytest.raises(ViewError):
            ask(views, "broken", "k")
    assert [name.rpartition(".")[2] for name, *_ in seen] == ["start", "stop", "start", "exception"]
    assert seen[1][3] == {"view": "fine", "session_id": "s1"}
    assert isinstance(seen[3][3]["reason"], LookupError)


def test_an_unknown_kind_of_call() -> None:
    """It is answered with an error, not raised into the pool."""
    call = Call("teleport")
    answer(call)
    with pytest.raises(
        SlitherError, match="a worker called 'teleport'; known are 'view', 'table' and 'replicate'"
    ):
        call.result()


# -- tables ----------------------------------------------------------------------


class Shelf:
    """A store's access to its tables, with a write that waits."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.threads: list[int] = []

    def is_immediate(self, operation: str) -> bool:
        return operation == "find"

    def perform(self, table: str, operation: str, arguments: tuple[Any, ...]) -> Any:
        self.threads.append(threading.get_ident())
        if operation == "put":
            assert self.go_on.wait(20)
        if operation == "fail":
            msg = "no"
            raise ValueError(msg)
        return (table, operation, arguments)

    def follow(self, *, fresh: bool) -> Any:
        return ("following", fresh)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    register_tables("m:Shelf", made)
    yield made
    unregister_tables("m:Shelf")


def test_a_look_up_is_answered_in_place(shelf: Shelf) -> None:
    """In the pool's own thread, before `answer` returns."""
    call = Call("table", "m:Shelf", "books", "find", ("k",))
    answer(call)
    assert call.answers == [("reply", ("books", "find", ("k",)))]
    assert shelf.threads == [threading.get_ident()]


def test_a_write_does_not_hold_up_the_pool(shelf: Shelf) -> None:
    """It waits for its server in a task."""
    call = Call("table", "m:Shelf", "books", "put", ("k", 1))
    answer(call)
    assert call.answers == []
    shelf.go_on.set()
    assert call.result() == ("books", "put", ("k", 1))


def test_a_failing_write_is_answered(shelf: Shelf) -> None:
    """With the error itself."""
    call = Call("table", "m:Shelf", "books", "fail", ())
    answer(call)
    with pytest.raises(ValueError, match="no"):
        call.result()


def test_a_worker_that_asks_for_the_tables_follows_them(shelf: Shelf) -> None:
    """It is answered from a task, with what the store gave."""
    call = Call("replicate", "m:Shelf", True)
    answer(call)
    assert call.result() == ("following", True)


def test_tables_of_a_store_that_does_not_run() -> None:
    """The error names the store as the driver knows it."""
    call = Call("table", "m:Attic", "boxes", "find", ("k",))
    answer(call)
    with pytest.raises(NotRunningError, match=r"store Attic is not running in the driver.*stores=\[Attic\]"):
        call.result()


# -- in the driver -----------------------------------------------------------------


def test_in_the_driver_a_view_runs_in_the_callers_thread() -> None:
    """By attribute, as in a worker, and with the same errors."""
    views = Views("nowhere")
    SESSIONS.add_global([make_view("here", threading.get_ident), make_view("broken", broken)])
    try:
        assert views.here() == threading.get_ident()
        with pytest.raises(ViewError, match="view 'broken' of S raised LookupError: no k") as caught:
            views.broken(key="k")
        assert isinstance(caught.value.__cause__, LookupError)
        with pytest.raises(ViewError, match="view 'gone' is not registered in session nowhere"):
            views.gone()
    finally:
        SESSIONS.remove_global("m:S")


def test_views_cross_by_pickle() -> None:
    """With their session; names with an underscore are never views."""
    import pickle

    views = pickle.loads(pickle.dumps(Views("s9")))
    assert repr(views) == "<Views of session s9>"
    with pytest.raises(AttributeError):
        views._private  # noqa: B018
