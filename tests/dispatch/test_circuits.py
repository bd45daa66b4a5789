"""A target that only fails is left alone for a while, by all runs that use it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from slither_actors import Application, FunctionExecutor, InlineExecutor, Retry, dispatch, telemetry
from slither_actors.dispatch import Batch, Executor
from slither_actors.errors import (
    CircuitOpenError,
    DispatchError,
    OptionError,
    PoisonBatchError,
    RemoteError,
    WorkerCrashError,
)
from slither_actors.policy import CircuitBreaker
from slither_actors.pool import STATISTICS
from tests.dispatch import work
from tests.dispatch.manual import SECONDS, actor, in_thread, payloads

ANY = (Exception,)


class Switch(Executor):
    """Fails while it is off, at once."""

    def __init__(self, *, works: bool = False) -> None:
        self.works = works
        self.calls = 0

    def submit(self, batch: Batch) -> None:
        self.calls += 1
        if self.works:
            batch.succeed(batch.payloads)
        else:
            batch.fail(ValueError("off"))


@pytest.mark.usefixtures("application")
class TestCircuits:
    """With executors in this process."""

    def test_batches_of_an_open_circuit_fail_at_once(self) -> None:
        """They are not tried, and the error says since when, why and until when."""
        switch = Switch()
        breaker = CircuitBreaker(failures=3, open_for=60, on=ANY)
        options: dict[str, Any] = {"batch_size": 1, "max_in_flight": 1, "on_error": "skip"}
        stream = dispatch.stream(range(5), executor=switch, breaker=breaker, **options)
        errors = [item.meta["error"] for item in stream]
        assert [type(error) for error in errors] == [ValueError] * 3 + [CircuitOpenError] * 2
        assert switch.calls == 3
        assert (errors[3].target, errors[3].last_error) == ("Switch", "ValueError: off")
        assert 50 < errors[3].retry_in <= 60
        assert "batch 3 of dispatch was not tried: the circuit of Switch has been open for" in str(errors[3])
        assert stream.statistics()["dispatch"].refused == 2

    def test_runs_share_the_circuit_of_an_executor(self) -> None:
        """What one learned the next knows; one with other options has its own."""
        switch = Switch()
        breaker = CircuitBreaker(failures=1, open_for=60, on=ANY)
        with pytest.raises(DispatchError) as caught:
            dispatch.run([1], executor=switch, breaker=breaker)
        assert isinstance(caught.value.reason, ValueError)
        with pytest.raises(DispatchError) as caught:
            dispatch.run([1], executor=switch, breaker=breaker)
        assert isinstance(caught.value.reason, CircuitOpenError)
        switch.works = True
        assert payloads(dispatch.run([1], executor=switch)) == [1]
        assert payloads(dispatch.run([1], executor=switch, breaker=None)) == [1]

    def test_an_error_that_does_not_count_starts_the_count_anew(self) -> None:
        """By default only the deaths of workers count."""
        switch = Switch()
        dispatch.run(range(100), executor=switch, batch_size=1, on_error="skip")
        assert switch.calls == 100

    def test_under_retry_a_batch_waits_until_it_is_let_pass(self) -> None:
        """That costs no attempt, and it comes out as soon as a probe has ended well."""
        switch = Switch()
        breaker = CircuitBreaker(failures=2, open_for=1.0, on=ANY)
        told: list[str] = []

        def listen(event: str, sender: Any, measurements: Any, metadata: Any) -> None:
            told.append(event.rpartition(".")[2])
            assert metadata["executor"] == "Switch"
            switch.works = switch.works or event.endswith("half_open")

        with telemetry.attach("slither.dispatch.breaker.*", listen):
            began = time.monotonic()
            stream = dispatch.stream(
                range(6), executor=switch, breaker=breaker, batch_size=1, max_in_flight=6,
                on_error=Retry(max_attempts=2, backoff=0.0),
            )  # fmt: skip
            assert payloads(stream) == list(range(6))
        assert 1.0 <= time.monotonic() - began < 1.9, "who waits behind the probe waits for its answer"
        assert told[:3] == ["open", "half_open", "close"]

    def test_a_retry_with_a_limit_of_time_does_not_wait_for_longer(self) -> None:
        """Then the batch fails with the circuit's error, under the last policy."""
        breaker = CircuitBreaker(failures=1, open_for=60, on=ANY)
        policy = Retry(max_attempts=5, backoff=0, max_time=1.0, then="skip")
        [item] = dispatch.run([1], executor=Switch(), breaker=breaker, on_error=policy)
        assert isinstance(item.meta["error"], CircuitOpenError)

    def test_the_limit_of_time_holds_for_what_was_never_tried(self) -> None:
        """It waits for the circuit as often as it is tried again, but not for longer than that in all."""
        breaker = CircuitBreaker(failures=1, open_for=0.2, on=ANY)
        policy = Retry(max_attempts=100, backoff=0.0, jitter=0, max_time=0.5, then="skip")
        stream = dispatch.stream(
            range(20), executor=Switch(), breaker=breaker, batch_size=1, max_in_flight=20, on_error=policy
        )
        began = time.monotonic()
        assert all(item.meta["skipped"] for item in stream)
        assert time.monotonic() - began < 1.5

    @pytest.mark.parametrize("on_close", ["abandon", "wait", "kill"])
    def test_a_run_that_is_left_waits_for_no_circuit(self, on_close: str) -> None:
        """Its batches go with it."""
        switch, options = Switch(works=True), {"batch_size": 1, "max_in_flight": 1, "on_close": on_close}
        breaker = CircuitBreaker(failures=1, open_for=60, on=ANY)
        stream = dispatch.stream(
            range(9), executor=switch, breaker=breaker, on_error=Retry(max_attempts=9, backoff=0.0), **options
        )
        next(stream)
        switch.works = False
        with in_thread(list, stream) as reading:
            deadline = time.monotonic() + SECONDS
            while not stream.statistics()["dispatch"].refused and time.monotonic() < deadline:
                time.sleep(0.01)
            began = time.monotonic()
            stream.close()
            assert time.monotonic() - began < 5
            reading.result(SECONDS)

    @pytest.mark.parametrize("value", [True, 3, "on", CircuitBreaker])
    def test_a_wrong_breaker_is_refused(self, value: Any) -> None:
        """Allowed are a `CircuitBreaker` and None."""
        with pytest.raises(OptionError, match=r"option 'breaker' is .*CircuitBreaker\(\.\.\.\)"):
            dispatch.run([1], executor=Switch(), breaker=value)


