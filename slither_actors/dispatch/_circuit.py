"""The circuit of a pool and a target, shared by all runs that use both.

Runs are actors on different threads, so a circuit has a lock. Who has nothing
to tell takes it never: `is_calm` is one attribute, and as long as batches pass
and succeed nothing else is looked at.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from slither_actors import telemetry
from slither_actors.actors import Ref
from slither_actors.core import BatchingError, Breaker, BreakerState, is_one_of
from slither_actors.dispatch._default import find_pool
from slither_actors.errors import CircuitOpenError, PayloadError, PoolError, SessionError
from slither_actors.policy import CircuitBreaker

__all__ = ["Circuit", "circuit_of"]

logger = logging.getLogger("slither_actors.dispatch")

_CIRCUITS: Final = 1024
"""The most that are kept; of more, one that has been without failures for longest is forgotten."""

_NOTHING_RAN = (BatchingError, PayloadError, PoolError, SessionError)
"""Errors that say nothing about the target."""

OnChange = Callable[[Any, Any], object]


class Circuit:
    """One circuit. Thread-safe."""

    def __init__(self, options: CircuitBreaker | None, pool: str, executor: str) -> None:
        self.is_calm = True
        """Whether batches pass and a success tells nothing new. Written under the lock, read without."""
        self.pool = pool
        self.executor = executor
        self._lock = threading.Lock()
        self._breaker = Breaker(options or CircuitBreaker())
        self._on = self._breaker.options.on if options is not None else ()
        self._waiting: dict[Ref, OnChange] = {}
        """Who wants to know that the circuit has opened again, or closed."""

    def allows(self) -> bool:
        """Whether a batch may run now; see `Breaker.allows`."""
        with self._lock:
            before = self._breaker.state
            allowed = self._breaker.allows(time.monotonic())
            lapsed = before is BreakerState.OPEN and self._breaker.state is BreakerState.HALF_OPEN
        if lapsed:
            self._tell(telemetry.DISPATCH_BREAKER_HALF_OPEN)
        return allowed

    def refusal(self, batch: str) -> CircuitOpenError:
        """The error of a batch that was not let pass."""
        with self._lock:
            breaker, now = self._breaker, time.monotonic()
            return CircuitOpenError(
                target=self.executor,
                pool=self.pool,
                batch=batch,
                open_since=now - breaker.opened_at,
                retry_in=breaker.next_trial(now),
                last_error=breaker.last_error,
            )

    def next_trial(self) -> float:
        """Seconds until a batch may be let pass, if nothing else happens before."""
        with self._lock:
            return self._breaker.next_trial(time.monotonic())

    def wake(self, runner: Ref, on_change: OnChange) -> None:
        """Send `on_change` to the runner, once, when the circuit has closed or opened again."""
        with self._lock:
            if self._breaker.state is not BreakerState.CLOSED:
                self._waiting[runner] = on_change
                return
        runner.send(on_change)

    def forget(self, runner: Ref) -> None:
        """The runner has ended."""
        if self._waiting:
            with self._lock:
                self._waiting.pop(runner, None)

    def ended(self, error: BaseException | None) -> None:
        """A batch has ended; an error that does not count says that the target works."""
        if error is not None:
            if isinstance(error, CircuitOpenError):
                return
            if is_one_of(error, self._on):
                self._failed(error)
                return
            if isinstance(error, _NOTHING_RAN):
                return
        if not self.is_calm:
            self._succeeded()

    def _succeeded(self) -> None:
        with self._lock:
            closed = self._breaker.succeeded()
            self.is_calm = self._breaker.is_calm
            waiting = self._take_waiting() if closed else []
            seconds = time.monotonic() - self._breaker.opened_at
        if closed:
            logger.warning("%s: the circuit is closed after %.1f s", self._name, seconds)
            self._tell(telemetry.DISPATCH_BREAKER_CLOSE, duration=seconds)
        _wake(waiting)

    def _failed(self, error: BaseException) -> None:
        with self._lock:
            before = self._breaker.state
            text = f"{type(error).__name__}: {error}"
            opened = self._breaker.failed(time.monotonic(), text)
            self.is_calm = self._breaker.is_calm
            waiting = self._take_waiting() if opened else []
        if opened:
            options = self._breaker.options
            if before is BreakerState.CLOSED:
                logger.error(
                    "%s: %d batches in a row failed, so none is tried for %g s; the last one: %s",
                    self._name, options.failures, options.open_for, text,
                )  # fmt: skip
            self._tell(
                telemetry.DISPATCH_BREAKER_OPEN,
                failures=options.failures if before is BreakerState.CLOSED else 1,
            )
        _wake(waiting)

    def _take_waiting(self) -> list[tuple[Ref, OnChange]]:
        waiting = list(self._waiting.items())
        self._waiting.clear()
        return waiting

    @property
    def _name(self) -> str:
        return f"{self.executor} in pool {self.pool!r}" if self.pool else self.executor

    def _tell(self, signal: telemetry.Signal, **measurements: float) -> None:
        if signal.receivers:
            about = {"pool": self.pool, "executor": self.executor, "reason": self._breaker.last_error}
            telemetry.emit(
                signal, self, measurements={"system_time": time.time(), **measurements}, metadata=about
            )


def _wake(waiting: list[tuple[Ref, OnChange]]) -> None:
    for runner, on_change in waiting:
        runner.send(on_change)


_lock = threading.Lock()
_of_pools: OrderedDict[tuple[int, str, CircuitBreaker], Circuit] = OrderedDict()
_of_executors: weakref.WeakKeyDictionary[Any, dict[CircuitBreaker, Circuit]] = weakref.WeakKeyDictionary()


def circuit_of(executor: Any, options: CircuitBreaker | None) -> Circuit:
    """Return the circuit of an executor's pool and target, or of the executor where it has no pool.

    A pool that was started anew has new circuits. Without options it is one that never opens.
    """
    pool = getattr(executor, "pool", "")
    if options is None:
        return Circuit(None, "", executor.name)
    ref = find_pool(pool) if isinstance(pool, str) and pool else None
    with _lock:
        if ref is None:
            try:
                kept = _of_executors.setdefault(executor, {})
            except TypeError:  # it has no weak references, or no hash: then it shares with nobody
                kept = {}
            return kept.setdefault(options, Circuit(options, "", executor.name))
        key = (ref.id, executor.name, options)
        found = _of_pools.get(key)
        if found is None:
            found = _of_pools[key] = Circuit(options, pool, executor.name)
            _limit()
        _of_pools.move_to_end(key)
        return found


def _limit() -> None:
    if len(_of_pools) > _CIRCUITS:
        for key, circuit in _of_pools.items():
            if circuit.is_calm:
                del _of_pools[key]
                return
