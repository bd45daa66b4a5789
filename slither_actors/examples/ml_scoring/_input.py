"""The sessions: one for each data set, with what it learns from and what it scores."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from slither_actors.errors import InputError
from slither_actors.examples._catalogue import ExampleOptions
from slither_actors.examples._csv_files import CsvFile, csv_files, number
from slither_actors.examples._packages import require, sklearn_folder
from slither_actors.examples._welford import Welford
from slither_actors.examples.ml_scoring._records import Record, Samples, Scale

__all__ = ["Session", "sessions"]

_SEED: Final = 42
_COUNT: Final = 2000
_GOOD: Final = 0.9
_ENOUGH: Final = 50
_OWN: Final = ("breast_cancer.csv", "wine_data.csv")


@attrs.frozen(kw_only=True)
class Session:
    """What one session does."""

    name: str
    samples: Samples
    scale: Scale
    records: list[Record]
    wanted: float = 0.0
    """Share of the records that its model has to recognise."""


def sessions(options: ExampleOptions) -> tuple[str, list[Session]]:
    """Return where the data comes from, for people, and the sessions.

    Raises:
        InputError: a file is missing, or is no table of numbers with a class; scikit-learn is not installed.
    """
    if options.synthetic:
        count = min(_COUNT, options.limit or _COUNT)
        return f"2 sessions, {_COUNT:,} made-up samples and {count:,} records each", _made_up(count)
    require("ml_scoring", "sklearn", "scikit-learn")
    folder = sklearn_folder("ml_scoring", "data")
    files = csv_files("ml_scoring", options.paths or [folder / name for name in _OWN])
    found = [_of_rows(file.name, _rows(file), options.limit) for file in files]
    if not options.paths:  # nobody knows what there is to be learnt from a user's file
        found = [_asking(session) for session in found]
    return "a session each for " + ", ".join(file.name for file in files), found


def _asking(session: Session) -> Session:
    """Ask for good results, where the data is known and there are enough records to tell."""
    return attrs.evolve(session, wanted=_GOOD if len(session.records) >= _ENOUGH else 0.0)


def _rows(file: CsvFile) -> Iterator[tuple[list[float], str]]:
    """Yield the numbers of each row and its class, which is the last cell."""
    if len(file.columns) < 2:
        raise InputError(
            str(file.path), "has one column; wanted are numbers, and the class in the last column"
        )
    for line, cells in file:
        values = [number(cell) for cell in cells[:-1]]
        numbers = [value for value in values if value is not None]
        if not numbers or len(numbers) != len(file.columns) - 1:
            problem = f"is not {len(file.columns) - 1} numbers and a class"
            raise InputError(str(file.path), problem, line=line)
        yield numbers, cells[-1]


def _of_rows(name: str, rows: Iterable[tuple[list[float], str]], limit: int | None) -> Session:
    """Learn from every other row, of which each class has to have one, and score the rest."""
    shuffled = list(rows)
    random.Random(_SEED).shuffle(shuffled)
    learn, score = shuffled[::2], shuffled[1::2]
    if len({label for _, label in learn}) < 2 or not score:
        raise InputError(name, "there are no two classes to tell apart: the last column has to be the class")
    return _session(name, learn, score[:limit], plain=False)


def _session(
    name: str, learn: list[tuple[list[float], str]], score: list[tuple[list[float], str]], *, plain: bool
) -> Session:
    columns = [Welford().add(column) for column in zip(*(values for values, _ in learn), strict=True)]
    scale = Scale([seen.mean for seen in columns], [seen.deviation or 1.0 for seen in columns])
    return Session(
        name=name,
        scale=scale,
        samples=Samples(
            features=[scale.features(values) for values, _ in learn],
            labels=[label for _, label in learn],
            plain=plain,
        ),
        records=[
            Record(dataset=name, number=number, values=values, label=label)
            for number, (values, label) in enumerate(score)
        ],
    )


# -- made up -------------------------------------------------------------------------


def _made_up(count: int) -> list[Session]:
    """Two sessions that learn different things, and then score the same records."""
    chance = random.Random(_SEED)
    records = [_values(chance) for _ in range(count)]
    found = []
    for name, positions in (("session 1", (0, 1)), ("session 2", (2, 3))):
        learn = [_values(chance) for _ in range(_COUNT)]
        found.append(
            _session(
                name,
                [(values, _label(values, positions, chance.gauss(0, 0.2))) for values in learn],
                [(values, _label(values, positions)) for values in records],
                plain=True,
            )
        )
    return [_asking(session) for session in found]


def _values(chance: random.Random) -> list[float]:
    return [chance.gauss(0, 1) for _ in range(4)]


def _label(values: list[float], positions: tuple[int, int], noise: float = 0.0) -> str:
    return "yes" if sum(values[position] for position in positions) + noise > 0 else "no"
