"""Actors in plain Python, with links, monitors, names and exit signals as Erlang documents them.

What is the runtime's own is the lane ahead of the mailbox, for kills and for
exit signals that are not trapped, and that it is looked at between messages.

Source: https://www.erlang.org/doc/system/ref_man_processes
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

__all__ = ["ModelActor", "ModelCall", "ModelMonitor", "ModelWorld"]


@attrs.define(eq=False)
class ModelCall:
    outcome: Any = None
    """``"ok"``, or the reason of the server's end."""

    def end(self, outcome: Any) -> None:
        if self.outcome is None:
            self.outcome = outcome


@attrs.define(eq=False)
class ModelMonitor:
    watcher: ModelActor
    target: ModelActor
    wanted: bool = True


@attrs.define(eq=False)
class ModelActor:
    number: int
    traps: bool
    last_words: bool
    """Whether `terminate` raises."""
    parent: ModelActor | None = None
    name: str | None = None
    inbox: deque[tuple[Any, ...]] = attrs.field(factory=deque)
    ahead: deque[tuple[Any, ...]] = attrs.field(factory=deque)
    ending: Any = None
    reason: Any = None
    seen: list[tuple[Any, ...]] = attrs.field(factory=list)
    links: set[ModelActor] = attrs.field(factory=set)
    watched: list[ModelMonitor] = attrs.field(factory=list)
    """The monitors on this actor."""
    monitors: list[ModelMonitor] = attrs.field(factory=list)
    """All that it has ever set."""
    deferred: list[ModelCall] = attrs.field(factory=list)
    departed: dict[ModelActor, object] = attrs.field(factory=dict)
    """The linked actors whose end is still to be heard of, with what marks the message that tells of it."""

    @property
    def dead(self) -> bool:
        return self.reason is not None


class ModelWorld:
    """All actors. `run` handles one message of one of them."""

    def __init__(self) -> None:
        self.actors: list[ModelActor] = []
        self.doomed = False

    def whereis(self, name: str) -> ModelActor | None:
        return next((actor for actor in self.actors if actor.name == name and not actor.dead), None)

    def start(
        self,
        traps: bool,
        last_words: bool,
        name: str | None = None,
        parent: ModelActor | None = None,
        fails: bool = False,
    ) -> bool:
        if fails or (name is not None and self.whereis(name) is not None):
            return False
        new = ModelActor(len(self.actors), traps, last_words, parent, name)
        self.actors.append(new)
        if parent is not None:
            self.link(new, parent)
        return True

    # -- signals -----------------------------------------------------------------

    def link(self, one: ModelActor, two: ModelActor) -> None:
        if two.dead:
            # In Erlang a link lasts until its exit signal is received, and one that exists is not made again.
            if two not in one.departed:
                self.tell_departed(one, two, "noproc")
        else:
            one.links.add(two)
            two.links.add(one)

    def unlink(self, one: ModelActor, two: ModelActor) -> None:
        for this, other in ((one, two), (two, one)):
            this.links.discard(other)
            this.departed.pop(other, None)

    def tell_departed(self, actor: ModelActor, source: ModelActor, reason: Any) -> None:
        mark = actor.departed[source] = object()
        actor.inbox.append(("departed", source, reason, mark))

    def exit(self, source: ModelActor | None, target: ModelActor, reason: Any) -> None:
        (target.inbox if target.traps else target.ahead).append(("exit", source, reason))

    def monitor(self, watcher: ModelActor, target: ModelActor) -> None:
        monitor = ModelMonitor(watcher, target)
        watcher.monitors.append(monitor)
        if target.dead:
            watcher.inbox.append(("down", monitor, "noproc"))
        else:
            target.watched.append(monitor)

    def die(self, actor: ModelActor, reason: Any) -> None:
        actor.reason = reason
        for call in actor.deferred:
            call.end(reason)
        for monitor in actor.watched:
            # Nobody hears of it who has ended or does not want to any more.
            if monitor.wanted and not monitor.watcher.dead:
                monitor.watcher.inbox.append(("down", monitor, reason))
        for other in actor.links - {actor}:
            other.links.discard(actor)
            self.tell_departed(other, actor, reason)
        actor.links.clear()
        self.reject(actor)

    def reject(self, actor: ModelActor) -> None:
        for kind, *rest in actor.inbox:
            if kind == "call":
                rest[0].end(actor.reason)
        actor.inbox.clear()
        actor.ahead.clear()

    # -- one actor -----------------------------------------------------------------

    def run(self, actor: ModelActor, *, doomed: bool = False) -> None:
        """Handle a message. Who is `doomed`, because an exit is on its way to it, starts nobody."""
        self.doomed = doomed
        if actor.inbox:
            self.attend(actor)
            if actor.inbox:
                self.handle(actor, actor.inbox.popleft())
        self.attend(actor)

    def attend(self, actor: ModelActor) -> None:
        while not actor.dead and (actor.ending is not None or actor.ahead):
            if actor.ending is not None:
                self.finish(actor, actor.ending)
            else:
                self.handle(actor, actor.ahead.popleft())
        if actor.dead:
            self.reject(actor)

    def finish(self, actor: ModelActor, reason: Any) -> None:
        actor.seen.append(("terminate", reason))
        self.die(actor, "crash" if actor.last_words else reason)

    def handle(self, actor: ModelActor, message: tuple[Any, ...]) -> None:
        match message:
            case ("kill",):
                self.die(actor, "killed")
            case ("exit", source, reason):
                self.exit_signal(actor, source, reason)
            case ("departed", source, reason, mark):
                if actor.departed.get(source) is mark:
                    del actor.departed[source]
                    self.exit_signal(actor, source, reason)
            case ("down", monitor, reason):
                if monitor.wanted:
                    monitor.wanted = False
                    actor.seen.append(("down", monitor.target.number, reason))
            case ("call", call, deferred):
                if deferred:
                    actor.deferred.append(call)
                else:
                    call.end("ok")
            case ("do", operation):
                self.do(actor, *operation)
            case _:
                actor.seen.append(message)

    def exit_signal(self, actor: ModelActor, source: ModelActor | None, reason: Any) -> None:
        from_parent = source is not None and source is actor.parent
        if actor.traps and not from_parent:
            actor.seen.append(("exit", None if source is None else source.number, reason))
        elif actor.traps or reason != "normal":
            actor.ending = reason

    def do(self, actor: ModelActor, verb: str, *rest: Any) -> None:
        """What a handler does."""
        match verb:
            case "send":
                rest[0].inbox.append(("info", actor.number))
            case "monitor":
                self.monitor(actor, rest[0])
            case "cancel":
                for monitor in actor.monitors[-1:]:
                    monitor.wanted = False
            case "link":
                self.link(actor, rest[0])
            case "unlink":
                self.unlink(actor, rest[0])
            case "exit":
                self.exit(actor, rest[0], rest[1])
            case "kill":
                rest[0].ahead.append(("kill",))
            case "start" if self.doomed:
                pass
            case "start":
                self.start(*rest[:3], actor, rest[3])
            case "stop" | "stop twice":
                actor.ending = rest[0]
            case "crash" | "stop, then crash":
                self.finish(actor, "crash")
            case "reply":
                for call in actor.deferred[-1:]:
                    call.end("ok")
