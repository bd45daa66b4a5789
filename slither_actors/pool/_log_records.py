"""Log records on their way from a worker to the driver, a message each.

A record is rendered where it was made: its text, its traceback and what of its
extra fields does not pickle cross as strings. Fields of classes of one's own
are pickled one by one, so that one that cannot be read costs itself only.
"""

from __future__ import annotations

import logging
import pickle
from typing import Any, Final, NamedTuple

from slither_actors.errors import class_name, safe_text

__all__ = ["MESSAGE_BYTES", "Said", "pack", "unpack"]

MESSAGE_BYTES: Final = 65536
"""Largest message; longer texts are cut."""

_TEXT: Final = 8192
_TRACEBACK: Final = 16384
_SHORT: Final = 1024
_FIELD: Final = 100
_FIELDS: Final = 48
_EXTRA_BYTES: Final = 16384
_PLAIN: Final = (str, int, float, bool, type(None))
_LONG_ONES: Final = ("msg", "exc_text", "stack_info", "pathname")
_OURS: Final = frozenset({"msg", "args", "exc_info", "exc_text", "message", "asctime"})

_formatter: Final = logging.Formatter()


class Said(NamedTuple):
    """What one message of a worker says."""

    fields: dict[str, Any] | None
    """The attributes of a record, or None if the message has none."""

    ref: int
    """The batch that was running, 0 for none."""

    dropped: int
    """Records that the worker has left out so far, in all."""

    def record(self, **ours: Any) -> logging.LogRecord:
        """Make the record, with more attributes."""
        return logging.makeLogRecord({**(self.fields or {}), **ours})


def pack(record: logging.LogRecord | None, ref: int, dropped: int) -> bytes:
    """Turn a record into a message of at most `MESSAGE_BYTES`. Whatever is in it, it does not raise."""
    if record is None:
        return pickle.dumps((None, {}, ref, dropped), 5)
    fields, extras = _split(record)
    fields["msg"] = _cut(_message(record), _TEXT)
    fields["exc_text"] = _cut(_traceback(record), _TRACEBACK) or None
    data = pickle.dumps((fields, extras, ref, dropped), 5)
    if len(data) > MESSAGE_BYTES:  # four bytes a character, or very many fields
        first = list(fields.items())[:_FIELDS]  # those that every record has come first
        fields = {key: _shorten(key, value) for key, value in first if len(key) <= _FIELD}
        data = pickle.dumps((fields, {}, ref, dropped), 5)
    return data


def unpack(data: bytes) -> Said:
    """Undo `pack`.

    Raises:
        ValueError: it is something else.
    """
    try:
        fields, extras, ref, dropped = pickle.loads(data)  # from our own worker
        for key, pickled in extras.items():
            fields[key] = _load(pickled)
        if fields is not None and not (type(fields["name"]) is str and type(fields["levelno"]) is int):
            raise ValueError("not the fields of a record")
        return Said(fields, int(ref), int(dropped))
    except BaseException as error:  # noqa: BLE001 - somebody wrote into a descriptor that is not his
        raise ValueError(f"not a log record: {class_name(error)}") from None


def _split(record: logging.LogRecord) -> tuple[dict[str, Any], dict[str, bytes]]:
    fields: dict[str, Any] = {"name": "", "msg": "", "args": None, "exc_info": None, "exc_text": None}
    extras: dict[str, bytes] = {}
    room = _EXTRA_BYTES
    for key, value in list(record.__dict__.items()):
        if key in _OURS or type(key) is not str:
            continue
        if type(value) in _PLAIN:
            fields[key] = _cut(value, _TEXT) if type(value) is str else value
            continue
        try:
            pickled = pickle.dumps(value, 5)
        except BaseException:  # noqa: BLE001 - the user's code; its text crosses instead
            pickled = b""
        if pickled and len(pickled) <= room:
            room -= len(pickled)
            extras[key] = pickled
        else:
            fields[key] = _cut(safe_text(value, repr), _FIELD)
    fields["name"] = str(fields.get("name", "root"))
    return fields, extras


def _load(pickled: bytes) -> Any:
    try:
        return pickle.loads(pickled)  # from our own worker
    except BaseException as error:  # noqa: BLE001 - the user's code, or a class that is missing here
        return f"<not readable in the driver: {class_name(error)}: {safe_text(error):.200}>"


def _shorten(key: str, value: Any) -> Any:
    if type(value) is not str:
        return value if type(value) is not int or abs(value) < 1 << 63 else 0
    return _cut(value, _SHORT if key in _LONG_ONES else _FIELD)


def _message(record: logging.LogRecord) -> str:
    try:
        return str(record.getMessage())
    except BaseException as error:  # noqa: BLE001 - too few arguments, or a text that raises
        shown = safe_text((record.msg, record.args), repr)
        return f"{shown} (not rendered: {class_name(error)}: {safe_text(error)})"


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_text:
        return str(record.exc_text)
    exc_info = record.exc_info
    if not exc_info or not isinstance(exc_info, tuple) or exc_info[0] is None:
        return ""
    try:
        return _formatter.formatException(exc_info)
    except BaseException as error:  # noqa: BLE001 - an exception that cannot be shown
        return f"{class_name(exc_info[1])}: the traceback could not be formatted: {class_name(error)}"


def _cut(text: str, longest: int) -> str:
    """The beginning and the end of a long text."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"
