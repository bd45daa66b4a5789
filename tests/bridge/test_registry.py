"""Which session has which views, and for how long."""

from __future__ import annotations

import threading

import pytest

from slither_actors.actors import whereis
from slither_actors.bridge import ViewRegistry, register, unregister
from slither_actors.errors import NotRunningError, ViewError
from tests.bridge.conftest import Bridge, Owner, make_view

ONE = make_view("one", lambda: 1)
TWO = make_view("two", lambda: 2)


def test_a_session_sees_its_own_views_only(bridge: Bridge) -> None:
    """The error for any other names the session and what it knows."""
    register("s1", [ONE, TWO], bridge.owner(), sessions=bridge.sessions)
    register("s2", [TWO], bridge.owner(), sessions=bridge.sessions)
    assert bridge.sessions.find("s1", "one") is ONE
    assert bridge.sessions.find("s2", "two") is TWO
    with pytest.raises(
        ViewError, match=r"view 'one' is not registered in session s2; known there: two \(S\)"
    ):
        bridge.sessions.find("s2", "one")
    with pytest.raises(
        ViewError, match=r"in session s3, which is not registered or has ended; known there: none"
    ):
        bridge.sessions.find("s3", "one")


def test_unregister_takes_the_views_away(bridge: Bridge) -> None:
    """Once; again it says that there was nothing."""
    register("s1", [ONE], bridge.owner(), sessions=bridge.sessions)
    assert unregister("s1", sessions=bridge.sessions) is True
    assert unregister("s1", sessions=bridge.sessions) is False
    with pytest.raises(ViewError):
        bridge.sessions.find("s1", "one")


def test_a_session_ends_with_its_owner(bridge: Bridge) -> None:
    """However that ends; other sessions stay."""
    killed, stopped, alive = bridge.owner(), bridge.owner(), bridge.owner()
    for name, owner in (("s1", killed), ("s2", stopped), ("s3", alive), ("s4", killed)):
        register(name, [ONE], owner, sessions=bridge.sessions)
    killed.kill()
    stopped.stop()
    assert killed.join(20)
    bridge.settled()
    assert [session.session_id for session in bridge.sessions.all()] == ["s3"]


def test_registering_again_replaces_the_session(bridge: Bridge) -> None:
    """The old owner's death then takes nothing away."""
    first, second = bridge.owner(), bridge.owner()
    register("s1", [ONE], first, sessions=bridge.sessions)
    register("s1", [TWO], second, sessions=bridge.sessions)
    first.stop()
    bridge.settled()
    assert bridge.sessions.find("s1", "two") is TWO
    second.stop()
    bridge.settled()
    assert bridge.sessions.all() == []


def test_a_dead_owner_owns_nothing(bridge: Bridge) -> None:
    """A session whose owner died before it was registered is gone at once."""
    owner = bridge.owner()
    owner.stop()
    register("s1", [ONE], owner, sessions=bridge.sessions)
    bridge.settled()
    assert bridge.sessions.all() == []


def test_a_restarted_registry_has_its_sessions_back(bridge: Bridge) -> None:
    """And watches their owners again: also for a death while it was away."""
    dies_later, died_meanwhile = bridge.owner(), bridge.owner()
    register("s1", [ONE], dies_later, sessions=bridge.sessions)
    register("s2", [TWO], died_meanwhile, sessions=bridge.sessions)
    bridge.registry.kill()
    assert bridge.registry.join(20)
    assert bridge.sessions.find("s1", "one") is ONE
    died_meanwhile.stop()
    bridge.restart()
    bridge.settled()
    assert [session.session_id for session in bridge.sessions.all()] == ["s1"]
    dies_later.kill()
    assert dies_later.join(20)
    bridge.settled()
    assert bridge.sessions.all() == []


def test_registering_waits_for_a_registry_that_is_being_restarted(bridge: Bridge) -> None:
    """A run that starts at that moment goes on."""
    owner = bridge.owner()
    bridge.registry.kill()
    assert bridge.registry.join(20)
    thread = threading.Thread(
        target=register, args=("s1", [ONE], owner), kwargs={"sessions": bridge.sessions, "timeout": 20.0}
    )
    thread.start()
    bridge.restart()
    thread.join(20)
    assert bridge.sessions.find("s1", "one") is ONE


def test_without_a_registry_nothing_is_registered(bridge: Bridge) -> None:
    """After the timeout that says so."""
    bridge.registry.stop()
    with pytest.raises(NotRunningError, match="the view registry is not running"):
        register("s1", [ONE], bridge.owner(), sessions=bridge.sessions, timeout=0.01)


def test_two_stores_cannot_share_the_name_of_a_view(bridge: Bridge) -> None:
    """In one session, or among the global views; the error names both."""
    other = make_view("one", lambda: 0, source="m:Other")
    with pytest.raises(ViewError, match=r"view 'one' is declared by both m:S and m:Other"):
        register("s1", [ONE, other], bridge.owner(), sessions=bridge.sessions)
    bridge.sessions.add_global([ONE])
    bridge.sessions.add_global([ONE])
    with pytest.raises(ViewError, match="is declared by both"):
        bridge.sessions.add_global([other])


def test_a_global_view_is_in_every_session(bridge: Bridge) -> None:
    """Also in none; a session's own view of the same name comes first."""
    bridge.sessions.add_global([TWO])
    mine = make_view("two", lambda: 22, source="m:Mine")
    register("s1", [mine], bridge.owner(), sessions=bridge.sessions)
    assert bridge.sessions.find(None, "two") is TWO
    assert bridge.sessions.find("unknown", "two") is TWO
    assert bridge.sessions.find("s1", "two") is mine
    with pytest.raises(
        ViewError, match=r"'one' is not global, and the batch has no session; known without one: two \(S\)"
    ):
        bridge.sessions.find(None, "one")
    bridge.sessions.remove_global("m:S")
    with pytest.raises(ViewError):
        bridge.sessions.find(None, "two")


def test_ten_thousand_runs_leave_nothing(bridge: Bridge) -> None:
    """Neither sessions nor monitors."""
    owner = bridge.owner()
    for number in range(10_000):
        register(str(number), [ONE], owner, sessions=bridge.sessions)
        unregister(str(number), sessions=bridge.sessions)
    stats = ViewRegistry.statistics(bridge.sessions, bridge.running)
    assert (stats.sessions, stats.views) == (0, 0)
    assert not owner._cell.monitors


def test_ten_thousand_owners_that_are_killed_leave_nothing(bridge: Bridge) -> None:
    """Their sessions are free at their deaths, and the names that they held."""
    for number in range(100):
        owners = [Owner.start(name=f"owner {each}") for each in range(100)]
        for each, owner in enumerate(owners):
            register(f"{number} {each}", [ONE], owner, sessions=bridge.sessions)
            owner.kill()
        assert all(owner.join(20) for owner in owners)
        bridge.settled()
        assert bridge.sessions.all() == []
        assert whereis("owner 0") is None
    assert not bridge.registry._cell.watching


def test_statistics(bridge: Bridge) -> None:
    """Sessions, views and calls at one moment."""
    register("s1", [ONE, TWO], bridge.owner(), sessions=bridge.sessions)
    bridge.sessions.add_global([ONE])
    stats = ViewRegistry.statistics(bridge.sessions, bridge.running)
    assert (stats.sessions, stats.views, stats.global_views, stats.running, stats.timed_out) == (
        1,
        2,
        1,
        0,
        0,
    )
