"""An application without worker processes: stages run in the driver, and so may batches."""

from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import Application


@pytest.fixture(autouse=True)
def application() -> Iterator[Any]:
    with Application(pools={}) as running:
        yield running
