"""``slither-actors stores``: load stores and show what is in their tables."""

from __future__ import annotations

import argparse
import json

import attrs

from slither_actors._cli._named import find_stores
from slither_actors._cli._signals import Stopper
from slither_actors.application import Application
from slither_actors.store import StoreStatistics, statistics_table

__all__ = ["stores_command"]


def stores_command(options: argparse.Namespace, stopper: Stopper) -> int:
    """Print the statistics of the stores and return the exit status."""
    stores = list(dict.fromkeys(store for spec in options.stores for store in find_stores(spec)))
    with Application(stores=stores, pools={}):
        statistics = [store.statistics() for store in stores]
    print(_as_json(statistics) if options.json else statistics_table(statistics))
    return 0


def _as_json(statistics: list[StoreStatistics]) -> str:
    return json.dumps({"stores": [attrs.asdict(each) for each in statistics]}, indent=2)