# -- workers ------------------------------------------------------------------------


def test_when_all_batches_crash_the_circuit_opens() -> None:
    """So a program that crashes always burns no more workers than the breaker allows."""
    breaker = CircuitBreaker(failures=4, open_for=60)
    with Application(pools={"default": 2}):
        found = dispatch.run(
            range(50), executor=work.die, batch_size=1, on_error="skip", breaker=breaker, max_in_flight=2
        )
        errors = [item.meta["error"] for item in found]
        assert len(errors) == 50
        crashes = [error for error in errors if isinstance(error, WorkerCrashError)]
        assert 4 <= len(crashes) <= 5  # one more may have been under way
        assert sum(isinstance(error, CircuitOpenError) for error in errors) == 50 - len(crashes)
        assert actor("Pool").call(STATISTICS).crashes == len(crashes)
        assert payloads(dispatch.run([1], executor=work.increment, breaker=breaker)) == [2], "another target"


def test_a_batch_that_kills_its_workers_is_poison() -> None:
    """It is not tried for ever, however many attempts there may be; the others have their results."""
    with Application(pools={"default": 2}):
        stream = dispatch.stream(
            range(20),
            executor=work.die_on_seven,
            batch_size=1,
            on_error=Retry(max_attempts=10**9, backoff=0, then="skip"),
        )
        found = list(stream)
        [poisoned] = [item for item in found if item.meta.get("skipped")]
        error = poisoned.meta["error"]
        assert poisoned.payload == 7
        assert isinstance(error, PoisonBatchError)
        assert [kill.signal for kill in error.kills] == [9, 9]
        assert len({kill.pid for kill in error.kills}) == 2
        assert error.__cause__ is error.kills[1]
        assert str(error.kills[0].pid) in str(error)
        statistics = stream.statistics()["dispatch"]
        assert (statistics.crashes, statistics.poisoned, statistics.retries) == (2, 1, 1)


@pytest.mark.parametrize(
    ("limit", "crashes", "kind"), [(1, 1, WorkerCrashError), (None, 4, WorkerCrashError)]
)
def test_how_many_workers_a_batch_may_kill_is_an_option(limit: Any, crashes: int, kind: type) -> None:
    """One is no further attempt after a crash, None is no limit but that of the policy."""
    with Application(pools={"default": 1}):
        policy = Retry(max_attempts=4, backoff=0, then="skip")
        stream = dispatch.stream([7], executor=work.die_on_seven, on_error=policy, poison_after=limit)
        [item] = stream
        assert type(item.meta["error"]) is WorkerCrashError
        assert stream.statistics()["dispatch"].crashes == crashes


@pytest.mark.parametrize("value", [0, -1, True, "two", 1.5])
def test_a_wrong_number_of_kills_is_refused(value: Any) -> None:
    """An integer of at least 1, or None."""
    with pytest.raises(OptionError, match="option 'poison_after' is"):
        dispatch.run([1], executor=InlineExecutor(work.increment), poison_after=value)


def test_a_remote_error_is_retried_by_its_name(application: Application) -> None:
    """For classes that this process cannot import."""
    calls = []

    class Elsewhere(Executor):
        def submit(self, batch: Batch) -> None:
            calls.append(batch.attempt)
            batch.fail(RemoteError("torch.cuda.OutOfMemoryError", "no room", ""))

    policy = Retry(max_attempts=3, backoff=0, retry_on="torch.cuda.OutOfMemoryError", then="skip")
    dispatch.run([1], executor=Elsewhere(), on_error=policy)
    assert calls == [1, 2, 3]
    dispatch.run([1], executor=Elsewhere(), on_error=Retry(retry_on=("requests.Timeout",), then="skip"))
    assert calls == [1, 2, 3, 1]


def test_a_batch_that_cannot_be_pickled_is_tried_once() -> None:
    """The next attempt would end as this one did."""
    with Application(pools={"default": 1}):
        policy = Retry(max_attempts=5, backoff=0, then="skip")
        stream = dispatch.stream([threading.Lock()], executor=FunctionExecutor(work.echo), on_error=policy)
        [item] = stream
        assert type(item.meta["error"]).__name__ == "PayloadError"
        assert stream.statistics()["dispatch"].retries == 0
