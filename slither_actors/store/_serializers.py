"""How the keys and values of a store become what its file holds, and back, and their checksums."""

from __future__ import annotations

import json
import pickle
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

__all__ = ["SERIALIZERS", "checksum"]


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, protocol=5)


def _is_same(back: Any, value: Any) -> bool:
    """Whether they are equal and of the same types, all the way down: an enum's member equals its number."""
    if type(back) is not type(value):
        return False
    if isinstance(back, dict):
        # In their order, which JSON keeps; of keys that become the same text the last is left.
        return len(back) == len(value) and all(map(_is_same, _parts(back), _parts(value)))
    if isinstance(back, list):
        return len(back) == len(value) and all(map(_is_same, back, value))
    return bool(back == value)


def _parts(mapping: dict[Any, Any]) -> Iterator[Any]:
    return chain.from_iterable(mapping.items())


def _as_json(value: Any) -> str:
    text = json.dumps(value)
    back = json.loads(text)
    if not _is_same(back, value):
        msg = f"JSON would give back {back!r:.100} for it; use serializer='pickle'"
        raise ValueError(msg)
    return text


SERIALIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "pickle": (_pickled, pickle.loads),
    "json": (_as_json, json.loads),
}
"""By the option ``serializer``: to text or bytes, and back."""


def checksum(key: str | bytes, value: str | bytes) -> int:
    """That of a row, for its column ``crc32``."""
    return zlib.crc32(_bytes(value), zlib.crc32(_bytes(key)))


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data
