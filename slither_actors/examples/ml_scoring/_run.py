"""The run: the sessions side by side, each trains and then scores."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

import attrs

from slither_actors import dispatch
from slither_actors.application import Application
from slither_actors.context import Context
from slither_actors.examples._catalogue import Advance, ExampleOptions
from slither_actors.examples._proof import Claim, Findings
from slither_actors.examples.ml_scoring._input import Session, sessions
from slither_actors.examples.ml_scoring._learners import learned
from slither_actors.examples.ml_scoring._model import ModelCard, Prediction
from slither_actors.examples.ml_scoring._pipe import FeatureCache, ScorePipe
from slither_actors.pipe import stream_pipe

__all__ = ["Book", "run"]

_TRAIN: Final = "slither_actors.examples.ml_scoring._model:train"


@attrs.define
class Book:
    """What came of one session."""

    session: Session
    model: ModelCard
    predictions: list[Prediction] = attrs.field(factory=list)
    outputs: Counter[str] = attrs.field(factory=Counter)
    seconds: float = 0.0

    @property
    def right(self) -> float:
        """Share of the records that were recognised."""
        right = sum(found.label == found.record.label for found in self.predictions)
        return right / max(1, len(self.predictions))

    def strays(self) -> int:
        """Predictions that are not the work of the session's own model in its own worker."""
        return sum(
            found.model != self.model or found.scored_by != self.model.worker for found in self.predictions
        )

    def differing(self) -> int:
        """Predictions that a model, trained in this process on the same samples, would not make."""
        scale = self.session.scale
        expected = learned(self.session.samples).predict(
            [scale.features(record.values) for record in self.session.records]
        )
        by_number = {found.record.number: found for found in self.predictions}
        return sum(
            number not in by_number
            or by_number[number].label != label
            or not math.isclose(by_number[number].confidence, confidence, abs_tol=1e-6)
            for number, (label, confidence) in enumerate(expected)
        )


def run(options: ExampleOptions, advance: Advance) -> Findings:
    """Train and score in each session.

    Raises:
        InputError: the input is missing, or scikit-learn is.
    """
    description, found = sessions(options)
    FeatureCache.prepared = {session.name: session.scale for session in found}
    both_trained = threading.Barrier(len(found))
    # The application is stopped before the threads are waited for: that ends what they wait for.
    with (
        ThreadPoolExecutor(len(found)) as threads,
        Application(stores=[FeatureCache], pools={"default": options.pool()}),
    ):
        futures = [threads.submit(_session, session, both_trained, advance) for session in found]
        wait(futures)
    errors = [error for future in futures if (error := future.exception()) is not None]
    # The others wait in vain for the one that failed; it is the one to hear of.
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    books = [future.result() for future in futures]
    return Findings(lines=_lines(description, books), claims=_claims(books))


def _session(session: Session, both_trained: threading.Barrier, advance: Advance) -> Book:
    began = time.monotonic()
    context = Context(session_id=session.name)
    try:
        [card] = dispatch.run([session.samples], executor=_TRAIN, affinity="strict_queue", context=context)
    except BaseException:
        both_trained.abort()
        raise
    # Nobody scores before all have trained: a model that replaced another's would be seen.
    both_trained.wait()
    book = Book(session=session, model=card.payload)
    with stream_pipe(ScorePipe, session.records, session_id=session.name) as stream:
        for item in stream:
            book.predictions.append(item.payload)
            book.outputs[item.route] += 1
            advance()
    dispatch.end_session(context)  # its worker may forget it
    book.seconds = time.monotonic() - began
    return book


def _claims(books: Sequence[Book]) -> list[Claim]:
    claims = []
    for book in books:
        name, records = book.session.name, len(book.session.records)
        high, low, between = (book.outputs[output] for output in ("high", "low", "default"))
        strays, differing = book.strays(), book.differing()
        claims += [
            Claim(
                f"{name}: {records:,} records = {high:,} high + {low:,} low + {between:,} between",
                records == high + low + between,
            ),
            Claim(f"{name}: {strays:,} predictions by another model or in another worker", strays == 0),
            Claim(
                f"{name}: {differing:,} predictions differ from a model trained here on the same samples",
                differing == 0,
            ),
        ]
        if book.session.wanted:
            sentence = (
                f"{name}: {book.right:.1%} of the records recognised, wanted are {book.session.wanted:.0%}"
            )
            claims.append(Claim(sentence, book.right >= book.session.wanted))
    return claims


def _lines(description: str, books: Sequence[Book]) -> list[str]:
    lines = [
        f"ml_scoring: {description}",
        "",
        f"{'session':<20}{'worker':>10}{'samples':>9}{'records':>9}{'high':>8}{'between':>9}{'low':>7}"
        f"{'right':>8}{'seconds':>9}",
    ]
    lines += [
        f"{book.session.name:<20}{book.model.worker:>10}{len(book.session.samples.labels):>9,}"
        f"{len(book.predictions):>9,}{book.outputs['high']:>8,}{book.outputs['default']:>9,}"
        f"{book.outputs['low']:>7,}{book.right:>8.1%}{book.seconds:>9.2f}"
        for book in books
    ]
    return lines
