"""Examples run as the command line runs them."""

from tests.cli.conftest import cli, inside

__all__ = ["cli", "inside"]
