"""Links and exit signals."""

from __future__ import annotations

import pytest

from slither_actors.actors import KILLED, NOPROC, NORMAL, SHUTDOWN, Crash, Exit, Ref
from slither_actors.errors import StartError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, Trapper, crash, in_thread, settle


def linked(cls: type[Quiet] = Quiet, *args: object) -> tuple[Ref, Ref]:
    one, two = cls.start(*args), Quiet.start()
    one.call(lambda probe: probe.link(two))
    return one, two


def test_a_crash_takes_the_linked_actor_along() -> None:
    """Both die with the same reason."""
    one, two = linked()
    two.cast(crash)
    assert one.join(LONG)
    assert isinstance(one.exit_reason, Crash)
    assert one.exit_reason is two.exit_reason


def test_a_link_works_both_ways() -> None:
    """It does not matter who made it."""
    one, two = linked()
    one.kill()
    assert two.join(LONG)
    assert two.exit_reason == KILLED


def test_a_normal_end_takes_nobody_along() -> None:
    """An exit signal with the reason normal is ignored."""
    one, two = linked()
    two.stop()
    assert one.call("alive") == "alive"


def test_a_crash_runs_through_a_chain() -> None:
    """Fifty actors in a row of links all die of the first one's reason."""
    refs = [Quiet.start() for _ in range(50)]
    for one, two in zip(refs, refs[1:], strict=False):
        one.call(lambda probe, two=two: probe.link(two))
    refs[0].cast(crash)
    for ref in refs:
        assert ref.join(LONG)
        assert ref.exit_reason is refs[0].exit_reason


def test_trapped_exits_are_messages() -> None:
    """An actor that traps exits gets them as `Exit`, normal ones too, and lives."""
    one, two = linked(Trapper, log := Log())
    two.stop()
    assert log.get() == Exit(two, NORMAL)
    one.call(lambda probe: probe.link(other), LONG) if (other := Quiet.start()) else None
    other.cast(crash)
    message = log.get()
    assert message.ref is other
    assert isinstance(message.reason, Crash)
    assert one.call("alive") == "alive"


def test_an_exit_signal_from_a_thread_is_trapped() -> None:
    """`Ref.exit` is a message to who traps; its `ref` is None when no actor sent it."""
    ref = Trapper.start(log := Log())
    ref.exit("please")
    assert log.get() == Exit(None, "please")
    sender = Quiet.start()
    sender.cast(lambda _: ref.exit("from an actor"))
    assert log.get() == Exit(sender, "from an actor")


def test_the_parents_exit_is_not_trapped() -> None:
    """As in a gen_server: a child that traps exits ends with its parent, and `terminate` runs."""

    class TrappingProbe(Probe):
        trap_exit = True

    log = Log()
    parent = Quiet.start()
    child = parent.call(lambda _: TrappingProbe.start_link(log))
    parent.stop(SHUTDOWN)
    assert child.join(LONG)
    assert log.get() == ("terminate", "", SHUTDOWN)


def test_a_parent_that_ends_normally_takes_nobody_along() -> None:
    """As in OTP, a child that does not trap exits lives on: only who traps is told of a normal end."""
    parent = Quiet.start()
    child = parent.call(lambda _: Quiet.start_link())
    parent.stop()
    assert child.call("alive") == "alive"


def test_a_normal_exit_signal_of_the_parent_is_ignored() -> None:
    """Unlike one with another reason."""
    parent = Quiet.start()
    child = parent.call(lambda _: Quiet.start_link())
    parent.call(lambda _: child.exit(NORMAL))
    assert child.call("alive") == "alive"
    parent.call(lambda _: child.exit("odd"))
    assert child.join(LONG)
    assert child.exit_reason == "odd"


@pytest.mark.parametrize("trapping", [True, False])
def test_a_parent_that_ends_normally(trapping: bool) -> None:
    """As in OTP it takes its children along if they trap exits; to others a normal end is no signal."""
    log = Log()
    parent = Quiet.start()
    kind = type("Child", (Probe,), {"trap_exit": trapping})
    child = parent.call(lambda _: kind.start_link(log, "child"))  # type: ignore[attr-defined]
    parent.stop()
    if trapping:
        assert child.join(LONG)
        assert log.get() == ("terminate", "child", NORMAL)
    else:
        assert child.call("alive") == "alive"


def test_a_link_to_a_dead_actor_is_an_exit_signal() -> None:
    """Its reason is noproc."""
    dead, ref = Quiet.start(), Trapper.start(log := Log())
    dead.stop()
    ref.call(lambda probe: probe.link(dead))
    assert log.get() == Exit(dead, NOPROC)


def test_unlink_ends_the_link() -> None:
    """Neither notices the other's end any more."""
    one, two = linked()
    one.call(lambda probe: probe.unlink(two))
    two.cast(crash)
    assert two.join(LONG)
    assert one.call("alive") == "alive"
    assert not one._cell.links


def test_the_end_of_a_linked_actor_leaves_nothing() -> None:
    """A parent that lives long does not collect the links of children that came and went."""
    parent = Trapper.start(log := Log())
    for _ in range(100):
        child = parent.call(lambda _: Quiet.start_link())
        child.kill()
        log.get()
    assert not parent._cell.links


def test_start_link_links_before_init() -> None:
    """A parent that dies while a child starts takes the child along: there is no gap."""
    gate, refs = Gate(), []
    parent = Quiet.start()

    def at_start(probe: Probe) -> None:
        refs.append(probe.ref)
        gate()

    call = in_thread(lambda: parent.call(lambda _: Quiet.start_link(at_start=at_start), LONG))
    gate.wait()
    assert refs[0]._cell.links == {parent._cell}
    gate.open()
    call()
    parent.kill()
    assert refs[0].join(LONG)


def test_a_failed_start_link_sends_no_exit_signal() -> None:
    """The starter gets the StartError, and does not die of it as well."""
    parent = Quiet.start()

    def start(_: Probe) -> str:
        with pytest.raises(StartError):
            Quiet.start_link(at_start=crash)
        return "refused"

    assert parent.call(start) == "refused"
    assert parent.call("alive") == "alive"
    assert not parent._cell.links


def test_start_link_outside_an_actor_links_nothing() -> None:
    """A plain thread has no mailbox for an exit signal."""
    ref = Quiet.start_link()
    assert ref._cell.parent is None
    assert not ref._cell.links


def test_links_that_race_with_the_end() -> None:
    """Link against death, a thousand times: the linking actor gets exactly one `Exit` for each."""
    ref = Trapper.start(log := Log())
    targets = [Quiet.start() for _ in range(1000)]
    killing = in_thread(lambda: [target.kill() for target in targets])
    ref.call(lambda probe: [probe.link(target) for target in targets], LONG)
    killing()
    exits = log.take(len(targets))
    settle(ref)
    assert log.rest() == []
    assert {message.ref for message in exits} == set(targets)
    assert {message.reason for message in exits} <= {KILLED, NOPROC}
