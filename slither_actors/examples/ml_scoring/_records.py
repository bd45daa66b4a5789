"""Records, samples, and the scale that makes features of them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

__all__ = ["Record", "Samples", "Scale"]


@attrs.frozen
class Scale:
    """Mean and deviation of each column of a data set."""

    means: Sequence[float]
    deviations: Sequence[float]

    def features(self, values: Sequence[float]) -> list[float]:
        """Return the values as distances from the mean, in deviations."""
        return [
            (value - mean) / deviation
            for value, mean, deviation in zip(values, self.means, self.deviations, strict=True)
        ]


@attrs.frozen(kw_only=True)
class Record:
    """What is to be scored."""

    dataset: str
    number: int
    values: Sequence[float]
    label: str
    """What it really is; nobody asks for it but the proof."""


@attrs.frozen(kw_only=True)
class Samples:
    """What a model learns from."""

    features: Sequence[Sequence[float]]
    labels: Sequence[str]
    plain: bool
    """Whether to do without scikit-learn."""
