"""What is in no module travels with cloudpickle; without it the error says so."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slither_actors.errors import PayloadError
from tests.pool.asking import asking
from tests.search_path import SEARCH_PATH

HINT = r"pip install slither-actors\[cloudpickle\]"


def add(amount: int, batch: list[int]) -> list[int]:
    return [value + amount for value in batch]


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(batch: list[Any]) -> Any:
        return function(batch)

    return wrapper


@logged
@logged
def decorated(batch: list[int]) -> list[int]:
    return [value + 10 for value in batch]


class Adder:
    def __init__(self, amount: int) -> None:
        self.amount = amount

    def method(self, batch: list[int]) -> list[int]:
        return [value + self.amount for value in batch]

    @classmethod
    def from_class(cls, batch: list[int]) -> list[int]:
        return cls(10).method(batch)

    @staticmethod
    def static(batch: list[int]) -> list[int]:
        return Adder(10).method(batch)

    __call__ = method


def nested(amount: int) -> Callable[[list[int]], list[int]]:
    def inner(batch: list[int]) -> list[int]:
        return [value + amount for value in batch]

    return inner


def local_class(amount: int) -> Any:
    class Local:
        def __call__(self, batch: list[int]) -> list[int]:
            return [value + amount for value in batch]

    return Local()


IMPORTABLE = {
    "partial": functools.partial(add, 10),
    "bound method": Adder(10).method,
    "class method": Adder.from_class,
    "static method": Adder.static,
    "callable instance": Adder(10),
    "decorated twice": decorated,
}

LOCAL = {
    "lambda": lambda batch: [value + 10 for value in batch],
    "closure": nested(10),
    "partial of a lambda": functools.partial(lambda amount, batch: [v + amount for v in batch], 10),
    "partial of a closure": functools.partial(nested(10)),
    "decorated lambda": logged(lambda batch: [value + 10 for value in batch]),
    "instance of a local class": local_class(10),
}


@pytest.mark.parametrize("kind", [*IMPORTABLE, *LOCAL])
def test_every_kind_of_callable_runs(kind: str) -> None:
    """Where cloudpickle is installed."""
    pytest.importorskip("cloudpickle")
    with asking() as asker:
        assert asker.run((IMPORTABLE | LOCAL)[kind], [1, 2]) == [11, 12]


@pytest.mark.parametrize("kind", IMPORTABLE)
def test_what_is_in_a_module_needs_no_cloudpickle(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickle finds it by name."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with asking() as asker:
        assert asker.run(IMPORTABLE[kind], [1, 2]) == [11, 12]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("lambda", "<lambda>"),
        ("closure", "nested.<locals>.inner"),
        ("partial of a lambda", "partial of tests.pool.test_by_value:<lambda>"),
        ("partial of a closure", "partial of tests.pool.test_by_value:nested.<locals>.inner"),
        ("decorated lambda", "<lambda>"),
        ("instance of a local class", "local_class.<locals>.Local"),
    ],
)
def test_without_cloudpickle_the_error_names_function_and_extra(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be sent, and what to install."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with asking() as asker:
        with pytest.raises(PayloadError, match=rf"function .*{re.escape(name)}.*{HINT}"):
            asker.run(LOCAL[kind], [1])
        assert asker.run(Adder(10), [1]) == [11]


def test_with_cloudpickle_nobody_is_told_to_install_it() -> None:
    """A closure over a lock fails for the lock; the variable is named."""
    pytest.importorskip("cloudpickle")
    lock = threading.Lock()

    def locked(batch: list[Any]) -> list[Any]:
        with lock:
            return batch

    with asking() as asker, pytest.raises(PayloadError) as caught:
        asker.run(locked, [1])
    assert ".<variable lock>: cannot pickle '_thread.lock' object" in str(caught.value)
    assert "pip install" not in str(caught.value)


class Locked:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def method(self, batch: list[Any]) -> list[Any]:
        return batch


@pytest.mark.parametrize(
    ("function", "path"),
    [
        (Locked().method, r"Locked\.method\.__self__\.lock: cannot pickle '_thread\.lock'"),
        (functools.partial(add, threading.Lock()), r"add\.args\[0\]: cannot pickle '_thread\.lock'"),
    ],
)
def test_what_a_callable_holds_is_named(function: Any, path: str) -> None:
    """The instance of a bound method, and the arguments of a partial."""
    with asking() as asker, pytest.raises(PayloadError, match=path):
        asker.run(function, [1])


def test_payloads_of_local_classes() -> None:
    """They travel with cloudpickle, there and back."""
    pytest.importorskip("cloudpickle")
    from tests.pool import work

    class Local:
        value = 5

    with asking() as asker:
        [result] = asker.run(work.echo, [Local()])
        assert isinstance(result, Local)


def test_payloads_of_local_classes_without_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the place in the batch and the extra."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    from tests.pool import work

    class Local:
        pass

    with asking() as asker, pytest.raises(PayloadError, match=rf"b: payload\[1\]: .*Local.*{HINT}"):
        asker.run(work.echo, [1, Local()], description="b")


# -- programs ----------------------------------------------------------------------------

PROGRAM = """
import functools, sys
from slither_actors import Application, dispatch

class Point:
    def __init__(self, x):
        self.x = x
    def move(self, batch):
        return [Point(point.x + self.x) for point in batch]
    __call__ = move

def move(batch):
    return [Point(point.x + 10) for point in batch]

def move_by(amount, batch):
    return [Point(point.x + amount) for point in batch]

def decorated(function):
    @functools.wraps(function)
    def wrapper(batch):
        return function(batch)
    return wrapper

FUNCTIONS = {
    "function": move,
    "lambda": lambda batch: [Point(point.x + 10) for point in batch],
    "partial": functools.partial(move_by, 10),
    "method": Point(10).move,
    "instance": Point(10),
    "decorated": decorated(move),
}

if __name__ == "__main__":
    with Application(pools={"default": 1}):
        for name, function in FUNCTIONS.items():
            try:
                [item] = dispatch.run([Point(1)], executor=function)
                print(name, isinstance(item.payload, Point), item.payload.x)
            except Exception as error:
                print(name, error)
"""

NAMES = ("function", "lambda", "partial", "method", "instance", "decorated")


def run(program: str, cwd: Path, *, script: bool) -> str:
    (cwd / "program.py").write_text(textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, *(["program.py"] if script else ["-c", program])],
        cwd=cwd, env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize("script", [True, False], ids=["script", "interactive"])
def test_functions_and_classes_of_main(script: bool, tmp_path: Path) -> None:
    """A script's are found by name; those of a notebook or an interactive session go by value."""
    pytest.importorskip("cloudpickle")
    assert run(PROGRAM, tmp_path, script=script).splitlines() == [f"{name} True 11" for name in NAMES]


@pytest.mark.timeout(60)
def test_functions_and_classes_of_an_interactive_main_without_cloudpickle(tmp_path: Path) -> None:
    """Each error names the function and the extra; so does one about a payload."""
    program = "import sys; sys.modules['cloudpickle'] = None\n" + PROGRAM
    program += """
        try:
            dispatch.run([Point(1)], executor="copy:copy")
        except Exception as error:
            print("payload", error)
"""
    lines = run(program, tmp_path, script=False).splitlines()
    assert [line.partition(" ")[0] for line in lines] == [*NAMES, "payload"]
    for line in lines:
        assert "pip install slither-actors[cloudpickle]" in line
        assert "__main__" in line
