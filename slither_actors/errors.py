"""Every exception of the library, one tree under `SlitherError`.

Data is on attributes, the sentence is the message. An error that crosses from
a worker process is never the user's live exception object: it is a
`RemoteError` with the type's name, the message and the remote traceback, and
the original as ``__cause__`` where it survived the trip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors.postmortem import Postmortem

__all__ = [
    "AbandonedError",
    "ActorError",
    "ActorExitError",
    "ApplicationEndedError",
    "BatchError",
    "BatchTimeoutError",
    "BufferFullError",
    "CallCycleError",
    "CallTimeoutError",
    "ChildError",
    "CircuitOpenError",
    "DispatchError",
    "ExecutorError",
    "ExitPendingError",
    "FanOutError",
    "ForkedRuntimeError",
    "InputError",
    "ItemError",
    "MailboxFullError",
    "NameTakenError",
    "NotRegisteredError",
    "NotRunningError",
    "OptionError",
    "OutputFullError",
    "PayloadError",
    "PipeCancelledError",
    "PipeDefinitionError",
    "PipeError",
    "PipeStoppedError",
    "PipeTimeoutError",
    "PoisonBatchError",
    "PoolError",
    "PoolStoppedError",
    "PushTimeoutError",
    "RemoteError",
    "ResultError",
    "RowNotFoundError",
    "SessionBusyError",
    "SessionError",
    "SessionLimitError",
    "SessionLostError",
    "SlitherError",
    "StartError",
    "StoreBackingError",
    "StoreError",
    "StoreLoadError",
    "StoreReloadingError",
    "StrategyError",
    "StreamError",
    "SubscriptionError",
    "TableFullError",
    "TargetError",
    "ThreadLimitError",
    "ViewError",
    "WorkerCrashError",
    "WorkerStartError",
    "class_name",
    "safe_text",
]


def safe_text(value: object, convert: Callable[[object], str] = str) -> str:
    """``str(value)``, or a note about its failure: a user's ``__str__`` may raise anything."""
    try:
        return convert(value)
    except BaseException as error:  # noqa: BLE001 - see above
        return f"<{class_name(value)}, whose text raised {class_name(error)}>"


def class_name(value: object) -> str:
    """Return the name of a value's class, whatever its metaclass makes of it."""
    name: str = _NAME.__get__(type(value))
    return name


_NAME: Any = type.__dict__["__name__"]

_LONGEST = 2000
"""Characters of another error's text in an error's own: it may quote one, too, and so on."""


def _excerpt(text: str) -> str:
    """Return a text, or the beginning and the end of a long one: there is the first cause."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"


class SlitherError(Exception):
    """Base of every exception that the library raises."""


class OptionError(SlitherError, ValueError):
    """An option is unknown or has a value that is not allowed.

    Raised once, where the option was given; inside, options are trusted.
    """

    def __init__(self, option: str, problem: str, *, where: str = "") -> None:
        self.option = option
        self.problem = problem
        """What is wrong with it, and what is allowed: the end of the sentence."""
        self.where = where
        """Whose option it is."""
        place = f"{where}: " if where else ""
        super().__init__(f"{place}option {option!r} {problem}")


class NotRunningError(SlitherError):
    """Something was used before it started or after it stopped."""


class ApplicationEndedError(SlitherError):
    """The tree of an application that is run ended by itself: its root supervisor gave up or was killed."""

    def __init__(self, reason: Any, why: str = "") -> None:
        self.reason = reason
        self.why = why
        super().__init__(f"the application ended by itself ({reason}): {why or 'nobody asked it to'}")


class ForkedRuntimeError(SlitherError):
    """Actors were used in a child made by ``os.fork``; they live in the parent only."""


# -- actors ------------------------------------------------------------------


class ActorError(SlitherError):
    """Base of the runtime's errors."""


