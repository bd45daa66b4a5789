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
import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final

import attrs

from slither_actors.errors import BatchError, PayloadError, RemoteError, ResultError, TargetError, safe_text
from slither_actors.pool._wire import MAX_BODY, WireError

__all__ = [
    "ErrorRecord",
    "PROTOCOL",
    "bounded",
    "dumps",
    "dumps_batch",
    "dumps_results",
    "explain_pickle",
    "loads",
]

PROTOCOL: Final = 5

_MAX_PROBES: Final = 2_000
_MAX_DEPTH: Final = 20


def dumps(value: Any, name: str) -> bytes:
    """Pickle `value`.

    A lambda or a class of ``__main__`` goes through cloudpickle where that is installed.

    Raises:
        PayloadError: it cannot be pickled; the message has the path to the
            part that cannot, starting with `name`.
    """
    try:
        data = pickle.dumps(value, PROTOCOL)
    except BaseException as error:
        found = _cloudpickle_dumps(value)
        if found is None:
            raise PayloadError(explain_pickle(value, name, error)) from error
        data = found
    return bounded(data, name)


def dumps_batch(
    target: int, context: int, payloads: list[Any], description: str, buffers: list[pickle.PickleBuffer]
) -> bytes:
    """Pickle the body of a batch: two indices and the payloads. What they have of buffers goes to `buffers`.

    Raises:
        PayloadError: a payload cannot be pickled; the message has its place in the batch.
    """
    body = (target, context, payloads)
    try:
        return pickle.dumps(body, PROTOCOL, buffer_callback=buffers.append)
    except BaseException as error:
        data = _cloudpickle_dumps(body, buffers)
        if data is None:
            raise PayloadError(f"{description}: {explain_pickle(payloads, 'payload', error)}") from error
        return data


def dumps_results(results: list[Any], buffers: list[pickle.PickleBuffer]) -> bytes:
    """Pickle the results of a batch. What they have of buffers goes to `buffers`.

    Raises:
        PayloadError: a result cannot be pickled; the message has its place in the batch.
    """
    try:
        return pickle.dumps(results, PROTOCOL, buffer_callback=buffers.append)
    except BaseException as error:
        data = _cloudpickle_dumps(results, buffers)
        if data is None:
            raise PayloadError(explain_pickle(results, "result", error)) from error
        return data


def bounded(data: bytes, name: str) -> bytes:
    """Return the body of a frame, if it is not too long for one."""
    if len(data) > MAX_BODY:
        raise PayloadError(f"{name}: {len(data):,} bytes pickled; the limit is {MAX_BODY:,}")
    return data


def _cloudpickle_dumps(value: Any, buffers: list[pickle.PickleBuffer] | None = None) -> bytes | None:
    if buffers is not None:
        buffers.clear()  # of the attempt that failed
    try:
        import cloudpickle  # noqa: PLC0415 - an optional extra

        data: bytes = cloudpickle.dumps(
            value, PROTOCOL, buffer_callback=None if buffers is None else buffers.append
        )
    except BaseException:  # noqa: BLE001 - absent, or as bad as pickle: the first error is told
        return None
    return data


def loads(data: bytes | bytearray | memoryview, what: str, where: str, buffers: Iterable[Any] = ()) -> Any:
    """Unpickle; `buffers` are those that were taken out, in their order.

    Raises:
        PayloadError: that failed; the message says `what` and `where`.
    """
    try:
        return pickle.loads(data, buffers=buffers)  # from our own worker, or our own driver
    except BaseException as error:
        text = f"{what} cannot be unpickled in the {where}: {_type_name(error)}: {safe_text(error)}"
        if isinstance(error, AttributeError) and "__main__" in text:
            text += " (the other side has no such name: define it in a module that both can import)"
        raise PayloadError(text) from error


# -- finding the culprit -------------------------------------------------------


class _Discard:
    """A file that forgets; probing needs no copy of the pickle."""

    def write(self, data: bytes) -> int:
        return len(data)


def explain_pickle(value: Any, name: str, error: BaseException | None = None) -> str:
    """Name the part that cannot be pickled: ``result[3].lock: cannot pickle '_thread.lock' object``."""
    failure = error if error is not None else _probe(value)
    if failure is None:
        return f"{name}: can be pickled"
    path, found = name, failure
    culprit = value
    probes, seen = _MAX_PROBES, {id(value)}
    for _ in range(_MAX_DEPTH):
        for step, part in _parts(culprit):
            probes -= 1
            if probes < 0 or id(part) in seen:
                continue
            part_error = _probe(part)
            if part_error is not None:
                seen.add(id(part))
                path, culprit, found = path + step, part, part_error
                break
        else:
            break
    return f"{path}: {_reason(culprit, found)}"


def _probe(value: Any) -> BaseException | None:
    try:
        pickle.Pickler(_Discard(), PROTOCOL).dump(value)
    except BaseException as error:  # noqa: BLE001 - user code runs in here
        return error
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts that pickle would go into, each with how one writes it."""
    if isinstance(value, dict):
        for key, part in list(value.items()):
            yield f".<key {safe_text(key, repr)[:80]}>", key
            yield f"[{safe_text(key, repr)[:80]}]", part
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif isinstance(value, (set, frozenset)):
        for part in value:
            yield ".<member>", part
    yield from _attributes(value)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, type) or callable(value) and hasattr(value, "__code__"):
        return  # pickled by name: what is inside does not matter
    own: dict[str, Any] = dict(getattr(value, "__dict__", None) or {})
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            try:
                own.setdefault(name, getattr(value, name))
            except Exception:  # noqa: BLE001, S112 - an empty slot, or a property that raises
                continue
    for name, part in own.items():
        yield f".{name}", part
    if isinstance(value, BaseException):
        yield ".args", value.args


def _reason(culprit: Any, error: BaseException) -> str:
    text = safe_text(error) or type(error).__name__
    if not isinstance(error, (TypeError, AttributeError, pickle.PicklingError)):
        text = f"pickling {type(culprit).__qualname__} raised {_type_name(error)}: {text}"
    if callable(culprit) and ("<lambda>" in text or "<locals>" in text):
        text += "; lambdas and nested functions need cloudpickle: pip install slither-actors[cloudpickle]"
    return text


# -- exceptions that travel ------------------------------------------------------


def _type_name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


_OWN: Final[Mapping[str, type[BatchError]]] = {
    cls.__name__: cls for cls in (PayloadError, ResultError, TargetError)
}


@attrs.frozen
class ErrorRecord:
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
            type_name=_type_name(error),
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
        return f"{_type_name(error)}: the traceback could not be formatted: {type(broken).__name__}\n"


def _survivor(error: BaseException) -> bytes | None:
    try:
        data = pickle.dumps(error, PROTOCOL)
        clone = pickle.loads(data)  # our own
    except BaseException:  # noqa: BLE001 - it does not survive, for whatever reason
        return None
    return data if type(clone) is type(error) else None
