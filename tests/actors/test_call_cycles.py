"""A call that would wait for its own caller raises at once instead of hanging."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.actors import NO_REPLY, Ref, Supervisor
from slither_actors.errors import ActorExitError, CallCycleError, StartError
from tests.actors.probes import LONG, Log, Probe, Quiet, in_thread


def caught(function: Any) -> Any:
    """Return the class of the error that `function` raises."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - it is what the test looks at
        return type(error)


def test_an_actor_cannot_call_itself() -> None:
    """The path in the error is the actor, twice."""
    ref = Quiet.start()

    def call_itself(probe: Probe) -> Any:
        with pytest.raises(CallCycleError) as error:
            probe.ref.call("me", None)
        return error.value.path

    assert ref.call(call_itself) == (str(ref), str(ref))


def test_an_actor_cannot_wait_for_its_own_stop() -> None:
    """``self.ref.stop()`` in a callback is an error, ``self.stop()`` is the way; the actor lives on."""
    ref = Quiet.start()
    assert ref.call(lambda probe: caught(probe.ref.stop)) is CallCycleError
    assert ref.call("alive") == "alive"


@pytest.mark.parametrize("length", [2, 3, 10])
@pytest.mark.parametrize("inline", [False, True])
def test_a_ring_of_calls_is_found(length: int, inline: bool) -> None:
    """The last call of the ring raises; all the others are answered."""
    cls = type("Ring", (Quiet,), {"inline_calls": inline})
    refs: list[Ref] = [cls.start() for _ in range(length)]  # type: ignore[attr-defined]

    def at(position: int) -> Any:
        if position == length:
            return lambda _: "never"

        def call_next(_: Probe) -> Any:
            return caught(lambda: refs[(position + 1) % length].call(at(position + 1), LONG))

        return call_next

    assert refs[0].call(at(0), LONG) is CallCycleError


def test_a_chain_of_calls_is_no_cycle() -> None:
    """Ten servers may each wait for the next."""
    refs = [Quiet.start() for _ in range(10)]

    def at(position: int) -> Any:
        if position == 10:
            return "end"
        return lambda _: refs[position].call(at(position + 1), LONG)

    assert refs[0].call(at(1)) == "end"


def test_a_server_may_call_whom_it_has_just_answered() -> None:
    """The caller's wait is over with the reply, also if its thread has not noticed yet."""
    client, server = Quiet.start(), Quiet.start()
    found = []

    def answer_and_ask_back(probe: Probe) -> None:
        probe.sender.reply("answer")
        found.append(caught(lambda: client.call("back", LONG)))

    for _ in range(100):
        assert client.call(lambda _: server.call(answer_and_ask_back, LONG), LONG) == "answer"
        server.call(None, LONG)
    assert found == ["back"] * 100


def test_calls_that_cross_end_both() -> None:
    """Two actors that call each other at one time: at least one is told, and neither hangs."""
    for _ in range(100):
        one, two = Quiet.start(), Quiet.start()
        first = in_thread(lambda: one.call(lambda _: caught(lambda: two.call("x", LONG)), LONG))  # noqa: B023
        second = in_thread(lambda: two.call(lambda _: caught(lambda: one.call("x", LONG)), LONG))  # noqa: B023
        assert {first(), second()} <= {"x", CallCycleError}
        one.kill()
        two.kill()


@pytest.mark.parametrize("inline", [False, True])
def test_a_call_whose_answer_was_put_off_closes_no_cycle(inline: bool) -> None:
    """Somebody else may have the sender: the server may call its caller and wait for that answer."""
    client, helper = Quiet.start(), Quiet.start()
    server = type("Server", (Quiet,), {"inline_calls": inline}).start()  # type: ignore[attr-defined]
    found = Log()

    def put_off(probe: Probe) -> Any:
        probe.ref.cast(lambda _: found.add(caught(lambda: client.call("later", LONG))))
        sender, cell = probe.sender, probe._cell

        def answer(_: Probe) -> None:
            while cell.waiting_on is None and found.empty():
                pass
            sender.reply("by another")

        helper.cast(answer)
        return NO_REPLY

    assert client.call(lambda _: server.call(put_off, LONG), LONG) == "by another"
    assert found.get() == "later"


@pytest.mark.parametrize("own_thread", [False, True])
def test_a_child_cannot_call_its_starter_in_init(own_thread: bool) -> None:
    """The starter waits for `init`, so the call would wait for itself."""
    cls = type("Child", (Quiet,), {"own_thread": own_thread})

    def start(probe: Probe) -> Any:
        return caught(lambda: cls.start_link(at_start=lambda _: probe.ref.call("me", None)))  # type: ignore[attr-defined]

    parent = Quiet.start()
    assert parent.call(start, LONG) is StartError
    assert parent.call("alive") == "alive"


def test_a_child_cannot_call_its_supervisor_while_that_waits_for_its_end() -> None:
    """In `terminate` under a supervisor that stops it, such a call raises at once."""
    seen = []

    class Asking(Quiet):
        def terminate(self, reason: Any) -> None:
            seen.append(caught(self._cell.parent.ref.which_children))  # type: ignore[union-attr]

    supervisor = Supervisor.start([Asking])
    supervisor.stop(timeout=LONG)
    assert seen == [CallCycleError]


def test_the_error_reaches_a_caller_that_does_not_catch_it() -> None:
    """It is a crash like any other: the server that made the cycle ends with it."""
    ref = Quiet.start()
    with pytest.raises(ActorExitError, match="call cycle"):
        ref.call(lambda probe: probe.ref.call("me", None))
