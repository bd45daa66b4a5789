"""What we stand on in Pykka: private hooks, and traps that we work around.

An upgrade of Pykka that changes one of them fails here first, by name. The
first half are names and signatures that `slither_actors.actors` uses; the
second half are traps of `pykka.ThreadingActor` as we assume them: one that is
gone needs its guard no more.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.metadata import version
from typing import Any, ClassVar

import pykka
import pytest
from pykka import messages
from pykka._envelope import Envelope

from slither_actors.actors._actor import _MESSAGES
from tests.actors.probes import LONG

# -- hooks that we use ------------------------------------------------------------


HOLDS = "_actor_weakref" if tuple(map(int, version("pykka").split(".")[:2])) >= (4, 5) else "_actor"
"""What a ref of Pykka's keeps its actor in; weakly since 4.5."""


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_version_is_the_one_that_was_read() -> None:
    """Anything newer has to be read before it is allowed."""
    assert metadata.version("pykka").split(".")[0] == "4"


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("start", ["args", "kwargs"]),
        ("__init__", ["self", "_args", "_kwargs"]),
        ("_create_actor_inbox", []),
        ("_create_future", []),
        ("_start_actor_loop", ["self"]),
        ("_stop", ["self"]),
        ("_handle_receive", ["self", "message"]),
        ("_handle_failure", ["self", "exception_type", "exception_value", "traceback"]),
        ("on_start", ["self"]),
        ("on_stop", ["self"]),
        ("on_failure", ["self", "exception_type", "exception_value", "traceback"]),
        ("on_receive", ["self", "message"]),
    ],
)
def test_the_hooks_of_an_actor_type(hook: str, expected: list[str]) -> None:
    """`Actor` overrides or calls them."""
    assert parameters(getattr(pykka.Actor, hook)) == expected


def test_what_an_actor_must_define() -> None:
    """These three and no more make an actor type."""
    assert pykka.Actor.__abstractmethods__ == {"_create_actor_inbox", "_create_future", "_start_actor_loop"}


class Bare(pykka.Actor):
    """An actor type whose loop never starts."""

    started: ClassVar[list[Bare]] = []

    @staticmethod
    def _create_actor_inbox() -> Any:
        return ["inbox"]

    @staticmethod
    def _create_future() -> Any:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self.started.append(self)


def test_what_the_constructor_sets() -> None:
    """`Actor.__init__` sets them in its place; `get_state` leaves these names out."""
    actor = Bare()
    assert vars(actor).keys() == {"actor_urn", "actor_inbox", "actor_stopped", "_actor_ref"}
    assert actor.actor_inbox == ["inbox"]  # type: ignore[comparison-overlap]
    assert isinstance(actor.actor_stopped, threading.Event)
    replaced: Any = object()
    actor._actor_ref = replaced
    assert actor.actor_ref is replaced


def test_start_registers_before_it_starts_the_loop() -> None:
    """And returns the actor's own ref: ours."""
    ref = Bare.start()
    actor = Bare.started.pop()
    assert actor.actor_ref is ref
    assert (ref._actor_weakref() if HOLDS == "_actor_weakref" else ref._actor) is actor
    assert pykka.ActorRegistry.get_by_urn(actor.actor_urn) is ref
    actor._stop()
    assert actor.actor_stopped.is_set()
    assert pykka.ActorRegistry.get_by_urn(actor.actor_urn) is None


def test_what_a_ref_holds() -> None:
    """`Ref` sets the first two itself and has the others as properties."""
    ref = Bare.start()
    assert {HOLDS, "actor_class", "actor_urn", "actor_inbox", "actor_stopped"} <= vars(ref).keys()
    assert parameters(pykka.ActorRef.__init__) == ["self", "actor"]
    assert parameters(pykka.ActorRef.stop) == ["self", "block", "timeout"]
    assert parameters(pykka.ActorRef.ask) == ["self", "message", "block", "timeout"]
    assert parameters(pykka.ActorRef.tell) == ["self", "message"]


