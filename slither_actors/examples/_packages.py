"""Packages that an example's own input needs, and that the library does without."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from slither_actors.errors import InputError

__all__ = ["require", "sklearn_folder"]


def require(example: str, module: str, package: str) -> Path:
    """Return the folder of a package, without importing it.

    Raises:
        InputError: it is not installed. Says what to install, and what works without.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            example,
            f"this input needs {package}, which is not installed: pip install {package.lower()}"
            " (or the extra 'examples' of slither-actors); --synthetic needs nothing",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def sklearn_folder(example: str, name: str) -> Path:
    """Return a folder of what scikit-learn ships: ``data`` or ``images``.

    Raises:
        InputError: scikit-learn is not installed.
    """
    return require(example, "sklearn", "scikit-learn") / "datasets" / name
