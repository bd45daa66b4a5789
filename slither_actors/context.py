"""What a stage, a worker function or a view knows of the run that it is part of.

A context is a value. It crosses to worker processes without its stores; a
worker reaches those through `views` or the store class itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Context"]


def _session_id() -> str:
    import uuid  # noqa: PLC0415 - it imports much, and a worker only gets its contexts

    return uuid.uuid4().hex


@attrs.frozen(kw_only=True)
class Context:
    """The run that an item is part of. Source: ``Slither.Context``."""

    session_id: str = attrs.field(factory=_session_id)
    """Scope of the run's views and key of its worker affinity."""

    pipe: str | None = None
    """Name of the pipe, or None in a bare dispatch run."""

    stage: str | None = None
    """Name of the stage that is running."""

    stores: Mapping[str, Any] = attrs.field(factory=dict)
    """Store name to store class. Empty in a worker."""

    metadata: Mapping[str, Any] = attrs.field(factory=dict)
    """What the caller gave to the run."""

    views: Any = None
    """Callable views by attribute: ``ctx.views.lookup_feature(key="user:42")``."""

    def with_stage(self, stage: str) -> Context:
        """Return the context of one stage of the run."""
        return attrs.evolve(self, stage=stage)

    def put_metadata(self, key: str, value: Any) -> Context:
        """Return the context with one more metadata entry."""
        return attrs.evolve(self, metadata={**self.metadata, key: value})
