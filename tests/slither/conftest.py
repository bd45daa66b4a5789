"""The payloads of items, and where a module has no workers of its own, an application without any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slither_actors import Application


@pytest.fixture(scope="module")
def driver() -> Iterator[Application]:
    """An application without workers, shared by the tests of a module."""
    with Application(pools={}) as running:
        yield running


@pytest.fixture(scope="module")
def workers() -> Iterator[Application]:
    """An application with two workers, shared by the tests of a module, which leave them alive."""
    with Application(pools={"default": 2}) as running:
        yield running
