"""What a runner knows of the failures of its batches."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from slither_actors.dispatch._batch import Batch
from slither_actors.dispatch._dead_letters import words
from slither_actors.errors import BatchTimeoutError, PoisonBatchError, WorkerCrashError

__all__ = ["Failures"]


@attrs.define
class _Past:
    """What became of the earlier attempts of a batch."""

    began_at: float
    """When the first one began, or was refused by an open circuit, by `time.monotonic`."""

    kills: list[WorkerCrashError] = attrs.field(factory=list)


class Failures:
    """The failures of one runner: counted, and remembered of batches that are not final. Its actor's."""

    def __init__(self, poison_after: int | None) -> None:
        self._poison_after = poison_after
        self.retries = self.refused = 0
        self._timeouts = self._crashes = self._poisoned = 0
        self._errors: Counter[str] = Counter()
        self._last_error = ""
        self.unsettled: dict[int, _Past] = {}
        """Batches that have failed and are not final, by their references."""

    def judge(self, batch: Batch, error: BaseException) -> BaseException:
        """Count the failure of an attempt; return what it amounts to: after several crashes it is poison."""
        past = self.unsettled.get(batch.ref)
        if past is None:
            past = self.unsettled[batch.ref] = _Past(batch.started_at)
        if isinstance(error, BatchTimeoutError):
            self._timeouts += 1
        elif isinstance(error, WorkerCrashError):
            self._crashes += 1
            past.kills.append(error)
            if self._poison_after is not None and len(past.kills) >= max(self._poison_after, 2):
                poison = PoisonBatchError(batch=batch.name, kills=past.kills)
                poison.__cause__ = error
                return poison
        return error

    def began_at(self, batch: Batch) -> float | None:
        """When the first attempt of a batch began that has failed; None of one that has not."""
        past = self.unsettled.get(batch.ref)
        return None if past is None else past.began_at

    def barred(self, batch: Batch) -> None:
        """The circuit did not let the batch pass: its time runs from when it might have been tried."""
        self.unsettled.setdefault(batch.ref, _Past(batch.started_at))

    def forget(self, batch: Batch) -> None:
        """The batch is final."""
        self.unsettled.pop(batch.ref, None)

    def note(self, batch: Batch, error: BaseException) -> None:
        """Count the items of a batch that has finally failed."""
        kind, text = words(error)
        self._errors[kind] += batch.size
        if isinstance(error, PoisonBatchError):
            self._poisoned += batch.size
        # As text: the exception would keep the frames alive that it went through.
        text = f"{kind}: {text}"
        self._last_error = text if batch.description in text else f"{batch.description}: {text}"

    def figures(self) -> dict[str, Any]:
        """What `DispatchStatistics` says of failures."""
        return {
            "retries": self.retries,
            "timeouts": self._timeouts,
            "crashes": self._crashes,
            "poisoned": self._poisoned,
            "refused": self.refused,
            "errors": dict(self._errors),
            "last_error": self._last_error,
        }
