"""A program whose main thread is struck by signals, hundreds of times, while it uses actors in every way.

Run as ``python -m tests.interrupted_code SECONDS SEED``. It prints ``ok`` and
numbers, or what went wrong.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import random
import signal
import sys
import threading
import time
from typing import Any

from slither_actors import Application
from slither_actors.actors import Actor, Registry, Server, Supervisor, SupervisorRef, whereis
from slither_actors.actors._cell import live_cells

LATE = 0.05


class Counter(Server):
    def init(self) -> None:
        self.count = 0

    def handle_call(self, request: Any, sender: Any) -> Any:
        return self.count if request is None else request

    def handle_cast(self, message: Any) -> None:
        self.count += 1

    def handle_info(self, message: Any) -> None:
        pass


class Inline(Counter):
    inline_calls = True

    def handle_call(self, request: Any, sender: Any) -> Any:
        return sum(range(100)) if request is None else request


class Bounded(Counter):
    mailbox_size = 3
    mailbox_overflow = "block"


class Own(Counter):
    own_thread = True


class Greeter(Actor):
    def on_receive(self, message: Any) -> Any:
        return message


class Program:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.refs = [Counter.start(), Bounded.start(), Own.start()]
        self.sent = dict.fromkeys(self.refs, 0)
        self.doubt = dict.fromkeys(self.refs, 0)
        self.inline = Inline.start()
        self.greeter = Greeter.start()
        self.registry = Registry.start(keys="duplicate")
        self.tree = Supervisor.start([Counter.child_spec(id="fixed")], max_restarts=10**9)
        self.number = 0
        self.operations = [getattr(self, name) for name in dir(self) if name.startswith("do_")]

    # What the main thread does; each may be left by an exception at any moment.

    def do_cast(self) -> None:
        ref = self.chance.choice(self.refs)
        for _ in range(50):
            self.doubt[ref] += 1
            ref.cast(1)
            self.sent[ref] += 1
            self.doubt[ref] -= 1

    def do_call(self) -> None:
        assert self.chance.choice(self.refs).call("answer") == "answer"

    def do_inline_call(self) -> None:
        for _ in range(50):
            self.inline.call(None)

    def do_ask(self) -> None:
        assert self.greeter.ask("hello", timeout=5) == "hello"

    def do_start_and_stop(self) -> None:
        ref = self.chance.choice([Counter, Inline, Own]).start()
        ref.call(1)
        ref.stop()

    def do_timers(self) -> None:
        ref = self.chance.choice(self.refs)
        ref.run(lambda server, _: [server.send_after(0.001, 1) for _ in range(3)])

    def do_register(self) -> None:
        ref = self.chance.choice(self.refs)
        self.registry.register_actor(ref, "key")
        self.registry.lookup("key")
        self.registry.unregister_actor(ref, "key")

    def do_look(self) -> None:
        self.tree.which_children()
        whereis("nobody")
        self.inline.statistics()

    def do_restart(self) -> None:
        child = self.tree.child("fixed")
        if child is not None:
            child.kill()
            child.join(5)

    def do_something_else(self) -> None:
        end = time.monotonic() + 0.002
        while time.monotonic() < end:
            pass

    def do_wait(self) -> None:
        self.inline.join(0.01)

    def work(self) -> None:
        while True:
            self.chance.choice(self.operations)()

    def check(self) -> None:
        """Everybody answers promptly, and no message was lost."""
        for ref in self.refs:
            found = ref.call(None)
            assert 0 <= found - self.sent[ref] <= self.doubt[ref], (ref, found, self.sent[ref], self.doubt)
        if not self.inline.is_alive():
            # It was struck in its own code, which is the user's: that is a crash, and the only one allowed.
            assert isinstance(self.inline.exit_reason.exception, KeyboardInterrupt)
            self.inline = Inline.start()
        self.inline.call(None)
        assert self.greeter.ask("x", timeout=5) == "x"
        assert isinstance(self.tree, SupervisorRef)
        self.tree.which_children()
        self.registry.count()


def is_news(record: logging.LogRecord) -> bool:
    """Whether a record is about something else than an inline call that was struck in the user's code."""
    text = record.getMessage()
    return not (text.startswith("Inline ") and ("Terminated" in text or "KeyboardInterrupt" in text))


def main(seconds: float, seed: int) -> None:
    logging.getLogger("slither_actors.actors").addFilter(is_news)
    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    if "SLITHER_SWITCH_INTERVAL" in os.environ:
        sys.setswitchinterval(float(os.environ["SLITHER_SWITCH_INTERVAL"]))
    latencies: list[float] = []
    strikes = threading.Semaphore(0)
    struck = [0.0]
    over = False
    chance = random.Random(seed)
    numbers = (signal.SIGTERM, signal.SIGINT)

    def strike() -> None:
        while True:
            strikes.acquire()
            if over:
                return
            time.sleep(chance.random() * 0.01)
            struck[0] = time.monotonic()
            os.kill(os.getpid(), chance.choice(numbers))

    thread = threading.Thread(target=strike)
    thread.start()
    with Application(pools={}):
        program = Program(seed)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                strikes.release()
                program.work()
            except KeyboardInterrupt:
                latencies.append(time.monotonic() - struck[0])
            program.check()
        over = True
        strikes.release()
        thread.join()
    # Those whose stop was interrupted: there may be more than the exit has time for on a busy machine.
    for cell in live_cells():
        cell.kill()
    for cell in live_cells():
        assert cell.join(30), cell.describe()
    late = sum(latency > LATE for latency in latencies)
    print(f"ok {len(latencies)} {late} {max(latencies):.4f}", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
