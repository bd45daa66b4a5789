"""The command line: ``slither-actors`` and ``python -m slither_actors``."""

from slither_actors._cli._entry import entry, main

__all__ = ["entry", "main"]
