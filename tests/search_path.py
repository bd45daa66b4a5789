"""Where the programs that tests start find their modules."""

from __future__ import annotations

import os
from pathlib import Path

import slither_actors

__all__ = ["SEARCH_PATH"]

SEARCH_PATH = os.pathsep.join(
    # The package that the tests import comes first: it may be the installed wheel and not the checkout.
    (str(Path(slither_actors.__file__).parent.parent), str(Path(__file__).parent.parent))
)
"""A value for ``PYTHONPATH``: `slither_actors` as the tests have it, and the tests."""
