"""How the keys and values of a store become what its file holds, and back."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

__all__ = ["SERIALIZERS"]


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, protocol=5)


def _as_json(value: Any) -> str:
    text = json.dumps(value)
    back = json.loads(text)
    if back != value or type(back) is not type(value):
        msg = f"JSON would give back {back!r:.100} for it; use serializer='pickle'"
        raise ValueError(msg)
    return text


SERIALIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "pickle": (_pickled, pickle.loads),
    "json": (_as_json, json.loads),
}
"""By the option ``serializer``: to text or bytes, and back."""
