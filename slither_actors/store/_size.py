"""How much memory the rows of a table take, about: some are looked at, and stand for the others."""

from __future__ import annotations

import gc
import sys
from itertools import islice
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["SAMPLE", "estimated_bytes"]

SAMPLE = 200
"""Rows that are looked at, evenly spread over the table."""

OBJECTS = 20_000
"""The most objects that are looked at in all: a row may be a large structure of its own."""

_OF_THE_PROGRAM = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, CodeType)
"""What a row may refer to and does not own."""


def estimated_bytes(live: dict[Any, Any]) -> int:
    """The bytes of a dict, its keys, its values and what those refer to. `live` is nobody else's.

    What several rows of the sample share is counted once. Memory that an object
    does not tell ``sys.getsizeof`` about is not in it.
    """
    if not live:
        return sys.getsizeof(live)
    looked, owned, shared = 0, 0, 0
    sizes: dict[int, int] = {}
    known_as_shared: set[int] = set()
    step = -(-len(live) // SAMPLE)
    for row in islice(live.items(), 0, None, step):
        if looked and len(sizes) >= OBJECTS:
            break
        looked += 1
        for identity, size in _objects(row):
            if identity not in sizes:
                sizes[identity] = size
                owned += size
            elif identity not in known_as_shared:
                known_as_shared.add(identity)
                owned -= size
                shared += size
    return sys.getsizeof(live) + shared + owned * len(live) // looked


def _objects(row: tuple[Any, Any]) -> list[tuple[int, int]]:
    """Identity and size of each object of one row."""
    found: dict[int, int] = {}
    waiting = list(row)
    while waiting and len(found) < OBJECTS:
        one = waiting.pop()
        if id(one) in found or isinstance(one, _OF_THE_PROGRAM):
            continue
        found[id(one)] = _own_size(one)
        # Not by its attributes: no code of the user's runs for it.
        waiting += gc.get_referents(one)
    return list(found.items())


def _own_size(one: Any) -> int:
    try:
        return sys.getsizeof(one)
    except Exception:  # noqa: BLE001 - the user's __sizeof__ may raise anything
        return 0
