"""Actors that start others in `init`, deeper than the stack is."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Any

_SETTING = """
import logging
from slither_actors.actors import Actor, Server, Supervisor, scheduler
from slither_actors.actors._life import live_cells
from slither_actors.errors import StartError
logging.disable(logging.CRITICAL)

def deeper(frames, function):
    return function() if frames == 0 else deeper(frames - 1, function)

class Nested(Server):
    def init(self, levels):
        if levels:
            Nested.start_link(levels - 1)

    def handle_call(self, request, sender):
        return request
"""


def test_a_tree_deeper_than_the_stack_fails_to_start_and_leaves_nothing(program: Callable[..., Any]) -> None:
    """Wherever the stack ends, the starter gets a `StartError` that names the limit, and no actor is left."""
    done = program(
        _SETTING
        + dedent("""
        def tree():
            spec = Nested.child_spec(0)
            for level in range(400):
                spec = Supervisor.child_spec([spec], id=level)
            return Supervisor.start([spec])

        for start in (tree, lambda: Nested.start(400)):
            for frames in range(25):
                try:
                    deeper(frames, start)
                except StartError as error:
                    assert "setrecursionlimit" in str(error), error
                assert live_cells() == [], frames
        assert Nested.start(0).call("well?") == "well?"
        found = scheduler.statistics()
        print(found.run_queue, found.blocked)
        """),
        timeout=60.0,
    )
    assert done.out == ["0 0"]


def test_a_start_at_the_end_of_the_stack_is_refused_before_it_begins(program: Callable[..., Any]) -> None:
    """A `Server` raises `StartError`, an `Actor` what Python raises itself; neither has made anything."""
    done = program(
        _SETTING
        + dedent("""
        for kind in (lambda: Nested.start(0), Actor.start):
            try:
                deeper(950, kind)
            except Exception as error:
                print(type(error).__name__, "nest too deeply" in str(error), len(live_cells()))
        """)
    )
    assert done.out == ["StartError True 0", "RecursionError True 0"]


def test_an_init_that_recurses_without_end_ends_its_own_start(program: Callable[..., Any]) -> None:
    """However deep it was when it began, there is room for what a failed start has to do."""
    done = program(
        _SETTING
        + dedent("""
        class Endless(Nested):
            def init(self, levels):
                if levels:
                    Endless.start_link(levels - 1)
                else:
                    self.init(0)

        for levels in range(90):
            try:
                Endless.start(levels)
            except StartError as error:
                assert "recursion" in str(error) or "nest too deeply" in str(error), error
            assert live_cells() == [], levels
        print(scheduler.statistics().run_queue)
        """),
        timeout=60.0,
    )
    assert done.out == ["0"]
