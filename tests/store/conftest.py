"""Stores that run for one test."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from slither_actors.actors import Ref
from slither_actors.store import Store, StoreSupervisor, retire

Start = Callable[..., Ref]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start stores under a supervisor; both are gone at the end of the test."""
    started: list[tuple[Ref, tuple[type[Store], ...]]] = []

    def start_stores(*stores: type[Store], **options: object) -> Ref:
        supervisor = StoreSupervisor.start(stores, **options)
        started.append((supervisor, stores))
        return supervisor

    yield start_stores
    for supervisor, stores in started:
        supervisor.stop()
        for store in stores:
            retire(store)
    gc.collect()
