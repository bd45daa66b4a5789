"""A log that costs nobody their life.

Log handlers are the user's code. One that raises must not end the thread that
runs the actors, the timers or the supervisor that reports a crash: what it did
not take goes to standard error instead.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading

from slither_actors.errors import class_name, safe_text

__all__ = ["GuardedLog"]


class GuardedLog:
    """A logger whose methods do not raise. Usable from any thread.

    Except for a `KeyboardInterrupt` in the main thread, which is the user's.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def warning(self, text: str, *args: object) -> None:
        """As `logging.Logger.warning`."""
        self._tell(logging.WARNING, text, args, None)

    def error(self, text: str, *args: object, exc_info: BaseException | None = None) -> None:
        """As `logging.Logger.error`."""
        self._tell(logging.ERROR, text, args, exc_info)

    def critical(self, text: str, *args: object, exc_info: BaseException | None = None) -> None:
        """As `logging.Logger.critical`."""
        self._tell(logging.CRITICAL, text, args, exc_info)

    def _tell(self, level: int, text: str, args: tuple[object, ...], exc_info: BaseException | None) -> None:
        try:
            # The caller of `error` is who logs: it and this function are skipped.
            self._logger.log(level, text, *args, exc_info=exc_info, stacklevel=3)
        except BaseException as broken:
            if (
                isinstance(broken, KeyboardInterrupt)
                and threading.current_thread() is threading.main_thread()
            ):
                raise
            shown = safe_text(args, lambda args: text % args)
            # There may be no standard error, or a closed one: nobody is left who could be told of that.
            with contextlib.suppress(Exception):
                sys.stderr.write(f"{shown}\n(not logged: a log handler raised {class_name(broken)})\n")
