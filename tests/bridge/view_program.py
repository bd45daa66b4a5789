"""Programs that end in unusual ways: ``python -m tests.bridge.view_program stuck|interrupted``."""

from __future__ import annotations

import faulthandler
import itertools
import os
import signal
import sys

from slither_actors import Application, run_pipe, stream_pipe
from slither_actors.bridge import SESSIONS
from tests.bridge import view_code as code


def stuck() -> None:
    """End while a view does not."""
    with Application(stores=[code.Features], pools={"default": 1}):
        (item,) = run_pipe(code.Calling, [("stuck", (), {})])["default"]
        print(item.payload[0])
    print(len(SESSIONS.all()))


def interrupted() -> None:
    """Be struck by Ctrl-C in the middle of a run, and go on."""
    with Application(stores=[code.Features], pools={"default": 1}):
        try:
            with stream_pipe(code.Calling, itertools.repeat(("who", (), {}))) as stream:
                for count, _ in enumerate(stream):
                    if count == 3:
                        os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            print("interrupted")
        print(len(SESSIONS.all()))
        (item,) = run_pipe(code.Calling, [("lookup_feature", ("a",), {})])["default"]
        print(item.payload)


if __name__ == "__main__":
    faulthandler.dump_traceback_later(30, exit=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    {"stuck": stuck, "interrupted": interrupted}[sys.argv[1]]()
