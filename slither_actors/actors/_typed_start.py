"""Starts that return the ref of their kind, for the type checker as well."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from slither_actors.actors._ref import Ref
from slither_actors.actors._server import Server

__all__ = ["TypedStart"]

R = TypeVar("R", bound=Ref)
R_co = TypeVar("R_co", bound=Ref, covariant=True)


class _Startable(Protocol[R_co]):
    """What has the class of its refs."""

    @property
    def ref_class(self) -> type[R_co]: ...


class TypedStart(Server):
    """A server whose `ref_class` is the type of what `start` and `start_link` return. Not for users."""

    @classmethod
    def start(cls: type[_Startable[R]], *args: Any, name: object = None, **kwargs: Any) -> R:
        """As `Server.start`, with the arguments of `init`."""
        ref: R = super().start(*args, name=name, **kwargs)  # type: ignore[misc]
        return ref

    @classmethod
    def start_link(cls: type[_Startable[R]], *args: Any, name: object = None, **kwargs: Any) -> R:
        """As `Server.start_link`, with the arguments of `init`."""
        ref: R = super().start_link(*args, name=name, **kwargs)  # type: ignore[misc]
        return ref
