"""Two ways to learn: scikit-learn's logistic regression, and naive Bayes in plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

from slither_actors.examples._welford import Welford
from slither_actors.examples.ml_scoring._records import Samples

__all__ = ["Learner", "learned"]


class Learner(Protocol):
    """Has learnt to tell labels apart."""

    def predict(self, rows: Sequence[Sequence[float]]) -> list[tuple[str, float]]:
        """Return a label and a confidence, 0 to 1, for each row of features."""


def learned(samples: Samples) -> Learner:
    """Learn from samples."""
    return NaiveBayes(samples) if samples.plain else Regression(samples)


class Regression:
    """Logistic regression."""

    def __init__(self, samples: Samples) -> None:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - optional, and slow to import

        self._model: Any = LogisticRegression(max_iter=1000)
        self._model.fit(samples.features, samples.labels)

    def predict(self, rows: Sequence[Sequence[float]]) -> list[tuple[str, float]]:
        """Return a label and a confidence for each row."""
        chances = self._model.predict_proba(rows)
        labels = self._model.classes_
        best = chances.argmax(axis=1)
        return [(str(labels[at]), float(row[at])) for row, at in zip(chances, best, strict=True)]


class NaiveBayes:
    """Each feature has a normal distribution in each class, and knows nothing of the others."""

    def __init__(self, samples: Samples) -> None:
        by_label: dict[str, list[Sequence[float]]] = defaultdict(list)
        for features, label in zip(samples.features, samples.labels, strict=True):
            by_label[label].append(features)
        self._share = {label: len(rows) / len(samples.labels) for label, rows in by_label.items()}
        self._seen = {
            label: [Welford().add(column) for column in zip(*rows, strict=True)]
            for label, rows in sorted(by_label.items())
        }

    def predict(self, rows: Sequence[Sequence[float]]) -> list[tuple[str, float]]:
        """Return a label and a confidence for each row."""
        return [self._predict_one(row) for row in rows]

    def _predict_one(self, row: Sequence[float]) -> tuple[str, float]:
        logs = {
            label: math.log(self._share[label])
            + sum(_log_density(value, seen) for value, seen in zip(row, columns, strict=True))
            for label, columns in self._seen.items()
        }
        best = max(logs, key=lambda label: logs[label])
        return best, 1 / sum(math.exp(log - logs[best]) for log in logs.values())


def _log_density(value: float, seen: Welford) -> float:
    deviation = max(seen.deviation, 1e-9)
    return -math.log(deviation) - ((value - seen.mean) / deviation) ** 2 / 2
