"""What every executor has to do, as tests that pytest runs."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from slither_actors import dispatch
from slither_actors.dispatch import Executor
from slither_actors.errors import BatchTimeoutError, DispatchError, RemoteError, ResultError
from slither_actors.item import Item
from slither_actors.testing._call_counts import answers, opens
from slither_actors.testing._census import census
from slither_actors.testing._functions import ERRORS, RESULTS, double, odd_results, raises
from slither_actors.testing._gate import Gate, wait_at_gate

__all__ = ["ExecutorContract"]


class ExecutorContract:
    """What every executor has to do, as tests. Subclass it with a name that pytest collects."""

    parallel: int | None = 2
    """How many batches it runs at one time; None is no limit."""

    prefetch = 0
    """How many batches it begins of those that were taken back: it may have handed them on already."""

    times_out = True
    """Whether a batch past its timeout fails while it runs."""

    can_be_left = True
    """Whether a run may be left while its batches run."""

    seconds = 30.0
    """How long to wait for what must happen."""

    def make_executor(self, function: Callable[[list[Any]], list[Any]]) -> Executor:
        """Return a new executor that runs `function` on the payloads of its batches.

        The functions given here can be imported and pickled.
        """
        raise NotImplementedError("an executor's tests have to say how one is made")

    def dispose(self, executor: Executor) -> None:
        """Free what the author made beside the executor; nothing by default."""

    # -- answers ----------------------------------------------------------------------

    def test_results_come_in_the_order_of_the_payloads(self) -> None:
        """Whatever the size of the batches, and of the last one."""
        with self._executor(double) as executor:
            for size in (1, 7, 100):
                found = self._run(range(100), executor, batch_size=size)
                _expect(_payloads(found) == [2 * n for n in range(100)], f"batches of {size} came out wrong")

    def test_many_batches_at_one_time_are_each_answered_once(self) -> None:
        """No answer is lost and none comes twice."""
        with self._executor(double) as executor, answers() as counts:
            found = self._run(range(500), executor, batch_size=1, max_in_flight=64)
            _expect(
                _payloads(found) == [2 * n for n in range(500)], "results are missing or in another order"
            )
        twice = sum(count != 1 for count in counts.values())
        _expect(len(counts) == 500 and not twice, f"{len(counts)} of 500 batches answered, {twice} not once")

    def test_another_number_of_results_fails_the_batch(self) -> None:
        """As does what is no list of results; the others are not touched."""
        kinds = [*RESULTS, "right"]
        with self._executor(odd_results) as executor:
            found = self._run(kinds, executor, batch_size=1, on_error="skip")
        for kind, item in zip(kinds, found, strict=True):
            if kind == "right":
                _expect(item.payload == kind and not item.meta, f"a good batch got {item}")
            else:
                error = item.meta.get("error")
                _expect(isinstance(error, ResultError), f"results that were {kind} gave {error!r}")

    def test_an_exception_is_its_batch_s(self) -> None:
        """`SystemExit` and `KeyboardInterrupt` too; the batches around it have results."""
        payloads = [name for error in ERRORS for name in ("good", error)] + ["good"]
        with self._executor(raises) as executor:
            found = self._run(payloads, executor, batch_size=1, on_error="skip")
        for name, item in zip(payloads, found, strict=True):
            if name == "good":
                _expect(not item.meta, f"a batch beside a failed one got {item.meta.get('error')!r}")
            else:
                _expect(_is(item.meta.get("error"), ERRORS[name]), f"{name} gave {item.meta.get('error')!r}")

    def test_a_failure_halts_a_run_and_not_the_next(self) -> None:
        """The executor is as good as new."""
        with self._executor(raises) as executor:
            for _ in range(2):
                try:
                    self._run(["good", "ValueError", "good"], executor, batch_size=1)
                except DispatchError as error:
                    _expect(
                        _payloads(error.partial_results) == ["good"], "a batch before the failed one is lost"
                    )
                    _expect(_is(error.reason, ValueError), f"the reason is {error.reason!r}")
                else:
                    _expect(False, "the run did not halt")
                _expect(_payloads(self._run(["good"], executor)) == ["good"], "the next run failed")

    # -- time ---------------------------------------------------------------------------

    def test_a_batch_past_its_timeout_fails(self) -> None:
        """While its code still runs; the next run has its results."""
        if not self.times_out:
            _skip("it keeps no timeouts")
        with Gate() as gate, self._executor(wait_at_gate) as executor:
            [item] = self._run(gate.payloads(1), executor, timeout=0.3, on_error="skip")
            error = item.meta.get("error")
            _expect(isinstance(error, BatchTimeoutError), f"it failed with {error!r}")
            gate.open()
            found = self._run(gate.payloads(2), executor, batch_size=1)
            _expect(_payloads(found) == [0, 1], "the run after a timeout failed")

    def test_a_run_may_be_left_while_batches_run(self) -> None:
        """At once; and the executor serves the next run."""
        if not self.can_be_left:
            _skip("its batches hold the run up")
        with Gate() as gate, self._executor(wait_at_gate) as executor:
            self._leave(gate, executor, batches=self.parallel or 4)
            gate.open()
            found = self._run(gate.payloads(3), executor, batch_size=1)
            _expect(_payloads(found) == [0, 1, 2], "the run after one that was left failed")

    def test_what_waits_is_taken_back_when_its_run_is_left(self) -> None:
        """It never begins."""
        if self.parallel is None:
            _skip("nothing waits there")
            return
        if not self.can_be_left:
            _skip("its batches hold the run up")
        with Gate() as gate, Gate() as other, self._executor(wait_at_gate) as executor:
            waiting = 4
            self._leave(gate, executor, batches=self.parallel + self.prefetch + waiting)
            gate.open()
            other.open()
            self._run(other.payloads(4 * self.parallel), executor, batch_size=1)
            begun = len(gate.began())
            _expect(
                begun <= self.parallel + self.prefetch,
                f"{begun} batches of the run that was left began; it runs {self.parallel} at one time",
            )

    # -- runs ---------------------------------------------------------------------------

    def test_it_serves_one_run_after_the_other(self) -> None:
        """The runs open and close it as often."""
        with self._executor(double) as executor, opens(executor) as counts:
            for n in range(5):
                _expect(_payloads(self._run([n], executor)) == [2 * n], f"run {n} failed")
        _expect(counts == {"open": 5, "close": 5}, f"5 runs called {dict(counts)}")

    def test_it_serves_two_runs_at_one_time(self) -> None:
        """Each gets its own results."""
        with self._executor(double) as executor:
            found: dict[int, list[Any]] = {}

            def run(start: int) -> None:
                found[start] = _payloads(
                    dispatch.run(range(start, start + 200), executor=executor, batch_size=3)
                )

            threads = [threading.Thread(target=run, args=(start,), daemon=True) for start in (0, 1000)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(self.seconds)
        for start in (0, 1000):
            _expect(found.get(start) == [2 * n for n in range(start, start + 200)], f"run {start} failed")

    def test_nothing_is_left_behind(self) -> None:
        """No thread, no process, no file descriptor."""
        self._use_and_leave()
        gc.collect()
        before = census()
        self._use_and_leave()
        deadline = time.monotonic() + self.seconds / 3
        while (left := census() - before) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.01)
        _expect(not left, f"left behind: {', '.join(sorted(map(str, left)))}")

    def _use_and_leave(self) -> None:
        with self._executor(double) as executor:
            self._run(range(50), executor, batch_size=2)
            with dispatch.stream(range(50), executor=executor, batch_size=2) as stream:
                next(stream)

    # -- how ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _executor(self, function: Callable[[list[Any]], Any]) -> Iterator[Executor]:
        executor = self.make_executor(function)
        try:
            yield executor
        finally:
            self.dispose(executor)

    def _run(self, payloads: Any, executor: Executor, **options: Any) -> list[Item]:
        options = {"timeout": self.seconds, **options}
        found: list[Item] = self._within(lambda: dispatch.run(payloads, executor=executor, **options))
        return found

    def _leave(self, gate: Gate, executor: Executor, *, batches: int) -> None:
        """Start a run, and leave it when as many batches have begun as can."""
        stream = dispatch.stream(
            gate.payloads(batches),
            executor=executor,
            batch_size=1,
            max_in_flight=batches,
            timeout=self.seconds,
        )
        reader = threading.Thread(target=lambda: next(stream, None), daemon=True)
        reader.start()
        deadline = time.monotonic() + self.seconds
        expected = min(self.parallel or batches, batches)
        while len(gate.began()) < expected:
            _expect(time.monotonic() < deadline, f"{len(gate.began())} batches began, not {expected}")
            time.sleep(0.005)
        self._within(stream.close)
        reader.join(self.seconds)
        _expect(not reader.is_alive(), "the reader of a stream that was closed still waits")

    def _within(self, function: Callable[[], Any]) -> Any:
        """Call the function; fail if it takes too long."""
        outcome: list[Any] = []

        def call() -> None:
            try:
                outcome.append((function(), None))
            except BaseException as error:  # noqa: BLE001 - raised again below
                outcome.append((None, error))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(self.seconds)
        if not outcome:
            frame = sys._current_frames().get(thread.ident or 0)
            where = f" ({frame.f_code.co_filename}:{frame.f_lineno})" if frame is not None else ""
            raise AssertionError(f"still waiting after {self.seconds:g} s{where}")
        value, error = outcome[0]
        if error is not None:
            raise error
        return value


def _payloads(items: list[Item]) -> list[Any]:
    return [item.payload for item in items]


def _expect(condition: bool, otherwise: str) -> None:
    # Not with `assert`, which says nothing outside of modules that pytest rewrites.
    if not condition:
        raise AssertionError(otherwise)


def _skip(reason: str) -> None:
    import pytest  # noqa: PLC0415 - only who runs the tests has it

    pytest.skip(reason)


def _is(error: Any, kind: type[BaseException]) -> bool:
    """Whether an error is of a kind, or says that it was in another process."""
    if isinstance(error, RemoteError):
        return error.type_name.rpartition(".")[2] == kind.__name__
    return isinstance(error, kind) or isinstance(getattr(error, "__cause__", None), kind)
