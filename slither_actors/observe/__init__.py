"""What runs, seen from outside: snapshots, progress, text."""

from slither_actors.observe._progress import LineProgress, NoProgress, Progress, is_terminal, progress

__all__ = ["LineProgress", "NoProgress", "Progress", "is_terminal", "progress"]
