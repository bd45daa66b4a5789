"""Stores of an interactive session, whose classes workers cannot import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.search_path import SEARCH_PATH

PROGRAM = """
from slither_actors import Application, Pipe, Store, Table, run_pipe, view, workers

class Prices(Store):
    rows = Table(replicate={replicate})
    sorted = Table(ordered=True, replicate={replicate}, ttl=600.0)
    tags = Table(bag=True)

    def load(self, tables):
        tables.rows.insert({{"a": 1, "b": 2}})

    @view
    def price(self, name):
        return self.rows.get(name)

class Special(Prices):
    extra = Table(replicate={replicate})

def look(names, ctx):
    Prices.tags.put("seen", len(names))
    Special.extra.put("n", 1)
    prices = (Prices.rows.get("a"), Prices.sorted.first(), Prices.tags.get("seen"))
    return [(*prices, ctx.views.price("b"), Special.extra.get("n"), Prices, Prices.rows) for _ in names]

class Look(Pipe):
    stores = [Prices]
    look = workers(look, batch_size=10)

with Application(stores=[Prices, Special], pools={{"default": 1}}):
    for number in range(3):
        Prices.rows.put("a", number)
        Prices.sorted.put(number - 7, number)
        (item,) = run_pipe(Look, ["a"])["default"]
        assert item.payload[:5] == (number, (-7, 0), (1,), 2, 1), item.payload
        assert item.payload[5] is Prices
        assert item.payload[6].get("a") == number
print("done")
"""


@pytest.mark.programs
@pytest.mark.parametrize("replicate", [False, True])
def test_workers_read_and_write_a_store_of_an_interactive_session(replicate: bool) -> None:
    """As one of a module; its class and tables come back as what they were."""
    pytest.importorskip("cloudpickle")
    ran = subprocess.run(
        [sys.executable, "-"],
        input=PROGRAM.format(replicate=replicate),
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("done\n", "", 0)
