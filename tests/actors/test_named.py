"""Names as handles: each use reaches whoever has the name now."""

from __future__ import annotations

import time

import pytest

from slither_actors.actors import Supervisor, named
from slither_actors.errors import ActorExitError, NotRegisteredError
from tests.actors.probes import LONG, Log, Quiet, crash, settle


def test_a_handle_reaches_the_actor_of_that_name() -> None:
    """By call, cast and info; `ref` is the actor itself."""
    log = Log()
    handle = named("probe")
    ref = Quiet.start(log, name="probe")
    assert handle.ref is ref
    assert handle.is_alive()
    assert handle.call("echo") == "echo"
    handle.cast("cast")
    handle.info("info")
    settle(ref)
    assert log.rest() == ["cast", "info"]


def test_a_restarted_server_is_reached_again() -> None:
    """A ref means one incarnation, a name whoever has it."""
    tree = Supervisor.start([Quiet.child_spec(name="restarted")])
    handle = named("restarted")
    before = handle.ref
    with pytest.raises(ActorExitError):
        handle.call(crash)
    deadline = time.monotonic() + LONG
    while not handle.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert handle.ref is not before
    assert handle.call("again", LONG) == "again"
    tree.stop("shutdown")


def test_a_name_that_nobody_has() -> None:
    """A call and `ref` raise; a cast and an info do nothing, as to a dead actor."""
    handle = named("nobody")
    assert not handle.is_alive()
    handle.cast(1)
    handle.info(1)
    with pytest.raises(NotRegisteredError, match="no actor is registered under 'nobody'") as caught:
        handle.call(1)
    assert caught.value.key == "nobody"
    with pytest.raises(LookupError):
        _ = handle.ref


def test_handles_of_one_name_are_equal() -> None:
    """They are values: keys of a dict, for instance."""
    assert named("x") == named("x")
    assert len({named("x"), named("x"), named(("x", 1))}) == 2
