"""The runtime: scheduled actors with OTP's contract on Pykka's interface."""

from slither_actors.actors._actor import Actor
from slither_actors.actors._cell import Monitor
from slither_actors.actors._child_spec import BRUTAL_KILL, ChildSpec
from slither_actors.actors._reasons import KILLED, NOPROC, NORMAL, SHUTDOWN, Crash, Down, Exit, is_abnormal
from slither_actors.actors._ref import Ref, whereis
from slither_actors.actors._request import NO_REPLY, Failure, Request
from slither_actors.actors._runtime import scheduler
from slither_actors.actors._scheduler import SchedulerStatistics
from slither_actors.actors._server import Ignore, Server
from slither_actors.actors._timers import Timer

__all__ = [
    "BRUTAL_KILL",
    "KILLED",
    "NOPROC",
    "NORMAL",
    "NO_REPLY",
    "SHUTDOWN",
    "Actor",
    "ChildSpec",
    "Crash",
    "Down",
    "Exit",
    "Failure",
    "Ignore",
    "Monitor",
    "Ref",
    "Request",
    "SchedulerStatistics",
    "Server",
    "Timer",
    "is_abnormal",
    "scheduler",
    "whereis",
]
