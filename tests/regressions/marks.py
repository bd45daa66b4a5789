"""Marks of tests about what not every version has."""

from __future__ import annotations

import attrs
import pytest

from slither_actors.pool import PoolOptions

__all__ = ["needs_option"]


def needs_option(name: str) -> pytest.MarkDecorator:
    """Skip where pools have no such option."""
    known = {field.name for field in attrs.fields(PoolOptions)}
    return pytest.mark.skipif(name not in known, reason=f"pools have no option {name!r}")
