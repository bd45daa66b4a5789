"""Pickles that say what is wrong with them, and errors that can travel.

Used on both sides of the socket. Pickling runs the user's code (``__reduce__``,
``__getstate__``), and so does unpickling: whatever that raises, a
`SystemExit` included, becomes the error of one batch. The exceptions of a
user's function cross as an `ErrorRecord`; whether the original survives the
trip is tried out where it was raised, so the driver never unpickles an
exception that is known to be odd (a two-argument ``__init__``, a lock in an attribute).
"""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple

from slither_actors.errors import BatchError, PayloadError, RemoteError, ResultError, TargetError, safe_text
from slither_actors.pool._culprit import PROTOCOL, explain_pickle, type_name
from slither_actors.pool._wire import MAX_BODY, WireError

__all__ = [
    "ErrorRecord",
    "PROTOCOL",
    "bounded",
    "dumps",
    "dumps_batch",
    "dumps_main",
    "dumps_results",
    "explain_pickle",
    "loads",
    "main_can_be_imported",
    "not_unpickled",
]


def dumps(value: Any, name: str) -> bytes:
    """Pickle `value`.

    A lambda or a local class goes through cloudpickle where that is installed.

    Raises:
        PayloadError: it cannot be pickled; the message has the path to the
            part that cannot, starting with `name`.
    """
    try:
        data = pickle.dumps(value, PROTOCOL)
    except BaseException as error:  # noqa: BLE001 - user code runs in here
        data = _dumps_by_value(value, (value, name), error, None)
    return bounded(data, name)


def dumps_batch(
    target: int,
    context: int,
    payloads: list[Any],
    description: object,
    buffers: list[pickle.PickleBuffer],
    *,
    main_by_value: bool = False,
) -> bytes:
    """Pickle the body of a batch: two indices and the payloads. What they have of buffers goes to `buffers`.

    With `main_by_value` the workers have no such ``__main__``: what is of it is pickled by value.

    Raises:
        PayloadError: a payload cannot be pickled; the message has its place in the batch.
    """
    body = (target, context, payloads)
    try:
        data = pickle.dumps(body, PROTOCOL, buffer_callback=buffers.append)
        if main_by_value and b"__main__" in data:
            data = dumps_main(body, str(description), buffers)
    except PayloadError:
        raise
    except BaseException as error:  # noqa: BLE001 - user code runs in here
        data = _dumps_by_value(body, (payloads, f"{description}: payload"), error, buffers)
    return data


def dumps_results(results: list[Any], buffers: list[pickle.PickleBuffer]) -> bytes:
    """Pickle the results of a batch. What they have of buffers goes to `buffers`.

    Raises:
        PayloadError: a result cannot be pickled; the message has its place in the batch.
    """
    try:
        return pickle.dumps(results, PROTOCOL, buffer_callback=buffers.append)
    except BaseException as error:  # noqa: BLE001 - user code runs in here
        return _dumps_by_value(results, (results, "result"), error, buffers)


def dumps_main(value: Any, name: str, buffers: list[pickle.PickleBuffer] | None = None) -> bytes:
    """Pickle by value what pickle would look up in a ``__main__`` that workers do not have.

    Raises:
        PayloadError: cloudpickle is not installed, or fails.
    """
    try:
        import cloudpickle  # noqa: PLC0415, F401 - an optional extra
    except ImportError:
        raise PayloadError(
            f"{name}: workers cannot import the __main__ of an interactive session; "
            "pip install slither-actors[cloudpickle], or move it to a module"
        ) from None
    return _dumps_by_value(value, (value, name), None, buffers)


def _dumps_by_value(
    value: Any,
    told: tuple[Any, str],
    error: BaseException | None,
    buffers: list[pickle.PickleBuffer] | None,
) -> bytes:
    """Try cloudpickle, after pickle failed with `error`. `told` is what an error is about, and its name."""
    if buffers is not None:
        buffers.clear()  # of the attempt that failed
    try:
        import cloudpickle  # noqa: PLC0415 - an optional extra

        data: bytes = cloudpickle.dumps(
            value, PROTOCOL, buffer_callback=None if buffers is None else buffers.append
        )
    except ImportError:
        raise PayloadError(explain_pickle(*told, error)) from error
    except BaseException as second:
        raise PayloadError(explain_pickle(*told, error, by_value=second)) from second
    return data


