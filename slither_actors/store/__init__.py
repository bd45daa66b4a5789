"""Stores: shared state with one writer and readers that never wait.

`Store` is what a user subclasses, `Table` what it declares; `StoreServer` owns
the tables of one store, `StoreSupervisor` all servers of an application.
"""

from slither_actors.bridge import view
from slither_actors.store._backing import SQLite
from slither_actors.store._bag_table import BagTable
from slither_actors.store._kinds import TableOptions
from slither_actors.store._load import LoadBag, LoadTable, LoadTables
from slither_actors.store._ordered_table import OrderedTable
from slither_actors.store._pattern import ANY, Prefix
from slither_actors.store._server import StoreServer, retire
from slither_actors.store._statistics import ReplicaStatistics, StoreStatistics, TableStatistics
from slither_actors.store._statistics_table import statistics_table
from slither_actors.store._store import Store, views_of
from slither_actors.store._supervisor import StoreSupervisor
from slither_actors.store._table import Table
from slither_actors.store._transaction import (
    CollectedWrites,
    Transaction,
)

__all__ = [
    "ANY",
    "BagTable",
    "CollectedWrites",
    "LoadBag",
    "LoadTable",
    "LoadTables",
    "OrderedTable",
    "Prefix",
    "ReplicaStatistics",
    "SQLite",
    "Store",
    "StoreServer",
    "StoreStatistics",
    "StoreSupervisor",
    "Table",
    "TableOptions",
    "TableStatistics",
    "Transaction",
    "retire",
    "statistics_table",
    "view",
    "views_of",
]
