"""What is told of an actor that crashed: to the log, and as the event ``slither.actor.crash``."""

from __future__ import annotations

import itertools
import reprlib
import time
from typing import TYPE_CHECKING, Any

import attrs

from slither_actors import telemetry
from slither_actors.actors._ancestry import ancestors
from slither_actors.actors._message import Message, describe_message
from slither_actors.errors import class_name

if TYPE_CHECKING:
    from slither_actors.actors._cell import Cell
    from slither_actors.actors._reasons import Crash
    from slither_actors.actors._ref import Ref

__all__ = ["CrashReport"]

_LENGTH = 1000

_ANCESTORS = 32
"""The most that are listed."""

_PLAIN = frozenset({int, float, bool, type(None)})


class _Bounded(reprlib.Repr):
    """Shows what is small in itself and the first of what is large, in a time that does not grow with it.

    An object's own `repr` may write a million rows; that of `reprlib` sorts a dict before it takes the first.
    """

    def repr1(self, x: Any, level: int) -> str:
        kind = type(x)
        if kind in _PLAIN or (kind is str and len(x) <= self.maxstring):
            return repr(x)
        return super().repr1(x, level)

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        if level <= 0:
            return "{...}" if x else "{}"
        first = itertools.islice(x.items(), self.maxdict)
        pairs = [f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}" for key, value in first]
        return "{" + ", ".join([*pairs, "..."] if len(x) > self.maxdict else pairs) + "}"

    def repr_set(self, x: set[Any], level: int) -> str:
        return f"<set of {len(x)}>"

    def repr_frozenset(self, x: frozenset[Any], level: int) -> str:
        return f"<frozenset of {len(x)}>"

    def repr_instance(self, x: Any, level: int) -> str:
        if isinstance(x, (bool, float, complex, type(None))):
            return repr(x)
        return f"<{class_name(x)}>"


_bounded = _Bounded()
_bounded.maxdict = 20
_bounded.maxstring = 100


@attrs.define(kw_only=True)  # frozen would double the time to make one
class CrashReport:
    """The metadata of the event; as a string, the text of the log."""

    actor: str
    name: object
    ref: Ref
    reason: Crash
    last_message: str | None
    ancestors: tuple[str, ...]
    state: str

    @classmethod
    def of(cls, cell: Cell, reason: Crash, message: Message | None) -> CrashReport:
        """Collect the report, in the actor."""
        return cls(
            actor=cell.describe(),
            name=cell.name,
            ref=cell.ref,
            reason=reason,
            last_message=None if message is None else " ".join(describe_message(message)),
            ancestors=_ancestors_of(cell),
            state=_state_of(cell),
        )

    def tell(self) -> None:
        """Emit the event."""
        if telemetry.ACTOR_CRASH.receivers:
            metadata = {name: getattr(self, name) for name in _FIELDS}
            measurements = {"system_time": time.time()}
            telemetry.emit(telemetry.ACTOR_CRASH, self.ref, measurements=measurements, metadata=metadata)

    def __str__(self) -> str:
        lines = [f"{self.actor} crashed: {self.reason}"]
        if self.last_message is not None:
            lines.append(f"last message: {self.last_message}")
        if self.ancestors:
            lines.append(f"ancestors: {', '.join(self.ancestors)}")
        lines += [f"state: {self.state}", self.reason.traceback_text]
        return "\n".join(lines)


_FIELDS = [field.name for field in attrs.fields(CrashReport)]


def _ancestors_of(cell: Cell) -> tuple[str, ...]:
    line = ancestors(cell)
    more = len(line) - _ANCESTORS
    texts = (each.describe() for each in line[:_ANCESTORS])
    return (*texts, f"and {more} more") if more > 0 else tuple(texts)


def _state_of(cell: Cell) -> str:
    try:
        state = cell.actor.format_state()
        text = state if isinstance(state, str) else _bounded.repr(state)
    except BaseException as broken:  # noqa: BLE001 - the user's format_state may raise anything
        text = f"<format_state raised {class_name(broken)}>"
    return text[:_LENGTH]
