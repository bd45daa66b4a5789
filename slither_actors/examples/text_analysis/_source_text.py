"""The docstrings and comments of one Python file."""

from __future__ import annotations

import inspect
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["texts_of"]

_BEFORE_STATEMENT: Final = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
_BETWEEN: Final = {tokenize.NL, tokenize.COMMENT}


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string that is a statement, and of each block of comments.

    Tokens are enough, and they are no warnings' business: parsing would
    complain of what the standard library itself still does.

    Raises:
        OSError: the file cannot be read.
        SyntaxError, tokenize.TokenError: it is no Python of this version.
        ValueError: it is not in the encoding that it names.
    """
    block: list[str] = []
    block_at = block_end = 0
    before = tokenize.ENCODING
    candidate: tokenize.TokenInfo | None = None
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            kind = token.type
            if kind == tokenize.COMMENT and token.line.lstrip().startswith("#"):
                if block and token.start[0] != block_end + 1:
                    yield block_at, " ".join(block)
                    block = []
                if not block:
                    block_at = token.start[0]
                block.append(token.string.lstrip("#!: ").rstrip())
                block_end = token.start[0]
            if kind in _BETWEEN:
                continue
            if block:
                yield block_at, " ".join(block)
                block = []
            if candidate is not None and kind == tokenize.NEWLINE:
                yield candidate.start[0], _unquoted(candidate.string)
            is_text = kind == tokenize.STRING and before in _BEFORE_STATEMENT
            candidate = token if is_text and _is_plain(token.string) else None
            before = kind


def _is_plain(literal: str) -> bool:
    prefix = literal[: len(literal) - len(literal.lstrip("rRuUbBfF"))].lower()
    return "b" not in prefix and "f" not in prefix


def _unquoted(literal: str) -> str:
    body = literal.lstrip("rRuU")
    quotes = 3 if body[:3] in ('"""', "'''") else 1
    return inspect.cleandoc(body[quotes:-quotes])
