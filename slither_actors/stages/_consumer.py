"""The consumer: the stage at the end, which takes events at its own speed."""

from __future__ import annotations

from typing import Any

from slither_actors.stages._receiver import Receiver

__all__ = ["Consumer"]


class Consumer(Receiver):
    """A stage with producers only. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_events`. Demand is asked for as the subscription says.
    """

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._watched = {}
        super()._begin(args, kwargs)
        self._open_input()
