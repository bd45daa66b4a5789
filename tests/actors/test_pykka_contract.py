"""`Actor` keeps Pykka's contract, and hangs in none of the places where Pykka does.

Pykka's own test suite passes with our runtime as well; it is not part of this repository.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from typing import Any

import pykka
import pytest
from pykka import messages
from pykka._envelope import Envelope

from slither_actors.actors import KILLED, Actor, Crash
from tests.actors.probes import LONG, Gate, Log, Quiet, in_thread


class Greeter(Actor):
    """Echoes; a function is run."""

    greeting = "hello"

    def __init__(self, log: Log | None = None) -> None:
        super().__init__()
        self.log = Log() if log is None else log

    def on_receive(self, message: Any) -> Any:
        return message(self) if callable(message) else message

    def on_stop(self) -> None:
        self.log.add("on_stop")

    def on_failure(self, *_: Any) -> None:
        self.log.add("on_failure")

    def greet(self, name: str) -> str:
        return f"{self.greeting} {name}"

    def divide(self, by: int) -> float:
        return 1 / by


def leave(_: Any) -> None:
    raise SystemExit(3)


@pytest.fixture
def log() -> Log:
    return Log()


# -- what we stand on -----------------------------------------------------------------


def test_the_private_hooks_are_there() -> None:
    """The canary: an upgrade of Pykka that changes what we override or call fails here first."""
    for name in ("_create_actor_inbox", "_create_future", "_start_actor_loop"):
        assert callable(getattr(pykka.Actor, name))
    for name in ("_handle_receive", "_handle_failure", "_stop", "_actor_loop"):
        assert callable(getattr(pykka.Actor, name))
    assert list(inspect.signature(Envelope).parameters) == ["message", "reply_to"]
    assert set(Envelope.__slots__) >= {"message", "reply_to"}
    assert pykka.ThreadingFuture()._result is None
    assert isinstance(messages._ActorStop(), messages._ActorStop)
    assert callable(pykka.ActorRegistry.unregister)
    assert "stop_all" in dir(pykka.ActorRegistry)


# -- the contract -------------------------------------------------------------------------


def test_tell_ask_and_stop(log: Log) -> None:
    """As in Pykka: a tell is handled, an ask answered, a stop handled after both."""
    ref = Greeter.start(log)
    ref.tell(lambda greeter: greeter.log.add("told"))
    assert ref.ask("asked") == "asked"
    assert ref.ask("later", block=False).get(timeout=LONG) == "later"
    assert ref.stop() is True
    assert ref.stop() is False
    assert log.rest() == ["told", "on_stop"]


def test_a_proxy_calls_methods_and_reads_attributes() -> None:
    """Each gives a future; an exception is the caller's and the actor lives."""
    proxy = Greeter.start().proxy()
    assert proxy.greet("you").get(timeout=LONG) == "hello you"
    proxy.greeting = "bye"
    assert proxy.greeting.get(timeout=LONG) == "bye"
    with pytest.raises(ZeroDivisionError):
        proxy.divide(0).get(timeout=LONG)
    assert proxy.divide(2).get(timeout=LONG) == 0.5


def test_the_registry_knows_the_actors() -> None:
    """By class, by URN, and it stops them all."""
    refs = [Greeter.start() for _ in range(3)]
    assert set(pykka.ActorRegistry.get_by_class(Greeter)) == set(refs)
    assert pykka.ActorRegistry.get_by_urn(refs[0].actor_urn) is refs[0]
    assert pykka.ActorRegistry.stop_all() == [True] * 3
    assert pykka.ActorRegistry.get_all() == []


def test_an_exception_in_a_tell_ends_the_actor(log: Log) -> None:
    """`on_failure` runs; the exception is the exit reason."""
    ref = Greeter.start(log)
    ref.tell(lambda greeter: greeter.divide(0))
    assert ref.join(LONG)
    assert log.rest() == ["on_failure"]
    assert isinstance(ref.exit_reason, Crash)


def test_actors_may_ask_each_other(log: Log) -> None:
    """A wait for a future lets the other actors go on."""
    refs = [Greeter.start() for _ in range(20)]

    def at(position: int) -> Any:
        if position == len(refs):
            return "end"
        return lambda _: refs[position].ask(at(position + 1), timeout=LONG)

    assert refs[0].ask(at(1), timeout=LONG) == "end"


def test_a_server_is_asked_and_told_through_pykka() -> None:
    """The ref of a Server has Pykka's interface, too: an ask is a call, a tell is an info."""
    ref = Quiet.start(log := Log())
    assert ref.ask("question", timeout=LONG) == "question"
    ref.tell("news")
    assert log.get() == "news"
    assert ref.proxy().label.get(timeout=LONG) == ""
    ref.stop()
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("late")


# -- traps ------------------------------------------------------------------------------------


def test_a_failing_on_start_answers_who_asks(log: Log) -> None:
    """P1: as in Pykka `start` returns a ref; the actor is dead, and an ask that raced is answered."""

    class Failing(Greeter):
        def on_start(self) -> None:
            raise LookupError

    ref = Failing.start(log)
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("anybody?", timeout=LONG)
    assert ref.join(LONG)
    assert isinstance(ref.exit_reason.exception, LookupError)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_base_exception_answers_the_asker(error: type[BaseException]) -> None:
    """P2: Pykka leaves it waiting for ever."""
    ref = Greeter.start()

    def leave(_: Any) -> None:
        raise error

    with pytest.raises(error):
        ref.ask(leave, timeout=LONG)


