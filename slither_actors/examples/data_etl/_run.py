"""The run: three phases through the pipe, and the books that have to agree."""

from __future__ import annotations

import time
from collections import Counter

import attrs

from slither_actors.application import Application
from slither_actors.examples._catalogue import Advance, ExampleOptions
from slither_actors.examples._proof import Claim, Findings
from slither_actors.examples.data_etl._input import Source, source_of
from slither_actors.examples.data_etl._pipe import Clean, EtlPipe
from slither_actors.examples.data_etl._schema import problems
from slither_actors.examples.data_etl._stores import AuditStore, SchemaStore
from slither_actors.examples.data_etl._validate import Verdict
from slither_actors.pipe import stream_pipe

__all__ = ["PhaseBook", "run"]

_TOGGLES = 40
_TITLES = ("schema 1", "schema 2", "toggled")


@attrs.define
class PhaseBook:
    """What came out of one phase."""

    outputs: Counter[str] = attrs.field(factory=Counter)
    versions: Counter[int] = attrs.field(factory=Counter)
    """Rows by the version of the schema that they met."""

    mixed: int = 0
    """Rows that met rules of two versions."""

    misjudged: int = 0
    """Rows whose verdict is not that of the version that they met."""

    toggles: int = 0
    seconds: float = 0.0

    def enter(self, clean: Clean, output: str, source: Source) -> None:
        """Enter a row that came out."""
        verdict = clean.verdict
        self.outputs[output] += 1
        if len(verdict.versions) != 1:
            self.mixed += 1
            return
        (version,) = verdict.versions
        self.versions[version] += 1
        right = problems(verdict.row, source.schemas[version - 1])
        self.misjudged += list(verdict.problems) != right or (output == "invalid") != bool(right)


@attrs.define
class _Workers:
    """What the workers' answers say about the workers. Pid to rows."""

    rows: Counter[int] = attrs.field(factory=Counter)
    own_count: dict[int, int] = attrs.field(factory=dict)

    def enter(self, verdict: Verdict) -> None:
        self.rows[verdict.worker] += 1
        self.own_count[verdict.worker] = max(self.own_count.get(verdict.worker, 0), verdict.validated)


def run(options: ExampleOptions, advance: Advance) -> Findings:
    """Run the pipe three times: under schema 1, under schema 2, and while the two are swapped.

    Raises:
        InputError: the input is missing, or scikit-learn is.
    """
    source = source_of(options)
    staff = _Workers()
    SchemaStore.published = source.schemas[0]
    with Application(stores=[SchemaStore, AuditStore], pools={"default": options.pool()}):
        books = []
        for phase in range(3):
            SchemaStore.publish(source.schemas[min(phase, 1)])
            books.append(_phase(source, phase, staff, advance))
        audit: Counter[int] = Counter()
        for _, entry in AuditStore.log.items():
            audit[entry.worker] += entry.rows
    return Findings(lines=_lines(source, books, staff, audit), claims=_claims(source, books, staff, audit))


def _phase(source: Source, phase: int, staff: _Workers, advance: Advance) -> PhaseBook:
    book = PhaseBook()
    step = max(1, source.per_phase // _TOGGLES)
    began = time.monotonic()
    with stream_pipe(EtlPipe, source.rows(phase)) as stream:
        for done, item in enumerate(stream, 1):
            book.enter(item.payload, item.route, source)
            staff.enter(item.payload.verdict)
            if phase == 2 and done % step == 0 and book.toggles < _TOGGLES:
                book.toggles += 1  # batches are with the workers meanwhile
                SchemaStore.publish(source.schemas[book.toggles % 2])
            advance()
    book.seconds = time.monotonic() - began
    return book


def _claims(source: Source, books: list[PhaseBook], staff: _Workers, audit: Counter[int]) -> list[Claim]:
    claims = []
    if source.promised:
        sentence = f"{len(source.promised)} files say how many rows they have, and have them"
        claims.append(Claim(sentence, all(said == read for _, said, read in source.promised)))
    for phase, (title, book) in enumerate(zip(_TITLES, books, strict=True)):
        valid, invalid = book.outputs["default"], book.outputs["invalid"]
        rows = source.per_phase
        claims.append(
            Claim(f"{title}: {rows:,} rows = {valid:,} valid + {invalid:,} invalid", rows == valid + invalid)
        )
        if phase < 2:
            known = source.invalid(phase)
            claims.append(Claim(f"{title}: {invalid:,} invalid, {known:,} in the input", invalid == known))
    mixed, misjudged = (sum(getattr(book, name) for book in books) for name in ("mixed", "misjudged"))
    audited, counted, came = audit.total(), sum(staff.own_count.values()), staff.rows.total()
    return [
        *claims,
        Claim(f"{mixed:,} rows met a schema half-swapped", mixed == 0),
        Claim(f"{misjudged:,} rows were judged by another schema than they say", misjudged == 0),
        Claim(
            f"each worker's audit log = its own count: {audited:,} = {counted:,}, {came:,} came out",
            dict(audit) == staff.own_count == dict(staff.rows),
        ),
    ]


def _lines(source: Source, books: list[PhaseBook], staff: _Workers, audit: Counter[int]) -> list[str]:
    lines = [
        f"data_etl: {source.description}",
        "",
        f"{'phase':<14}{'rows':>10}{'valid':>10}{'invalid':>10}{'met v1':>10}{'met v2':>10}",
    ]
    for title, book in zip(_TITLES, books, strict=True):
        counts = (
            book.outputs.total(), book.outputs["default"], book.outputs["invalid"],
            book.versions[1], book.versions[2],
        )  # fmt: skip
        lines.append(f"{title:<14}" + "".join(f"{count:>10,}" for count in counts))
    seconds = sum(book.seconds for book in books)
    rows = sum(book.outputs.total() for book in books)
    lines.append(f"{books[2].toggles} swaps of the schema in the third phase")
    lines.append(f"{rows:,} rows in {seconds:.2f} s: {rows / max(seconds, 1e-9):,.0f} rows/s")
    lines += ["", f"{'worker process':<24}{'audit log':>12}{'own count':>12}"]
    lines += [f"{pid:<24}{audit[pid]:>12,}{count:>12,}" for pid, count in sorted(staff.own_count.items())]
    return lines
