"""Actors, beside Pykka's `ThreadingActor` on the same machine, in the same run.

    python -m tests.benchmarks actors [--rounds 30] [--scale 1.0] [--actors 100000] [--only "ask"]

The rounds go around all contenders, so that a busy moment of the machine hits
each; the best round counts. Where the threads run decides what a message
between two of them costs, so everything is measured twice: with all threads on
one core, and with those who answer on another (see `placement`). Log records
are made and thrown away by a null handler.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable

import attrs
import pykka

from slither_actors.actors import Actor
from tests.benchmarks.actor_memory import bytes_each
from tests.benchmarks.actor_split import splits, two_locks
from tests.benchmarks.actor_trees import PAUSE, crash_tree, stop_slow_tree, stop_tree
from tests.benchmarks.actor_work import NAP, SLEEPERS, OnPykka, OnServers, Work
from tests.benchmarks.placement import PLACEMENTS, placed


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table."""

    title: str
    ours: str
    """The name of a contender; so is `theirs`."""

    theirs: str | None = None
    ratio: float | None = None
    """How many times as fast as theirs it is to be."""

    limit: float | None = None
    """The most seconds that it may take."""


def contenders() -> dict[str, tuple[Work, int]]:
    """What is timed, and how many times in a round: for some 3 ms, which a busy machine may leave alone."""
    theirs, ours = OnPykka(pykka.ThreadingActor), OnPykka(Actor)
    return {
        "pykka start": (theirs.start_and_stop, 40),
        "actor start": (ours.start_and_stop, 150),
        "actor start with hooks": (ours.start_and_stop_with_hooks, 150),
        "server start": (OnServers.start_and_stop, 300),
        "server start with hooks": (OnServers.start_and_stop_with_hooks, 300),
        "pykka ping": (theirs.ping_pong, 300),
        "actor ping": (ours.ping_pong, 4000),
        "server ping": (OnServers.ping_pong, 4000),
        "pykka ask": (theirs.ask, 120),
        "actor ask": (ours.ask, 120),
        "server call": (OnServers.call, 120),
        "inline call": (OnServers.inline_call, 4000),
        "pykka ask in actor": (theirs.ask_from_actor, 120),
        "actor ask in actor": (ours.ask_from_actor, 120),
        "server call in actor": (OnServers.call_from_actor, 120),
        "pykka tell": (theirs.tell_burst, 2000),
        "actor tell": (ours.tell_burst, 4000),
        "server cast": (OnServers.cast_burst, 4000),
        "crash": (OnServers.crash, 20),
        "crash seen outside": (OnServers.crash_seen_outside, 20),
        "link": (OnServers.link_and_monitor, 1500),
        "two locks": (two_locks, 200),
    }


ROWS = [
    Row(title="start and stop: Server", ours="server start", theirs="pykka start", ratio=8),
    Row(title="  with init and terminate", ours="server start with hooks", theirs="pykka start"),
    Row(title="start and stop: Actor", ours="actor start", theirs="pykka start", ratio=8),
    Row(title="  with on_start and on_stop", ours="actor start with hooks", theirs="pykka start"),
    Row(title="ping-pong: Server.cast", ours="server ping", theirs="pykka ping", ratio=15),
    Row(title="ping-pong: Actor.tell", ours="actor ping", theirs="pykka ping", ratio=15),
    Row(title="ask from a thread: Server.call", ours="server call", theirs="pykka ask", ratio=0.9),
    Row(title="ask from a thread: Actor.ask", ours="actor ask", theirs="pykka ask", ratio=0.9),
    Row(title="call with inline_calls", ours="inline call", theirs="pykka ask", ratio=35, limit=2e-6),
    Row(title="crash to restarted and ready", ours="crash", theirs="pykka start", limit=150e-6),
    Row(title="  and seen by another thread", ours="crash seen outside", theirs="pykka start"),
    Row(title="actor to actor: Server.call", ours="server call in actor", theirs="pykka ask in actor"),
    Row(title="actor to actor: Actor.ask", ours="actor ask in actor", theirs="pykka ask in actor"),
    Row(title="burst: Server.cast", ours="server cast", theirs="pykka tell"),
    Row(title="burst: Actor.tell", ours="actor tell", theirs="pykka tell"),
    Row(title="link, monitor, cancel, unlink", ours="link"),
    Row(title="two bare locks, there and back", ours="two locks"),
]


def measure(work: dict[str, tuple[Work, int]], rounds: int, scale: float) -> dict[str, float]:
    """Seconds of one time of each contender, in its best round."""
    best = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        gc.collect()
        for name, (function, count) in work.items():
            best[name] = min(best[name], function(max(2, int(count * scale))))
    return best


def show(
    title: str, ours: float, theirs: float | None = None, goals: Iterable[tuple[str, bool]] = ()
) -> None:
    """Print one line; times in microseconds, long ones in milliseconds."""
    pykkas = "" if theirs is None else text(theirs)
    ratio = "" if theirs is None else f"{theirs / ours:.1f}x"
    goals = list(goals)
    target = ", ".join(name for name, _ in goals)
    met = "" if not goals else "yes" if all(met for _, met in goals) else "no"
    print(f"{title:36}{text(ours):>12}{pykkas:>12}{ratio:>9}  {target:18}{met}".rstrip(), flush=True)


