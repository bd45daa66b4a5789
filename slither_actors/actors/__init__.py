"""The runtime: scheduled actors with OTP's contract on Pykka's interface."""

from slither_actors.actors._actor import Actor
from slither_actors.actors._cell import Monitor
from slither_actors.actors._child import ChildCounts, ChildInfo
from slither_actors.actors._child_spec import BRUTAL_KILL, ChildSpec
from slither_actors.actors._current import current_actors
from slither_actors.actors._dynamic import DynamicSupervisor, DynamicSupervisorRef
from slither_actors.actors._ignore import Ignore
from slither_actors.actors._inspection import ActorStatistics
from slither_actors.actors._listeners import Registered, Unregistered
from slither_actors.actors._many_tasks import await_many, yield_many
from slither_actors.actors._named import Named, named
from slither_actors.actors._names import when_named, whereis
from slither_actors.actors._partition import PartitionSupervisor, PartitionSupervisorRef
from slither_actors.actors._reasons import KILLED, NOPROC, NORMAL, SHUTDOWN, Crash, Down, Exit, is_abnormal
from slither_actors.actors._ref import Ref
from slither_actors.actors._registry import Registry
from slither_actors.actors._registry_ref import RegistryRef
from slither_actors.actors._request import NO_REPLY, Failure, Request
from slither_actors.actors._runtime import blocking, interruptible, scheduler
from slither_actors.actors._scheduler import SchedulerStatistics
from slither_actors.actors._server import Server
from slither_actors.actors._supervisor import Supervisor, SupervisorRef
from slither_actors.actors._task import Task
from slither_actors.actors._task_outcome import TaskDone, TaskExit, TaskOutcome, TaskResult
from slither_actors.actors._tasks import StreamOptions, TaskSupervisor, TaskSupervisorRef
from slither_actors.actors._timers import Timer
from slither_actors.actors._trace import Trace, TracedMessage, trace
from slither_actors.actors._zombie import ZombieInfo, zombies
from slither_actors.core import Backoff

__all__ = [
    "BRUTAL_KILL",
    "KILLED",
    "NOPROC",
    "NORMAL",
    "NO_REPLY",
    "SHUTDOWN",
    "Actor",
    "ActorStatistics",
    "Backoff",
    "ChildCounts",
    "ChildInfo",
    "ChildSpec",
    "Crash",
    "Down",
    "DynamicSupervisor",
    "DynamicSupervisorRef",
    "Exit",
    "Failure",
    "Ignore",
    "Monitor",
    "Named",
    "PartitionSupervisor",
    "PartitionSupervisorRef",
    "Ref",
    "Registered",
    "Registry",
    "RegistryRef",
    "Request",
    "SchedulerStatistics",
    "Server",
    "StreamOptions",
    "Supervisor",
    "SupervisorRef",
    "Task",
    "TaskDone",
    "TaskExit",
    "TaskOutcome",
    "TaskResult",
    "TaskSupervisor",
    "TaskSupervisorRef",
    "Timer",
    "Trace",
    "TracedMessage",
    "Unregistered",
    "ZombieInfo",
    "await_many",
    "blocking",
    "current_actors",
    "interruptible",
    "is_abnormal",
    "named",
    "scheduler",
    "trace",
    "when_named",
    "whereis",
    "yield_many",
    "zombies",
]
