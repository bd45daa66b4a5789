"""``slither-actors run``: a pipe of the user's over a file or standard input."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs

from slither_actors import telemetry
from slither_actors._cli._errors import FAILED, NOT_READ, UsageError, say, sentence
from slither_actors._cli._lines import LineSource
from slither_actors._cli._named import find_pipe
from slither_actors._cli._outputs import OutputClosedError, OutputError, Outputs, OutputStalledError
from slither_actors._cli._pipe import pools_of
from slither_actors._cli._progress import progress_on_stderr
from slither_actors._cli._records import Records, format_of
from slither_actors._cli._signals import Interrupted, Stopper
from slither_actors.application import Application
from slither_actors.item import Item
from slither_actors.pipe import Pipe, PipeStream, stream_pipe

__all__ = ["run_command"]

_SHOWN: Final = 5
"""Broken lines and lost batches that are described one by one."""


def run_command(options: argparse.Namespace, stopper: Stopper) -> int:
    """Run the pipe and return the exit status."""
    pipe = find_pipe(options.pipe)
    with contextlib.closing(LineSource(options.input)) as source:
        outputs = _open_outputs(options, pipe, source, stopper)
        run = _Run(options=options, pipe=pipe, source=source, outputs=outputs, stopper=stopper)
        return run.perform()


def _open_outputs(
    options: argparse.Namespace, pipe: type[Pipe], source: LineSource, stopper: Stopper
) -> Outputs:
    names = pipe.definition.outputs
    folder = None if options.output == "-" else Path(options.output)
    if folder is not None:
        _prepare(folder, names, source)

    def stop(error: OutputError) -> None:
        stopper.stop(NOT_READ if isinstance(error, OutputClosedError) else FAILED, str(error), grace=0)

    try:
        return Outputs(folder, names, on_failure=stop)
    except OutputError as error:
        raise UsageError(str(error)) from error


def _prepare(folder: Path, names: Iterable[str], source: LineSource) -> None:
    try:
        paths = [Outputs.path(folder, name) for name in names]
    except OutputError as error:
        raise UsageError(str(error)) from error
    for path in paths:
        if source.is_same_file(path):
            raise UsageError(f"the output {path} would overwrite the input")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the output folder {folder} cannot be made: {error.strerror}") from error


@attrs.define
class _Run:
    """One run, from the first line to the summary."""

    options: argparse.Namespace
    pipe: type[Pipe]
    source: LineSource
    outputs: Outputs
    stopper: Stopper
    _lost: list[str] = attrs.field(factory=list, init=False)
    _lost_batches: int = attrs.field(default=0, init=False)
    _first_broken: int | None = attrs.field(default=None, init=False)
    _stream: PipeStream | None = attrs.field(default=None, init=False)
    _cut_short: bool = attrs.field(default=False, init=False)
    _seconds: float = attrs.field(default=0.0, init=False)

    def perform(self) -> int:
        """Run, whatever happens write what was done, and say what was done."""
        options = self.options
        records = Records(
            self.source,
            name=self.source.name,
            form=options.format or format_of(options.input),
            skip=options.on_bad_line == "skip",
            on_skip=self._note_broken,
        )
        try:
            try:
                self._run(records)
            except (Interrupted, OutputStalledError):
                self._cut_short = True
        finally:
            try:
                self.outputs.close()
            except OutputStalledError:
                self._cut_short = True
            finally:
                self._summarise(records)
        return self.stopper.status

    def _run(self, records: Records) -> None:
        workers = self.options.workers
        pools = {name: {} if workers is None else workers for name in pools_of(self.pipe)}
        stores = list(self.pipe.definition.stores.values())
        payloads: Iterable[Any] = (
            records if self.options.limit is None else islice(records, self.options.limit)
        )
        listening = telemetry.attach(telemetry.DISPATCH_BATCH_EXCEPTION, self._note_lost)
        with listening, Application(stores=stores, pools=pools):
            began = time.monotonic()
            # The run goes before the descriptors that its source reads.
            outputs = self.outputs
            with self.stopper.gently(self.source.stop, outputs.flush_if_free, outputs.abandon):
                self._stream = stream_pipe(self.pipe, payloads)
                try:
                    with self._stream:
                        self._write_all(self.stopper.results(self._stream))
                finally:
                    self._seconds = time.monotonic() - began

    def _write_all(self, items: Iterator[Item]) -> None:
        fraction = self.source.fraction if self.source.size else None
        with progress_on_stderr(self.pipe.__name__, fraction=fraction) as progress:
            for item in items:
                self.outputs.write(item)
                progress.advance()

    def _note_broken(self, line: int, problem: str) -> None:
        if self._first_broken is None:
            self._first_broken = line

    def _note_lost(
        self, event: str, sender: Any, measurements: dict[str, Any], metadata: dict[str, Any]
    ) -> None:
        self._lost_batches += 1
        if len(self._lost) < _SHOWN:
            where = f"batch {metadata['batch_ref']} of {metadata['stage']} ({metadata['batch_size']} items)"
            self._lost.append(f"{where}: {sentence(metadata['reason'])}")

    def _summarise(self, records: Records) -> None:
        written = sum(self.outputs.counts.values())
        if self.stopper.status:
            rest = "not all that was read is done" if self._cut_short else "all that was read is done"
            say(f"stopped: {self.stopper.reason}; {rest}")
        rate = f" in {self._seconds:.1f} s, {written / self._seconds:,.0f} items/s" if self._seconds else ""
        say(f"read {records.read:,} items from {self.source.name}, wrote {written:,}{rate}")
        for name, count in self.outputs.counts.items():
            place = "" if self.options.output == "-" else f"  {Outputs.path(Path(self.options.output), name)}"
            say(f"  {name:<16}{count:>12,}{place}")
        if records.broken:
            lines = "line" if records.broken == 1 else "lines"
            say(f"  {records.broken:,} broken {lines} skipped, the first is line {self._first_broken:,}")
        finished = {} if self._stream is None else self._stream.finished
        for stage, statistics in finished.items():
            if getattr(statistics, "skipped", 0):
                say(f"  {statistics.skipped:,} items skipped by {stage}")
        for text in self._lost:
            say(f"  failed: {text}")
        if self._lost_batches > len(self._lost):
            say(f"  and {self._lost_batches - len(self._lost):,} failures of batches more")
