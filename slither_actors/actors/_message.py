"""What is in a mailbox, and how a person is told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors.errors import class_name, safe_text

__all__ = ["Message", "describe_message"]

Message = tuple[Callable[[Any, Any], object], Any]
"""A function and its argument: to handle the message is to run ``function(actor, argument)``."""

_LENGTH = 500


def describe_message(message: Message) -> tuple[str, str]:
    """Return a message's kind and its text, for a person."""
    function, argument = message
    text = safe_text(argument, lambda argument: repr(getattr(argument, "message", argument)))
    name = safe_text(function, lambda function: str(getattr(function, "__name__", class_name(function))))
    return name.removeprefix("_on_").removeprefix("_"), text[:_LENGTH]
