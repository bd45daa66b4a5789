"""Where items go that have finally failed: to an actor, a table or a callable."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import attrs

from slither_actors.actors import Ref
from slither_actors.config import shown
from slither_actors.dispatch._batch import Batch
from slither_actors.errors import NotRunningError, OptionError, RemoteError, safe_text
from slither_actors.item import Item

__all__ = ["DeadLetter", "DeadLetterOffice", "dead_letters_to"]

logger = logging.getLogger("slither_actors.dispatch")


@attrs.frozen(kw_only=True)
class DeadLetter:
    """An item that has finally failed, and why."""

    item: Item
    """As it went into the batch."""

    error: BaseException
    """What its batch failed with."""

    kind: str
    """The error's class; of an error that a function raised in a worker, the class that it had there."""

    text: str
    """The error in words."""

    batch: str
    """The batch, such as ``batch 37 of ScorePipe.predict, attempt 2``."""

    attempts: int
    """How often the batch was tried; one that an open circuit refused counts its last trial as one."""


@runtime_checkable
class _Rows(Protocol):
    """What a table of a store has, here."""

    def put(self, key: Any, value: Any) -> None: ...


def dead_letters_to(value: Any) -> Any:
    """Check the option ``dead_letters``: a ref, a table, a callable, or None."""
    if value is None or isinstance(value, Ref) or (not isinstance(value, type) and callable(value)):
        return value
    if isinstance(value, _Rows) and not isinstance(value, type):
        return value
    raise OptionError(
        "dead_letters",
        f"is {shown(value)}; allowed are the ref of an actor, a table of a store, a callable, and None",
    )


class DeadLetterOffice:
    """Hands dead letters over, each once. Owned by a runner, in whose actor it calls the receiver.

    A receiver that raises is logged and counted, and harms nobody. Nothing is
    kept here: a callable, a table's server and a mailbox that blocks when it is
    full hold the run up; a mailbox that refuses costs the letter, which counts
    as lost; one that drops does so without telling anybody.
    """

    def __init__(self, receiver: Any, label: str) -> None:
        self.sent = 0
        """Letters that were handed over."""
        self.lost = 0
        """Letters that the receiver did not take."""
        self._label = label
        self._receiver = receiver
        self._hand_over = _way_to(receiver)

    def take(self, batch: Batch, error: BaseException) -> None:
        """Hand over the items of a batch."""
        kind, text = words(error)
        for item in batch.items:
            letter = DeadLetter(
                item=item, error=error, kind=kind, text=text, batch=batch.description, attempts=batch.attempt
            )
            try:
                self._hand_over(letter)
            except BaseException as problem:  # noqa: BLE001 - the receiver is the user's; the run goes on
                self.lost += 1
                if self.lost == 1:
                    self._complain(item, problem)
            else:
                self.sent += 1

    def _complain(self, item: Item, problem: BaseException) -> None:
        logger.error(
            "%s: %s did not take the dead letter of item %s: %s: %s; further ones are only counted",
            self._label,
            shown(self._receiver),
            item.id,
            type(problem).__name__,
            safe_text(problem),
        )


def words(error: BaseException) -> tuple[str, str]:
    """The class and the text of an error, of a remote one as they were there."""
    if isinstance(error, RemoteError):
        return error.type_name.removeprefix("builtins."), error.message
    return type(error).__name__, safe_text(error)


def _way_to(receiver: Any) -> Callable[[DeadLetter], object]:
    if isinstance(receiver, Ref):
        ref = receiver

        def inform(letter: DeadLetter) -> None:
            if not ref.is_alive():
                msg = f"{ref} has ended"
                raise NotRunningError(msg)
            ref.info(letter)

        return inform
    if callable(receiver):
        return receiver  # type: ignore[no-any-return]

    def put(letter: DeadLetter) -> None:
        receiver.put(letter.item.id, letter)

    return put
