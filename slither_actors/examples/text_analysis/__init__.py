"""Slither's text pipe: prepare, analyse in workers, classify; and the proof that nothing was lost unseen.

Each worker process keeps an index of its own in a plain global, with no lock:
nobody else is in its process. What it counted comes back with each batch and
is merged in the driver.
"""

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
