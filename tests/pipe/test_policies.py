"""What a failure does: skip, halt, retry, route, per stage and for all."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from slither_actors import (
    Fail,
    InlineExecutor,
    Item,
    Many,
    Pipe,
    PipeError,
    Retry,
    Route,
    Skip,
    Stage,
    router,
    run_pipe,
    stage,
    telemetry,
    workers,
)


def payloads(items: Any) -> Any:
    return [item.payload for item in items]


class Flaky:
    """Fails each payload as often as it is told to, and keeps the order of the attempts."""

    def __init__(self, **failures: Any) -> None:
        self.failures = {int(name[1:]): count for name, count in failures.items()}
        self.attempts = []

    def __call__(self, item: Any) -> Any:
        self.attempts.append(item.payload)
        if self.failures.get(item.payload, 0):
            self.failures[item.payload] -= 1
            raise ConnectionError(f"no {item.payload}")
        return item.payload

    def batch(self, items: Any) -> Any:
        for item in items:
            if self.failures.get(item.payload, 0):
                self.failures[item.payload] -= 1
                self.attempts.append(payloads(items))
                raise ConnectionError(f"no {item.payload}")
        self.attempts.append(payloads(items))
        return payloads(items)


def raising(error: Any) -> Any:
    def handler(item: Any) -> None:
        raise error

    return handler


# -- skip ---------------------------------------------------------------------------


def test_skip_drops_what_failed_and_goes_on() -> None:
    """It is counted, by the type of the exception, and the last one is told."""

    class P(Pipe):
        work = stage(lambda item: 10 // item.payload, on_error="skip")

    found = run_pipe(P, [Item(1, 1), Item(2, 0), Item(3, 5), Item(4, "x")])
    assert payloads(found["default"]) == [10, 2]
    statistics = found.statistics["work"]
    assert (statistics.skipped, statistics.failed) == (2, 0)
    assert statistics.errors == {"ZeroDivisionError": 1, "TypeError": 1}
    assert statistics.last_error.startswith("item 4 of P.work: TypeError: unsupported operand")


def test_skipped_failures_are_logged_once_per_stage_at_the_end(caplog: Any) -> None:
    """Nothing is swallowed and nothing floods: one line for a thousand failures."""

    class P(Pipe):
        on_error = "skip"
        first = stage(lambda item: 10 // (item.payload % 2))
        second = stage(raising(KeyError("gone")))

    with caplog.at_level(logging.WARNING, "slither_actors.pipe"):
        run_pipe(P, range(1000))
    first, second = sorted(record.getMessage() for record in caplog.records)
    assert first.startswith("P.first skipped 500 failed items: ZeroDivisionError x 500; the last: item ")
    assert second.startswith("P.second skipped 500 failed items: KeyError x 500; the last: item ")


def test_an_intended_skip_is_counted_and_not_logged(caplog: Any) -> None:
    """It is no failure."""

    class P(Pipe):
        work = stage(lambda item: Skip("odd") if item.payload % 2 else item.payload)

    found = run_pipe(P, range(10))
    assert found.statistics["work"].skipped == 5
    assert found.statistics["work"].errors == {}
    assert caplog.records == []


def test_skipped_items_reach_telemetry() -> None:
    """With the stage's end, with all of its counts."""
    told = []

    class P(Pipe):
        work = stage(raising(ValueError("x")), on_error="skip")

    def note(event: Any, sender: Any, measurements: Any, metadata: Any) -> None:
        told.append((sender, measurements["skipped"], metadata))

    with telemetry.attach(telemetry.PIPE_STAGE_STOP, note):
        run_pipe(P, range(7))
    assert told == [(P, 7, {"pipe": "P", "stage": "work", "type": "function"})]


def test_a_sys_exit_in_a_handler_is_a_failure_of_its_item() -> None:
    """It must not take the stage down."""

    class P(Pipe):
        work = stage(raising(SystemExit(3)), on_error="skip")

    assert run_pipe(P, [1]).statistics["work"].errors == {"SystemExit": 1}


# -- halt ---------------------------------------------------------------------------


