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
    PartitionFanOut,
    Reask,
    RoundRobinFanOut,
    SubscriptionRefusedError,
    WeightedFanOut,
)
from slither_actors.stages._consumer import Consumer
from slither_actors.stages._functions import ask, async_subscribe, cancel, sync_subscribe
from slither_actors.stages._iterable import IterableProducer, from_iterable
from slither_actors.stages._producer import Producer
from slither_actors.stages._producer_consumer import ProducerConsumer
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
    "FanOut",
    "FanOutStatistics",
    "IterableProducer",
    "PartitionFanOut",
    "Producer",
    "ProducerConsumer",
    "Reask",
    "RoundRobinFanOut",
    "StageStatistics",
    "Subscription",
    "SubscriptionOptions",
    "SubscriptionRefusedError",
    "WeightedFanOut",
    "ask",
    "async_subscribe",
    "cancel",
    "from_iterable",
    "statistics",
    "sync_subscribe",
]
