"""What one check of the doctor has found."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Check", "Verdict", "bytes_text", "failed", "fine", "warned"]


class Verdict(enum.Enum):
    """How bad it is; in this order."""

    OK = "ok"
    WARN = "warn"
    """Pools work, though not for everything or not as well as they could."""
    FAIL = "FAIL"
    """Pools do not work."""


@attrs.frozen(kw_only=True)
class Check:
    """One line of the report."""

    name: str
    verdict: Verdict
    found: str
    """What there is, in words."""

    advice: str = ""
    """What to do, where there is something to do."""

    details: Mapping[str, Any] = attrs.field(factory=dict)
    """The same for programs: what JSON can hold, sizes in bytes, times in seconds."""


def fine(name: str, found: str, **details: Any) -> Check:
    """Make a check that found nothing wrong."""
    return Check(name=name, verdict=Verdict.OK, found=found, details=details)


def warned(name: str, found: str, advice: str, **details: Any) -> Check:
    """Make a check that found something to know about."""
    return Check(name=name, verdict=Verdict.WARN, found=found, advice=advice, details=details)


def failed(name: str, found: str, advice: str, **details: Any) -> Check:
    """Make a check that found what keeps pools from working."""
    return Check(name=name, verdict=Verdict.FAIL, found=found, advice=advice, details=details)


def bytes_text(size: float) -> str:
    """Return a size in words, as ``1.5 GiB``."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