class StartError(ActorError):
    """An actor's start failed; `reason` is what its ``init`` ended with."""

    def __init__(self, actor: str, reason: object) -> None:
        self.actor = actor
        self.reason = reason
        children, cause = _failed_children(reason)
        way = "".join(f"child {safe_text(child, repr)}: " for child in children)
        super().__init__(f"{actor} did not start: {way}{_excerpt(safe_text(cause))}")


def _failed_children(reason: object) -> tuple[list[object], object]:
    """The ids of the children whose start failed, from the outermost on, and why the innermost one's did.

    Not the text of the whole: each supervisor would quote that of the one below, and double it.
    """
    children: list[object] = []
    while True:
        match reason:
            case StartError():
                reason = reason.reason
            case (str(), (str("failed_to_start_child"), child, below)):
                children.append(child)
                reason = below
            case _:
                return children, reason


class ChildError(ActorError):
    """A supervisor refused a child operation (`reason` says which rule)."""

    def __init__(self, message: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class ActorExitError(ActorError):
    """A call was not answered because its server ended; `reason` is its exit reason."""

    def __init__(self, actor: str, reason: object) -> None:
        self.actor = actor
        self.reason = reason
        super().__init__(f"{actor} exited before it answered: {_excerpt(safe_text(reason))}")


class AbandonedError(ActorError):
    """An actor that was abandoned, and is dead to all others, wanted to start, call or register somebody."""

    def __init__(self, actor: str) -> None:
        self.actor = actor
        super().__init__(f"{actor} was abandoned; its handler should return, nobody listens to it any more")


class ExitPendingError(ActorError):
    """The calling actor is to end, so it does not wait: let the handler end, too. `reason` is the exit's.

    Raised by what waits: a call, a join, a task, a stream. Caught, the next wait raises it again.
    """

    def __init__(self, actor: str, reason: object) -> None:
        self.actor = actor
        self.reason = reason
        super().__init__(f"{actor} is to end ({_excerpt(safe_text(reason))}) and waits for nobody any more")


class CallTimeoutError(ActorError, TimeoutError):
    """A call was not answered in time. The server may still run it; the reply is dropped."""

    def __init__(self, actor: str, timeout: float) -> None:
        self.actor = actor
        self.timeout = timeout
        super().__init__(f"{actor} did not answer within {timeout:g} s")


class CallCycleError(ActorError):
    """A call would wait for its own caller; raised at once instead of hanging."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(f"call cycle: {' -> '.join(self.path)}")


class ThreadLimitError(ActorError):
    """An actor would wait for another, and there is no thread left to run that one.

    So many actors wait for one another that nothing could move any more. The wait that would be the last
    straw is refused instead.
    """

    def __init__(self, actor: str, threads: int, limit: int) -> None:
        self.actor = actor
        self.threads = threads
        self.limit = limit
        super().__init__(
            f"{actor} cannot wait: all {threads} threads of the scheduler wait for actors, each of which "
            f"needs another one. Let actors that ask one another in long chains answer later (NO_REPLY) or "
            f"raise scheduler.thread_limit, which is {limit}"
        )


class MailboxFullError(ActorError):
    """A bounded mailbox refused a message."""

    def __init__(self, actor: str, size: int) -> None:
        self.actor = actor
        self.size = size
        super().__init__(f"mailbox of {actor} is full ({size} messages)")


class NameTakenError(ActorError):
    """An actor is already registered under this name."""

    def __init__(self, name: object, holder: str, ref: object = None) -> None:
        self.name = name
        self.holder = holder
        self.ref = ref
        """The holder's ref."""
        super().__init__(f"the name {safe_text(name, repr)} is taken by {holder}")


class NotRegisteredError(ActorError, LookupError):
    """An actor has no entry under this key in a registry, or nobody has this name."""

    def __init__(self, key: object, actor: str = "") -> None:
        self.key = key
        self.actor = actor
        who = f"{actor} is not" if actor else "no actor is"
        super().__init__(f"{who} registered under {safe_text(key, repr)}")


class SubscriptionError(ActorError):
    """A subscription between two stages was refused."""


class StreamError(ActorError):
    """A stream of events has ended, and not in order: a producer was not there, or is down."""

    def __init__(self, producer: str, reason: object) -> None:
        self.producer = producer
        """Who ended it: a producer; or the actor that had begun to read, or the stream's own consumer."""
        self.reason = reason
        """The reason with which that one ended or cancelled; ``"noproc"`` if it was not there."""
        super().__init__(f"the stream was ended by {producer}: {safe_text(reason)}")


class BufferFullError(ActorError):
    """Events came for a full buffer that is to end its stage then: ``buffer_keep="error"``."""

    def __init__(self, buffer: str, size: int, over: int) -> None:
        self.buffer = buffer
        """Which one."""
        self.size = size
        """The most events that it keeps."""
        self.over = over
        """Events that it has no room for."""
        super().__init__(
            f"{buffer} keeps at most {size} events and {over} more came; make it larger, ask for less, "
            "or choose what it drops"
        )


class FanOutError(ActorError):
    """A fan-out that is not the library's raised, or returned what it must not; its stage ends."""


# -- workers and dispatch ----------------------------------------------------


class PoolError(SlitherError):
    """Base of pool errors that concern no single batch."""


class PoolStoppedError(PoolError):
    """A batch was given to a pool that stops or has stopped."""

    def __init__(self, pool: str) -> None:
        self.pool = pool
        super().__init__(f"pool {pool!r} is stopped and takes no batches")


class WorkerStartError(PoolError):
    """A worker process ended before it said that it was ready."""

    def __init__(self, pool: str, slot: int, explanation: str) -> None:
        self.pool = pool
        self.slot = slot
        self.explanation = explanation
        super().__init__(f"pool {pool!r}: worker of slot {slot} did not start: {explanation}")


class BatchError(SlitherError):
    """Base of the reasons for which one batch fails."""


class WorkerCrashError(BatchError):
    """The worker process died while it ran the batch.

    Only this batch is lost; the slot starts another worker.
    """

    def __init__(self, postmortem: Postmortem) -> None:
        self.postmortem = postmortem
        """All that is known about the death."""
        self.pool = postmortem.pool
        self.slot = postmortem.slot
        self.pid = postmortem.pid
        self.exitcode = postmortem.exitcode
        """As `multiprocessing.Process.exitcode`: negative is minus the signal, None is unknown."""
        self.cause = postmortem.cause
        """The likely cause, a sentence without a full stop."""
        self.batch = postmortem.batch
        self.attempt = postmortem.attempt
        self.stderr_tail = postmortem.stderr_tail
        """The worker's last lines on standard error."""
        super().__init__(postmortem)

    @property
    def signal(self) -> int | None:
        """The number of the signal that killed the worker, if one did."""
        return self.postmortem.signal


class BatchTimeoutError(BatchError, TimeoutError):
    """The batch ran longer than its timeout; its worker was killed and replaced."""

    def __init__(self, *, batch: str, timeout: float, pool: str = "", slot: int = -1, pid: int = 0) -> None:
        self.batch = batch
        self.timeout = timeout
        self.pool = pool
        self.slot = slot
        self.pid = pid
        where = f" in worker {pid} (pool {pool!r}, slot {slot}), which was killed" if pid else ""
        super().__init__(f"{batch} ran longer than {timeout:g} s{where}")


class PoisonBatchError(BatchError):
    """The batch killed one worker after the other and is not tried again.

    ``__cause__`` is the last `WorkerCrashError`.
    """

    def __init__(self, *, batch: str, kills: Sequence[WorkerCrashError]) -> None:
        self.batch = batch
        self.kills = tuple(kills)
        """How its workers died, in order; each with `pid`, `signal` and `cause`."""
        deaths = "; ".join(f"worker {kill.pid}: {kill.cause}" for kill in self.kills)
        plural = "workers" if len(self.kills) != 1 else "worker"
        super().__init__(
            f"{batch} killed {len(self.kills)} {plural} and is not tried again ({deaths}); run its items one "
            "by one to find the one that does it, or raise poison_after if the workers died of something else"
        )


class CircuitOpenError(BatchError):
    """The batch was not tried: the last ones of its target all failed, and it is left alone for a while."""

    def __init__(
        self, *, target: str, pool: str, batch: str, open_since: float, retry_in: float, last_error: str
    ) -> None:
        self.target = target
        self.pool = pool
        """Name of the pool; empty for an executor without one."""
        self.batch = batch
        self.open_since = open_since
        """Seconds for which the circuit has been open."""
        self.retry_in = retry_in
        """Seconds until it lets the next batch pass for a trial."""
        self.last_error = last_error
        where = f" in pool {pool!r}" if pool else ""
        super().__init__(
            f"{batch} was not tried: the circuit of {target}{where} has been open for {open_since:.1f} s, "
            f"and is tried again in {retry_in:.1f} s; the last error was: {_excerpt(last_error)}"
        )


class SessionError(BatchError):
    """Base of the reasons for which a batch cannot run in the worker of its session."""

    def __init__(self, session_id: str, pool: str, problem: str) -> None:
        self.session_id = session_id
        self.pool = pool
        super().__init__(f"session {session_id!r} in pool {pool!r} {problem}")


class SessionBusyError(SessionError):
    """The worker of the session had no room, under ``affinity="strict_fail_fast"``. Nothing ran."""

    def __init__(self, session_id: str, pool: str, slot: int, problem: str) -> None:
        self.slot = slot
        super().__init__(
            session_id,
            pool,
            f"is busy: its worker (slot {slot}) {problem}; try again later, lower max_in_flight to 1, or use "
            "affinity='strict_queue' to wait",
        )


class SessionLostError(SessionError):
    """The worker that held the session's state is gone, and the state with it. Nothing ran."""

    def __init__(self, session_id: str, pool: str, pid: int, cause: str) -> None:
        self.pid = pid
        """The worker that held it; 0 where that is not known."""
        self.cause = cause
        worker = f"worker {pid}" if pid else "its worker"
        super().__init__(
            session_id,
            pool,
            f"is lost with {worker}: {cause}; build its state again in a new session, or end it with "
            f"dispatch.end_session({session_id!r}, pool={pool!r}) to use its name again",
        )


class SessionLimitError(SessionError):
    """A pool holds as many strict sessions as it may."""

    def __init__(self, session_id: str, pool: str, limit: int) -> None:
        self.limit = limit
        super().__init__(
            session_id,
            pool,
            f"cannot start: {limit} sessions are open there; end what is done with dispatch.end_session",
        )


class RemoteError(BatchError):
    """The user's function raised in a worker.

    ``__cause__`` is the original exception when it can cross processes.
    """

    def __init__(self, type_name: str, message: str, traceback_text: str) -> None:
        self.type_name = type_name
        """Qualified name of the original class, such as ``builtins.ValueError``."""
        self.message = message
        self.traceback_text = traceback_text
        """The remote traceback, formatted."""
        super().__init__(f"{type_name}: {message}\n\n--- remote traceback ---\n{traceback_text}")


class PayloadError(BatchError):
    """A payload or a result cannot be pickled; the message names the part that cannot."""


class ResultError(BatchError):
    """A worker function returned something other than one result per payload."""


class TargetError(BatchError):
    """A worker could not import the function that it was told to run."""


class StrategyError(SlitherError):
    """A strategy that is not the library's lost, doubled or made up items, or returned what it must not."""

    def __init__(self, strategy: str, problem: str) -> None:
        self.strategy = strategy
        """Name of its class."""
        self.problem = problem
        super().__init__(f"strategy {strategy}: its batcher's {problem}")


class ExecutorError(BatchError):
    """An executor cannot run the batch, whatever is in it: it is broken, shut down or used up."""

    def __init__(self, executor: str, problem: str) -> None:
        self.executor = executor
        """Its name."""
        self.problem = problem
        """The end of the sentence."""
        super().__init__(f"{executor} {problem}")


class DispatchError(SlitherError):
    """A dispatch run ended early under ``on_error="halt"``."""

    def __init__(self, reason: BaseException, partial_results: list[Any], *, batch: str = "") -> None:
        self.reason = reason
        self.partial_results = partial_results
        """The items that had been completed, in the order of the run."""
        self.batch = batch
        where = f"{batch}: " if batch else ""
        super().__init__(f"dispatch halted: {where}{type(reason).__name__}: {safe_text(reason)}")


# -- stores and views --------------------------------------------------------


class StoreError(SlitherError):
    """Base of the stores' errors."""


class RowNotFoundError(StoreError, KeyError):
    """`fetch` found no row under the key."""

    def __init__(self, store: str, table: str, key: object) -> None:
        self.store = store
        self.table = table
        self.key = key
        super().__init__(f"{store}.{table} has no row {key!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (RowNotFoundError, (self.store, self.table, self.key))

    def __str__(self) -> str:
        return str(self.args[0])


class TableFullError(StoreError):
    """A table with ``evict="refuse"`` has its ``max_rows``; nothing was written."""

    def __init__(self, table: str, max_rows: int) -> None:
        self.table = table
        self.max_rows = max_rows
        super().__init__(
            f"{table} is full: max_rows={max_rows} and evict='refuse'; delete rows, raise max_rows, "
            "or have old rows make room with evict='oldest' or 'lru'"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (TableFullError, (self.table, self.max_rows))


class StoreLoadError(StoreError):
    """A store's ``load`` failed. After a failed reload the old tables stay."""

    def __init__(self, store: str, reason: BaseException) -> None:
        self.store = store
        self.reason = reason
        super().__init__(f"store {store} did not load: {type(reason).__name__}: {safe_text(reason)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (StoreLoadError, (self.store, self.reason))


class StoreBackingError(StoreError):
    """The file behind a store cannot be opened, read or written. It is never deleted."""

    def __init__(self, store: str, path: str, problem: str) -> None:
        self.store = store
        self.path = path
        self.problem = problem
        super().__init__(f"store {store}: {path} {problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (StoreBackingError, (self.store, self.path, self.problem))


class StoreReloadingError(StoreError):
    """A write came while its store was reloaded, and the store refuses those."""

    def __init__(self, store: str) -> None:
        self.store = store
        super().__init__(
            f"store {store} is being reloaded and refuses writes meanwhile (during_reload = 'refuse')"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (StoreReloadingError, (self.store,))


class ViewError(SlitherError):
    """A view is unknown in the session, was called in a wrong way, raised, or took too long.

    `store` is the name of the store that declares it, where that is known;
    `traceback_text` where in the driver it raised, which is also a note.
    """

    def __init__(self, view: str, problem: str, *, store: str = "", traceback_text: str = "") -> None:
        self.view = view
        self.problem = problem
        self.store = store
        self.traceback_text = traceback_text
        super().__init__(f"view {view!r}{f' of {store}' if store else ''} {problem}")
        if traceback_text:
            self.add_note(f"--- traceback in the driver ---\n{traceback_text}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_view_error, (self.view, self.problem, self.store, self.traceback_text))


def _view_error(view: str, problem: str, store: str, traceback_text: str) -> ViewError:
    return ViewError(view, problem, store=store, traceback_text=traceback_text)


# -- pipes -------------------------------------------------------------------


class PipeDefinitionError(SlitherError):
    """A pipe's class body is wrong; the message names the pipe and the stage."""

    def __init__(self, pipe: str, problem: str, *, stage: str = "") -> None:
        self.pipe = pipe
        self.stage = stage
        where = f"{pipe}.{stage}" if stage else pipe
        super().__init__(f"pipe {where}: {problem}")


class ItemError(SlitherError):
    """A stage's handler said that one item failed; `reason` is what it gave."""

    def __init__(self, item: str, problem: str, reason: object = None) -> None:
        self.item = item
        self.reason = reason
        super().__init__(f"{item} {problem}")


class PipeError(SlitherError):
    """A run of a pipe ended early.

    `partial_results` maps every output to the items that had reached it.
    """

    def __init__(
        self,
        reason: BaseException,
        partial_results: dict[str, list[Any]],
        *,
        pipe: str = "",
        stage: str = "",
    ) -> None:
        self.reason = reason
        self.partial_results = partial_results
        self.pipe = pipe
        self.stage = stage
        where = f"{pipe}.{stage}" if stage else pipe
        super().__init__(f"pipe {where} halted: {type(reason).__name__}: {safe_text(reason)}")


class PipeTimeoutError(PipeError):
    """A run of a pipe took longer than its ``timeout``. What still ran of it is ended."""

    def __init__(
        self, seconds: float, partial_results: dict[str, list[Any]], *, pipe: str = "", far: str = ""
    ) -> None:
        super().__init__(TimeoutError(f"longer than {seconds:g} s"), partial_results, pipe=pipe)
        self.seconds = seconds
        """The timeout."""
        self.args = (f"pipe {pipe} was not done after {seconds:g} s: {far}",)


class PipeCancelledError(PipeError):
    """Somebody cancelled a run of a pipe."""

    def __init__(
        self, why: str, partial_results: dict[str, list[Any]], *, pipe: str = "", far: str = ""
    ) -> None:
        super().__init__(InterruptedError(why), partial_results, pipe=pipe)
        self.why = why
        """What the canceller gave as the reason."""
        self.args = (f"pipe {pipe} was cancelled{f' ({why})' if why else ''}: {far}",)


class PipeStoppedError(SlitherError):
    """A pipe that was running on takes no more items."""

    def __init__(self, pipe: str, why: str, pushed: int = 0) -> None:
        self.pipe = pipe
        self.why = why
        """Why it takes none."""
        self.pushed = pushed
        """Items of this push that it took before."""
        super().__init__(f"pipe {pipe!r} {why}; it took {pushed:,} items of this push, and takes no more")


class PushTimeoutError(SlitherError):
    """A pipe that runs on did not want all items of a push in time."""

    def __init__(self, pipe: str, seconds: float, pushed: int, *, paused: bool = False) -> None:
        self.pipe = pipe
        self.seconds = seconds
        """How long it was waited for."""
        self.pushed = pushed
        """Items that it took."""
        why = "it is paused: call resume()" if paused else "its stages are slower than the push, see status()"
        super().__init__(f"pipe {pipe!r} took {pushed:,} items in {seconds:g} s, and no more; {why}")


class OutputFullError(SlitherError):
    """One output of a stream is read, and the next item is for another one, whose buffer is full.

    Nothing is lost: once there is room, reading goes on where it stopped.
    """

    def __init__(self, output: str, wanted: str, size: int, *, pipe: str = "", waited: float = 0.0) -> None:
        self.output = output
        """The one that is full."""
        self.wanted = wanted
        """The one that was read."""
        self.size = size
        """Items that a buffer may hold."""
        self.pipe = pipe
        waiting = f", and nobody took one for {waited:g} s" if waited else ""
        super().__init__(
            f"output {output!r} of pipe {pipe} is full: {size:,} of its items wait for a reader{waiting}, "
            f"and the next item is for it, so {wanted!r} gets none. Read {output!r} too (in the same loop, "
            f"or in a thread of its own with outputs(wait=seconds)), call stream.discard({output!r}) if "
            f"nobody wants it, or raise outputs(buffer_size={size})"
        )


class InputError(SlitherError):
    """An input file is missing, unreadable or has a broken line.

    `line` counts from one; None where the whole file is meant.
    """

    def __init__(self, path: str, problem: str, *, line: int | None = None) -> None:
        self.path = path
        self.line = line
        where = f"{path}, line {line:,}" if line is not None else path
        super().__init__(f"{where}: {problem}")
