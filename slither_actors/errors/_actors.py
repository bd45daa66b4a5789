"""Actors, supervisors and names."""

from __future__ import annotations

from collections.abc import Sequence

from slither_actors.errors._base import SlitherError
from slither_actors.errors._text import excerpt, safe_text

__all__ = [
    "AbandonedError",
    "ActorError",
    "ActorExitError",
    "CallCycleError",
    "CallTimeoutError",
    "ChildError",
    "ExitPendingError",
    "MailboxFullError",
    "NameTakenError",
    "NotRegisteredError",
    "StartError",
    "ThreadLimitError",
]


class ActorError(SlitherError):
    """Base of the runtime's errors."""


class StartError(ActorError):
    """An actor's start failed; `reason` is what its ``init`` ended with."""

    def __init__(self, actor: str, reason: object) -> None:
        self.actor = actor
        self.reason = reason
        children, cause = _failed_children(reason)
        way = "".join(f"child {safe_text(child, repr)}: " for child in children)
        super().__init__(f"{actor} did not start: {way}{excerpt(safe_text(cause))}")


def _failed_children(reason: object) -> tuple[list[object], object]:
    """The ids of the children whose start failed, from the outermost on, and why the innermost one's did.

    Not the text of the whole: each supervisor would quote that of the one below, and double it.
    """
    children: list[object] = []
    while True:
        match reason:
            case StartError():
                reason = reason.reason
            case (str(), (str("failed_to_start_child"), child, below)):
                children.append(child)
                reason = below
            case _:
                return children, reason


class ChildError(ActorError):
    """A supervisor refused a child operation (`reason` says which rule)."""

    def __init__(self, message: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class ActorExitError(ActorError):
    """A call was not answered because its server ended; `reason` is its exit reason."""

    def __init__(self, actor: str, reason: object) -> None:
        self.actor = actor
        self.reason = reason
        super().__init__(f"{actor} exited before it answered: {excerpt(safe_text(reason))}")


class AbandonedError(ActorError):
    """An actor that was abandoned, and is dead to all others, wanted to start, call or register somebody."""

    def __init__(self, actor: str) -> None:
        self.actor = actor
        super().__init__(f"{actor} was abandoned; its handler should return, nobody listens to it any more")


class ExitPendingError(ActorError):
    """The calling actor is to end, so it does not wait: let the handler end, too. `reason` is the exit's.

    Raised by what waits: a call, a join, a task, a stream. Caught, the next wait raises it again.
    """

    def __init__(self, actor: str, reason: object) -> None:
        self.actor = actor
        self.reason = reason
        super().__init__(f"{actor} is to end ({excerpt(safe_text(reason))}) and waits for nobody any more")


class CallTimeoutError(ActorError, TimeoutError):
    """A call was not answered in time. The server may still run it; the reply is dropped."""

    def __init__(self, actor: str, timeout: float) -> None:
        self.actor = actor
        self.timeout = timeout
        super().__init__(f"{actor} did not answer within {timeout:g} s")


class CallCycleError(ActorError):
    """A call would wait for its own caller; raised at once instead of hanging."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(f"call cycle: {' -> '.join(self.path)}")


class ThreadLimitError(ActorError):
    """An actor would wait for another, and there is no thread left to run that one.

    So many actors wait for one another that nothing could move any more. The wait that would be the last
    straw is refused instead.
    """

    def __init__(self, actor: str, threads: int, limit: int) -> None:
        self.actor = actor
        self.threads = threads
        self.limit = limit
        super().__init__(
            f"{actor} cannot wait: all {threads} threads of the scheduler wait for actors, each of which "
            f"needs another one. Let actors that ask one another in long chains answer later (NO_REPLY) or "
            f"raise scheduler.thread_limit, which is {limit}"
        )


class MailboxFullError(ActorError):
    """A bounded mailbox refused a message."""

    def __init__(self, actor: str, size: int) -> None:
        self.actor = actor
        self.size = size
        super().__init__(f"mailbox of {actor} is full ({size} messages)")


class NameTakenError(ActorError):
    """An actor is already registered under this name."""

    def __init__(self, name: object, holder: str, ref: object = None) -> None:
        self.name = name
        self.holder = holder
        self.ref = ref
        """The holder's ref."""
        super().__init__(f"the name {safe_text(name, repr)} is taken by {holder}")


class NotRegisteredError(ActorError, LookupError):
    """An actor has no entry under this key in a registry, or nobody has this name."""

    def __init__(self, key: object, actor: str = "") -> None:
        self.key = key
        self.actor = actor
        who = f"{actor} is not" if actor else "no actor is"
        super().__init__(f"{who} registered under {safe_text(key, repr)}")
