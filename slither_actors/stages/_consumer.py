"""The consumer: the stage at the end, which takes events at its own speed."""

from __future__ import annotations

from slither_actors.stages._receiver import Receiver

__all__ = ["Consumer"]


class Consumer(Receiver):
    """A stage with producers only. Source: https://hexdocs.pm/gen_stage/GenStage.html .

    Define `handle_events`. Demand is asked for as the subscription says.
    """

    _emits = False
