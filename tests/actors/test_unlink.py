"""What `unlink` takes back: the exit signal that was faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slither_actors.actors import NOPROC, SHUTDOWN, Exit, Ref
from slither_actors.errors import ExitPendingError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, Trapper, crash, in_thread, settle


def during(ref: Ref, end: Callable[[], Any], body: Callable[[Probe], Any]) -> None:
    """Have the actor run `body` after `end` has happened, in one handler that had begun before."""
    gate = Gate()

    def handler(probe: Probe) -> None:
        gate()
        body(probe)

    ref.cast(handler)
    gate.wait()
    end()
    gate.open()


def dead_after(target: Ref, end: Callable[[Ref], Any] = lambda ref: ref.cast(crash)) -> Callable[[], Any]:
    def kill() -> None:
        end(target)
        assert target.join(LONG)

    return kill


def linked(cls: type[Quiet], *args: object) -> tuple[Ref, Ref]:
    one, two = cls.start(*args), Quiet.start()
    one.call(lambda probe: probe.link(two))
    return one, two


def test_an_exit_signal_in_the_mailbox_is_taken_back() -> None:
    """The linked actor dies before `unlink`, in one handler: the one that unlinks lives on."""
    one, two = linked(Quiet)
    during(one, dead_after(two), lambda probe: probe.unlink(two))
    assert one.call("alive", LONG) == "alive"
    assert one._cell.departed is None


def test_a_trapped_exit_in_the_mailbox_is_taken_back() -> None:
    """A server has no ``receive`` to flush with, so `unlink` does it."""
    one, two = linked(Trapper, log := Log())
    during(one, dead_after(two), lambda probe: probe.unlink(two))
    settle(one)
    assert log.rest() == []


def test_a_noproc_signal_is_taken_back() -> None:
    """Link to a dead actor, and unlink: nothing happened."""
    one, dead = Quiet.start(), Quiet.start()
    dead.stop()

    def both(probe: Probe) -> None:
        probe.link(dead)
        probe.unlink(dead)

    one.call(both)
    assert one.call("alive", LONG) == "alive"


def test_a_second_link_is_no_second_signal() -> None:
    """To link again while the signal of the first link waits in the mailbox changes nothing."""
    one, dead = Trapper.start(log := Log()), Quiet.start()
    dead.stop()
    one.call(lambda probe: [probe.link(dead) for _ in range(3)])
    settle(one)
    assert log.rest() == [Exit(dead, NOPROC)]
    one.call(lambda probe: probe.link(dead))
    assert log.get() == Exit(dead, NOPROC)


def test_a_link_after_unlink_is_a_new_one() -> None:
    """Its exit signal arrives although that of the first was taken back."""
    one, two = linked(Trapper, log := Log())

    def again(probe: Probe) -> None:
        probe.unlink(two)
        probe.link(two)

    during(one, dead_after(two), again)
    assert log.get() == Exit(two, NOPROC)
    settle(one)
    assert log.rest() == []


@pytest.mark.parametrize("kind", [Quiet, Trapper])
def test_what_the_other_sent_itself_arrives(kind: type[Quiet]) -> None:
    """Only the link's signal is taken back, not one of `Ref.exit`."""
    one, two = linked(kind, log := Log())

    def end(ref: Ref) -> None:
        ref.call(lambda _: one.exit("by hand"))
        ref.kill()

    during(one, dead_after(two, end), lambda probe: probe.unlink(two))
    if kind is Trapper:
        assert log.get() == Exit(two, "by hand")
        settle(one)
        assert log.rest() == []
    else:
        assert one.join(LONG)
        assert one.exit_reason == "by hand"


def test_an_actor_may_wait_again_after_unlink() -> None:
    """The exit that would have ended its waits is not on its way any more."""
    one, two = linked(Quiet, log := Log())
    other = Quiet.start()

    def body(probe: Probe) -> None:
        probe.unlink(two)
        probe.log.add(other.call("answer"))

    during(one, dead_after(two), body)
    assert log.get() == "answer"
    assert one.call("alive", LONG) == "alive"


def test_another_exit_still_ends_the_waits() -> None:
    """Of two signals that wait, `unlink` takes back the first; the second lets no wait go on."""
    one, two = linked(Quiet, log := Log())
    three, gate = Quiet.start(), Gate()
    one.call(lambda probe: probe.link(three))

    def body(probe: Probe) -> None:
        probe.unlink(two)
        try:
            Quiet.start().call(gate, LONG)
        except ExitPendingError as error:
            probe.log.add(error.reason)

    def end() -> None:
        dead_after(two)()
        dead_after(three, lambda ref: ref.exit(SHUTDOWN))()

    during(one, end, body)
    assert log.get() == SHUTDOWN
    gate.open()
    assert one.join(LONG)
    assert one.exit_reason == SHUTDOWN


def test_unlink_is_too_late_after_a_wait_was_ended() -> None:
    """The signal has arrived then, as at a process in ``receive``: the actor ends with its reason."""
    one, two = linked(Quiet)
    other, gate = Quiet.start(), Gate()
    other.cast(gate)

    def body(probe: Probe) -> None:
        try:
            other.call("never answered", LONG)
        finally:
            probe.unlink(two)

    one.cast(body)
    while one._cell.waiting_on is None:
        pass
    two.exit("over")
    assert one.join(LONG)
    assert one.exit_reason == "over"
    gate.open()


def test_unlink_against_death() -> None:
    """Link and unlink thousands of times while the others end: the actor lives and hears nothing."""
    rounds = 2000
    for kind in (Quiet, Trapper):
        one = kind.start(log := Log())
        others = [Quiet.start() for _ in range(rounds)]

        def race(probe: Probe, others: list[Ref] = others) -> None:
            killing = in_thread(lambda: [other.kill() for other in others])
            for other in others:
                probe.link(other)
                probe.unlink(other)
            killing()

        one.call(race, LONG)
        assert one.call("alive", LONG) == "alive"
        assert log.rest() == []
        assert one._cell.departed is None
        assert not one._cell.links
