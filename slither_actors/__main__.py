"""The command line: ``python -m slither_actors``, or ``slither-actors`` once installed."""

import sys

from slither_actors._cli import entry

__all__ = ["main"]

main = entry
"""What the script ``slither-actors`` calls."""

if __name__ == "__main__":  # workers import this module again, under another name
    sys.exit(main())
