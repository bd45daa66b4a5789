"""The run: documents through the pipe into the ledger."""

from __future__ import annotations

import time

from slither_actors import telemetry
from slither_actors.application import Application
from slither_actors.errors import InputError
from slither_actors.examples._catalogue import Advance, ExampleOptions
from slither_actors.examples.text_analysis._corpus import Corpus, documents
from slither_actors.examples.text_analysis._ledger import Ledger, TextReport
from slither_actors.examples.text_analysis._pipe import StopwordStore, TextPipe
from slither_actors.pipe import stream_pipe

__all__ = ["run"]


def run(options: ExampleOptions, advance: Advance) -> TextReport:
    """Run the pipe over the documents and return the report.

    Raises:
        InputError: a path is missing, or there are no documents.
    """
    corpus = documents(options.paths, synthetic=options.synthetic)
    corpus.limit = options.limit
    ledger = Ledger(dict.fromkeys(TextPipe.definition.outputs, 0))
    pool = {} if options.workers is None else {"workers": options.workers}
    listening = telemetry.attach(
        telemetry.DISPATCH_BATCH_EXCEPTION,
        lambda event, sender, measurements, metadata: ledger.lose(metadata),
    )
    with listening, Application(stores=[StopwordStore], pools={"default": pool}):
        began = time.monotonic()
        with stream_pipe(TextPipe, corpus) as stream:
            for item in stream:
                ledger.deliver(item)
                advance()
        seconds = time.monotonic() - began
    if not corpus.sent:
        raise InputError(corpus.description, _none(corpus))
    return ledger.close(corpus, skipped=stream.finished["prepare"].skipped, seconds=seconds)


def _none(corpus: Corpus) -> str:
    if not corpus.passed_over:
        return "there are none; --input and --synthetic are other sources"
    others = len(corpus.passed_over) - 1
    return f"there are none; passed over {corpus.passed_over[0]}" + (
        f", and {others:,} more" if others else ""
    )
