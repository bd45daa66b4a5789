"""Items that have finally failed are handed over, each once."""

from __future__ import annotations

import logging
import queue
from typing import Any

import pytest

from slither_actors import (
    Application,
    InlineExecutor,
    Pipe,
    Retry,
    Route,
    Server,
    Store,
    Table,
    dispatch,
    run_pipe,
    workers,
)
from slither_actors.dispatch import DeadLetter
from slither_actors.errors import DispatchError, OptionError
from tests.dispatch import work
from tests.dispatch.manual import SECONDS, payloads


def fail_on_odd(batch: list[int]) -> list[int]:
    if any(value % 2 for value in batch):
        raise ValueError(f"odd: {batch}")
    return batch


ODD = InlineExecutor(fail_on_odd)


class Collector(Server):
    """Collects what it is informed of."""

    def init(self, found: queue.SimpleQueue[DeadLetter]) -> None:
        self.found = found

    def handle_info(self, message: Any) -> None:
        self.found.put(message)


class LetterStore(Store):
    letters: Table[int, DeadLetter] = Table()


@pytest.mark.usefixtures("application")
class TestDeadLetters:
    """With functions in this process."""

    def test_a_callable_gets_each_failed_item(self) -> None:
        """With its batch, its attempts and the error, as object and in words."""
        letters: list[DeadLetter] = []
        policy = Retry(max_attempts=2, backoff=0, then="skip")
        stream = dispatch.stream(
            range(4), executor=ODD, batch_size=1, on_error=policy, dead_letters=letters.append
        )
        assert payloads(stream) == [0, 1, 2, 3]
        assert [letter.item.payload for letter in letters] == [1, 3]
        letter = letters[0]
        assert isinstance(letter.error, ValueError)
        assert (letter.kind, letter.text) == ("ValueError", "odd: [1]")
        assert (letter.batch, letter.attempts) == ("batch 1 of dispatch, attempt 2", 2)
        statistics = stream.statistics()["dispatch"]
        assert (statistics.dead_letters, statistics.dead_letters_lost) == (2, 0)

    def test_an_actor_is_informed(self) -> None:
        """By `handle_info`."""
        found: queue.SimpleQueue[DeadLetter] = queue.SimpleQueue()
        collector = Collector.start(found)
        dispatch.run([1, 2], executor=ODD, batch_size=1, on_error="skip", dead_letters=collector)
        assert found.get(timeout=SECONDS).item.payload == 1
        collector.stop()
        assert found.empty()

    def test_a_run_that_halts_hands_over_what_failed(self) -> None:
        """Not what was never tried."""
        letters: list[DeadLetter] = []
        with pytest.raises(DispatchError):
            dispatch.run(range(10), executor=ODD, batch_size=1, dead_letters=letters.append)
        assert [letter.item.payload for letter in letters] == [1]

    def test_what_a_route_takes_is_not_dead(self) -> None:
        """The policy's function has it; what it does not take is."""
        letters: list[DeadLetter] = []
        routed = Route(lambda item, error: item.put_route("failed"))
        dispatch.run([1, 2], executor=ODD, on_error=routed, dead_letters=letters.append)
        assert letters == []
        broken = Route(lambda item, error: 1 / 0)  # type: ignore[arg-type, return-value]
        with pytest.raises(DispatchError):
            dispatch.run([1, 2], executor=ODD, on_error=broken, dead_letters=letters.append)
        assert [letter.kind for letter in letters] == ["ZeroDivisionError"] * 2

    @pytest.mark.parametrize("error", [ValueError, SystemExit])
    def test_a_receiver_that_raises_harms_nobody(
        self, error: type[BaseException], caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is logged once and counted."""

        def receive(letter: DeadLetter) -> None:
            raise error("not today")

        with caplog.at_level(logging.ERROR, "slither_actors.dispatch"):
            stream = dispatch.stream(
                range(6), executor=ODD, batch_size=1, on_error="skip", dead_letters=receive
            )
            assert payloads(stream) == list(range(6))
        assert stream.statistics()["dispatch"].dead_letters_lost == 3
        assert sum("did not take the dead letter" in record.getMessage() for record in caplog.records) == 1

    def test_an_actor_that_has_ended_takes_nothing(self) -> None:
        """Its letters count as lost."""
        collector = Collector.start(queue.SimpleQueue())
        collector.stop()
        stream = dispatch.stream([1], executor=ODD, on_error="skip", dead_letters=collector)
        assert payloads(stream) == [1]
        assert stream.statistics()["dispatch"].dead_letters_lost == 1

    @pytest.mark.parametrize("value", [3, "errors", Collector, [], {}])
    def test_a_wrong_receiver_is_refused(self, value: Any) -> None:
        """Allowed are a ref, a table and a callable."""
        with pytest.raises(OptionError, match="option 'dead_letters' is .*allowed are the ref"):
            dispatch.run([1], executor=ODD, dead_letters=value)


def test_a_table_keeps_them_by_the_items_id() -> None:
    """For a later look, or another run."""
    with Application(pools={}, stores=[LetterStore]):
        found = dispatch.run(
            [1, 2], executor=ODD, batch_size=1, on_error="skip", dead_letters=LetterStore.letters
        )
        letter = LetterStore.letters.fetch(found[0].id)
        assert letter.item.payload == 1
        assert letter.kind == "ValueError"


def test_a_worker_stage_of_a_pipe_has_them_too() -> None:
    """Named by pipe and stage; the error is that of the worker."""
    letters: list[DeadLetter] = []

    class Failing(Pipe):
        work = workers(work.fail_on_seven, batch_size=1, on_error="skip", dead_letters=letters.append)

    with Application(pools={"default": 1}):
        outputs = run_pipe(Failing, range(10))
    assert len(outputs["default"]) == 9
    [letter] = letters
    assert (letter.item.payload, letter.batch, letter.kind) == (7, "batch 7 of Failing.work", "ValueError")
    assert outputs.statistics["work"].dead_letters == 1