def main_can_be_imported() -> bool:
    """Whether workers find what is defined in this program's ``__main__``: it is a module, or a file."""
    main = sys.modules["__main__"]
    if getattr(getattr(main, "__spec__", None), "name", None) is not None:
        return True
    from pathlib import Path  # noqa: PLC0415 - only drivers ask

    path = getattr(main, "__file__", None)
    return path is not None and Path(path).is_file()


def bounded(data: bytes, name: str) -> bytes:
    """Return the body of a frame, if it is not too long for one."""
    if len(data) > MAX_BODY:
        raise PayloadError(f"{name}: {len(data):,} bytes pickled; the limit is {MAX_BODY:,}")
    return data


def loads(
    data: bytes | bytearray | memoryview, what: str, where: str, buffers: Iterable[Any] | None = None
) -> Any:
    """Unpickle; `buffers` are those that were taken out, in their order.

    Raises:
        PayloadError: that failed; the message says `what` and `where`.
    """
    try:
        # From our own worker, or our own driver.
        return pickle.loads(data) if buffers is None else pickle.loads(data, buffers=buffers)
    except BaseException as error:
        raise not_unpickled(error, what, where) from error


def not_unpickled(error: BaseException, what: str, where: str) -> PayloadError:
    """The error for what could not be unpickled."""
    text = f"{what} cannot be unpickled in the {where}: {type_name(error)}: {safe_text(error)}"
    if isinstance(error, AttributeError) and "__main__" in text:
        text += " (the other side has no such name: define it in a module that both can import)"
    return PayloadError(text)


# -- exceptions that travel ------------------------------------------------------


_OWN: Final[Mapping[str, type[BatchError]]] = {
    cls.__name__: cls for cls in (PayloadError, ResultError, TargetError)
}


class ErrorRecord(NamedTuple):
    """An exception on its way between processes: plain strings, and the original if it survives."""

    type_name: str
    message: str
    traceback_text: str
    original: bytes | None
    """The pickled exception; its round trip has been tried."""

    own: str | None = None
    """The class of `errors` that it is raised as on the other side; None means `RemoteError`."""

    @classmethod
    def of(cls, error: BaseException, *, own_files: frozenset[str] = frozenset()) -> ErrorRecord:
        """Make the record of an exception that was caught.

        Args:
            error: the exception.
            own_files: leading frames of the traceback in these files are ours, and left out.
        """
        tb: TracebackType | None = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename in own_files:
            tb = tb.tb_next
        own = type(error).__name__ if type(error) in _OWN.values() else None
        return cls(
            type_name=type_name(error),
            message=safe_text(error),
            traceback_text=_format(error, tb),
            original=None if own else _survivor(error),
            own=own,
        )

    def dumps(self) -> bytes:
        """Turn the record into bytes."""
        return pickle.dumps(
            (self.type_name, self.message, self.traceback_text, self.original, self.own), PROTOCOL
        )

    @classmethod
    def loads(cls, data: bytes | bytearray) -> ErrorRecord:
        """Undo `dumps`.

        Raises:
            WireError: it is something else.
        """
        try:
            record = cls(*pickle.loads(data))  # strings and bytes of our own making
        except BaseException as error:
            raise WireError(f"no record of an error: {type(error).__name__}: {safe_text(error)}") from error
        if not all(
            isinstance(each, str) for each in (record.type_name, record.message, record.traceback_text)
        ):
            raise WireError("no record of an error")
        return record

    def to_error(self) -> BatchError:
        """Make the exception that the other side raises."""
        if self.own is not None:
            error = _OWN[self.own](self.message)
            if self.traceback_text:
                error.add_note(f"--- remote traceback ---\n{self.traceback_text}")
            return error
        remote = RemoteError(self.type_name, self.message, self.traceback_text)
        remote.__cause__ = self.revive()
        return remote

    def revive(self) -> BaseException | None:
        """Return the original exception, if it crossed."""
        if self.original is None:
            return None
        try:
            original = pickle.loads(self.original)  # from our own worker
        except BaseException:  # noqa: BLE001 - its class may be missing here; the record says all the same
            return None
        return original if isinstance(original, BaseException) else None


def _format(error: BaseException, tb: TracebackType | None) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, tb))
    except BaseException as broken:  # noqa: BLE001 - out of memory, or an exception that cannot be shown
        return f"{type_name(error)}: the traceback could not be formatted: {type(broken).__name__}\n"


def _survivor(error: BaseException) -> bytes | None:
    try:
        data = pickle.dumps(error, PROTOCOL)
        clone = pickle.loads(data)  # our own
    except BaseException:  # noqa: BLE001 - it does not survive, for whatever reason
        return None
    return data if type(clone) is type(error) else None
