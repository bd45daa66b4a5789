"""The end of the tree, as a word in an inbox."""

from __future__ import annotations

import enum
from typing import Any

from slither_actors.actors import Down, Ref, Server
from slither_actors.application._inbox import Inbox
from slither_actors.errors import ActorError

__all__ = ["EndWatch", "Word", "await_end"]


class Word(enum.Enum):
    """What a parked thread hears besides the numbers of signals."""

    STOP = "stop"
    """Somebody asked for the end."""

    ENDED = "ended"
    """The tree has ended."""

    STOPPED = "stopped"
    """What was set going to stop it has done so, or failed."""


class EndWatch(Server):
    """Says when the tree has ended."""

    def init(self, root: Ref, inbox: Inbox) -> None:
        """Watch `root`."""
        self._inbox = inbox
        self.monitor(root)

    def handle_info(self, message: Any) -> None:
        """Tell of the end, by a word that the runtime's own end does not wait for."""
        if isinstance(message, Down):
            self._inbox.put(Word.ENDED)
            self.stop()


def await_end(root: Ref, timeout: float) -> None:
    """Wait for the end in the main thread, which hears each signal in the moment in which it comes.

    A signal that comes in the instant before a wait for a lock is heard only after it.
    """
    inbox = Inbox()
    try:
        watch = EndWatch.start(root, inbox)
    except ActorError:  # the runtime has stopped: nothing runs any more
        root.join(timeout)
        return
    try:
        with inbox.open() as get:
            get(timeout)
    except OSError:  # there are no descriptors left
        root.join(timeout)
    finally:
        watch.kill()
