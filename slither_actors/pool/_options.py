"""The options of a pool."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from slither_actors.config import flag, integer, one_of, positive_int, positive_seconds, shown
from slither_actors.core import Affinity
from slither_actors.errors import OptionError
from slither_actors.pool._adapter import adapter_target
from slither_actors.pool._process import START_METHODS, default_start_method
from slither_actors.pool._target import Target

__all__ = ["PoolOptions"]

_MODULE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_LEAST_START_BATCH: Final = 8


def _cpus() -> list[int]:
    """The processors that this process may use, as far as that is known."""
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity is not None else list(range(os.cpu_count() or 1))


def _usable_cpus() -> int:
    return len(_cpus())


def _start_batch() -> int:
    return max(_LEAST_START_BATCH, _usable_cpus())


_Hook = Target | str | Callable[..., Any] | None


def _hook(option: str, value: _Hook) -> Target | None:
    try:
        return None if value is None else Target.of(value)
    except OptionError as error:
        raise OptionError(option, error.problem) from None


def _init_hook(value: _Hook) -> Target | None:
    return _hook("init", value)


def _exit_hook(value: _Hook) -> Target | None:
    return _hook("exit", value)


def _modules(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise OptionError("preload", f"is {shown(value)}; allowed is a list of module names")
    names = tuple(value)
    for name in names:
        if not isinstance(name, str) or not _MODULE.fullmatch(name):
            raise OptionError("preload", f"has {shown(name)}; allowed are names of modules, as in an import")
    return names


def _pins(value: Any) -> tuple[frozenset[int], ...]:
    """Turn ``pin`` into the processors of each slot, which are used in turns."""
    if value is None:
        return ()
    if not hasattr(os, "sched_setaffinity"):
        raise OptionError("pin", f"is {shown(value)}; this platform cannot bind a process to processors")
    usable = _cpus()
    if isinstance(value, str) and value == "cores":
        return tuple(frozenset({cpu}) for cpu in usable)
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)) or not value:
        allowed = 'allowed are "cores", None, and a list with a set of processor numbers per slot'
        raise OptionError("pin", f"is {shown(value)}; {allowed}")
    return tuple(_pin(each, usable) for each in value)


def _pin(value: Any, usable: list[int]) -> frozenset[int]:
    if not isinstance(value, (set, frozenset, list, tuple, range)) or not value:
        raise OptionError("pin", f"has {shown(value)}; allowed are sets of processor numbers")
    for cpu in value:
        if isinstance(cpu, bool) or not isinstance(cpu, int) or cpu not in usable:
            found = ", ".join(map(str, usable))
            raise OptionError("pin", f"has the processor {shown(cpu)}; this process may use {found}")
    return frozenset(value)


def _measurable(_: object, field: attrs.Attribute[Any], value: object) -> None:
    integer(1, none=True).check(field.name, value)
    if value is not None and not Path("/proc/self/statm").exists():
        problem = f"is {value}; this platform does not tell the resident memory of a process in /proc"
        raise OptionError(field.name, problem)


def _nice(_: object, field: attrs.Attribute[Any], value: object) -> None:
    integer(-20, most=19).check(field.name, value)


def affinity_word(value: Any) -> Any:
    """Take an `Affinity` for its word."""
    return value.value if isinstance(value, Affinity) else value


@attrs.frozen(kw_only=True)
class PoolOptions:
    """What a pool may be told. Times are seconds, memory is bytes."""

    workers: int = attrs.field(factory=_usable_cpus, validator=positive_int)
    """Worker processes; by default one per processor that this process may use."""

    start_method: str = attrs.field(factory=default_start_method, validator=one_of(*START_METHODS))
    """``"forkserver"`` (where there is one) or ``"spawn"``."""

    init: Target | None = attrs.field(default=None, converter=_init_hook)
    """A callable or ``"module:function"`` that runs once in each worker before its first batch.
    It may take the worker (`current_worker`) as its argument; what it returns, unless that is None,
    becomes `Worker.state`. If it raises, the worker does not start."""

    exit: Target | None = attrs.field(default=None, converter=_exit_hook)
    """A callable or ``"module:function"`` that runs in a worker that ends in order: the pool stops or
    shrinks, or the worker is recycled. It does not run where a worker is killed or dies. It may take the
    worker as its argument, has `stop_timeout` seconds, and its failure is logged."""

    preload: tuple[str, ...] = attrs.field(default=(), converter=_modules)
    """Names of modules that are imported before a worker is ready; under ``"forkserver"`` once, by the
    server from which the workers are forked, so that they share the memory."""

    affinity: str = attrs.field(
        default="hint", converter=affinity_word, validator=one_of(*(mode.value for mode in Affinity))
    )
    """How strictly the batches of a session belong to one worker, where a run does not say: ``"hint"``,
    ``"strict_queue"`` or ``"strict_fail_fast"``."""

    adapter: Target | None = attrs.field(default=None, converter=adapter_target)
    """A class of commands for `CommandExecutor`, or ``"module:Class"``, made once in each worker, after
    `init`. Its constructor may take the worker; its ``close`` or ``exit`` is called at the worker's end."""

    start_timeout: float = attrs.field(default=60.0, validator=positive_seconds)
    """How long a worker may take to be ready, and to import a batch's function."""

    stop_timeout: float = attrs.field(default=2.0, validator=positive_seconds)
    """How long a worker that is told to end may take, its `exit` hook included; then it is killed."""

    start_batch: int = attrs.field(factory=_start_batch, validator=positive_int)
    """How many workers may start at one time; by default one per processor, and at least 8."""

    segment_threshold: int | None = attrs.field(default=2**16, validator=integer(1, none=True))
    """From how many bytes of buffers (or of pickle) in one batch on they go through shared memory
    instead of the socket. None: never."""

    max_segment_bytes: int = attrs.field(default=2**29, validator=integer(0))
    """The most shared memory that the pool has; what it has no room for goes through the socket."""

    max_failed_starts: int = attrs.field(default=5, validator=positive_int)
    """Workers in a row that end before they are of use, after which waiting batches fail."""

    max_batches_per_worker: int | None = attrs.field(default=None, validator=integer(1, none=True))
    """Batches after which a worker is recycled, that is replaced by a fresh one; None is no limit."""

    max_rss_per_worker: int | None = attrs.field(default=None, validator=_measurable)
    """Resident memory in bytes, looked at after each batch, above which a worker is recycled."""

    overlap: bool = attrs.field(default=True, validator=flag)
    """Whether the successor of a worker that is to be recycled may start before that one has ended. It
    gets its first batch after the other's last one in any case. False where there is no room for two."""

    nice: int = attrs.field(default=0, validator=_nice)
    """Niceness of the workers, added to that of this program; below 0 needs the privilege."""

    pin: tuple[frozenset[int], ...] = attrs.field(default=None, converter=_pins)
    """The processors that a worker may use: ``"cores"`` binds each slot to one of those that this process
    may use, in turns; a list has a set of processor numbers per slot, used in turns."""
    logging: bool = attrs.field(default=True, validator=flag)
    """Whether the workers' log records and warnings go to this process's loggers, under its levels."""

    @property
    def start_advice(self) -> str:
        """What to try if a worker takes too long to start; the end of a sentence."""
        steps = {"preload list": self.preload, "init hook": self.init, "adapter": self.adapter}
        given = " or its ".join(name for name, value in steps.items() if value)
        return f"; if its {given} does not hang, raise start_timeout" if given else "; raise start_timeout"
