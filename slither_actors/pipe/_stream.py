"""The caller's ends of a pipe's run: an iterator, and an async one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slither_actors.dispatch import RunStream
from slither_actors.dispatch._async_stream import AsyncRunStream
from slither_actors.errors import NameTakenError
from slither_actors.item import Item
from slither_actors.pipe._plan import session_in_use

__all__ = ["AsyncPipeStream", "PipeStream"]


class PipeStream(RunStream):
    """The items of a run as they come. ``item.route`` is the output that an item left by.

    A halted run raises `PipeError` after the last item that came out.
    """

    def _next_chunk(self) -> None:
        try:
            super()._next_chunk()
        except NameTakenError as error:
            raise session_in_use(self._plan) from error

    @property
    def finished(self) -> Mapping[str, Any]:
        """Stage name to what the stage did, complete once the run has ended."""
        return self._plan.link.finished


class AsyncPipeStream(AsyncRunStream):
    """The items of a run as they come, for ``async for``. ``item.route`` is the output that an item left by.

    A halted run raises `PipeError` after the last item that came out.
    """

    async def _first(self) -> Item:
        try:
            return await super()._first()
        except NameTakenError as error:
            raise session_in_use(self._plan) from error

    @property
    def finished(self) -> Mapping[str, Any]:
        """Stage name to what the stage did, complete once the run has ended."""
        return self._plan.link.finished
