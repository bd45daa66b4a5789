"""What is known about the death of a worker process, as a record."""

from __future__ import annotations

import attrs

__all__ = ["Postmortem"]

_MIB = 2**20
_LONGEST = 8192
"""Characters of each part of the text."""


@attrs.frozen(kw_only=True)
class Postmortem:
    """A dead worker: who it was, what it did, what is known of its end. Pickles; its text is bounded.

    On `WorkerCrashError.postmortem`. Sizes are bytes, times are seconds.
    """

    pool: str
    slot: int
    pid: int

    exitcode: int | None
    """As `multiprocessing.Process.exitcode`: negative is minus the signal, None is unknown."""

    cause: str
    """The likely cause, a sentence without a full stop, no more certain than the evidence."""

    batch: str = ""
    """The batch that it had begun, such as ``batch 37 of ScorePipe.predict``; empty for none."""

    batch_ref: int = 0
    """The number under which the pool had sent that batch; 0 for none."""

    attempt: int = 1
    """Which attempt of the batch it was."""

    ran_for: float | None = None
    """How long the batch had run; None if that is not known."""

    age: float = 0.0
    """How long the process had lived."""

    batches: int = 0
    """Batches that it had ended before."""

    rss: int = 0
    """Its resident memory when it was last looked at, at most some seconds before; 0 is unknown."""

    peak_rss: int = 0
    """The largest resident memory that was seen; 0 is unknown."""

    oom_kills: int | None = None
    """Processes that the kernel killed for lack of memory around the time of the death, in the driver's
    control group or, where that does not tell, on the machine. None: there is no such count."""

    shared_memory_free: int | None = None
    """What was free on ``/dev/shm`` when a worker had died of a bus error; else None."""

    python_stack: str = ""
    """The faulthandler's stack of the thread that died, innermost frame first; empty if there is none."""

    stderr_tail: str = ""
    """Its last lines on standard error."""

    @property
    def signal(self) -> int | None:
        """The number of the signal that killed it, if one did."""
        return -self.exitcode if self.exitcode is not None and self.exitcode < 0 else None

    def __str__(self) -> str:
        """One paragraph, then the Python stack and the last lines on standard error, if there are any."""
        parts = [f"{self._death()}. {self._life()}"]
        if self.python_stack:
            parts.append(f"its Python stack:\n{_beginning(self.python_stack)}")
        tail = self.stderr_tail
        if self.python_stack:
            tail = tail.partition("Fatal Python error:")[0].rstrip()
        if tail:
            parts.append(f"its last lines on standard error:\n{_end(tail)}")
        return "\n".join(parts)

    def _death(self) -> str:
        batch = f" while it ran {_beginning(self.batch, 500)} (attempt {self.attempt})" if self.batch else ""
        if self.batch and self.ran_for is not None:
            batch += f", {self.ran_for:.3g} s after the batch had begun"
        who = f"worker {self.pid} (pool {self.pool!r}, slot {self.slot})"
        return f"{who} died{batch}: {_beginning(self.cause, 2000)}"

    def _life(self) -> str:
        done = "no batch" if not self.batches else f"{self.batches:,} batch{'es' * (self.batches > 1)}"
        text = f"It had lived for {self.age:.3g} s and had done {done} before"
        if self.rss:
            text += f"; its memory was {self.rss / _MIB:,.0f} MiB when last seen"
        if self.peak_rss:
            text += f"{' and' if self.rss else '; its memory was'} {self.peak_rss / _MIB:,.0f} MiB at most"
        return text


def _beginning(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]} [...]"


def _end(text: str) -> str:
    return text if len(text) <= _LONGEST else f"[...] {text[-_LONGEST:]}"