def test_halt_raises_with_what_precedes_the_item() -> None:
    """By output, with the reason, the stage, and the statistics."""
    error = ValueError("no")

    def break_at_700(item: Any) -> Any:
        if item.payload == 700:
            raise error
        return item.payload

    class P(Pipe):
        small = router(small=lambda item: item.payload < 100)
        work = stage(break_at_700)
        more = stage(lambda item: -item.payload)

    with pytest.raises(PipeError, match=r"pipe P.work halted: ValueError: no") as caught:
        run_pipe(P, range(1000))
    raised = caught.value
    assert raised.reason is error
    assert raised.__cause__ is error
    assert (raised.pipe, raised.stage) == ("P", "work")
    assert payloads(raised.partial_results["small"]) == list(range(100))
    assert payloads(raised.partial_results["default"]) == [-n for n in range(100, 700)]
    assert raised.partial_results.statistics["work"].failed >= 1


def test_an_input_that_raises_halts_the_run() -> None:
    """With what it had given before."""

    def numbers() -> Iterator[Any]:
        yield from range(300)
        raise OSError("disk gone")

    class P(Pipe):
        work = stage(lambda item: item.payload)

    with pytest.raises(PipeError, match="OSError: disk gone") as caught:
        run_pipe(P, numbers())
    assert payloads(caught.value.partial_results["default"]) == list(range(300))


