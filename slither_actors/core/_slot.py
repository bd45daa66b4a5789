"""One place in a pool, and what becomes of its batches and its workers.

The slot outlives its workers. It decides, and performs nothing:

* how many batches its worker may hold: one runs, one more may wait in the pipe;
* what a death costs: only the batch that had begun. One that was waiting in
  the pipe goes back to the queue and has not been attempted;
* when the next worker may start: at once after a worker that had worked, with
  growing pauses after workers that ended before they did anything, so a pool
  whose workers cannot start does not burn the machine;
* when a worker has done enough: with a limit of batches it retires as it gets
  the last one. Its place then belongs to another slot object, the `successor`,
  which may start meanwhile and counts on.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

import attrs

__all__ = ["DEPTH", "TRANSITIONS", "UNLIMITED", "Death", "Slot", "SlotEvent", "SlotState", "Tally", "backoff"]

DEPTH: Final = 2
"""Batches that one worker holds at most: one runs, the next hides the latency of the pipe."""

UNLIMITED: Final = 2**62
"""A limit of batches that no worker reaches."""

_BACKOFF_FIRST: Final = 0.05
_BACKOFF_LIMIT: Final = 5.0

_KILLS: Final = 8
"""Workers in a row that were killed before they were of use and count as one that failed. Whoever kills
them may stop; a kernel without memory does not, and then the pauses have to grow."""

_HISTORY: Final = 200


class SlotState(enum.Enum):
    """Where a slot stands."""

    WAITING = "waiting"
    """No worker; one starts when the pause is over."""
    STARTING = "starting"
    """A worker process exists and has not said that it is ready."""
    IDLE = "idle"
    BUSY = "busy"
    RETIRING = "retiring"
    """The worker gets no further batches; it is told to end when it holds none."""
    STOPPING = "stopping"
    """The worker was told to end, or was killed; it is not dead yet."""
    STOPPED = "stopped"
    """No worker, for good."""


class SlotEvent(enum.Enum):
    """What happens to a slot."""

    START = "start"
    READY = "ready"
    ASSIGN = "assign"
    DRAIN = "drain"
    """The last outstanding batch has ended."""
    DOOM = "doom"
    """The worker is to be replaced: it is being killed, or told to end."""
    RETIRE = "retire"
    """The worker is to do what it holds, and nothing after it."""
    KEEP = "keep"
    """The worker is not to retire after all."""
    DIE = "die"
    STOP = "stop"


S, E = SlotState, SlotEvent

TRANSITIONS: Final[dict[tuple[SlotState, SlotEvent], SlotState]] = {
    (S.WAITING, E.START): S.STARTING,
    (S.WAITING, E.DIE): S.WAITING,  # the process could not even be made
    (S.WAITING, E.STOP): S.STOPPED,
    (S.STARTING, E.READY): S.IDLE,
    (S.STARTING, E.DOOM): S.STOPPING,
    (S.STARTING, E.DIE): S.WAITING,
    (S.STARTING, E.STOP): S.STOPPING,
    (S.IDLE, E.ASSIGN): S.BUSY,
    (S.IDLE, E.RETIRE): S.RETIRING,
    (S.IDLE, E.DOOM): S.STOPPING,
    (S.IDLE, E.DIE): S.WAITING,
    (S.IDLE, E.STOP): S.STOPPING,
    (S.BUSY, E.ASSIGN): S.BUSY,
    (S.BUSY, E.DRAIN): S.IDLE,
    (S.BUSY, E.RETIRE): S.RETIRING,
    (S.BUSY, E.DOOM): S.STOPPING,
    (S.BUSY, E.DIE): S.WAITING,
    (S.BUSY, E.STOP): S.STOPPING,
    (S.RETIRING, E.DRAIN): S.RETIRING,
    (S.RETIRING, E.RETIRE): S.RETIRING,
    (S.RETIRING, E.KEEP): S.BUSY,
    (S.RETIRING, E.DOOM): S.STOPPING,
    (S.RETIRING, E.DIE): S.WAITING,
    (S.RETIRING, E.STOP): S.STOPPING,
    (S.STOPPING, E.READY): S.STOPPING,
    (S.STOPPING, E.DRAIN): S.STOPPING,
    (S.STOPPING, E.DOOM): S.STOPPING,
    (S.STOPPING, E.STOP): S.STOPPING,
    (S.STOPPING, E.DIE): S.WAITING,
    (S.STOPPED, E.STOP): S.STOPPED,
}


def backoff(failed_starts: int) -> float:
    """Seconds before the next start, after so many workers in a row that did nothing."""
    if failed_starts <= 0:
        return 0.0
    return float(min(_BACKOFF_LIMIT, _BACKOFF_FIRST * 2.0 ** min(failed_starts - 1, 30)))


@attrs.frozen
class Death:
    """What the end of a worker means."""

    lost: int | None
    """The batch that it was running; that one has failed."""

    given_back: tuple[int, ...]
    """Batches that it had not begun; they are queued again, as if never sent."""

    delay: float
    """Seconds before the next worker may start."""


@attrs.define
class Tally:
    """What a place has seen, under all of its workers."""

    batches: int = 0
    """Batches that ended."""

    workers: int = 0
    """Workers started."""


@attrs.define
class Slot:
    """The state machine of one slot. Not thread-safe: its pool is the only caller."""

    number: int
    limit: int = UNLIMITED
    """Batches that one worker runs at most."""

    tally: Tally = attrs.field(factory=Tally, kw_only=True)
    state: SlotState = attrs.field(default=S.WAITING, init=False)
    outstanding: deque[int] = attrs.field(factory=deque, init=False)
    """References of the batches that the worker holds; it runs them in this order."""

    kills: int = attrs.field(default=0, init=False)
    """Workers in a row that were killed from outside before they were of use."""

    failed_starts: int = attrs.field(default=0, init=False)
    """Workers in a row that ended before they were of use."""

    history: deque[SlotEvent] = attrs.field(factory=lambda: deque(maxlen=_HISTORY), init=False)
    """The last events, for the crash log and for replay."""

    _stopping: bool = attrs.field(default=False, init=False)
    _worked: bool = attrs.field(default=False, init=False)
    _left: int = attrs.field(default=UNLIMITED, init=False)
    """Batches that the worker may still be given."""

    @property
    def room(self) -> int:
        """How many more batches the worker may be given now."""
        return DEPTH - len(self.outstanding) if self.state is S.IDLE or self.state is S.BUSY else 0

    @property
    def is_live(self) -> bool:
        """Whether a worker takes batches now."""
        return self.state is S.IDLE or self.state is S.BUSY

    @property
    def batches(self) -> int:
        """Batches that ended in this place, under all of its workers."""
        return self.tally.batches

    @property
    def workers(self) -> int:
        """Workers started in this place so far."""
        return self.tally.workers

    @property
    def is_done(self) -> bool:
        """Whether the worker retires and holds nothing any more, so that it may be told to end."""
        return self.state is S.RETIRING and not self.outstanding

    def start(self) -> None:
        """A worker process is being started."""
        self._step(E.START)
        self.tally.workers += 1
        self._worked = False
        self._left = self.limit

    def ready(self) -> None:
        """The worker said that it takes batches."""
        self._step(E.READY)

    def assign(self, ref: int) -> None:
        """A batch was sent to the worker. With the last one that it may be given, it retires."""
        # Written out: this is the path of every batch.
        idle = self.state is S.IDLE
        if len(self.outstanding) >= DEPTH or not (idle or self.state is S.BUSY):
            msg = f"slot {self.number} is {self.state.value} and holds {len(self.outstanding)} batches"
            raise RuntimeError(msg)
        if idle:
            self._step(E.ASSIGN)
        self.outstanding.append(ref)
        self._left -= 1
        if not self._left:
            self._step(E.RETIRE)

    def finish(self, ref: int) -> int | None:
        """The batch that runs has ended; return the one that runs now, or None.

        Raises:
            ValueError: that batch does not run here; the worker is out of step.
        """
        if not self.outstanding or self.outstanding[0] != ref:
            msg = f"slot {self.number} runs {list(self.outstanding)}, not {ref}"
            raise ValueError(msg)
        self.outstanding.popleft()
        self.tally.batches += 1
        self._worked = True
        self.failed_starts = self.kills = 0
        if self.outstanding:
            return self.outstanding[0]
        self._step(E.DRAIN)
        return None

    def withdraw(self, ref: int) -> None:
        """A batch was taken back before it had begun."""
        self.outstanding.remove(ref)
        self._left += 1
        if not self.outstanding:
            self._step(E.DRAIN)

    def retire(self) -> None:
        """The worker gets no further batches; once it `is_done` it is told to end."""
        self._step(E.RETIRE)
        self._worked = True  # its end is wanted, and no failed start

    def keep(self) -> bool:
        """The worker is wanted again, and not told to end yet. False if it has no batch left to be given."""
        if self._left <= 0:
            return False
        self._stopping = False
        self._step(E.KEEP)
        if not self.outstanding:
            self._step(E.DRAIN)
        return True

    def successor(self) -> Slot:
        """Leave the place, for good, to a slot that counts on. This one ends with its worker."""
        self.leave()
        return Slot(self.number, self.limit, tally=self.tally)

    def leave(self) -> None:
        """No further worker is to start here, but the present one goes on."""
        self._stopping = True

    def doom(self) -> None:
        """The worker is being ended; it gets no further batches."""
        self._step(E.DOOM)

    def stop(self) -> None:
        """No further worker is to start here."""
        self._stopping = True
        self._step(E.STOP)

    def die(self, begun: int | None, *, useful: bool = False, killed: bool = False) -> Death:
        """The worker has ended, or could not be made.

        Args:
            begun: the batch that it had begun and not ended, as far as is known.
            useful: it had lived long enough not to count as a failed start.
            killed: somebody else killed it, so it may have been about to work.
        """
        lost = begun if begun is not None and begun in self.outstanding else None
        given_back = tuple(ref for ref in self.outstanding if ref != lost)
        self.outstanding.clear()
        self._step(E.DIE)
        if lost is not None:
            self.tally.batches += 1
        if lost is not None or self._worked or useful:
            self.failed_starts = self.kills = 0
        elif killed:
            self.kills += 1
            self.failed_starts += self.kills % _KILLS == 0
        else:
            self.failed_starts += 1
        if self._stopping:
            self.state = S.STOPPED
        failed_starts = self.failed_starts or min(1, self.kills)
        return Death(lost, given_back, backoff(failed_starts))

    def _step(self, event: SlotEvent) -> None:
        following = TRANSITIONS.get((self.state, event))
        if following is None:
            msg = f"slot {self.number} is {self.state.value}: {event.value} is not possible"
            raise RuntimeError(msg)
        self.state = following
        self.history.append(event)
