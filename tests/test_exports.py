"""What users import: documented, at home where it says, and not too much of it."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import slither_actors

FLOORS = [
    "slither_actors",
    "slither_actors.actors",
    "slither_actors.application",
    "slither_actors.bridge",
    "slither_actors.config",
    "slither_actors.context",
    "slither_actors.contrib.redis",
    "slither_actors.contrib.sqlite",
    "slither_actors.core",
    "slither_actors.dispatch",
    "slither_actors.dispatch.executor",
    "slither_actors.dispatch.strategy",
    "slither_actors.errors",
    "slither_actors.item",
    "slither_actors.observe",
    "slither_actors.outcome",
    "slither_actors.pipe",
    "slither_actors.policy",
    "slither_actors.pool",
    "slither_actors.postmortem",
    "slither_actors.stages",
    "slither_actors.store",
    "slither_actors.telemetry",
    "slither_actors.testing",
]

NAMES = [
    (module, name) for module in FLOORS for name in getattr(importlib.import_module(module), "__all__", ())
]


def test_the_root_is_small() -> None:
    """What a newcomer sees first fits on a screen."""
    assert len(slither_actors.__all__) < 45
    assert sorted(slither_actors.__all__) == slither_actors.__all__


@pytest.mark.parametrize("module", FLOORS)
def test_a_package_says_what_it_is_and_what_it_exports(module: str) -> None:
    """All of which is there, once."""
    found = importlib.import_module(module)
    assert found.__doc__
    names = list(getattr(found, "__all__", ()))
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(found, name)] == []
    assert [name for name in names if name.startswith("_")] == []


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_public_name_is_documented_and_where_it_says(module: str, name: str) -> None:
    """A docstring for what can have one; the module that it names has it."""
    value: Any = getattr(importlib.import_module(module), name)
    if isinstance(value, ModuleType):
        assert value.__doc__
    elif inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value), "has no docstring"
        home = importlib.import_module(value.__module__)
        assert getattr(home, value.__qualname__.partition(".")[0], None) is not None
        if value.__module__.startswith("slither_actors"):
            assert getattr(home, value.__name__) is value


def test_every_name_of_the_root_can_be_imported_on_its_own() -> None:
    """It is imported on first use, in any order."""
    lines = [f"from slither_actors import {name}" for name in reversed(slither_actors.__all__)]
    script = "\n".join(
        ["import slither_actors", *lines, "assert dir(slither_actors) >= slither_actors.__all__[:1]"]
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="'slither_actors' has no attribute 'Pip'"):
        _ = slither_actors.Pip
