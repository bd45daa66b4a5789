"""What runs, seen from outside: snapshots, progress, text."""

from slither_actors.observe._progress import LineProgress, NoProgress, Progress, is_terminal, progress
from slither_actors.observe._run_line import RunLine, run_line, time_left

__all__ = [
    "LineProgress",
    "NoProgress",
    "Progress",
    "RunLine",
    "is_terminal",
    "progress",
    "run_line",
    "time_left",
]
