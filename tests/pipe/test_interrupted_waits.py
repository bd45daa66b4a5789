"""Ctrl-C in a program that waits for a pipe."""

from __future__ import annotations

import pytest

from tests.search_path import run_program

PROGRAM = """
import os, signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from slither_actors import Application, Pipe, router, stage, start_pipe, stream_pipe

class Split(Pipe):
    split = router(odd=lambda item: item.payload % 2)

def push():
    pipe = start_pipe(Split)
    pipe.pause()
    yield
    pipe.push([1])

def room():
    outputs = stream_pipe(Split, [0] * 50).outputs(buffer_size=3, wait=20)
    yield
    next(outputs["odd"])

def other():
    over = threading.Event()
    def numbers():
        yield 0
        over.wait(20)
    outputs = stream_pipe(Split, numbers()).outputs()
    def read():
        try:
            list(outputs["default"])
        except Exception:
            pass  # it is closed
    threading.Thread(target=read, daemon=True).start()
    time.sleep(0.1)
    yield
    try:
        next(outputs["odd"])
    finally:
        ended.append(time.monotonic())
        over.set()

ended = []
with Application(pools={{}}):
    case = {case}()
    next(case)
    struck = time.monotonic() + 0.1
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        next(case)
    except KeyboardInterrupt:
        ended.append(time.monotonic())
print(round(ended[0] - struck, 2))
"""


@pytest.mark.parametrize("case", ["push", "room", "other"])
def test_ctrl_c_ends_a_wait_for_a_pipe_at_once(case: str) -> None:
    """A push, and a reader of an output: for another one's reader, or for the thread that reads for it."""
    assert float(run_program(PROGRAM.format(case=case)).stdout) < 0.8
