"""Consumers that die at random moments, one after the other, until one is left alone."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.search_path import SEARCH_PATH

__all__ = ["consume_under_kills"]


def consume_under_kills(kind: str, where: str, notes: Path, *, kills: int, seed: int) -> Counter[str]:
    """Return how often each line was written in all."""
    chance = random.Random(seed)
    command = [sys.executable, "-m", "tests.contrib.ack_programs", kind, where]
    env = {**os.environ, "PYTHONPATH": SEARCH_PATH, "NOTES": str(notes)}
    for _ in range(kills):
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as consumer:
            try:
                assert consumer.stdout is not None
                assert consumer.stdout.readline() == b"ready\n"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    consumer.wait(chance.uniform(0.0, 0.25))
            finally:
                consumer.kill()
    subprocess.run(command, env=env, check=True, timeout=50, stdout=subprocess.DEVNULL)
    return Counter(notes.read_text().splitlines())
