"""Demand-driven stages: GenStage on actors."""

from slither_actors.core import (
    BroadcastFanOut,
    Deliver,
    DeliverInfo,
    DemandFanOut,
    DemandMismatch,
    Discarded,
    FanOut,
    FanOutStatistics,
    GraphEdge,
    GraphStage,
    PartitionFanOut,
    Reask,
    RoundRobinFanOut,
    StageGraph,
    Stall,
    SubscriptionRefusedError,
    WeightedFanOut,
    find_stalls,
)
from slither_actors.stages._consumer import Consumer
from slither_actors.stages._control import DrainReport, complete, connected, drain, pause, resume, stop
from slither_actors.stages._functions import ask, async_subscribe, cancel, sync_subscribe
from slither_actors.stages._graph import graph
from slither_actors.stages._infos import async_info, demand, estimate_buffered_count, sync_info
from slither_actors.stages._iterable import IterableProducer, from_iterable
from slither_actors.stages._producer import Producer
from slither_actors.stages._producer_consumer import ProducerConsumer
from slither_actors.stages._stall_watch import StallWatch
from slither_actors.stages._stalls import stalls
from slither_actors.stages._statistics import StageStatistics, statistics
from slither_actors.stages._subscription import Subscription, SubscriptionOptions

__all__ = [
    "BroadcastFanOut",
    "Consumer",
    "Deliver",
    "DeliverInfo",
    "DemandFanOut",
    "DemandMismatch",
    "Discarded",
    "DrainReport",
    "FanOut",
    "FanOutStatistics",
    "GraphEdge",
    "GraphStage",
    "IterableProducer",
    "PartitionFanOut",
    "Producer",
    "ProducerConsumer",
    "Reask",
    "RoundRobinFanOut",
    "StageGraph",
    "StageStatistics",
    "Stall",
    "StallWatch",
    "Subscription",
    "SubscriptionOptions",
    "SubscriptionRefusedError",
    "WeightedFanOut",
    "ask",
    "async_info",
    "async_subscribe",
    "cancel",
    "complete",
    "connected",
    "demand",
    "drain",
    "estimate_buffered_count",
    "find_stalls",
    "from_iterable",
    "graph",
    "pause",
    "resume",
    "stalls",
    "statistics",
    "stop",
    "sync_info",
    "sync_subscribe",
]
