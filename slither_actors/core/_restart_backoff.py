"""How long a supervisor waits before it restarts a child.

Each restart in a row waits twice as long as the one before it, up to a limit.
A row ends when the child has run for a while. Time and chance are inputs.
"""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.config import finite_seconds, share
from slither_actors.errors import OptionError

__all__ = ["Backoff", "RestartBackoff"]

# 2.0 ** 1024 raises instead of being infinite.
_MAX_DOUBLINGS = 1023


def _seconds(_: object, attribute: Any, value: object) -> None:
    finite_seconds.check(attribute.name, value, "backoff")


def _share(_: object, attribute: Any, value: object) -> None:
    share.check(attribute.name, value, "backoff")


def _not_below_min(backoff: Backoff, attribute: Any, value: float) -> None:
    if value < backoff.min:
        raise OptionError(attribute.name, f"is {value!r}, less than min, {backoff.min!r}", where="backoff")


@attrs.frozen(kw_only=True)
class Backoff:
    """The waits before the restarts of a child; the first is `min`, each later one twice as long."""

    min: float = attrs.field(default=0.1, validator=_seconds)
    """Seconds before the first restart in a row."""

    max: float = attrs.field(default=30.0, validator=[_seconds, _not_below_min])
    """The longest wait in seconds, its random part included."""

    jitter: float = attrs.field(default=0.1, validator=_share)
    """The largest random part, as a share of the wait, so that children do not all come back at once."""

    reset_after: float = attrs.field(default=60.0, validator=_seconds)
    """A child that has run for so many seconds begins again with `min`."""


@attrs.define
class RestartBackoff:
    """Count the restarts in a row of one child.

    Not thread-safe: the supervisor is the only caller.
    """

    backoff: Backoff
    _in_a_row: int = attrs.field(default=0, init=False)
    _started_at: float | None = attrs.field(default=None, init=False)

    def started(self, now: float) -> None:
        """Note that the child runs since monotonic `now`, in seconds."""
        self._started_at = now

    def reset(self) -> None:
        """Begin a new row: somebody stopped the child on purpose."""
        self._in_a_row, self._started_at = 0, None

    def delay(self, now: float, uniform: float) -> float:
        """Return the seconds to wait before the next restart, the child having ended or failed to start.

        `uniform` is a random number from 0 up to 1.
        """
        backoff = self.backoff
        if self._started_at is not None and now - self._started_at >= backoff.reset_after:
            self._in_a_row = 0
        self._started_at = None
        doublings = min(self._in_a_row, _MAX_DOUBLINGS)
        self._in_a_row += 1
        # The random part comes on top, so room is left for it: at the limit as well the waits must differ.
        longest = max(backoff.min, backoff.max / (1 + backoff.jitter))
        wait = min(backoff.min * 2.0**doublings, longest)
        return min(wait * (1 + backoff.jitter * uniform), backoff.max)
