"""The end of a run whose batches are waited for, or killed, see ``on_close``.

The supervisor of the run tells its runners to wind up. Each starts nothing
more, takes back what nobody has begun, and says when what had begun is done
with; then the run ends as any other. A deadline ends it whatever runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.actors import Ref

if TYPE_CHECKING:
    from slither_actors.dispatch._batch import Batch

__all__ = ["WindUp"]


class WindUp:
    """What one runner still waits for. Its runner is the only caller."""

    __slots__ = ("_open", "_supervisor")

    def __init__(self, supervisor: Ref, batches: list[Batch]) -> None:
        """Have `supervisor` told, by its ``wound_up``, when all of `batches` are answered."""
        self._supervisor = supervisor
        self._open = {id(batch): batch for batch in batches}
        self._tell()

    @property
    def unanswered(self) -> list[Batch]:
        """What it waits for."""
        return list(self._open.values())

    def answered(self, batch: Batch) -> None:
        """An answer has come; whose, does not matter."""
        if self._open.pop(id(batch), None) is not None:
            self._tell()

    def _tell(self) -> None:
        if not self._open:
            self._supervisor.send(self._supervisor.actor_class.wound_up)
