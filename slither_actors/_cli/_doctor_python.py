"""The doctor's look at Python and the packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from slither_actors import __version__
from slither_actors._cli._doctor_check import Check, failed, fine, warned
from slither_actors._cli._doctor_machine import Machine

__all__ = ["EXTRAS", "REQUIRED", "check_python"]

REQUIRED: Final = {"pykka": "pykka>=4.4,<5", "attrs": "attrs>=22.2", "blinker": "blinker>=1.6"}
"""The dependencies, as ``pyproject.toml`` has them."""

EXTRAS: Final = {
    "cloudpickle": "cloudpickle>=3.0",
    "rich": "rich>=13.7",
    "numpy": "numpy",
}
"""What is of use where it is installed."""

_BOUND: Final = re.compile(r"(>=|<)([\d.]+)")
_NEWEST_UNSUPPORTED: Final = (3, 10)


def check_python(machine: Machine, methods: Sequence[str]) -> Iterator[Check]:
    """Check the interpreter, the platform, the packages and the start methods."""
    yield _interpreter()
    yield _platform()
    yield _required()
    yield _extras()
    yield _start_methods(machine, methods)


def _interpreter() -> Check:
    gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    implementation = sys.implementation.name
    text = f"{platform.python_version()} ({implementation}, {'with' if gil_enabled else 'without'} the GIL)"
    details = {"version": platform.python_version(), "implementation": implementation, "gil": gil_enabled}
    if sys.version_info[:2] <= _NEWEST_UNSUPPORTED:
        return failed("python", text, "use Python 3.11 or newer", **details)
    if implementation != "cpython":
        return warned("python", text, "slither-actors is tested with CPython only", **details)
    return fine("python", text, executable=sys.executable, **details)


def _platform() -> Check:
    text = f"{platform.system()} {platform.release()} {platform.machine()}"
    missing = [
        what
        for what, there in (
            ("os.fork", hasattr(os, "fork")),
            ("Unix sockets", hasattr(socket, "AF_UNIX")),
            ("process groups", hasattr(os, "killpg")),
        )
        if not there
    ]
    if missing:
        return failed("platform", f"{text} has no {', '.join(missing)}", "use Linux; on Windows its WSL")
    if sys.platform != "linux":
        return warned("platform", text, "slither-actors is tested on Linux only")
    return fine("platform", text)


def _required() -> Check:
    found = {name: _version(name) for name in REQUIRED}
    wrong = [REQUIRED[name] for name, version in found.items() if not _satisfies(version, REQUIRED[name])]
    text = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    text = f"slither-actors {__version__}, {text}"
    if wrong:
        packages = " ".join(f'"{requirement}"' for requirement in wrong)
        return failed("packages", text, f"run: python -m pip install {packages}", **found)
    return fine("packages", text, **found)


def _extras() -> Check:
    found = {name: _version(name) for name in EXTRAS}
    there = {name: version for name, version in found.items() if version}
    old = [EXTRAS[name] for name, version in there.items() if not _satisfies(version, EXTRAS[name])]
    missing = [name for name in found if name not in there]
    parts = [", ".join(f"{name} {version}" for name, version in there.items())]
    parts += [f"not installed: {', '.join(missing)}"] if missing else []
    text = "; ".join(part for part in parts if part)
    if old:
        packages = " ".join(f'"{requirement}"' for requirement in old)
        return warned("optional packages", text, f"run: python -m pip install {packages}", **found)
    return fine("optional packages", text, **found)


def _start_methods(machine: Machine, wanted: Sequence[str]) -> Check:
    there = machine.start_methods
    text = f"{', '.join(there)}; a pool's default is {there[0]}"
    for method in wanted:
        if method not in there:
            return failed("start methods", text, f"{method} is not on this platform; use {there[0]}")
    return fine("start methods", text, available=list(there), default=there[0])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _satisfies(version: str | None, requirement: str) -> bool:
    """Whether a version is within the bounds, by its numbers; what follows them is not looked at."""
    if version is None:
        return False
    have = _numbers(version)
    for sign, bound in _BOUND.findall(requirement):
        least = _numbers(bound)
        if (have < least) if sign == ">=" else (have >= least):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found.group().split("."))) if found else ()
