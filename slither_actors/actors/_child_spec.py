"""How a supervisor starts, restarts and stops one child."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pykka

from slither_actors.core import Backoff
from slither_actors.errors import OptionError

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref

__all__ = ["BRUTAL_KILL", "ChildSpec", "Restart", "specs_of"]

Restart = Literal["permanent", "transient", "temporary"]

BRUTAL_KILL = "brutal_kill"
"""A `ChildSpec.shutdown`: kill the child without asking."""


def _restart(_: object, __: object, value: object) -> None:
    if value not in ("permanent", "transient", "temporary"):
        raise OptionError("restart", f"is {value!r}; allowed are 'permanent', 'transient', 'temporary'")


def _shutdown(_: object, __: object, value: object) -> None:
    number = (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value <= threading.TIMEOUT_MAX
    )
    if not (value is None or value == BRUTAL_KILL or number):
        raise OptionError(
            "shutdown", f"is {value!r}; allowed are seconds of at least 0, 'brutal_kill', None (no limit)"
        )


def _start(_: object, __: object, value: Any) -> None:
    if not (isinstance(value, tuple) and len(value) == 3 and hasattr(value[0], "start_link")):
        raise OptionError("start", f"is {value!r:.200}; allowed is (server class, args, kwargs)")


def _type(_: object, __: object, value: object) -> None:
    if value not in ("worker", "supervisor"):
        raise OptionError("type", f"is {value!r}; allowed are 'worker', 'supervisor'")


def _backoff(_: object, __: object, value: Any) -> None:
    if not (value is None or isinstance(value, Backoff)):
        raise OptionError("backoff", f"is {value!r}; allowed are a Backoff, None")


def _async_kill(spec: ChildSpec, _: object, value: object) -> None:
    if not isinstance(value, bool):
        raise OptionError("async_kill", f"is {value!r}; allowed are True, False")
    if value and not getattr(spec.start[0], "own_thread", False):
        name = getattr(spec.start[0], "__name__", spec.start[0])
        raise OptionError(
            "async_kill",
            f"is True for {name}, whose thread runs other actors, too; set own_thread = True there",
        )


def _significant(spec: ChildSpec, _: object, value: object) -> None:
    if not isinstance(value, bool):
        raise OptionError("significant", f"is {value!r}; allowed are True, False")
    if value and spec.restart == "permanent":
        raise OptionError("significant", "is True for a permanent child, which never ends for good")


@attrs.frozen(kw_only=True)
class ChildSpec:
    """One child of a supervisor, checked when it is made: a wrong value raises `OptionError`.

    Source: https://www.erlang.org/doc/apps/stdlib/supervisor#t:child_spec/0
    """

    id: object
    """Unique under a static supervisor."""

    start: tuple[Any, tuple[Any, ...], dict[str, Any]] = attrs.field(validator=_start)
    """The server class and what its `init` gets."""

    restart: Restart = attrs.field(default="permanent", validator=_restart)
    """permanent: always; transient: after an abnormal end; temporary: never."""

    shutdown: Any = attrs.field(default=5.0, validator=_shutdown)
    """Seconds to end in before it is killed; ``"brutal_kill"`` at once; None waits without limit."""

    type: Literal["worker", "supervisor"] = attrs.field(default="worker", validator=_type)
    """For `which_children` and `count_children`."""

    significant: bool = attrs.field(default=False, validator=_significant)
    """Whether its end for good may end the supervisor: see `auto_shutdown` there. Not for permanent ones."""

    backoff: Backoff | None = attrs.field(default=None, validator=_backoff)
    """How long to wait before a restart; None restarts at once, as OTP does."""

    exclusive: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    """Whether no successor may start while the handler of an abandoned predecessor still runs, for a child
    that owns a port, a device or a file. Its supervisor gives up instead of restarting it."""

    async_kill: bool = attrs.field(default=False, validator=_async_kill)
    """Whether an exception is put into the thread of a child whose handler does not return after a kill.

    Unsafe, and for servers with ``own_thread`` only. It strikes anywhere, in a ``with lock:`` for one, and
    not before a call returns that waits in C, as ``time.sleep`` does. Work that must be killable belongs in
    a worker process."""

    def launch(self, *extra: Any) -> Ref:
        """Start the child, linked to the calling supervisor."""
        cls, args, kwargs = self.start
        ref: Ref = cls.start_link(*args, *extra, **kwargs)
        return ref

    @classmethod
    def of(cls, child: Any) -> ChildSpec:
        """Take a spec as it is, a server class as its default spec."""
        if isinstance(child, cls):
            return child
        make = getattr(child, "child_spec", None)
        if make is None:
            problem = f"has {child!r:.200}; allowed are child specs and server classes"
            if isinstance(child, type) and issubclass(child, pykka.Actor):
                problem += " (a Pykka actor has no start that can fail or be linked: make it a Server)"
            raise OptionError("children", problem)
        spec: ChildSpec = make()
        return spec


def specs_of(children: Iterable[Any]) -> list[ChildSpec]:
    """Take a list of what `ChildSpec.of` takes."""
    if isinstance(children, Iterable):
        return [ChildSpec.of(child) for child in children]
    raise OptionError(
        "children", f"is {children!r:.200}; allowed is a list of child specs and server classes"
    )
