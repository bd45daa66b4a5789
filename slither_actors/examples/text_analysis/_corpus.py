"""The documents: real text that every Python has, a user's files, or made-up ones.

Each is read lazily, file by file, in an order that depends on names only. A
file that cannot be read as what it claims to be is passed over and counted.
"""

from __future__ import annotations

import itertools
import random
import sysconfig
import tokenize
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from slither_actors.examples._files import check_path, files_below
from slither_actors.examples.text_analysis._lexicon import NEGATIVE, NEUTRAL, POSITIVE, STOPWORDS
from slither_actors.examples.text_analysis._source_text import texts_of

__all__ = ["MIN_WORDS", "SYNTHETIC", "Corpus", "Document", "documents"]

MIN_WORDS: Final = 8
"""Words that a docstring or a block of comments needs to be a document."""

SYNTHETIC: Final = 5000
"""Made-up documents."""

_SEED: Final = 42
_MOODS: Final = (POSITIVE, NEGATIVE, NEUTRAL)
_LONGEST: Final = 2**16
"""Characters of a paragraph after which another document begins."""

_NOT_MODULES: Final = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test"}
"""Folders of the standard library with no modules of it, or that some installations leave out."""


@attrs.frozen
class Document:
    """One text."""

    source: str
    """Where it stands: file and line."""

    text: str


@attrs.define
class Corpus:
    """Documents to be read once, and what was met on the way."""

    description: str
    """Where they come from, for people."""

    _read: Callable[[Corpus], Iterator[Document]]
    expected: int | None = None
    """How many there are, where that is known before."""

    limit: int | None = None
    """How many to give out at most."""

    sent: int = attrs.field(default=0, init=False)
    """Documents given out so far."""

    files: int = attrs.field(default=0, init=False)
    """Files read."""

    passed_over: list[str] = attrs.field(factory=list, init=False)
    """Files that could not be read, each with the reason."""

    def __iter__(self) -> Iterator[Document]:
        for document in itertools.islice(self._read(self), self.limit):
            self.sent += 1
            yield document


def documents(paths: Sequence[Path] = (), *, synthetic: bool = False) -> Corpus:
    """Return the documents of `paths`, or made-up ones, or those of the standard library.

    Raises:
        InputError: one of `paths` is missing or not readable.
    """
    if synthetic:
        return Corpus(
            f"{SYNTHETIC:,} made-up documents", lambda corpus: _made_up(SYNTHETIC), expected=SYNTHETIC
        )
    if paths:
        for path in paths:
            check_path(path)
        named = ", ".join(str(path) for path in paths)
        return Corpus(f"the paragraphs of {named}", lambda corpus: _paragraphs_below(corpus, paths))
    library = Path(sysconfig.get_paths()["stdlib"])
    return Corpus(
        f"docstrings and comments of the standard library in {library}",
        lambda corpus: _library_texts(corpus, library),
    )


# -- the standard library ------------------------------------------------------------


def _library_texts(corpus: Corpus, library: Path) -> Iterator[Document]:
    for path in _modules(library):
        name = str(path.relative_to(library))
        try:
            # Kept until the file is through: one that breaks off in the middle gives none.
            found = [
                Document(f"{name}:{line}", text)
                for line, text in texts_of(path)
                if len(text.split()) >= MIN_WORDS
            ]
        except (OSError, SyntaxError, ValueError, tokenize.TokenError) as error:
            corpus.passed_over.append(f"{name}: {error}")
            continue
        corpus.files += 1
        yield from found


def _modules(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # a folder that may not be listed has nothing for us
        return
    for entry in entries:
        if entry.is_dir():
            if entry.name not in _NOT_MODULES and not entry.is_symlink():
                yield from _modules(entry)
        elif entry.suffix == ".py":
            yield entry


# -- files of the user's -------------------------------------------------------------


def _paragraphs_below(corpus: Corpus, paths: Sequence[Path]) -> Iterator[Document]:
    for file in files_below(paths, corpus.passed_over):
        try:
            yield from _paragraphs(file)
        except (OSError, ValueError) as error:
            corpus.passed_over.append(f"{file}: {error}")
        else:
            corpus.files += 1


def _paragraphs(path: Path) -> Iterator[Document]:
    """Lines up to a blank one. What is not UTF-8 is replaced; a file with null bytes is no text."""
    gathered: list[str] = []
    size = first = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        number = 0
        # Not line by line: a file need not have lines.
        while line := file.readline(_LONGEST):
            number += 1
            if "\0" in line:
                raise ValueError("is not text")
            if line.strip():
                if not gathered:
                    first = number
                gathered.append(line)
                size += len(line)
                if size < _LONGEST:
                    continue
            if gathered:
                yield Document(f"{path}:{first}", "".join(gathered))
                gathered, size = [], 0
    if gathered:
        yield Document(f"{path}:{first}", "".join(gathered))


# -- made up -------------------------------------------------------------------------


def _made_up(count: int) -> Iterator[Document]:
    """Documents of 16 to 65 words, the same on every machine."""
    chance = random.Random(_SEED)
    fillers = sorted(STOPWORDS)
    for number in range(count):
        words = sorted(chance.choice(_MOODS))
        length = chance.randint(16, 65)
        text = [chance.choice(words if chance.random() < 0.4 else fillers) for _ in range(length)]
        yield Document(f"made up {number + 1}", " ".join(text))
