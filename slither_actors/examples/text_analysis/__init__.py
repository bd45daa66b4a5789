"""Slither's text pipe: prepare, analyse in workers, classify; and the proof that nothing was lost unseen.

Each worker process keeps an index of its own in a plain global, with no lock:
nobody else is in its process. What it counted comes back with each batch and
is merged in the driver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.examples.text_analysis._corpus import Corpus, Document, documents
    from slither_actors.examples.text_analysis._ledger import Ledger, TextReport
    from slither_actors.examples.text_analysis._pipe import StopwordStore, TextPipe
    from slither_actors.examples.text_analysis._run import run

__all__ = [
    "Corpus",
    "Document",
    "Ledger",
    "StopwordStore",
    "TextPipe",
    "TextReport",
    "documents",
    "run",
]

# Imported on first use: a worker imports this package for `_analysis`, and would pay for the whole of
# the driver's side at each start.
_HOMES = {
    "Corpus": "_corpus",
    "Document": "_corpus",
    "Ledger": "_ledger",
    "StopwordStore": "_pipe",
    "TextPipe": "_pipe",
    "TextReport": "_ledger",
    "documents": "_corpus",
    "run": "_run",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