def text(seconds: float) -> str:
    if seconds >= 0.01:
        return f"{seconds * 1e3:,.0f} ms"
    return f"{seconds * 1e6:,.2f} µs" if seconds < 1e-5 else f"{seconds * 1e6:,.0f} µs"


def goals_of(row: Row, best: dict[str, float]) -> list[tuple[str, bool]]:
    goals = []
    if row.ratio is not None and row.theirs is not None:
        goals.append((f">= {row.ratio:g}x", best[row.theirs] / best[row.ours] >= row.ratio))
    if row.limit is not None:
        goals.append((f"<= {row.limit * 1e6:g} µs", best[row.ours] <= row.limit))
    return goals


def head(title: str) -> None:
    print(f"\n{title:36}{'ours':>12}{'pykka':>12}{'ratio':>9}  {'target':18}met")


def times(rows: list[Row], rounds: int, scale: float) -> None:
    """Measure and print what is counted in seconds, in each placement."""
    everybody = contenders()
    wanted = {name for row in rows for name in (row.ours, row.theirs)}
    work = {name: entry for name, entry in everybody.items() if name in wanted}
    for placement, meaning in PLACEMENTS.items():
        with placed(placement):
            best = measure(work, rounds, scale)
        head(f"{placement}")
        for row in rows:
            show(row.title, best[row.ours], best[row.theirs] if row.theirs else None, goals_of(row, best))
        print(f"({placement}: {meaning})")


def many(rounds: int, scale: float) -> None:
    """Measure and print what is about many actors at one time, where the kernel puts their threads."""
    theirs, ours = OnPykka(pykka.ThreadingActor), OnPykka(Actor)
    head("many at one time")
    naps = {"pykka": (theirs.sleep, 1), "ours": (ours.sleep, 1)}
    best = measure(naps, max(1, rounds // 10), scale)
    show(
        f"{SLEEPERS} actors that sleep {NAP:g} s",
        best["ours"],
        best["pykka"],
        [("<= 500 ms", best["ours"] <= 0.5)],
    )
    size = max(2, int(10_000 * scale))
    trees: dict[str, tuple[Callable[[int], float], float]] = {
        "exit signal to each of {:,}": (crash_tree, 1),
        "stop of a supervised one of {:,}": (stop_tree, 1),
    }
    for title, (function, _) in trees.items():
        for count in (max(2, size // 10), size):
            show(title.format(count), measure({"": (function, count)}, max(1, rounds // 10), 1)[""])
    slow = max(2, int(100 * scale))
    took = stop_slow_tree(slow)
    show(f"{slow} that take {PAUSE:g} s to stop, in all", took)


def where_time_goes(rounds: int, scale: float) -> None:
    """Measure and print the parts of some operations, on one core."""
    print(f"\n{'where the time goes (one core)':58}{'time':>12}{'share':>9}")
    with placed("one core"):
        for title, whole, parts in splits(rounds, scale):
            print(f"{title:58}{text(whole):>12}")
            rest = whole - sum(seconds for _, seconds in parts)
            for name, seconds in (*parts, ("the rest", rest)):
                print(f"  {name:56}{text(seconds):>12}{seconds / whole:9.0%}", flush=True)


def memory(actors: int) -> None:
    """Measure and print what one live actor keeps."""
    head("memory of one live actor")
    fewer = max(100, actors // 100)
    theirs = bytes_each("ThreadingActor", fewer, "rss")
    for kind in ("Server", "Actor"):
        for how, count in (("rss", actors), ("tracemalloc", max(100, actors // 5))):
            ours = bytes_each(kind, count, how)
            beside = f"{theirs:12,.0f}{theirs / ours:8.1f}x" if how == "rss" else " " * 21
            goal = f"{'<= 4000 B':18}{'yes' if ours <= 4000 else 'no'}"
            print(f"{f'{kind}, {how}, of {count:,}':36}{ours:10,.0f} B{beside}  {goal}", flush=True)
    print(f"{'  of that, an empty mailbox':36}{sys.getsizeof(deque()):10,.0f} B")
    print(f"(pykka: of {fewer:,}, what the system counts; its threads' stacks are reserved on top)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--scale", type=float, default=1.0, help="of how often each thing is done in a round")
    parser.add_argument("--actors", type=int, default=100_000, help="for the memory of one; 0 leaves it out")
    parser.add_argument("--only", help="the rows whose title contains this, and nothing else")
    options = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())
    rows = [row for row in ROWS if options.only is None or options.only in row.title]
    times(rows, options.rounds, options.scale)
    if options.only is None:
        many(options.rounds, options.scale)
        where_time_goes(options.rounds, options.scale)
        if options.actors:
            memory(options.actors)


if __name__ == "__main__":
    main()
