"""What runs in the worker processes: training, and scoring with what was trained."""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs

from slither_actors.context import Context
from slither_actors.examples.ml_scoring._learners import Learner, learned
from slither_actors.examples.ml_scoring._records import Record, Samples

__all__ = ["ModelCard", "Prediction", "predict", "train"]


@attrs.frozen(kw_only=True)
class ModelCard:
    """Says which model it is."""

    session_id: str
    """The session that trained it."""

    worker: int
    """Pid of the process that it is in."""


@attrs.frozen(kw_only=True)
class Prediction:
    """What a model says about a record."""

    record: Record
    label: str
    confidence: float
    """0 to 1."""

    model: ModelCard
    scored_by: int
    """Pid of the worker."""


_models: dict[str, tuple[Learner, ModelCard]] = {}
"""Session to its model, in this process. No lock: a worker runs one batch at a time."""


def train(batch: Sequence[Samples], ctx: Context) -> list[ModelCard]:
    """Train the session's model and keep it here."""
    cards = []
    for samples in batch:
        card = ModelCard(session_id=ctx.session_id, worker=os.getpid())
        _models[ctx.session_id] = learned(samples), card
        cards.append(card)
    return cards


def predict(batch: Sequence[tuple[Record, list[float]]], ctx: Context) -> list[Prediction]:
    """Score records with the session's model. In a worker that has none it fails, and says so."""
    if ctx.session_id not in _models:
        raise LookupError(f"worker {os.getpid()} has no model of session {ctx.session_id!r}")
    learner, card = _models[ctx.session_id]
    found = learner.predict([features for _, features in batch])
    return [
        Prediction(record=record, label=label, confidence=confidence, model=card, scored_by=os.getpid())
        for (record, _), (label, confidence) in zip(batch, found, strict=True)
    ]
