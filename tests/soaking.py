"""How long the tests that repeat themselves for minutes go on.

``SLITHER_SOAK_SECONDS`` in the environment is taken instead of what a test asks for.
"""

import itertools
import os
import time
from collections.abc import Iterator

__all__ = ["seeds", "soak_seconds"]


def soak_seconds(usual: float) -> float:
    """Return how long to go on, in seconds."""
    return float(os.environ.get("SLITHER_SOAK_SECONDS", usual))


def seeds(first: int, seconds: float) -> Iterator[int]:
    """Yield seeds until so long has passed, one at least. Each is printed, so a failure has its seed."""
    end = time.monotonic() + soak_seconds(seconds)
    for seed in itertools.count(first):
        print(f"seed {seed}", flush=True)
        yield seed
        if time.monotonic() > end:
            return