def test_a_worker_stage_that_halts_names_itself() -> None:
    """The batches before it are out."""

    class P(Pipe):
        prepare = stage(lambda item: item.payload)
        work = workers(InlineExecutor(lambda found: [10 // n for n in found]), batch_size=2)
        after = stage(lambda item: item.payload)

    with pytest.raises(PipeError, match="ZeroDivisionError") as caught:
        run_pipe(P, [1, 2, 5, 10, 0, 1, 2])
    assert caught.value.stage == "work"
    assert payloads(caught.value.partial_results["default"]) == [10, 5, 2, 1]


# -- retry ---------------------------------------------------------------------------


def test_retry_tries_an_item_again_and_keeps_the_order() -> None:
    """What is behind it waits."""
    flaky = Flaky(n2=2)

    class P(Pipe):
        work = stage(flaky, on_error=Retry(max_attempts=3, backoff=0.001))

    found = run_pipe(P, [1, 2, 3])
    assert payloads(found["default"]) == [1, 2, 3]
    assert flaky.attempts == [1, 2, 2, 2, 3]
    assert found.statistics["work"].retries == 2


def test_each_item_has_all_of_its_attempts() -> None:
    """Those of the item before it do not count."""
    flaky = Flaky(n1=2, n2=2, n3=2)

    class P(Pipe):
        work = stage(flaky, on_error=Retry(max_attempts=3, backoff=0))

    assert payloads(run_pipe(P, [1, 2, 3])["default"]) == [1, 2, 3]
    assert flaky.attempts == [1, 1, 1, 2, 2, 2, 3, 3, 3]


@pytest.mark.parametrize(
    "then",
    ["skip", "halt", pytest.param(Route(lambda item, error: item.put_route("bad")), id="route")],
)
def test_retry_ends_in_its_then_policy(then: Any) -> None:
    """After the attempts that it has, for items that arrive together as well."""
    flaky = Flaky(n2=99)

    class P(Pipe):
        outputs = ("bad",)
        gather = stage(lambda item: Many(item.payload))
        work = stage(flaky, on_error=Retry(max_attempts=2, backoff=0, then=then))

    if then == "halt":
        with pytest.raises(PipeError, match="ConnectionError: no 2") as caught:
            run_pipe(P, [[1, 2, 3]])
        assert payloads(caught.value.partial_results["default"]) == [1]
        assert caught.value.partial_results.statistics["work"].failed == 2
    else:
        found = run_pipe(P, [[1, 2, 3]])
        assert payloads(found["default"]) == [1, 3]
        assert payloads(found["bad"]) == ([] if then == "skip" else [2])
    assert flaky.attempts[:3] == [1, 2, 2]


def test_a_batch_is_retried_as_a_whole() -> None:
    """It is what failed."""
    flaky = Flaky(n2=1)

    class P(Pipe):
        gather = stage(lambda item: Many(item.payload))
        work = stage(flaky.batch, batch=True, on_error=Retry(backoff=0))

    assert payloads(run_pipe(P, [[1, 2, 3]])["default"]) == [1, 2, 3]
    assert flaky.attempts == [[1, 2, 3], [1, 2, 3]]


def test_an_item_that_failed_in_a_batch_is_retried_alone() -> None:
    """The results of the others are kept, and the order."""
    calls = []

    def alone(items: Any) -> Any:
        calls.append(payloads(items))
        return [Fail("busy") if item.payload == 2 and len(items) > 1 else item.payload for item in items]

    class P(Pipe):
        gather = stage(lambda item: Many(item.payload))
        work = stage(alone, batch=True, on_error=Retry(backoff=0))

    assert payloads(run_pipe(P, [[1, 2, 3]])["default"]) == [1, 2, 3]
    assert calls == [[1, 2, 3], [2]]


def test_the_wait_before_an_attempt_blocks_nobody_else() -> None:
    """It is a timer, not a sleep: the stage answers meanwhile, and other runs go on."""

    class Slow(Pipe):
        work = stage(Flaky(n1=1), on_error=Retry(backoff=0.2, jitter=0))

    class Quick(Pipe):
        work = stage(lambda item: item.payload)

    began = time.monotonic()
    with_quick = stage_stream(Slow)
    assert payloads(run_pipe(Quick, range(100))["default"]) == list(range(100))
    assert time.monotonic() - began < 0.2
    assert payloads(with_quick) == [1]
    assert time.monotonic() - began >= 0.2


def stage_stream(pipe: Any) -> Any:
    """Start a run over one item in a thread, and return what will be its output."""
    import threading

    found = []
    thread = threading.Thread(target=lambda: found.extend(run_pipe(pipe, [1])["default"]))
    thread.start()

    class Later:
        def __iter__(self) -> Any:
            thread.join()
            return iter(found)

    return Later()


# -- route ---------------------------------------------------------------------------


def test_a_route_policy_sends_failed_items_to_an_output() -> None:
    """Its function gets the item and the reason; what it returns leaves at once."""
    seen = []

    def mark(item: Any, error: Any) -> Any:
        seen.append(type(error))
        return item.put_meta({"error": str(error)}).put_route("bad")

    class P(Pipe):
        outputs = ("bad",)
        work = stage(lambda item: 10 // item.payload, on_error=Route(mark))
        after = stage(lambda item: item.payload * 100)

    found = run_pipe(P, [1, 0, 5])
    assert payloads(found["default"]) == [1000, 200]
    assert payloads(found["bad"]) == [0]
    assert found["bad"][0].meta["error"] == "integer division or modulo by zero"
    assert seen == [ZeroDivisionError]
    assert found.statistics["work"].routed == 1


def test_a_route_policy_may_let_the_item_go_on() -> None:
    """With a substitute for its payload, in its place."""

    class P(Pipe):
        work = stage(
            lambda item: 10 // item.payload, on_error=Route(lambda item, _: item.update_payload(None))
        )
        after = stage(lambda item: [item.payload])

    assert payloads(run_pipe(P, [1, 0, 5])["default"]) == [[10], [None], [2]]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda item, error: item.put_route("nowhere"), "ItemError: .*'nowhere', which is no output"),
        (lambda item, error: None, "TypeError: the function of a Route policy returned None"),
        (lambda item, error: 1 // 0, "ZeroDivisionError"),
        (lambda item, error: sys.exit("so"), "SystemExit: so"),
    ],
    ids=["undeclared output", "no item", "raises", "exits"],
)
@pytest.mark.parametrize("kind", ["function", "batch", "workers"])
def test_a_route_policy_that_fails_halts_the_run(function: Any, message: Any, kind: Any) -> None:
    """There is no policy for it; the first failure is its cause."""

    def fail(items: Any) -> None:
        raise KeyError("first")

    class P(Pipe):
        on_error = Route(function)
        work = workers(InlineExecutor(fail)) if kind == "workers" else stage(fail, batch=kind == "batch")

    with pytest.raises(PipeError, match=message) as caught:
        run_pipe(P, [1, 2, 3])
    assert isinstance(caught.value.reason.__cause__, KeyError)
    assert caught.value.stage == "work"


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):  # noqa: N818
    number: int


@pytest.mark.parametrize("kind", ["function", "workers"])
def test_a_route_policy_may_raise_what_cannot_be_changed(kind: Any) -> None:
    """Its cause cannot be told then; all else is."""

    def fail(items: Any) -> None:
        raise KeyError("first")

    def refuse(item: Item, error: BaseException) -> Item:
        raise Frozen(7)

    class P(Pipe):
        on_error = Route(refuse)
        work = workers(InlineExecutor(fail)) if kind == "workers" else stage(fail)

    with pytest.raises(PipeError) as caught:
        run_pipe(P, [1, 2, 3])
    assert (caught.value.stage, caught.value.reason) == ("work", Frozen(7))


@pytest.mark.parametrize("kind", ["function", "batch", "workers"])
def test_a_route_policy_may_route_the_item_itself(kind: Any) -> None:
    """It leaves, as one that was made with the route does."""

    def fail(items: Any) -> None:
        raise KeyError("first")

    def route(item: Item, error: BaseException) -> Item:
        item.route = "bad"
        return item

    class P(Pipe):
        outputs = ("bad",)
        on_error = Route(route)
        work = workers(InlineExecutor(fail)) if kind == "workers" else stage(fail, batch=kind == "batch")
        then = stage(lambda item: item.payload)

    found = run_pipe(P, [1, 2, 3])
    assert {name: payloads(items) for name, items in found.items()} == {"default": [], "bad": [1, 2, 3]}


def test_a_worker_stage_routes_failed_items_past_the_later_stages() -> None:
    """As a function stage does."""

    class P(Pipe):
        outputs = ("bad",)
        work = workers(
            InlineExecutor(lambda found: [10 // n for n in found]),
            batch_size=1,
            on_error=Route(lambda item, error: item.put_route("bad")),
        )
        after = stage(lambda item: item.payload * 100)

    found = run_pipe(P, [1, 0, 5])
    assert (payloads(found["default"]), payloads(found["bad"])) == ([1000, 200], [0])


# -- which policy holds -----------------------------------------------------------------


def test_policies_hold_per_stage_and_for_all_others() -> None:
    """As in Slither's documents: skip the risky one, halt on all others."""

    class P(Pipe):
        on_error = {"risky": "skip", "*": "halt"}
        risky = stage(lambda item: 10 // item.payload)
        other = stage(lambda item: 10 // (item.payload - 5))

    assert payloads(run_pipe(P, [0, 1])["default"]) == [2]
    with pytest.raises(PipeError) as caught:
        run_pipe(P, [0, 1, 2])
    assert caught.value.stage == "other"


def test_a_class_stage_has_a_policy_too() -> None:
    """It is an option beside those of its init."""

    class Work(Stage):
        def init(self, divisor: Any) -> None:
            self.divisor = divisor

        def handle_item(self, item: Any, ctx: Any) -> Any:
            return self.divisor // item.payload

    class P(Pipe):
        work = stage(Work, divisor=10, on_error="skip")

    assert payloads(run_pipe(P, [0, 5])["default"]) == [2]


class TextlessError(Exception):
    """An exception as users write them by mistake."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def raise_without_text(item: Item) -> Any:
    if item.payload == 2:
        raise TextlessError
    return item.payload


def test_an_exception_without_a_text_is_skipped_as_any_other() -> None:
    """What its `__str__` raises harms nobody; the statistics have a note in its place."""

    class P(Pipe):
        work = stage(raise_without_text, on_error="skip")

    outputs = run_pipe(P, [1, 2, 3])
    assert payloads(outputs["default"]) == [1, 3]
    assert "whose text raised RuntimeError" in outputs.statistics["work"].last_error


def test_an_exception_without_a_text_halts_as_any_other() -> None:
    """The error names the stage and the type."""

    class P(Pipe):
        work = stage(raise_without_text)

    with pytest.raises(PipeError, match=r"P\.work halted: TextlessError") as caught:
        run_pipe(P, [1, 2, 3])
    assert isinstance(caught.value.reason, TextlessError)
