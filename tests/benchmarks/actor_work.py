"""What actors are timed at: functions that take how often, and return the seconds of one time.

The first part is written to Pykka's interface, so that the same code runs
Pykka's actors and ours; the second is for what only ours can do.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from slither_actors.actors import Ref, Server, Supervisor
from tests.benchmarks.placement import spread

__all__ = ["NAP", "SLEEPERS", "Echo", "InlineEcho", "OnPykka", "OnServers", "Work", "crash_median"]

Work = Callable[[int], float]
"""Takes how many times, returns the seconds of one."""

PATIENCE = 60.0
"""Seconds after which a benchmark that hangs fails."""

SLEEPERS = 200
NAP = 0.1


def per_time(began: float, count: int) -> float:
    return (time.perf_counter() - began) / count


class Signal:
    """Wakes the measuring thread, at the price of one bare lock: that of an event would be measured, too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.set = self._lock.release

    def wait(self) -> None:
        """Wait for the next `set`."""
        if not self._lock.acquire(timeout=PATIENCE):
            msg = f"nothing happened for {PATIENCE:g} s"
            raise TimeoutError(msg)


class OnPykka:
    """The work of an actor class with Pykka's interface: `pykka.ThreadingActor` or `Actor`."""

    def __init__(self, base: Any) -> None:
        class Echo(base):  # type: ignore[misc]
            def on_receive(self, message: Any) -> Any:
                return message

        class Player(base):  # type: ignore[misc]
            def __init__(self, done: Signal) -> None:
                super().__init__()
                self.done = done

            def on_receive(self, message: tuple[int, Any]) -> None:
                left, sender = message
                if left:
                    sender.tell((left - 1, self.actor_ref))
                else:
                    self.done.set()

        class Counter(base):  # type: ignore[misc]
            def __init__(self, limit: int, done: Signal) -> None:
                super().__init__()
                self.left = limit
                self.done = done

            def on_receive(self, _: Any) -> None:
                self.left -= 1
                if not self.left:
                    self.done.set()

        class Asker(base):  # type: ignore[misc]
            def on_receive(self, message: tuple[Any, int]) -> float:
                ref, count = message
                began = time.perf_counter()
                for _ in range(count):
                    ref.ask(None)
                return per_time(began, count)

        class Sleeper(base):  # type: ignore[misc]
            def on_receive(self, _: Any) -> None:
                time.sleep(NAP)

        class Hooked(Echo):
            def on_start(self) -> None:
                self.started = True

            def on_stop(self) -> None:
                self.started = False

        self.hooked = Hooked
        self.echo, self.player, self.counter, self.asker, self.sleeper = Echo, Player, Counter, Asker, Sleeper

    def start_and_stop(self, count: int) -> float:
        """Start an actor and stop it, one after the other, from a plain thread."""
        began = time.perf_counter()
        for _ in range(count):
            self.echo.start().stop(timeout=PATIENCE)
        return per_time(began, count)

    def start_and_stop_with_hooks(self, count: int) -> float:
        """The same with something to do at both ends."""
        began = time.perf_counter()
        for _ in range(count):
            self.hooked.start().stop(timeout=PATIENCE)
        return per_time(began, count)

    def ping_pong(self, count: int) -> float:
        """Two actors that tell each other, `count` messages in all."""
        done = Signal()
        one, two = self.player.start(done), self.player.start(done)
        with spread(sides=2):
            began = time.perf_counter()
            one.tell((count - 1, two))
            done.wait()
            took = per_time(began, count)
        one.stop(timeout=PATIENCE)
        two.stop(timeout=PATIENCE)
        return took

    def ask(self, count: int) -> float:
        """Ask from a plain thread, one after the other."""
        ref = self.echo.start()
        with spread():
            began = time.perf_counter()
            for _ in range(count):
                ref.ask(None, timeout=PATIENCE)
            took = per_time(began, count)
        ref.stop(timeout=PATIENCE)
        return took

    def ask_from_actor(self, count: int) -> float:
        """Ask from one actor to another, one after the other."""
        ref, asker = self.echo.start(), self.asker.start()
        with spread(sides=2):
            took: float = asker.ask((ref, count), timeout=PATIENCE)
        asker.stop(timeout=PATIENCE)
        ref.stop(timeout=PATIENCE)
        return took

    def tell_burst(self, count: int) -> float:
        """Tell from a plain thread, up to the moment at which all are handled."""
        done = Signal()
        ref = self.counter.start(count, done)
        with spread():
            began = time.perf_counter()
            for _ in range(count):
                ref.tell(None)
            done.wait()
            took = per_time(began, count)
        ref.stop(timeout=PATIENCE)
        return took

    def sleep(self, _: int) -> float:
        """Have `SLEEPERS` actors sleep `NAP` seconds at one time, and wait for all."""
        refs = [self.sleeper.start() for _ in range(SLEEPERS)]
        began = time.perf_counter()
        futures = [ref.ask(None, block=False) for ref in refs]
        for future in futures:
            future.get(timeout=PATIENCE)
        took = per_time(began, 1)
        for ref in refs:
            ref.stop(timeout=PATIENCE)
        return took


