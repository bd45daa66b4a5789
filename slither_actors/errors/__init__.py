"""Every exception of the library, one tree under `SlitherError`.

Data is on attributes, the sentence is the message. An error that crosses from
a worker process is never the user's live exception object: it is a
`RemoteError` with the type's name, the message and the remote traceback, and
the original as ``__cause__`` where it survived the trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither_actors._lazy_names import lazy_names

if TYPE_CHECKING:
    from slither_actors.errors._actors import (
        AbandonedError,
        ActorError,
        ActorExitError,
        CallCycleError,
        CallTimeoutError,
        ChildError,
        ExitPendingError,
        MailboxFullError,
        NameTakenError,
        NotRegisteredError,
        StartError,
        ThreadLimitError,
    )
    from slither_actors.errors._application import ApplicationEndedError, ForkedRuntimeError, NotRunningError
    from slither_actors.errors._base import SlitherError
    from slither_actors.errors._batch import (
        BatchError,
        BatchTimeoutError,
        CircuitOpenError,
        ExecutorError,
        PayloadError,
        PoisonBatchError,
        RemoteError,
        ResultError,
        TargetError,
        WorkerCrashError,
    )
    from slither_actors.errors._config import OptionError
    from slither_actors.errors._dispatch import DispatchError, StrategyError
    from slither_actors.errors._pipe import (
        InputError,
        ItemError,
        OutputFullError,
        PipeCancelledError,
        PipeDefinitionError,
        PipeError,
        PipeStoppedError,
        PipeTimeoutError,
        PushTimeoutError,
    )
    from slither_actors.errors._pool import PoolError, PoolStoppedError, WorkerStartError
    from slither_actors.errors._sessions import (
        SessionBusyError,
        SessionError,
        SessionLimitError,
        SessionLostError,
    )
    from slither_actors.errors._stages import BufferFullError, FanOutError, StreamError, SubscriptionError
    from slither_actors.errors._store import (
        RowNotFoundError,
        StoreBackingError,
        StoreError,
        StoreLoadError,
        StoreReloadingError,
        TableFullError,
    )
    from slither_actors.errors._text import class_name, safe_text
    from slither_actors.errors._views import ViewError

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

# Imported on first use: a worker process needs few of them.
if not TYPE_CHECKING:  # else a type checker would take any name to be there
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "_actors": (
                "AbandonedError",
                "ActorError",
                "ActorExitError",
                "CallCycleError",
                "CallTimeoutError",
                "ChildError",
                "ExitPendingError",
                "MailboxFullError",
                "NameTakenError",
                "NotRegisteredError",
                "StartError",
                "ThreadLimitError",
            ),
            "_application": (
                "ApplicationEndedError",
                "ForkedRuntimeError",
                "NotRunningError",
            ),
            "_base": ("SlitherError",),
            "_batch": (
                "BatchError",
                "BatchTimeoutError",
                "CircuitOpenError",
                "ExecutorError",
                "PayloadError",
                "PoisonBatchError",
                "RemoteError",
                "ResultError",
                "TargetError",
                "WorkerCrashError",
            ),
            "_config": ("OptionError",),
            "_dispatch": (
                "DispatchError",
                "StrategyError",
            ),
            "_pipe": (
                "InputError",
                "ItemError",
                "OutputFullError",
                "PipeCancelledError",
                "PipeDefinitionError",
                "PipeError",
                "PipeStoppedError",
                "PipeTimeoutError",
                "PushTimeoutError",
            ),
            "_pool": (
                "PoolError",
                "PoolStoppedError",
                "WorkerStartError",
            ),
            "_sessions": (
                "SessionBusyError",
                "SessionError",
                "SessionLimitError",
                "SessionLostError",
            ),
            "_stages": (
                "BufferFullError",
                "FanOutError",
                "StreamError",
                "SubscriptionError",
            ),
            "_store": (
                "RowNotFoundError",
                "StoreBackingError",
                "StoreError",
                "StoreLoadError",
                "StoreReloadingError",
                "TableFullError",
            ),
            "_text": (
                "class_name",
                "safe_text",
            ),
            "_views": ("ViewError",),
        },
    )
