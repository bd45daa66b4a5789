"""The sessions in plain Python: one slot for the model, or one per session under a lock."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from slither_actors.examples._baseline import Baseline, in_threads, timed
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._proof import Claim
from slither_actors.examples.ml_scoring._input import Session, sessions
from slither_actors.examples.ml_scoring._learners import Learner, learned

__all__ = ["baseline", "safe_python", "unsafe_threaded"]

Scores = Sequence[Sequence[str]]
"""The labels that each session gave to its records; none for a record that could not be scored."""


def unsafe_threaded(found: Sequence[Session]) -> Scores:
    """All sessions put their model into the same slot, and score with what is there."""
    slot: dict[str, Learner] = {}
    all_trained = threading.Barrier(len(found))

    def work(session: Session) -> Sequence[str]:
        slot["model"] = learned(session.samples)
        all_trained.wait()
        try:
            return [label for label, _ in slot["model"].predict(_features(session))]
        except ValueError:  # a model of other features
            return []

    return in_threads(work, found)


def safe_python(found: Sequence[Session]) -> Scores:
    """A slot for each session, and a lock before them."""
    models: dict[str, Learner] = {}
    lock = threading.Lock()
    all_trained = threading.Barrier(len(found))

    def work(session: Session) -> Sequence[str]:
        model = learned(session.samples)
        with lock:
            models[session.name] = model
        all_trained.wait()
        with lock:
            model = models[session.name]
        return [label for label, _ in model.predict(_features(session))]

    return in_threads(work, found)


def baseline(options: ExampleOptions) -> Baseline:
    """Run both and compare the labels with those of the session's own model."""
    _, found = sessions(options)
    expected = [[label for label, _ in learned(each.samples).predict(_features(each))] for each in found]

    def check(scores: Scores) -> list[Claim]:
        claims = []
        for session, given, right in zip(found, scores, expected, strict=True):
            wrong = len(right) - sum(one == other for one, other in zip(given, right, strict=False))
            claims.append(
                Claim(
                    f"{session.name}: {wrong:,} of {len(right):,} records not scored as by its own model",
                    wrong == 0,
                )
            )
        return claims

    return Baseline(
        name="ml_scoring",
        threads=len(found),
        compared=f"{len(found)} sessions train, then score: one slot for the model, or one per session."
        " No race that a GIL could hide.",
        unsafe=timed(unsafe_threaded, found, check=check),
        safe=timed(safe_python, found, check=check),
    )


def _features(session: Session) -> list[list[float]]:
    return [session.scale.features(record.values) for record in session.records]
