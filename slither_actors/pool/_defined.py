"""What a worker was told once: the functions and the contexts of its batches, by index.

The worker's side of `_definitions`. What arrives stays as it came until a
batch needs it: an import, or what a pickle brings along, takes its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors.pool import _wire as wire
from slither_actors.pool._board import Board, Phase
from slither_actors.pool._function import Function, resolve
from slither_actors.pool._payloads import loads
from slither_actors.pool._stopwatch import timed

if TYPE_CHECKING:
    from slither_actors.context import Context
    from slither_actors.pool._worker import Worker

__all__ = ["Defined"]


class Defined:
    """The definitions of one worker, which is the only caller."""

    def __init__(self, board: Board) -> None:
        self.functions: dict[int, tuple[str, Function, bool]] = {}
        """Those that are loaded: name, function, and whether it looks at the context."""
        self.contexts: dict[int, bytes | Context] = {}
        """Those that nobody has looked at are still bytes."""
        self._board = board
        self._targets: dict[int, bytes] = {}
        self._timed: set[int] = set()
        """Those of the targets that are measured."""

    def define(self, index: int, body: bytes | bytearray) -> None:
        """Take the body of a DEFINE frame; what was at the index is forgotten."""
        kind, data = body[:1], bytes(body[1:])
        if kind == wire.CONTEXT:
            self.contexts[index] = data
            return
        self._targets[index] = data
        self.functions.pop(index, None)
        (self._timed.add if kind == wire.TIMED_TARGET else self._timed.discard)(index)

    def load_function(self, index: int, ref: int) -> tuple[str, Function, bool]:
        """Load a function for a batch, and return what `functions` has of it from then on.

        Raises:
            TargetError: it cannot be imported or unpickled.
        """
        # An import may take long; the board says so, since it is not the batch that is slow.
        self._board.begin(ref, Phase.LOADING)
        name, function, asks = resolve(self._targets[index])
        if index in self._timed:
            function = timed(function, self._board)
        known = self.functions[index] = (name, function, asks)
        self._board.begin(ref, Phase.RUNNING)
        return known

    def load_context(self, index: int, worker: Worker) -> Context:
        """Unpickle a context, and return what `contexts` has from then on. Its views call through the worker.

        Raises:
            PayloadError: it cannot be unpickled here.
        """
        import attrs  # noqa: PLC0415 - most functions look at no context

        from slither_actors.pool._worker_views import WorkerViews  # noqa: PLC0415 - as above, and it imports us

        context: Context = loads(self.contexts[index], "the context", "worker")  # type: ignore[arg-type]
        if context.views is None:
            context = attrs.evolve(context, views=WorkerViews(worker, context.session_id))
        self.contexts[index] = context
        return context
