"""How a supervisor starts, restarts and stops one child."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pykka

from slither_actors.config import Rule, flag, has_hash, number, one_of, shown
from slither_actors.core import Backoff
from slither_actors.errors import OptionError

if TYPE_CHECKING:
    from slither_actors.actors._ref import Ref

__all__ = [
    "BRUTAL_KILL",
    "SHUTDOWN_SECONDS",
    "ChildSpec",
    "Restart",
    "checked_name",
    "class_name",
    "specs_of",
]

Restart = Literal["permanent", "transient", "temporary"]

BRUTAL_KILL = "brutal_kill"
"""A `ChildSpec.shutdown`: kill the child without asking."""

SHUTDOWN_SECONDS = 5.0
"""The `ChildSpec.shutdown` of what is no supervisor."""


def _is_start(value: Any) -> bool:
    if not (isinstance(value, tuple) and len(value) == 3):
        return False
    cls, args, keywords = value
    return (
        callable(getattr(cls, "start_link", None))
        and isinstance(args, tuple)
        and isinstance(keywords, dict)
        and all(isinstance(name, str) for name in keywords)
    )


_START = Rule("allowed is (server class, args, kwargs): a class, a tuple and a dict", _is_start)

_seconds = number("", most=threading.TIMEOUT_MAX, none=True)

_SHUTDOWN = Rule(
    "allowed are seconds of at least 0, 'brutal_kill', None (no limit)",
    lambda value: value == BRUTAL_KILL if isinstance(value, str) else _seconds.allows(value),
)

_RULES: dict[str, tuple[Any, Rule]] = {
    "id": (None, Rule("allowed is what has a hash", has_hash)),
    "restart": ("permanent", one_of("permanent", "transient", "temporary")),
    "shutdown": (SHUTDOWN_SECONDS, _SHUTDOWN),
    "type": ("worker", one_of("worker", "supervisor")),
    "significant": (False, flag),
    "backoff": (None, Rule("allowed are a Backoff, None", lambda value: isinstance(value, Backoff))),
    "exclusive": (False, flag),
    "async_kill": (False, flag),
}
"""For each option what it is as a rule, which is not looked at twice, and what else it may be."""


@attrs.frozen(kw_only=True)
class ChildSpec:
    """One child of a supervisor, checked when it is made: a wrong value raises `OptionError`.

    Source: https://www.erlang.org/doc/apps/stdlib/supervisor#t:child_spec/0
    """

    id: object
    """Unique under a static supervisor."""

    start: tuple[Any, tuple[Any, ...], dict[str, Any]]
    """The server class and what its `init` gets."""

    restart: Restart = "permanent"
    """permanent: always; transient: after an abnormal end; temporary: never."""

    shutdown: Any = SHUTDOWN_SECONDS
    """Seconds to end in before it is killed; ``"brutal_kill"`` at once; None waits without limit."""

    type: Literal["worker", "supervisor"] = "worker"
    """For `which_children` and `count_children`."""

    significant: bool = False
    """Whether its end for good may end the supervisor: see `auto_shutdown` there. Not for permanent ones."""

    backoff: Backoff | None = None
    """How long to wait before a restart; None restarts at once, as OTP does."""

    exclusive: bool = False
    """Whether no successor may start while the handler of an abandoned predecessor still runs, for a child
    that owns a port, a device or a file. Its supervisor gives up instead of restarting it."""

    async_kill: bool = False
    """Whether an exception is put into the thread of a child whose handler does not return after a kill.

    Unsafe, and for servers with ``own_thread`` only. It strikes anywhere, in a ``with lock:`` for one, and
    not before a call returns that waits in C, as ``time.sleep`` does. Work that must be killable belongs in
    a worker process."""

    def __attrs_post_init__(self) -> None:
        """Check the options, which are trusted from here on."""
        if not _is_start(self.start):
            _START.check("start", self.start, f"child spec {shown(self.id)}")
        for option, (usual, rule) in _RULES.items():
            value = getattr(self, option)
            if value is not usual and not rule.allows(value):
                rule.check(option, value, _owner(self))
        if self.significant and self.restart == "permanent":
            problem = "is True for a permanent child, which never ends for good"
            raise OptionError("significant", problem, where=_owner(self))
        if self.async_kill and not getattr(self.start[0], "own_thread", False):
            server = class_name(self.start[0])
            problem = (
                f"is True for {server}, whose thread runs other actors, too; set own_thread = True there"
            )
            raise OptionError("async_kill", problem, where=_owner(self))

    def launch(self, *extra: Any) -> Ref:
        """Start the child, linked to the calling supervisor."""
        cls, args, kwargs = self.start
        ref: Ref = cls.start_link(*args, *extra, **kwargs)
        return ref

    @classmethod
    def of(cls, child: Any, where: object = "") -> ChildSpec:
        """Take a spec as it is, a server class as its default spec; `where` is whose child it is to be."""
        if isinstance(child, cls):
            return child
        make = getattr(child, "child_spec", None)
        if make is None:
            problem = f"has {shown(child)}; allowed are child specs and server classes"
            if isinstance(child, type) and issubclass(child, pykka.Actor):
                problem += " (a Pykka actor has no start that can fail or be linked: make it a Server)"
            raise OptionError("children", problem, where=str(where))
        try:
            spec = make()
        except TypeError as error:
            how = f"which does not say how to start it ({error}); allowed is a child spec of it"
            problem = f"has {shown(child)}, {how}"
            raise OptionError("children", problem, where=str(where)) from error
        if not isinstance(spec, cls):
            problem = f"has {shown(child)}, whose child_spec() is {shown(spec)}; allowed is a ChildSpec"
            raise OptionError("children", problem, where=str(where))
        return spec


def class_name(cls: Any) -> str:
    """Return how a server class is called, whatever else it may be."""
    return str(getattr(cls, "__name__", None) or shown(cls))


def _owner(spec: ChildSpec) -> str:
    return f"child spec {shown(spec.id)} of {class_name(spec.start[0])}"


def specs_of(children: Any, where: str) -> list[ChildSpec]:
    """Take a list of what `ChildSpec.of` takes; `where` is whose children they are to be."""
    if isinstance(children, Iterable):
        return [ChildSpec.of(child, where) for child in children]
    problem = f"is {shown(children)}; allowed is a list of child specs and server classes"
    raise OptionError("children", problem, where=where)


def checked_name(name: object, where: str) -> object:
    """Return the name of a server, or raise `OptionError` if it can be none."""
    if has_hash(name):
        return name
    raise OptionError("name", f"is {shown(name)}; allowed is what has a hash, None (no name)", where=where)