def test_a_registry_takes_refs_out_again() -> None:
    """`_on_dead` does it for an actor that was killed; twice is no error."""
    ref = Bare.start()
    pykka.ActorRegistry.unregister(ref)
    pykka.ActorRegistry.unregister(ref)
    assert ref not in pykka.ActorRegistry.get_all()
    assert parameters(pykka.ActorRegistry.stop_all) == ["block", "timeout"]


def test_the_envelope() -> None:
    """A message and the future to answer, by these names."""
    assert parameters(Envelope) == ["message", "reply_to"]
    assert Envelope("hello").reply_to is None
    future: Any = pykka.ThreadingFuture()
    assert (Envelope("hello", future).message, Envelope("hello", future).reply_to) == ("hello", future)


def test_the_message_that_stops() -> None:
    """It needs no room in a bounded mailbox and is answered when the actor is dead."""
    assert messages._ActorStop() == ()


def test_the_messages_that_are_not_given_to_on_receive() -> None:
    """`Actor` looks for these four, once; a fifth would have to be added there."""
    kinds = {kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, tuple)}
    assert kinds == _MESSAGES


def test_a_future_has_no_result_until_it_is_set() -> None:
    """`Future.get` reads it to see whether it has to hand over."""
    future: pykka.ThreadingFuture[int] = pykka.ThreadingFuture()
    assert future._result is None
    future.set(1)
    assert future._result is not None
    assert parameters(pykka.ThreadingFuture.get) == ["self", "timeout"]
    assert parameters(pykka.ThreadingFuture.set_exception) == ["self", "exc_info"]


# -- traps that we guard against ----------------------------------------------------


class Threaded(pykka.ThreadingActor):
    """Runs what it is sent."""

    use_daemon_thread = True

    def on_receive(self, message: Any) -> Any:
        return message(self)


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    yield
    for ref in pykka.ActorRegistry.get_all():
        pykka.ActorRegistry.unregister(ref)


def test_a_raise_in_on_start_is_not_told_to_the_starter() -> None:
    """P1: a ref of a dead actor is returned."""

    class Failing(Threaded):
        def on_start(self) -> None:
            raise ZeroDivisionError

    ref = Failing.start()
    assert ref.actor_stopped.wait(LONG)
    assert not ref.is_alive()


def test_a_system_exit_in_an_ask_leaves_the_caller_without_an_answer() -> None:
    """P2: the future is never set, though the actor is dead and its thread done."""

    def leave(_: Any) -> None:
        raise SystemExit

    ref = Threaded.start()
    threads: list[threading.Thread] = []
    ref.ask(lambda _: threads.append(threading.current_thread()), timeout=LONG)
    future = ref.ask(leave, block=False)
    threads[0].join(LONG)
    assert not threads[0].is_alive()
    assert not ref.is_alive()
    assert future._result is None  # type: ignore[attr-defined]


def test_a_message_put_after_the_drain_is_lost() -> None:
    """P5: an ask that loses the race with the end waits for ever."""
    ref = Threaded.start()
    threads: list[threading.Thread] = []
    ref.ask(lambda _: threads.append(threading.current_thread()), timeout=LONG)
    ref.stop(timeout=LONG)
    threads[0].join(LONG)
    future: Any = pykka.ThreadingFuture()
    ref.actor_inbox.put(Envelope(print, reply_to=future))
    assert not threads[0].is_alive()
    assert future._result is None


def test_a_raise_in_an_ask_is_the_callers_and_one_in_a_tell_ends_the_actor() -> None:
    """P8: two outcomes of one failure."""

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    ref = Threaded.start()
    with pytest.raises(ZeroDivisionError):
        ref.ask(fail, timeout=LONG)
    assert ref.is_alive()
    ref.tell(fail)
    assert ref.actor_stopped.wait(LONG)
    assert not ref.is_alive()
