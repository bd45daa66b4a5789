"""The locks of a registry: one holder a key, and the others in a queue."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from slither_actors.actors._cell import Cell
from slither_actors.actors._monitor import Monitor
from slither_actors.actors._reasons import Down, without_frames
from slither_actors.actors._request import NO_REPLY, Failure, Request
from slither_actors.core import LockQueue
from slither_actors.errors import ActorError

if TYPE_CHECKING:
    from slither_actors.actors._registry import Registry

__all__ = ["Claim", "RegistryLocks", "unlock"]


class Claim:
    """One call of `RegistryRef.lock`."""

    __slots__ = ("key", "monitor", "sender", "who")

    def __init__(self, key: Any, who: Cell | threading.Thread) -> None:
        self.key = key
        self.who = who
        self.sender: Request | None = None
        self.monitor: Monitor | None = None


def unlock(registry: Registry, claim: Claim) -> None:
    """Give a lock back; a message to the registry."""
    registry.unlock(claim)


class RegistryLocks:
    """Who holds which lock of one registry. Its actor is the only caller."""

    def __init__(self, registry: Cell) -> None:
        self._registry = registry
        self._queue: LockQueue[Claim] = LockQueue()

    def acquire(self, claim: Claim, sender: Request) -> Any:
        """Answer a claim, at once or when its turn has come."""
        try:
            holder = self._queue.holder(claim.key)
            if holder is not None and holder.who is claim.who:
                where = self._registry.describe()
                return Failure(ActorError(f"the caller holds the lock {claim.key!r} of {where} already"))
            at_once = self._queue.acquire(claim.key, claim)
        except Exception as error:  # noqa: BLE001 - the caller's key, which costs the others nothing
            return Failure(without_frames(error))
        claim.sender = sender
        if isinstance(claim.who, Cell):
            claim.monitor = claim.who.monitor(self._registry)
        return None if at_once else NO_REPLY

    def release(self, claim: Claim) -> None:
        """Give a lock back, or a place in its queue."""
        if claim.monitor is not None:
            claim.monitor.cancel()
        following = self._queue.release(claim)
        if following is not None and following.sender is not None:
            following.sender.reply()

    def release_of(self, down: Down) -> None:
        """Free the locks of an actor that has ended."""
        for claim in self._queue.claims():
            if claim.monitor is down.monitor:
                self.release(claim)
