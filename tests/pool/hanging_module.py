"""Takes for ever to import."""

import time
from typing import Any

time.sleep(600)


def echo(batch: list[Any]) -> list[Any]:
    return batch
