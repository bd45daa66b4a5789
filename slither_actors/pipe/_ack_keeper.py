"""What follows the items of a run whose input wants to know what becomes of them.

The stages tell what they do, batch by batch, and go on; a thread of the run's own
listens, keeps the tree of what came of what, and calls the source, whose calls may
block. Whoever passes items on has told before what was made of them, so nothing is
heard too late. The thread ends when the run has ended and nobody reads any more
what came out of it. What a source that was slow to end delivers after that goes
straight back to it.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from slither_actors.core import AckTree, AckTreeEnd
from slither_actors.errors import NotRunningError, safe_text
from slither_actors.item import Item
from slither_actors.pipe._ack_source import Ack, AckSource
from slither_actors.telemetry._log import GuardedLog

__all__ = ["AckKeeper"]

logger = GuardedLog("slither_actors.pipe")

_CLOSE_SECONDS = 5.0
"""How long the end of a run waits for the last acknowledgements."""

_BEHIND = 10_000
"""Nothing more is read while so many words wait to be heard: the source is slow to take acknowledgements."""

_LOOK_SECONDS = 0.01
"""How often a reader that is to wait for that looks again."""

_LONGEST_SECONDS = 3600.0
"""How long the thread sleeps at one time: the platform has a limit."""

_PAUSE_SECONDS = 0.002
"""How long the thread lets words gather."""

_Word = Callable[[], Iterable[AckTreeEnd]]


class AckKeeper:
    """One per run. `read`, `became` and `ended` may be called from any thread."""

    def __init__(
        self, source: AckSource, label: str, *, has_reader: bool, after: AckKeeper | None = None
    ) -> None:
        """Take the source.

        Args:
            source: is told; its numbers are right, see `check_source`.
            label: the run in words, for the log.
            has_reader: see there.
            after: that of the run before this one, over the same source.
        """
        self._source = source
        self._label = label
        self._size, self._seconds, self._beat_seconds = (
            source.ack_size,
            source.ack_seconds,
            source.beat_seconds,
        )
        self._lock = threading.Lock()
        self._is_deaf = False
        """Whether nobody listens any more; `_lock` guards it, and the following."""
        self._is_closed = False
        self._at_close: list[Callable[[], object]] = []
        self._calls: threading.Lock = threading.Lock() if after is None else after._calls
        """Held while the source is called: this run may begin before the one before it has let go."""
        self._after = None if after is None else after._open_one
        self._tree = AckTree()
        self._ends: list[Ack] = []
        self._next_beat = math.inf
        self._due = 0.0
        """When the first of `_ends` has waited long enough."""
        self._said: queue.SimpleQueue[_Word] = queue.SimpleQueue()
        self.has_reader = has_reader
        """Whether what comes out is consumed by somebody who says so."""
        self._parties = {"run", "reader"} if has_reader else {"run"}
        """Who may still have something to say."""
        self._present = set(self._parties)
        """The same, by who has called `leave`."""
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._listen, name=f"acks of {label}", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether it has started, and not let go of the source."""
        return self._thread.ident is not None and not self._is_closed

    @property
    def _open_one(self) -> AckKeeper | None:
        """Who has the source now: this one, or one before it if this one's run ended before it began."""
        after = self._after
        return self if self.is_open else None if after is None else after._open_one

    def call_at_turn(self, function: Callable[[], object]) -> None:
        """Call a function when the source may be read: when the run before this one has let go of it."""
        after = self._after
        if after is not None:
            with after._lock:
                if not after._is_closed:
                    after._at_close.append(function)
                    return
        function()

    # -- what is said ------------------------------------------------------------------

    def read(self, item: Item, token: Any) -> None:
        """An item of the input goes on its way. If the run is over, it goes back."""
        with self._lock:
            if not self._is_deaf:
                self._said.put(lambda: self._read(item.id, token))
                return
        self._guarded(self._source.acknowledge, [Ack(token, self._early, interrupted=True)])

    def became(self, items: Sequence[Item], made: Iterable[Item]) -> None:
        """A handler took `items` and made these, before they are passed on."""
        taken, given = [item.id for item in items], [item.id for item in made]
        if taken != given:
            self._said.put(lambda: self._tree.became(taken, given))

    def ended(self, items: Iterable[Item], error: BaseException | None = None) -> None:
        """Items are done with, or have failed."""
        ids = [item.id for item in items]
        self._said.put(lambda: self._tree.ended(ids, error))

    def keep_up(self, stopping: threading.Event) -> None:
        """Wait until most of what was said is heard."""
        while self._said.qsize() + len(self._ends) > _BEHIND and not stopping.is_set():
            stopping.wait(_LOOK_SECONDS)

    def leave(self, party: str, error: BaseException | None = None) -> None:
        """The run, or its reader, has nothing more to say. From any thread, a finalizer included."""
        self._present.discard(party)
        self._said.put(lambda: self._left(party, error))

    @property
    def is_left(self) -> bool:
        """Whether nobody has anything more to say; what was said may not be heard yet."""
        return not self._present

    def join(self) -> None:
        """Wait until the last acknowledgement is given, unless that lasts."""
        if not self.wait(_CLOSE_SECONDS):
            logger.warning("%s has ended, and its source still takes acknowledgements", self._label)

    def wait(self, timeout: float | None) -> bool:
        """Wait until the last acknowledgement is given; return whether it is, within so many seconds."""
        if self._thread.ident is None:
            before = self._open_one
            return before is None or before.wait(timeout)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- listening, in the thread ------------------------------------------------------

    def _listen(self) -> None:
        self._set_beat()
        while self._parties:
            with contextlib.suppress(queue.Empty):
                self._hear(self._said.get(timeout=self._patience()))
            if self._ends and (len(self._ends) >= self._size or time.monotonic() >= self._due):
                self._tell()
            if time.monotonic() >= self._next_beat:
                self._beat()
        with self._lock:
            self._is_deaf = True
        while not self._said.empty():
            self._take(Ack(token, error) for token, error in self._said.get()())
        self._take(Ack(token, own or self._early, own is None) for token, own in self._tree.close())
        self._tell()
        self._guarded(self._source.close)
        with self._lock:
            self._is_closed = True
        self._after = None
        for call in self._at_close:
            call()

    @property
    def _early(self) -> BaseException:
        """What is said of an item that was not finished."""
        return self._error or NotRunningError(f"{self._label} ended before it was done with this item")

    def _hear(self, first: _Word) -> None:
        """Take one word and those that are behind it."""
        # To be woken for each costs the stages far more than what there is to do for it.
        time.sleep(_PAUSE_SECONDS)
        for word in chain((first,), (self._said.get() for _ in range(self._said.qsize()))):
            self._take(Ack(token, error) for token, error in word())

    def _patience(self) -> float | None:
        """For how long there is nothing to do if nobody says anything; None for as long as it lasts."""
        until = min(self._due, self._next_beat) if self._ends else self._next_beat
        return None if until == math.inf else min(max(0.0, until - time.monotonic()), _LONGEST_SECONDS)

    def _set_beat(self) -> None:
        seconds = self._beat_seconds
        self._next_beat = math.inf if seconds is None else time.monotonic() + seconds

    def _beat(self) -> None:
        self._guarded(self._source.beat)
        self._set_beat()

    def _take(self, ends: Iterable[Ack]) -> None:
        begins = not self._ends
        self._ends += ends
        if begins and self._ends:
            self._due = time.monotonic() + self._seconds

    def _tell(self) -> None:
        ends, self._ends = self._ends, []
        for at in range(0, len(ends), self._size):
            self._guarded(self._source.acknowledge, ends[at : at + self._size])

    def _guarded(self, call: Callable[..., object], *arguments: Any) -> None:
        try:
            with self._calls:
                call(*arguments)
        except BaseException as error:  # the user's; what it did not take is delivered again
            name = getattr(call, "__name__", safe_text(call))
            logger.error("%s: %s of its source raised", self._label, name, exc_info=error)

    def _read(self, item: int, token: Any) -> Iterable[AckTreeEnd]:
        self._tree.read(item, token)
        return ()

    def _left(self, party: str, error: BaseException | None) -> Iterable[AckTreeEnd]:
        self._parties.discard(party)
        self._error = self._error or error
        return ()