class Echo(Server):
    def handle_call(self, request: Any, sender: Any) -> Any:
        return request


class Hooked(Echo):
    def init(self) -> None:
        self.started = True

    def terminate(self, reason: Any) -> None:
        self.started = False


class InlineEcho(Echo):
    inline_calls = True


class Player(Server):
    def init(self, done: Signal) -> None:
        self.done = done

    def handle_cast(self, message: tuple[int, Ref]) -> None:
        left, sender = message
        if left:
            sender.cast((left - 1, self.ref))
        else:
            self.done.set()


class Counter(Server):
    def init(self, limit: int, done: Signal) -> None:
        self.left = limit
        self.done = done

    def handle_cast(self, message: Any) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


class Runner(Server):
    """Runs a function, so that its calls come from an actor."""

    def handle_call(self, request: Callable[[Server], Any], sender: Any) -> Any:
        return request(self)


class Fragile(Server):
    """A supervised child that crashes when it is told to, and notes when it handles messages again."""

    def init(self, times: list[float], ready: Signal) -> None:
        self.times = times
        self.ready = ready
        self.continue_with()

    def handle_continue(self, value: Any) -> None:
        self.times.append(time.perf_counter())
        self.ready.set()

    def handle_cast(self, message: Any) -> None:
        self.times.append(time.perf_counter())
        raise ValueError(message)


class OnServers:
    """The work of our own interface."""

    @staticmethod
    def start_and_stop(count: int) -> float:
        """Start a server and stop it, one after the other, from a plain thread."""
        began = time.perf_counter()
        for _ in range(count):
            Echo.start().stop(timeout=PATIENCE)
        return per_time(began, count)

    @staticmethod
    def start_and_stop_with_hooks(count: int) -> float:
        """The same with something to do at both ends."""
        began = time.perf_counter()
        for _ in range(count):
            Hooked.start().stop(timeout=PATIENCE)
        return per_time(began, count)

    @staticmethod
    def ping_pong(count: int) -> float:
        """Two servers that cast to each other, `count` messages in all."""
        done = Signal()
        one, two = Player.start(done), Player.start(done)
        with spread():
            began = time.perf_counter()
            one.cast((count - 1, two))
            done.wait()
            took = per_time(began, count)
        one.stop()
        two.stop()
        return took

    @staticmethod
    def call(count: int) -> float:
        """Call from a plain thread, one after the other."""
        return calls(Echo.start(), count)

    @staticmethod
    def inline_call(count: int) -> float:
        """Call an idle server with `inline_calls`, from a plain thread."""
        return calls(InlineEcho.start(), count)

    @staticmethod
    def call_from_actor(count: int) -> float:
        """Call from one actor to another, one after the other."""
        ref = Echo.start()

        def work(_: Server) -> float:
            began = time.perf_counter()
            for _ in range(count):
                ref.call(None, PATIENCE)
            return per_time(began, count)

        took = in_actor(work)
        ref.stop()
        return took

    @staticmethod
    def cast_burst(count: int) -> float:
        """Cast from a plain thread, up to the moment at which all are handled."""
        done = Signal()
        ref = Counter.start(count, done)
        with spread():
            began = time.perf_counter()
            for _ in range(count):
                ref.cast(None)
            done.wait()
            took = per_time(began, count)
        ref.stop()
        return took

    @staticmethod
    def link_and_monitor(count: int) -> float:
        """Link, monitor, cancel and unlink, between two live actors."""
        ref = Echo.start()

        def work(server: Server) -> float:
            began = time.perf_counter()
            for _ in range(count):
                server.link(ref)
                server.monitor(ref).cancel()
                server.unlink(ref)
            return per_time(began, count)

        took = in_actor(work)
        ref.stop()
        return took

    @staticmethod
    def crash(count: int) -> float:
        """Median from the raise in a supervised child to the first message that its successor handles."""
        return crash_median(count)

    @staticmethod
    def crash_seen_outside(count: int) -> float:
        """Median from the cast of a plain thread that causes a crash until the successor has woken it."""
        return crashes(count)[1]


def crash_median(count: int) -> float:
    return crashes(count)[0]


def crashes(count: int) -> tuple[float, float]:
    inside: list[float] = []
    outside: list[float] = []
    ready = Signal()
    tree = Supervisor.start(
        [Fragile.child_spec(inside, ready, id="fragile")], max_restarts=count, max_seconds=PATIENCE
    )
    ready.wait()
    inside.clear()
    with spread():
        for _ in range(count):
            fragile = tree.child("fragile")
            began = time.perf_counter()
            fragile.cast("crash")
            ready.wait()
            outside.append(time.perf_counter() - began)
    tree.stop()
    pairs = zip(inside[::2], inside[1::2], strict=True)
    return statistics.median(up - down for down, up in pairs), statistics.median(outside)


def calls(ref: Ref, count: int) -> float:
    with spread():
        began = time.perf_counter()
        for _ in range(count):
            ref.call(None, PATIENCE)
        took = per_time(began, count)
    ref.stop(block=False)
    return took


def in_actor(work: Callable[[Server], float]) -> float:
    runner = Runner.start()
    with spread():
        took: float = runner.call(work, PATIENCE)
    runner.stop()
    return took
