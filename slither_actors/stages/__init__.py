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
from slither_actors.stages._async_iterable import AsyncIterableProducer, from_async_iterable
from slither_actors.stages._consumer import Consumer
from slither_actors.stages._consumer_supervisor import ConsumerSupervisor, ConsumerSupervisorRef
from slither_actors.stages._control import DrainReport, complete, connected, drain, pause, resume, stop
from slither_actors.stages._functions import (
    ask,
    async_resubscribe,
    async_subscribe,
    cancel,
    sync_resubscribe,
    sync_subscribe,
)
from slither_actors.stages._graph import graph
from slither_actors.stages._infos import async_info, demand, estimate_buffered_count, sync_info
from slither_actors.stages._iterable import IterableProducer, from_iterable
from slither_actors.stages._producer import Producer
from slither_actors.stages._producer_consumer import ProducerConsumer
from slither_actors.stages._stall_watch import StallWatch
from slither_actors.stages._stalls import stalls
from slither_actors.stages._statistics import StageStatistics, statistics
from slither_actors.stages._stream import Stream, StreamStatistics, stream
from slither_actors.stages._subscription import (
    Subscription,
    SubscriptionOptions,
    SubscriptionStatistics,
)

__all__ = [
    "AsyncIterableProducer",
    "BroadcastFanOut",
    "Consumer",
    "ConsumerSupervisor",
    "ConsumerSupervisorRef",
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
    "Stream",
    "StreamStatistics",
    "Stall",
    "StallWatch",
    "Subscription",
    "SubscriptionOptions",
    "SubscriptionRefusedError",
    "SubscriptionStatistics",
    "WeightedFanOut",
    "ask",
    "async_info",
    "async_resubscribe",
    "async_subscribe",
    "cancel",
    "complete",
    "connected",
    "demand",
    "drain",
    "estimate_buffered_count",
    "from_async_iterable",
    "find_stalls",
    "from_iterable",
    "graph",
    "pause",
    "resume",
    "stalls",
    "statistics",
    "stop",
    "stream",
    "sync_info",
    "sync_resubscribe",
    "sync_subscribe",
]
