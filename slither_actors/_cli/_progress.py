"""Progress on standard error: rich's bar where rich is installed, else a plain line, on terminals only."""

from __future__ import annotations

import sys
from collections.abc import Callable

from slither_actors.contrib.rich import RichProgress
from slither_actors.observe import Progress, is_terminal, progress

__all__ = ["progress_on_stderr"]


def progress_on_stderr(label: str, *, fraction: Callable[[], float | None] | None = None) -> Progress:
    """Return what shows how far a run has come."""
    if is_terminal(sys.stderr):
        try:
            return RichProgress(label, sys.stderr, fraction=fraction)
        except ImportError:
            pass
    return progress(label, sys.stderr, fraction=fraction)
