"""The tree below a supervisor as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slither_actors.errors import ActorError, ActorExitError

if TYPE_CHECKING:
    from slither_actors.actors._child import ChildInfo
    from slither_actors.actors._ref import Ref

__all__ = ["render"]


def render(ref: Ref, timeout: float) -> str:
    """Ask a supervisor, and those below it, for their children; each has `timeout` seconds to answer."""
    return "\n".join([str(ref), *_below(ref, timeout)])


def _below(ref: Ref, timeout: float) -> Iterator[str]:
    try:
        children: list[ChildInfo] = ref.call(("which_children",), timeout)
    except ActorExitError as error:
        yield f"└─ (ended: {error.reason})"
        return
    except ActorError:
        # It starts or stops a child, or waits, directly or not, for the actor that asks.
        yield "└─ (busy)"
        return
    # In the order in which they started, which is that of the list a reader has written.
    for number, child in enumerate(reversed(children), 1):
        last = number == len(children)
        yield f"{'└─' if last else '├─'} {_line(child)}"
        # Not by the type: a server that says it is a supervisor need not know the request.
        if hasattr(child.ref, "render"):
            assert child.ref is not None
            for line in _below(child.ref, timeout):
                yield f"{'   ' if last else '│  '}{line}"


def _line(child: ChildInfo) -> str:
    words = [] if child.id is None else [str(child.id)]
    if child.ref is not None:
        words.append(str(child.ref))
    words.append(child.state)
    if child.restarts:
        words.append(f"{child.restarts} restart{'s' if child.restarts > 1 else ''}")
    return " · ".join(words)
