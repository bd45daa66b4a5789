"""Functions for arrays; only imported where numpy is installed."""

from __future__ import annotations

from typing import Any

kept: list[Any] = []


def double(batch: list[Any]) -> list[Any]:
    return [array * 2.0 for array in batch]


def in_place(batch: list[Any]) -> list[Any]:
    for array in batch:
        array[:] += 1
    return batch


def flags(batch: list[Any]) -> list[tuple[bool, bool]]:
    return [(array.flags.writeable, array.flags.aligned) for array in batch]


def keep_slice(batch: list[Any]) -> list[Any]:
    kept.append(batch[0][100:200][:10])
    return [None]


def kept_sum(batch: list[Any]) -> list[float]:
    return [float(kept[0].sum())]
