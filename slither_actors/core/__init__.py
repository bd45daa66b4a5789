"""Decisions only: no thread, clock or I/O.

A core takes values and returns decisions; an actor owns it, is its only caller
and performs what it decides. Times and random numbers are arguments.
"""

from slither_actors.core._ack_tree import AckTree, AckTreeEnd
from slither_actors.core._affinity import Affinity, SessionLoss, SessionOverflow, Sessions
from slither_actors.core._auto_shutdown import AutoShutdown, auto_shutdown_due
from slither_actors.core._backoff import is_one_of, may_retry, retry_delay
from slither_actors.core._batching import Batcher, BatchingError, FixedBatcher, WeightedBatcher
from slither_actors.core._breaker import Breaker, BreakerState
from slither_actors.core._broadcast_fan_out import BroadcastFanOut
from slither_actors.core._buffer import Buffer, BufferStatistics, Keep
from slither_actors.core._checked_batcher import CheckedBatcher, checked_batcher, missing_in_batcher
from slither_actors.core._checked_fan_out import CheckedFanOut, checked_fan_out, missing_in_fan_out
from slither_actors.core._child_demand import ChildDemand, ChildDemandStatistics
from slither_actors.core._collector import Collector
from slither_actors.core._deadlines import Deadlines
from slither_actors.core._demand import DEFAULT_MAX_DEMAND, SubscriptionDemand, check_demand
from slither_actors.core._demand_fan_out import DemandFanOut
from slither_actors.core._fan_out import (
    Deliver,
    DeliverInfo,
    DemandMismatch,
    Discarded,
    FanOut,
    FanOutDecision,
    FanOutStatistics,
    Reask,
    SubscriptionRefusedError,
)
from slither_actors.core._handover import Deliveries, Handover, HandoverStatistics
from slither_actors.core._histogram import Histogram, HistogramStatistics
from slither_actors.core._insights import BatchTiming, Insights, InsightTally, SlowBatch, WorkerInsights
from slither_actors.core._intensity import RestartIntensity
from slither_actors.core._joinable import Joinable, join
from slither_actors.core._key_batcher import KeyBatcher, KeyedBatch
from slither_actors.core._key_table import KeyPlace, KeySlot, KeyTable
from slither_actors.core._lifecycle import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    OnExit,
    comes_back,
    is_abnormal,
    on_exit,
)
from slither_actors.core._lock_queue import LockQueue
from slither_actors.core._partition_fan_out import PartitionFanOut, PartitionHash
from slither_actors.core._partitions import Partitions, Resize
from slither_actors.core._progress_meter import ProgressMeter, RunProgress
from slither_actors.core._rate_limit import Pace, RateLimit
from slither_actors.core._registrations import Registration, RegistrationPlace, Registrations
from slither_actors.core._restart_backoff import Backoff, RestartBackoff
from slither_actors.core._round_robin_fan_out import RoundRobinFanOut
from slither_actors.core._serial_queue import SerialQueue
from slither_actors.core._stage_graph import GraphEdge, GraphStage, StageGraph
from slither_actors.core._stall import Stall
from slither_actors.core._stall_tracker import StallNews, StallTracker
from slither_actors.core._stalls import find_stalls
from slither_actors.core._strategy import RestartPlan, RestartStrategy, restart_plan
from slither_actors.core._task_window import TaskWindow
from slither_actors.core._timed_batcher import TimedBatcher, WaitingBatcher
from slither_actors.core._weighted_fan_out import WeightedFanOut
from slither_actors.core._window import Ordering, Window, WindowStatistics

__all__ = [
    "AckTree",
    "AckTreeEnd",
    "Pace",
    "RateLimit",
    "Affinity",
    "SessionLoss",
    "SessionOverflow",
    "Sessions",
    "DEFAULT_MAX_DEMAND",
    "KILLED",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "AutoShutdown",
    "Backoff",
    "BatchTiming",
    "Batcher",
    "BatchingError",
    "BroadcastFanOut",
    "Buffer",
    "BufferStatistics",
    "CheckedBatcher",
    "CheckedFanOut",
    "ChildDemand",
    "ChildDemandStatistics",
    "Collector",
    "Deadlines",
    "Deliver",
    "DeliverInfo",
    "Deliveries",
    "DemandFanOut",
    "DemandMismatch",
    "Discarded",
    "FanOut",
    "FanOutDecision",
    "FanOutStatistics",
    "FixedBatcher",
    "Handover",
    "HandoverStatistics",
    "GraphEdge",
    "GraphStage",
    "Histogram",
    "HistogramStatistics",
    "InsightTally",
    "Insights",
    "Keep",
    "Joinable",
    "KeyBatcher",
    "KeyPlace",
    "KeySlot",
    "KeyTable",
    "KeyedBatch",
    "LockQueue",
    "OnExit",
    "Ordering",
    "PartitionFanOut",
    "PartitionHash",
    "Partitions",
    "ProgressMeter",
    "Reask",
    "Registration",
    "RegistrationPlace",
    "Registrations",
    "Resize",
    "RestartBackoff",
    "RestartIntensity",
    "RestartPlan",
    "RestartStrategy",
    "RoundRobinFanOut",
    "RunProgress",
    "SerialQueue",
    "SlowBatch",
    "StageGraph",
    "Stall",
    "StallNews",
    "StallTracker",
    "SubscriptionDemand",
    "SubscriptionRefusedError",
    "TaskWindow",
    "TimedBatcher",
    "WaitingBatcher",
    "WeightedBatcher",
    "WeightedFanOut",
    "Window",
    "WindowStatistics",
    "WorkerInsights",
    "auto_shutdown_due",
    "check_demand",
    "checked_batcher",
    "checked_fan_out",
    "comes_back",
    "find_stalls",
    "is_abnormal",
    "is_one_of",
    "Breaker",
    "BreakerState",
    "may_retry",
    "missing_in_batcher",
    "missing_in_fan_out",
    "on_exit",
    "restart_plan",
    "retry_delay",
    "join",
]
