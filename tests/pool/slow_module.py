"""Takes long to import."""

import time
from typing import Any

time.sleep(0.6)


def echo(batch: list[Any]) -> list[Any]:
    return batch


def hang(batch: list[Any]) -> list[Any]:
    time.sleep(600)
    return batch
