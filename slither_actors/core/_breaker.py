"""A circuit breaker: whether a target that only failed of late is tried again.

It decides and performs nothing; times are arguments, in seconds of one clock.

* closed: batches run. The last `failures` of them failing in a row, within
  `window` seconds, opens it; a batch that ends otherwise starts the count anew;
* open: nothing runs for `open_for` seconds. Answers of batches that were under
  way are no evidence any more, good or bad;
* half open: `probes` batches run. All of them ending well closes it, one that
  fails opens it again. A probe that is never answered (its run was closed, its
  driver's actor killed) is replaced after `open_for` seconds, so a circuit
  cannot stay half open for ever.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

import attrs

from slither_actors.policy import CircuitBreaker

__all__ = ["Breaker", "BreakerState"]


class BreakerState(enum.Enum):
    """Where a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class _Event(enum.Enum):
    TRIP = "trip"
    """Too many failures, or a probe that failed."""
    LAPSE = "lapse"
    """Its time is over."""
    RECOVER = "recover"
    """All probes ended well."""


_S = BreakerState

_TRANSITIONS: Final[dict[tuple[BreakerState, _Event], BreakerState]] = {
    (_S.CLOSED, _Event.TRIP): _S.OPEN,
    (_S.OPEN, _Event.LAPSE): _S.HALF_OPEN,
    (_S.HALF_OPEN, _Event.TRIP): _S.OPEN,
    (_S.HALF_OPEN, _Event.RECOVER): _S.CLOSED,
}


@attrs.define
class Breaker:
    """The circuit of one target. Not thread-safe: its owner locks."""

    options: CircuitBreaker
    state: BreakerState = attrs.field(default=BreakerState.CLOSED, init=False)
    opened_at: float = attrs.field(default=0.0, init=False)
    """When the circuit opened that is not closed yet; trials that failed do not count as new."""

    last_error: str = attrs.field(default="", init=False)
    """The last failure that counted, in words."""

    opened: int = attrs.field(default=0, init=False)
    """How often it has opened from closed."""

    refused: int = attrs.field(default=0, init=False)
    """How many batches it has not let pass."""

    _failures: deque[float] = attrs.field(factory=deque, init=False)
    _next_trial: float = attrs.field(default=0.0, init=False)
    _probes: int = attrs.field(default=0, init=False)
    """Let pass since it is half open."""
    _recovered: int = attrs.field(default=0, init=False)

    @property
    def is_calm(self) -> bool:
        """Whether batches pass and there is no failure that a success would forgive."""
        return self.state is BreakerState.CLOSED and not self._failures

    @property
    def failures(self) -> int:
        """Failures in a row that count, while it is closed."""
        return len(self._failures)

    def allows(self, now: float) -> bool:
        """Whether a batch may run. One that may is taken for a probe while the circuit is half open."""
        if self.state is BreakerState.CLOSED:
            return True
        if self.state is BreakerState.OPEN and now >= self._next_trial:
            self._step(_Event.LAPSE)
            self._probes = self._recovered = 0
        if self.state is BreakerState.HALF_OPEN:
            if self._probes >= self.options.probes and now >= self._next_trial:
                self._probes = self._recovered = 0  # no answer: those are lost
            if self._probes < self.options.probes:
                self._probes += 1
                self._next_trial = now + self.options.open_for
                return True
        self.refused += 1
        return False

    def next_trial(self, now: float) -> float:
        """Seconds until `allows` may say yes, if nothing else happens before."""
        return 0.0 if self.state is BreakerState.CLOSED else max(0.0, self._next_trial - now)

    def succeeded(self) -> bool:
        """A batch has ended otherwise than with a failure that counts. Returns whether that closed it."""
        if self.state is BreakerState.CLOSED:
            self._failures.clear()
        elif self.state is BreakerState.HALF_OPEN:
            self._recovered += 1
            if self._recovered >= self.options.probes:
                self._step(_Event.RECOVER)
                self._failures.clear()
                return True
        return False

    def failed(self, now: float, error: str) -> bool:
        """A batch has failed so that it counts. Returns whether that opened the circuit (again)."""
        if self.state is BreakerState.OPEN:
            return False
        self.last_error = error
        if self.state is BreakerState.CLOSED:
            self._failures.append(now)
            while self._failures[0] < now - self.options.window:
                self._failures.popleft()
            if len(self._failures) < self.options.failures:
                return False
            self.opened_at = now
            self.opened += 1
        self._step(_Event.TRIP)
        self._failures.clear()
        self._next_trial = now + self.options.open_for
        return True

    def _step(self, event: _Event) -> None:
        following = _TRANSITIONS.get((self.state, event))
        if following is None:
            msg = f"a circuit that is {self.state.value} cannot {event.value}"
            raise RuntimeError(msg)
        self.state = following
