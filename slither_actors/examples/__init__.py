"""Slither's examples, ready to run: ``slither-actors example``."""

from slither_actors.examples._catalogue import EXAMPLES, Example, ExampleOptions

__all__ = ["EXAMPLES", "Example", "ExampleOptions"]
