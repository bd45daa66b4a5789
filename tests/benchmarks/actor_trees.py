"""Many children of one supervisor: what their end costs, each."""

from __future__ import annotations

import time
from typing import Any

from slither_actors.actors import DynamicSupervisor, Server

__all__ = ["PAUSE", "crash_tree", "stop_slow_tree", "stop_tree"]

PATIENCE = 60.0

PAUSE = 0.05
"""Seconds that each child of `stop_slow_tree` takes for its last words."""


class Leaf(Server):
    pass


class Linked(Server):
    """Has children without a supervisor: they are only linked, and die of its end."""

    def init(self, count: int) -> None:
        self.children = [Leaf.start_link() for _ in range(count)]

    def handle_cast(self, message: Any) -> None:
        self.stop(message)


class SlowLeaf(Server):
    def terminate(self, reason: Any) -> None:
        time.sleep(PAUSE)


def crash_tree(count: int) -> float:
    """Send the end of one actor as an exit signal to `count` others; seconds each, until the last is dead."""
    root = Linked.start(count)
    children = root.get_state()["children"]
    began = time.perf_counter()
    root.cast("gone")
    for child in children:
        if not child.join(PATIENCE):
            msg = f"{child} did not die of the exit signal"
            raise TimeoutError(msg)
    return (time.perf_counter() - began) / count


def stop_tree(count: int, leaf: type[Server] = Leaf) -> float:
    """Stop a dynamic supervisor with `count` children; seconds each."""
    tree = DynamicSupervisor.start()
    spec = leaf.child_spec(restart="temporary")
    for _ in range(count):
        tree.start_child(spec)
    began = time.perf_counter()
    tree.stop(timeout=PATIENCE)
    return (time.perf_counter() - began) / count


def stop_slow_tree(count: int) -> float:
    """Stop a dynamic supervisor whose children each take `PAUSE` for it; seconds in all."""
    return stop_tree(count, SlowLeaf) * count