def test_a_base_exception_while_another_waits_ends_both(log: Log) -> None:
    """P3: in Pykka the dying actor and the one that asks it wait for each other for good."""
    asking, exiting = Greeter.start(log), Greeter.start(log)

    def ask(_: Any) -> str:
        with pytest.raises(SystemExit):
            exiting.ask(leave, timeout=LONG)
        return "answered"

    assert asking.ask(ask, timeout=LONG) == "answered"
    assert asking.join(LONG)
    assert exiting.join(LONG)
    assert log.take(2) == ["on_stop", "on_stop"]


def test_a_base_exception_stops_pykkas_actors_and_no_server() -> None:
    """P4: Pykka's contract ends at its own kind of actor."""
    ref, other, server = Greeter.start(), Greeter.start(), Quiet.start()
    with pytest.raises(SystemExit):
        ref.ask(leave, timeout=LONG)
    assert other.join(LONG)
    assert server.call("alive") == "alive"


def test_an_ask_that_races_with_the_end_is_answered() -> None:
    """P5: a message that comes between the check and the end is rejected, not lost."""

    def ask(refs: list[Any]) -> None:
        for ref in refs:
            try:
                assert ref.ask("question", timeout=LONG) == "question"
            except pykka.ActorDeadError:
                continue

    refs = [Greeter.start() for _ in range(1000)]
    asking = [in_thread(lambda: ask(refs)) for _ in range(3)]
    for ref in refs:
        ref.stop(block=False)
    for join in asking:
        join()


def test_an_envelope_put_after_the_end_is_answered() -> None:
    """P5, without the luck: straight into the mailbox of a dead actor."""
    ref = Greeter.start()
    ref.stop()
    future: Any = pykka.ThreadingFuture()
    ref.actor_inbox.put(Envelope("late", reply_to=future))
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=LONG)


def test_a_second_wait_for_a_mapped_future_keeps_its_own_timeout(log: Log) -> None:
    """P6: Pykka runs the hook under the future's lock, so the second `get` waits as long as the first."""
    ref, gate = Greeter.start(log), Gate()
    mapped = ref.ask(gate, block=False).map(lambda _: object())
    first = in_thread(lambda: mapped.get(timeout=LONG))
    gate.wait()
    with pytest.raises(pykka.Timeout):
        mapped.get(timeout=0.01)
    gate.open()
    assert first() is mapped.get(timeout=LONG), "the hook ran twice"
    ref.stop()


def test_awaiting_a_future_leaves_the_event_loop_free(log: Log) -> None:
    """P13: Pykka's `await` blocks the thread of the loop, and here it would wait for ever."""
    ref, gate = Greeter.start(log), Gate()

    async def main() -> list[Any]:
        reply = ref.ask(gate, block=False)
        loop = asyncio.get_running_loop()
        # Not in the next round, which Pykka's `await` gives the loop before it blocks.
        loop.call_soon(loop.call_soon, gate.open)
        return [await reply, await reply.map(lambda _: "mapped")]

    assert asyncio.run(asyncio.wait_for(main(), LONG))[1] == "mapped"
    ref.stop()


def test_an_actor_stops_being_alive_when_it_begins_to_stop(log: Log) -> None:
    """P7: Pykka's `is_alive` is False in `on_stop`; `join` waits for the real end."""
    gate = Gate()

    class Slow(Greeter):
        def on_stop(self) -> None:
            gate()
            self.log.add("stopped")

    ref = Slow.start(log)
    ref.stop(block=False)
    gate.wait()
    assert not ref.is_alive()
    assert ref.join(0) is False
    gate.open()
    assert ref.join(LONG)
    assert log.rest() == ["stopped"]


def test_an_exception_in_an_ask_is_the_callers() -> None:
    """P8: the actor lives, unlike a Server."""
    ref = Greeter.start()
    with pytest.raises(ZeroDivisionError):
        ref.ask(lambda greeter: greeter.divide(0), timeout=LONG)
    assert ref.ask("alive") == "alive"


def test_there_is_a_way_to_overtake_the_backlog(log: Log) -> None:
    """P9: Pykka's stop waits behind it; `kill` and `exit` do not."""
    gate = Gate()
    for end in ("kill", "exit"):
        ref, gate = Greeter.start(log), Gate()
        ref.tell(gate)
        gate.wait()
        futures = [ref.ask("waiting", block=False) for _ in range(10)]
        ref.kill() if end == "kill" else ref.exit()
        gate.open()
        assert ref.join(LONG)
        for future in futures:
            with pytest.raises(pykka.ActorDeadError):
                future.get(timeout=LONG)
        assert log.rest() == ([] if end == "kill" else ["on_stop"])
    assert pykka.ActorRegistry.get_all() == []


def test_a_killed_actor_leaves_the_registry() -> None:
    """And its `actor_stopped` event is set."""
    ref = Greeter.start()
    ref.kill()
    assert ref.join(LONG)
    assert ref.exit_reason == KILLED
    assert ref.actor_stopped.is_set()
    assert pykka.ActorRegistry.get_all() == []


def test_stop_all_from_an_actor_does_not_wait_for_itself() -> None:
    """P3 again: an actor may stop all without waiting, itself included."""
    refs = [Greeter.start() for _ in range(3)]
    refs[0].tell(lambda _: pykka.ActorRegistry.stop_all(block=False))
    for ref in refs:
        assert ref.join(LONG)


def test_an_actor_may_have_its_own_thread(log: Log) -> None:
    """Actors of Pykka's kind, too."""

    class Own(Greeter):
        own_thread = True

    ref = Own.start(log)
    name = ref.ask(lambda _: threading.current_thread().name)
    assert name.startswith("slither-Own-")
    ref.stop()
    deadline = time.monotonic() + LONG
    while any(t.name == name for t in threading.enumerate()) and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert all(t.name != name for t in threading.enumerate())
