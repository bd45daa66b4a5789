"""The packages whose names are imported on first use."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import slither_actors
from slither_actors import errors, pool
from slither_actors._lazy_names import lazy_names
from tests.search_path import SEARCH_PATH, run_program

PACKAGES = pytest.mark.parametrize(
    "package", [slither_actors, pool, errors], ids=lambda package: package.__name__
)


def declared(package: object) -> set[str]:
    """What a type checker sees: the imports under ``TYPE_CHECKING``."""
    tree = ast.parse(Path(package.__file__).read_text())  # type: ignore[attr-defined]
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


@PACKAGES
def test_the_three_lists_of_names_agree(package: object) -> None:
    """What is public, what a type checker sees and what can be imported."""
    public = set(package.__all__)  # type: ignore[attr-defined]
    assert declared(package) == public
    assert {name for name in public if hasattr(package, name)} == public
    assert public <= set(dir(package))


@PACKAGES
def test_a_name_that_is_none_is_an_attribute_error(package: object) -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match=r"module 'slither_actors\S*' has no attribute 'Actorr'"):
        package.Actorr  # type: ignore[attr-defined] # noqa: B018


def test_a_name_is_looked_up_once() -> None:
    """Then it is the package's own."""
    look_up, names = lazy_names("tests", {"search_path": ("SEARCH_PATH",)}, modules=("leaks",))
    assert look_up("SEARCH_PATH") is vars(sys.modules["tests"]).pop("SEARCH_PATH") is SEARCH_PATH
    assert look_up("leaks") is sys.modules["tests.leaks"]
    assert {"SEARCH_PATH", "leaks"} <= set(names())


THREADS = """
import sys, threading, slither_actors
sys.setswitchinterval(1e-5)
start, problems = threading.Barrier(len(slither_actors.__all__)), []

def use(name):
    start.wait()
    try:
        getattr(slither_actors, name)
    except BaseException as error:
        problems.append(f"{name}: {error!r}")

threads = [threading.Thread(target=use, args=(name,)) for name in slither_actors.__all__]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*problems, sep="\\n")
"""


def test_many_threads_may_ask_for_their_first_name_at_one_time() -> None:
    """Nobody is given a module that another thread has half imported, and nobody waits for ever."""
    for _ in range(3):
        done = run_program(THREADS, timeout=60)
        assert done.stdout.strip() == ""


def test_the_import_of_a_package_imports_nothing_of_it() -> None:
    """It is quick, in programs that only look at its version and in each worker."""
    program = (
        "import sys, slither_actors, slither_actors.pool\n"
        "print(*sorted(name for name in sys.modules if 'slither' in name))"
    )
    done = run_program(program)
    assert done.stdout.split() == ["slither_actors", "slither_actors._lazy_names", "slither_actors.pool"]
