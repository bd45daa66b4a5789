"""``slither-actors stores``: what is in the tables of a user's stores."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.cli.command import Cli, Ran

Run = Callable[..., Ran]

SHOP = """
from slither_actors import Pipe, Store, Table, stage
from slither_actors.store import SQLite

class Shop(Store):
    prices = Table(count_reads=True)
    tags = Table(bag=True)

    def load(self, tables):
        tables.prices.insert({number: number for number in range(1500)})

class Kept(Store):
    backing = SQLite("kept.db")
    rows = Table()

class Broken(Store):
    rows = Table()

    def load(self, tables):
        raise OSError("no such feed")

class ShopPipe(Pipe):
    stores = [Shop, Kept]

    @stage
    def keep(item):
        return item

class NoStores(Pipe):
    @stage
    def keep(item):
        return item
"""


def test_tables_of_stores(cli: Cli) -> None:
    """A line each; a pipe stands for its stores, and none comes twice."""
    cli.write("shop.py", SHOP)
    ran = cli("stores", "shop:Shop", "shop:ShopPipe")
    assert ran.status == 0, ran.err
    assert ran.err == ""
    lines = [line.split()[:5] for line in ran.out.splitlines()]
    assert lines[0][:3] == ["store.table", "kind", "rows"]
    assert [line[:3] for line in lines[1:]] == [
        ["Shop.prices", "set", "1,500"],
        ["Shop.tags", "bag", "0"],
        ["Kept.rows", "set", "0"],
    ]


def test_tables_as_json(cli: Cli) -> None:
    """One object for programs, with the fields of the statistics."""
    cli.write("shop.py", SHOP)
    ran = cli("stores", "shop:Shop", "--json")
    [store] = json.loads(ran.out)["stores"]
    prices, tags = store["tables"]
    assert (store["store"], store["running"], store["loads"]) == ("Shop", True, 1)
    assert (prices["name"], prices["rows"], prices["reads"], tags["reads"]) == ("prices", 1500, 0, None)
    assert prices["bytes"] > 1500 * 8
    assert abs(prices["loaded_at"] - time.time()) < 600


@pytest.mark.parametrize(
    ("store", "status", "said"),
    [
        ("shop", 2, "store 'shop': write it as module:StoreClass"),
        ("shop:Shup", 2, "shop has no Shup; did you mean 'Shop'?"),
        ("shop:SHOP", 2, "shop has no SHOP; its stores are Shop"),
        ("shop:stage", 2, "not a Store"),
        ("shop:NoStores", 2, "the pipe lists no stores"),
        ("shop:Broken", 1, "store Broken did not load: OSError: no such feed"),
    ],
)
def test_a_store_that_cannot_be_had(cli: Cli, inside: Run, store: str, status: int, said: str) -> None:
    """One line that names it."""
    cli.write("shop.py", SHOP.replace("class Shop", f"assert {store!r}\n\nclass Shop"))
    import sys

    sys.modules.pop("shop", None)
    try:
        ran = inside("stores", store)
    finally:
        sys.modules.pop("shop", None)
    assert ran.status == status
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
