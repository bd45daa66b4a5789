"""Views: what a worker may call in the driver, and who answers.

`view` marks a store's method, `register` gives the views of a session to its
workers, `Views` is what they call them by, and `answer` is the driver's end.
"""

from slither_actors.bridge._calls import answer, call_view
from slither_actors.bridge._registry import ViewRegistry, ViewRegistryStatistics, register, unregister
from slither_actors.bridge._running import RUNNING, CallRequest, RunningCalls
from slither_actors.bridge._sessions import SESSIONS, Session, Sessions
from slither_actors.bridge._tables import TableAccess, register_tables, tables_of, unregister_tables
from slither_actors.bridge._view import View, ViewOptions, view
from slither_actors.bridge._worker_side import Views, call_driver, hear_driver, in_batch, in_worker

__all__ = [
    "RUNNING",
    "SESSIONS",
    "CallRequest",
    "RunningCalls",
    "Session",
    "Sessions",
    "TableAccess",
    "View",
    "ViewOptions",
    "ViewRegistry",
    "ViewRegistryStatistics",
    "Views",
    "answer",
    "call_driver",
    "call_view",
    "hear_driver",
    "in_batch",
    "in_worker",
    "register",
    "register_tables",
    "tables_of",
    "unregister",
    "unregister_tables",
    "view",
]
