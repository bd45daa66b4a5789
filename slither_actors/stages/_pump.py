"""What reads an async iterator, in its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Any

__all__ = ["Pump"]

_STROKE = 100
"""Elements after which the other coroutines of the loop have their turn, if the iterator never waits."""


class Pump:
    """Reads as far as it may. Used in the loop's thread only, but for the constructor."""

    def __init__(self, may: int) -> None:
        self._may = may
        """Elements that may still be read."""
        self._waiting: asyncio.Future[None] | None = None

    def grant(self, count: int) -> None:
        """Let it read so many more."""
        self._may += count
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def read(self, source: AsyncIterable[Any], put: Callable[[Any], None]) -> None:
        """Read to the end and give each element to `put`. However it ends, the iterator is closed."""
        iterator = aiter(source)
        close = getattr(iterator, "aclose", None)
        count = 0
        try:
            await self._allowed()
            async for element in iterator:
                put(element)
                self._may -= 1
                count += 1
                if count % _STROKE == 0:
                    await asyncio.sleep(0)
                await self._allowed()
        except GeneratorExit:
            close = None  # the loop was closed with this in it, and nothing can be awaited any more
            raise
        finally:
            if close is not None:
                await close()

    async def _allowed(self) -> None:
        while self._may <= 0:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
            self._waiting = None
