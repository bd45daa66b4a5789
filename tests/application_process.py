"""Programs that use an application, each in a process of its own, with a watchdog that shows where it is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

SCRIPT = """
    import faulthandler
    faulthandler.dump_traceback_later(40, exit=True)
    import atexit, itertools, os, signal, sys, threading, time
    from slither_actors import *
    from slither_actors.actors import Server, Supervisor, whereis
    from slither_actors.errors import *
    from tests import application_code as code

    def say(*words):
        # In one piece: actors that end at one time say so at one time.
        sys.stdout.write(" ".join(map(str, words)) + "\\n")
        sys.stdout.flush()

    def ready():
        say("ready")

    class Probe(Server):
        def init(self, label):
            self.label = label
        def handle_call(self, request, sender):
            return request(self) if callable(request) else request
        def handle_cast(self, function):
            function(self)
        def terminate(self, reason):
            say("terminate", self.label, reason)

    def probes(labels, **options):
        return [Probe.child_spec(label, id=label, name=label, **options) for label in labels]

    class Sleepy(Store):
        def load(self, tables):
            ready()
            time.sleep(60)

    class Stuck(Pipe):
        @stage
        def work(item):
            ready()
            time.sleep(20)

    def stick(_):
        ready()
        time.sleep(100)

    def when_up(function, *names):
        def wait():
            while not all(whereis(name) for name in (names or ("slither.pipes",))):
                time.sleep(0.01)
            function()
        threading.Thread(target=wait, daemon=True).start()

    def run(pipe=code.Napping):
        for number, item in enumerate(stream_pipe(pipe, itertools.count())):
            if number == 10:
                ready()

    def small_run():
        assert [item.payload for item in run_pipe(code.Doubling, [1, 2])["default"]] == [2, 4]

    if __name__ == "__main__":
"""


def start(tmp_path: Path, body: str) -> Any:
    """Start a program: the definitions above, then `body`."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT) + textwrap.indent(textwrap.dedent(body), " " * 4))
    return subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: Any) -> tuple[int, list[str], str]:
    """Wait for the end; return the status, the lines of output, the errors."""
    output, errors = process.communicate(timeout=45)
    return process.returncode, output.splitlines(), errors


def await_ready(process: Any) -> None:
    """Wait until the program says so."""
    assert process.stdout.readline() == "ready\n", process.stderr.read()
