"""The options of an actor class, which are attributes of it."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from slither_actors.config import Rule, flag, integer, one_of

__all__ = ["Overflow", "check_class"]

Overflow = Literal["raise", "drop_new", "drop_old", "block"]

_RULES: Final[dict[str, Rule]] = {
    "own_thread": flag,
    "trap_exit": flag,
    "inline_calls": flag,
    "mailbox_size": integer(1, none=True),
    "mailbox_overflow": one_of(*get_args(Overflow)),
    "child_type": one_of("worker", "supervisor"),
    "ref_class": Rule("allowed is a subclass of Ref", lambda value: hasattr(value, "replace_state")),
}


def check_class(cls: Any) -> None:
    """Check what a class sets or inherits, when it is defined and when it asks for something out of the way.

    Raises:
        OptionError: one is not allowed; with the class.
    """
    for option, rule in _RULES.items():
        if hasattr(cls, option):
            rule.check(option, getattr(cls, option), cls.__name__)
