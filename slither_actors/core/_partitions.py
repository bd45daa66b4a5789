"""How many partitions are in use, and which of them a key belongs to."""

from __future__ import annotations

import attrs

from slither_actors.config import shown

__all__ = ["Partitions", "Resize"]


@attrs.frozen
class Resize:
    """What has to be done for a new number of partitions."""

    before: int
    """How many were in use."""

    start: range
    """Partitions to start, in this order, before keys are sent to them."""

    stop: range
    """Partitions to stop, in this order, when no key is sent to them any more."""


@attrs.define
class Partitions:
    """The partitions ``0 .. in_use - 1`` out of `maximum`.

    Not thread-safe, but for `of`: the owning actor is the only caller of the rest.
    """

    maximum: int = attrs.field(validator=attrs.validators.ge(1))
    in_use: int = attrs.field(init=False)

    @in_use.default
    def _all(self) -> int:
        return self.maximum

    def of(self, key: object) -> int | None:
        """Return the partition of a key; None if no partition is in use. Equal keys have the same.

        An integer is taken as it is, without its sign; of anything else its hash.
        """
        in_use = self.in_use
        if not in_use:
            return None
        return abs(key if isinstance(key, int) else hash(key)) % in_use

    def plan(self, count: int) -> Resize:
        """Say what a change to `count` partitions takes; `in_use` is the caller's to set.

        Raises:
            ValueError: `count` is not a number from 0 to `maximum`.
        """
        number = isinstance(count, int) and not isinstance(count, bool)
        if not number or not 0 <= count <= self.maximum:
            msg = f"is {shown(count)}; allowed are 0 to {self.maximum}, the number that it was started with"
            raise ValueError(msg)
        return Resize(self.in_use, range(self.in_use, count), range(count, self.in_use))
