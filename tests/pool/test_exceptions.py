"""What a function raises arrives, whatever it is; the worker goes on."""

from __future__ import annotations

import threading

import pytest

from slither_actors.errors import PayloadError, RemoteError
from slither_actors.pool._payloads import ErrorRecord, explain_pickle
from tests.pool import work
from tests.pool.asking import asking


@pytest.mark.parametrize(
    ("name", "type_name", "message", "original"),
    [
        ("plain", "builtins.ValueError", "bad value", ValueError),
        ("two arguments", "tests.pool.work.TwoArgumentsError", "five", None),
        ("lock", "tests.pool.work.LockedError", "holds a lock", None),
        ("socket", "tests.pool.work.ConnectedError", "holds a socket", None),
        ("far module", "only_the_worker_has_it.FarError", "from afar", None),
        (
            "silent",
            "tests.pool.work.SilentError",
            "<SilentError, whose text raised RuntimeError>",
            work.SilentError,
        ),
        ("chained", "builtins.ValueError", "outer", ValueError),
        ("group", "builtins.ExceptionGroup", "several (2 sub-exceptions)", ExceptionGroup),
        ("local class", "tests.pool.work._local_class.<locals>.LocalError", "nobody can import me", None),
        ("SystemExit", "builtins.SystemExit", "3", SystemExit),
        ("KeyboardInterrupt", "builtins.KeyboardInterrupt", "", KeyboardInterrupt),
        ("GeneratorExit", "builtins.GeneratorExit", "", GeneratorExit),
        ("MemoryError", "builtins.MemoryError", "", MemoryError),
        ("recursion", "builtins.RecursionError", "maximum recursion depth exceeded", RecursionError),
    ],
)
def test_exceptions_arrive(name: str, type_name: str, message: str, original: type | None) -> None:
    """Type, message and traceback always arrive; the exception itself where it survives the trip."""
    with asking() as asker:
        job = asker.submit(work.raise_named, [name])
        after = asker.submit(work.increment, [1])
        asker.wait(job, after)
        error = job.error
        assert isinstance(error, RemoteError)
        assert error.type_name == type_name
        assert error.message.startswith(message)
        assert "in raise_named" in error.traceback_text
        assert "_worker.py" not in error.traceback_text, "our own frames are left out"
        assert type(error.__cause__) is (original or type(None))
        assert after.results == [2]
        assert asker.statistics().restarts == 0


def test_causes_are_in_the_traceback() -> None:
    """A chain of exceptions is told as Python tells it."""
    with asking() as asker, pytest.raises(RemoteError) as caught:
        asker.run(work.raise_named, ["chained"])
    assert "KeyError: 'inner'" in caught.value.traceback_text
    assert "direct cause of the following exception" in caught.value.traceback_text


def test_a_message_of_ten_megabytes_arrives() -> None:
    """Nothing is cut."""
    with asking() as asker, pytest.raises(RemoteError) as caught:
        asker.run(work.raise_named, ["large"])
    assert len(caught.value.message) == 10_000_000


def test_an_exception_that_is_gone_here_is_still_told() -> None:
    """The original's class may be missing on this side; the record has the words."""
    record = ErrorRecord.of(ValueError("x"))
    broken = ErrorRecord(record.type_name, record.message, record.traceback_text, b"not a pickle")
    error = ErrorRecord.loads(broken.dumps()).to_error()
    assert isinstance(error, RemoteError)
    assert error.__cause__ is None


def test_the_round_trip_is_tried_where_the_exception_is_raised() -> None:
    """One that pickles and does not unpickle is not sent at all."""
    assert ErrorRecord.of(ValueError("fine")).original is not None
    assert ErrorRecord.of(work.TwoArgumentsError(1, "odd")).original is None


def test_our_own_errors_arrive_as_themselves() -> None:
    """A payload error is one on the other side as well."""
    error = ErrorRecord.loads(ErrorRecord.of(PayloadError("no")).dumps()).to_error()
    assert type(error) is PayloadError
    assert str(error) == "no"


class Slotted:
    __slots__ = ("empty", "inner")

    def __init__(self, inner: object) -> None:
        self.inner = inner


class Deep:
    def __init__(self, value: object) -> None:
        self.value = value


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda lock: lock, "x: cannot pickle '_thread.lock' object"),
        (lambda lock: [1, {"a": (2, lock)}], "x[1]['a'][1]: cannot pickle"),
        (lambda lock: Slotted(Deep([lock])), "x.inner.value[0]: cannot pickle"),
        (lambda lock: {Deep(lock): 1}, "x.<key"),
        (lambda lock: frozenset([Deep(lock)]), "x.<member>.value: cannot pickle"),
        (ValueError, "x.args[0]: cannot pickle"),
        (lambda _: [lambda: 1], "x[0]: Can't"),
        (
            lambda _: [work.RaisesWhenPickled("exit")],
            "x[0]: pickling RaisesWhenPickled raised builtins.SystemExit",
        ),
    ],
)
def test_the_culprit_of_a_pickle_is_found(make: object, expected: str) -> None:
    """The path leads through containers, attributes and slots to what cannot be pickled."""
    value = make(threading.Lock())  # type: ignore[operator]
    assert explain_pickle(value, "x").startswith(expected)


def test_a_culprit_in_a_cycle_is_found() -> None:
    """Values that contain themselves do not send the search in circles."""
    loop: list[object] = [1]
    loop += [loop, threading.Lock()]
    assert explain_pickle(loop, "x") == "x[2]: cannot pickle '_thread.lock' object"
