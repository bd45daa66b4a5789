"""``actor_stopped`` and ``actor_urn``: as in Pykka, and cheaper."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from slither_actors.actors import Actor
from slither_actors.actors._stopped import Stopped
from tests.actors.probes import LONG, in_thread


class Plain(Actor):
    def on_receive(self, message: Any) -> Any:
        return self.actor_stopped


def test_it_is_an_event() -> None:
    """Code that is written for Pykka may look at it and wait for it."""
    ref = Plain.start()
    event = ref.ask(None, timeout=LONG)
    assert isinstance(event, threading.Event)
    assert (event.is_set(), event.wait(0), repr(event)) == (False, False, "<actor_stopped: unset>")
    ref.stop()
    assert (event.is_set(), event.wait(0), repr(event)) == (True, True, "<actor_stopped: set>")


def test_all_who_wait_are_woken() -> None:
    """However many, in whatever threads."""
    event = Stopped()
    waiters = [in_thread(lambda: event.wait(LONG)) for _ in range(5)]
    while event._event is None:
        pass
    event.set()
    assert [wait() for wait in waiters] == [True] * 5


def test_a_set_that_races_with_a_wait_is_not_lost() -> None:
    """The one writes first and looks then, the other looks last."""
    for _ in range(300):
        event = Stopped()
        wait = in_thread(lambda event=event: event.wait(LONG))
        event.set()
        assert wait() is True


def test_it_can_be_cleared() -> None:
    """As any event."""
    event = Stopped()
    event.set()
    assert event.wait() is True
    event.clear()
    assert (event.is_set(), event.wait(0)) == (False, False)


def test_every_actor_has_a_uuid_of_its_own() -> None:
    """As a URN, of the kind that is random."""
    refs = [Plain.start() for _ in range(100)]
    numbers = {uuid.UUID(ref.actor_urn) for ref in refs}
    assert len(numbers) == 100
    assert {(number.version, number.variant) for number in numbers} == {(4, uuid.RFC_4122)}
    assert {number.urn for number in numbers} == {ref.actor_urn for ref in refs}
    for ref in refs:
        ref.stop()
