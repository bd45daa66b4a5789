"""Stages: events a second through a chain, beside what people write by hand.

    python -m tests.benchmarks stages [--rounds 5] [--events 1000000]

The rounds go around all contenders, so that a busy moment of the machine hits
each; the best round counts. The slow ones move fewer events. A thread per
actor costs most when two of them sit on different cores, and least when the
kernel has put all on one, so the chain is measured with and without that.
"""

from __future__ import annotations

import argparse
import functools
import gc
import sys

import attrs

from slither_actors.stages import BroadcastFanOut
from tests.benchmarks import stage_chains as chains
from tests.benchmarks.placement import placed


@attrs.frozen(kw_only=True)
class Contender:
    """One way to move the events."""

    name: str
    chain: chains.Chain
    share: float = 1.0
    """How many of the events it moves."""


@attrs.frozen
class Goal:
    """How many times as fast as another contender ours is to be."""

    ours: str
    theirs: str
    ratio: float


CONTENDERS = [
    Contender(name="ours, 1000", chain=functools.partial(chains.on_stages, max_demand=1000)),
    Contender(name="ours, 50", chain=functools.partial(chains.on_stages, max_demand=50), share=0.4),
    Contender(name="ours, 2", chain=functools.partial(chains.on_stages, max_demand=2), share=0.05),
    Contender(name="ours, read by a loop", chain=chains.on_stream),
    Contender(name="ours, read in chunks", chain=functools.partial(chains.on_stream, chunks=True)),
    Contender(name="ours, read by `async for`", chain=chains.on_async_stream, share=0.4),
    Contender(name="pykka, 1000", chain=functools.partial(chains.on_pykka, max_demand=1000)),
    Contender(name="pykka, 50", chain=functools.partial(chains.on_pykka, max_demand=50), share=0.1),
    Contender(name="pykka, 2", chain=functools.partial(chains.on_pykka, max_demand=2), share=0.005),
    Contender(name="queue.Queue", chain=chains.on_thread_queues, share=0.05),
    Contender(name="asyncio.Queue", chain=chains.on_async_queues, share=0.05),
    Contender(name="generators", chain=chains.on_generators),
    Contender(name="the handlers alone", chain=chains.on_handlers),
]

GOALS = [
    Goal("ours, 1000", "pykka, 1000", 2.5),
    Goal("ours, 50", "pykka, 50", 3.0),
    Goal("ours, 2", "pykka, 2", 3.5),
    Goal("ours, 1000", "queue.Queue", 10.0),
    Goal("ours, 1000", "asyncio.Queue", 10.0),
    Goal("ours, 1000", "generators", 0.6),
]

LENGTHS = (1, 10, 100)
"""Stages between the producer and the consumer."""

CONSUMERS = (1, 10, 100, 1000)
"""Consumers of one producer."""


def rates(contenders: list[Contender], rounds: int, events: int) -> dict[str, float]:
    """Events a second of each contender, in its best round."""
    best = dict.fromkeys((contender.name for contender in contenders), 0.0)
    for _ in range(rounds):
        for contender in contenders:
            count = max(1000, int(events * contender.share))
            gc.collect()
            best[contender.name] = max(best[contender.name], count / contender.chain(count))
    return best


def text(rate: float) -> str:
    return f"{rate / 1e6:.2f} M/s" if rate >= 1e5 else f"{rate / 1e3:.1f} k/s"


def compare(rounds: int, events: int) -> None:
    """Print the chain's rates, and how they compare."""
    best = rates(CONTENDERS, rounds, events)
    for name, rate in best.items():
        print(f"{name:34}{text(rate):>12}")
    print(f"\n{'how many times as fast':34}{'ratio':>12}  {'asked':>8}  met")
    for goal in GOALS:
        ratio = best[goal.ours] / best[goal.theirs]
        met = "yes" if ratio >= goal.ratio else "no"
        print(f"{goal.ours + ' : ' + goal.theirs:34}{ratio:>11.1f}x  {goal.ratio:>7g}x  {met}", flush=True)


def grow(rounds: int, events: int) -> None:
    """Print the cost of an event in long chains and with many consumers, beside that in short ones."""
    print(f"\n{'cost of an event and stage':34}{'':>12}  as with one")
    series = {
        f"{length} in a chain": Contender(
            name=f"{length} in a chain",
            chain=functools.partial(chains.on_stages, max_demand=1000, between=length),
            share=max(0.3, 1 / length),
        )
        for length in LENGTHS
    }
    costs = rates(list(series.values()), rounds, events)
    stages = {f"{length} in a chain": length + 1 for length in LENGTHS}
    show_growth({name: 1 / (rate * stages[name]) for name, rate in costs.items()})
    for dispatcher, title in ((None, "demand"), (BroadcastFanOut, "broadcast")):
        print(f"\n{f'cost of a delivered event, {title}':34}{'':>12}  as with one")
        made = [
            Contender(
                name=f"{consumers} consumers",
                chain=functools.partial(
                    chains.with_consumers, max_demand=1000, consumers=consumers, dispatcher=dispatcher
                ),
                share=max(1.0, consumers / 200),
            )
            for consumers in CONSUMERS
        ]
        show_growth({name: 1 / rate for name, rate in rates(made, rounds, events).items()})


def show_growth(costs: dict[str, float]) -> None:
    """Print costs in nanoseconds, and as a ratio to the first."""
    first = next(iter(costs.values()))
    for name, cost in costs.items():
        print(f"{name:34}{cost * 1e9:>9.0f} ns  {cost / first:>10.2f}x", flush=True)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    print(f"CPython {sys.version.split()[0]}, {options.events:,} events")
    print("\nthreads where the kernel puts them")
    compare(options.rounds, options.events)
    with placed("one core"):
        print("\nevery thread on the same core, which is the best case for threads that wait for each other")
        compare(options.rounds, options.events)
        grow(options.rounds, options.events)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
