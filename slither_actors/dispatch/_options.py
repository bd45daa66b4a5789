"""The options of a dispatch run, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs.validators import optional

from slither_actors.config import Rule, finite_seconds, integer, one_of, positive_int, seconds_or_none, shown
from slither_actors.context import Context
from slither_actors.core import Affinity, Batcher, Ordering
from slither_actors.dispatch._dead_letters import dead_letters_to
from slither_actors.dispatch.executor import Executor, executor_of
from slither_actors.dispatch.strategy import Strategy, batch_timeout_or_none, make_batcher, strategy_of
from slither_actors.errors import OptionError
from slither_actors.item import Item
from slither_actors.policy import CircuitBreaker, Halt, Policy, policy
from slither_actors.pool._options import affinity_word

__all__ = ["DispatchOptions", "RunOptions", "check_together"]

_true_or_function = Rule(
    "allowed are True, a function, and None",
    lambda value: value is None or isinstance(value, bool) or callable(value),
)


_pool_name = Rule("allowed is the name of a pool", lambda value: isinstance(value, str) and bool(value))
_context = Rule("allowed are a Context, None", lambda value: value is None or isinstance(value, Context))


def _none_for_false(value: Any) -> Any:
    return None if value is False else value


def _ordering(value: Any) -> Any:
    return value.value if isinstance(value, Ordering) else value


def _breaker(value: Any) -> Any:
    if value is None or isinstance(value, CircuitBreaker):
        return value
    raise OptionError("breaker", f"is {shown(value)}; allowed are CircuitBreaker(...) and None (no circuit)")


@attrs.frozen(kw_only=True)
class DispatchOptions:
    """What `run`, `stream` and `call_batch` may be told. Times are seconds."""

    executor: Any
    """Where batches run: an executor, a callable, or ``"module:function"``."""

    pool: str = attrs.field(default="default", validator=_pool_name)
    """The pool, where `executor` is a callable or a name."""

    strategy: Any = None
    """How items become batches; `FixedBatch` of `batch_size` by default."""

    batch_size: int = attrs.field(default=64, validator=positive_int)
    """Items per batch."""

    batch_timeout: float | None = attrs.field(default=None, validator=batch_timeout_or_none)
    """Seconds after its first item at which a batch goes that is not full; for the default strategy."""

    max_in_flight: int = attrs.field(default=8, validator=positive_int)
    """The most batches that run, or are finished and wait for their turn."""

    ordering: str = attrs.field(
        default="preserve", converter=_ordering, validator=one_of("preserve", "as_completed")
    )
    """Whether results keep the order of the input."""

    on_error: Policy = attrs.field(default=Halt(), converter=policy)
    """What a failed batch does: ``"halt"``, ``"skip"``, `Retry` or `Route`."""

    timeout: float | None = attrs.field(default=30.0, validator=seconds_or_none)
    """How long one batch may run; None is no limit."""

    affinity: str | None = attrs.field(
        default=None, converter=affinity_word, validator=optional(one_of(*(mode.value for mode in Affinity)))
    )
    """Whether the batches of a session belong to one worker: ``"hint"``, ``"strict_queue"`` or
    ``"strict_fail_fast"``; None is what the pool says, which is ``"hint"`` by default."""

    poison_after: int | None = attrs.field(default=2, validator=integer(1, none=True))
    """Workers that one batch may kill before it fails for good; None is no limit. Timeouts do not count."""

    breaker: CircuitBreaker | None = attrs.field(default=CircuitBreaker(), converter=_breaker)
    """When the target is left alone for a while; None is never. By default after 20 dead workers in a row."""

    dead_letters: Any = attrs.field(default=None, converter=dead_letters_to)
    """Who gets the items that have finally failed: a ref, a table, a callable; see `DeadLetter`."""

    context: Context | None = attrs.field(default=None, validator=_context)
    """The run's context; made fresh by default."""

    def make_executor(self) -> Executor:
        """Return the executor."""
        return executor_of(self.executor, self.pool)

    def make_strategy(self) -> Strategy:
        """Return the strategy."""
        return strategy_of(self.strategy, self.batch_size, self.batch_timeout)

    def make_batcher(self) -> Batcher[Item]:
        """Return the batcher of one run."""
        return make_batcher(self.make_strategy())

    def __attrs_post_init__(self) -> None:
        """Check what the converters of attrs cannot name."""
        self.make_executor()
        self.make_batcher()


def check_together(checked: DispatchOptions, given: Mapping[str, Any], where: str) -> None:
    """Refuse what was given and would not count beside other options."""
    if checked.strategy is not None and "batch_size" in given:
        problem = "is for the default strategy; with another one, which has its own, allowed is none"
        raise OptionError("batch_size", problem, where=where)
    if isinstance(checked.executor, Executor) and "pool" in given:
        executor = type(checked.executor).__name__
        problem = f"is for a callable or a name; {executor} has its own, allowed is none"
        raise OptionError("pool", problem, where=where)


@attrs.frozen(kw_only=True)
class RunOptions(DispatchOptions):
    """What a run of its own may be told besides; a worker stage of a pipe has no use for it."""

    on_close: str = attrs.field(default="abandon", validator=one_of("abandon", "wait", "kill"))
    """What becomes of the batches that run when the run is closed early, by `close`, by leaving its ``with``
    block, by an interrupt, or as garbage. What nobody has begun is taken back in any case.

    ``"abandon"`` waits for nobody: a worker finishes what it has begun, and nobody looks at the results.
    ``"wait"`` returns when they are done. ``"kill"`` kills their workers, which are replaced; an executor
    that cannot kill is waited for."""

    progress: Any = attrs.field(default=None, converter=_none_for_false, validator=_true_or_function)
    """A function that is called with a `RunProgress`, at most ten times a second and at the end, in a thread
    of the run, which it holds up as long as it takes. True draws a line on standard error, if that is a
    terminal, or a bar if rich is installed."""

    insights: Any = attrs.field(default=None, converter=_none_for_false, validator=_true_or_function)
    """A function that is called with the `Insights` of the run at its end, in a thread of the run. With
    True a stream can be asked for them. Workers measure their batches then."""

    close_timeout: float = attrs.field(default=10.0, validator=finite_seconds)
    """Seconds after which ``"wait"`` and ``"kill"`` abandon what still runs."""
