"""Handlers that are coroutines: they run in the event loop, and the stage goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import Crash, Failure, Ref, Request
from slither_actors.errors import ActorExitError, MailboxFullError, OptionError, StartError
from slither_actors.stages import (
    Consumer,
    Producer,
    ProducerConsumer,
    Subscription,
    ask,
    cancel,
    sync_subscribe,
)
from slither_actors.stages._loop import shared
from tests.stages.gates import Gate
from tests.stages.probes import (
    SECONDS,
    Middle,
    Noting,
    Silent,
    Sink,
    Source,
    ended,
    inside,
    seen,
    settle,
    until,
)


class AsyncMiddle(Middle):
    """Waits at its gate, under the first event of the chunk as its name, and passes the events on."""

    gate: Gate

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> Sequence[Any]:  # type: ignore[override]
        self.batches.append(list(events))
        await self.gate.wait(events[0])
        return events


class AsyncSink(Sink):
    gate: Gate

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        await self.gate.wait(events[0])
        self.batches.append(list(events))
        self.count += len(events)


class AsyncSource(Source):
    gate: Gate

    async def handle_demand(self, demand: int) -> range:  # type: ignore[override]
        await self.gate.wait(demand)
        return super().handle_demand(demand)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def dead_events(ref: Ref) -> list[Any]:
    events: list[Any] = ref._cell.actor.events
    return events


# -- one at a time ------------------------------------------------------------------


def test_coroutines_handle_every_event_in_order(gate: Gate) -> None:
    """A chain of which every stage is one."""
    gate.open()
    source, middle, sink = (
        AsyncSource.start(500, gate=gate),
        AsyncMiddle.start(gate=gate),
        AsyncSink.start(gate=gate),
    )
    sync_subscribe(sink, to=middle, max_demand=7)
    sync_subscribe(middle, to=source, max_demand=20)
    assert ended(sink) == "normal"
    assert dead_events(sink) == list(range(500))


def test_a_stage_is_open_while_its_coroutine_runs(gate: Gate) -> None:
    """Requests, infos and new subscriptions are served."""
    source, sink = Silent.start(), AsyncSink.start(gate=gate)
    sync_subscribe(sink, to=source)
    inside(source, lambda s: s.emit([1, 2]))
    gate.await_waiting(1)
    assert inside(sink, lambda s: s.count) == 0
    sync_subscribe(sink, to=Silent.start())
    assert seen(sink, "joined") == ["producer", "producer"]
    gate.open()


def test_the_ask_goes_out_when_the_chunk_is_done_and_dispatched(gate: Gate) -> None:
    """So there are never more than `max_demand` outstanding."""
    source, middle, sink = Source.start(1000), AsyncMiddle.start(gate=gate), Sink.start()
    sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=10, min_demand=5)
    gate.await_waiting(0)
    settle(source, middle)
    assert seen(source, "demands") == [10]
    gate.open(0)
    gate.await_waiting(5)
    settle(source, middle, sink)
    assert seen(source, "demands") == [10, 5]
    assert inside(sink, lambda s: s.events) == [0, 1, 2, 3, 4]
    assert inside(middle, lambda s: sum(len(e) for _, e, _ in s._waiting)) == 5
    gate.open()


def test_a_producer_consumer_starts_coroutines_only_while_there_is_demand(gate: Gate) -> None:
    """As it does with functions."""
    source, middle, sink = Source.start(1000), AsyncMiddle.start(gate=gate), Sink.start(mode="manual")
    gate.open()
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=2)
    settle(source, middle, sink)
    assert seen(middle, "batches") == []
    ask(subscription, 1)
    until(lambda: inside(sink, lambda s: s.events) == [0])
    assert seen(middle, "batches") == [[0]]


def test_demand_that_comes_while_the_coroutine_runs_is_met_by_the_next(gate: Gate) -> None:
    """Together, in one call."""
    source, sink = AsyncSource.start(100, gate=gate), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 3)
    gate.await_waiting(3)
    ask(subscription, 4)
    ask(subscription, 5)
    settle(sink, source)
    gate.open(3)
    gate.await_waiting(9)
    gate.open()
    until(lambda: inside(sink, lambda s: s.events) == list(range(12)))
    assert seen(source, "demands") == [3, 9]


def test_the_end_of_a_producer_waits_behind_what_still_runs(gate: Gate) -> None:
    """`handle_cancel` comes after the last chunk is done."""
    source, sink = Silent.start(), AsyncSink.start(gate=gate, max_concurrency=5)
    sync_subscribe(sink, to=source)
    inside(source, lambda s: s.emit([1, 2]))
    gate.await_waiting(1)
    source.stop()
    settle(sink)
    assert seen(sink, "left") == []
    gate.open()
    assert ended(sink) == "normal"
    assert dead_events(sink) == [1, 2]
    assert seen(sink, "left") == [("down", "normal")]


# -- many at a time -----------------------------------------------------------------


def spread(gate: Gate, **options: Any) -> tuple[Ref, Ref, Ref]:
    source, sink = Silent.start(), Sink.start()
    middle = AsyncMiddle.start(gate=gate, **options)
    sync_subscribe(sink, to=middle, cancel="temporary")
    sync_subscribe(middle, to=source, max_demand=100, min_demand=90)
    inside(source, lambda s: s.emit(range(50)))
    return source, middle, sink


def test_as_many_run_as_the_stage_allows(gate: Gate) -> None:
    """The rest of the list waits."""
    _, _, sink = spread(gate, max_concurrency=3)
    gate.await_waiting(0, 10, 20)
    gate.open()
    until(lambda: inside(sink, lambda s: s.events) == list(range(50)))


def test_results_are_emitted_in_the_order_of_the_input(gate: Gate) -> None:
    """A later one that is done waits, keeps its place and has not asked."""
    _, middle, sink = spread(gate, max_concurrency=3)
    gate.await_waiting(0, 10, 20)
    gate.open(20, 10)
    gate.await_waiting(0)
    settle(middle, sink)
    assert inside(sink, lambda s: s.events) == []
    gate.open(0)
    gate.await_waiting(30, 40)
    until(lambda: inside(sink, lambda s: s.events) == list(range(30)))
    gate.open()


def test_results_are_emitted_as_they_come_if_the_stage_says_so(gate: Gate) -> None:
    """``ordered=False``."""
    _, _, sink = spread(gate, max_concurrency=3, ordered=False)
    gate.await_waiting(0, 10, 20)
    gate.open(20)
    gate.await_waiting(0, 10, 30)
    until(lambda: inside(sink, lambda s: s.events) == list(range(20, 30)))
    gate.open()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_concurrency", 0),
        ("ordered", 1),
        ("cancel_timeout", -1),
        ("max_concurrency", True),
        ("cancel_timeout", True),
        ("cancel_timeout", float("nan")),
    ],  # fmt: skip
)
def test_a_wrong_option_fails_the_start(gate: Gate, option: str, value: Any) -> None:
    """With its name and what is allowed."""
    with pytest.raises(StartError) as raised:
        AsyncSink.start(gate=gate, **{option: value})
    assert isinstance(raised.value.__cause__, OptionError)
    assert option in str(raised.value.__cause__)


# -- messages -----------------------------------------------------------------------


class Slowly(Consumer):
    """Handles its messages in coroutines, which wait for the test."""

    def init(self, gate: Gate) -> None:
        self.gate = gate
        self.done: list[Any] = []

    async def handle_cast(self, message: Any) -> None:  # type: ignore[override]
        await self.gate.wait(message)
        self.done.append(message)
        if message == "itself":
            for number in range(4):
                self.ref.cast(number)


@pytest.mark.parametrize("policy", ["raise", "drop_new", "drop_old", "block"])
def test_messages_that_wait_for_their_coroutine_count_as_the_mailboxs(gate: Gate, policy: str) -> None:
    """The one at work does not, as in any other actor; what was taken out is not dropped."""
    kind = type("Bounded", (Slowly,), {"mailbox_size": 2, "mailbox_overflow": policy})
    ref = kind.start(gate)
    for number in range(3):
        ref.cast(number)
        settle(ref)
    gate.await_waiting(0)
    assert ref._cell.inbox.bounded == 2
    sender = threading.Thread(target=ref.cast, args=(3,))
    if policy == "raise":
        with pytest.raises(MailboxFullError):
            ref.cast(3)
    elif policy == "block":
        sender.start()
        assert not ref.join(0.05)
        assert sender.is_alive()
    else:
        ref.cast(3)
    settle(ref)
    assert ref._cell.inbox.bounded == 2
    gate.open()
    expected = 4 if policy == "block" else 3
    until(lambda: inside(ref, lambda stage: stage.done) == [*range(expected)])
    assert ref._cell.inbox.bounded == 0
    if policy == "block":
        sender.join(SECONDS)


def test_who_waits_for_room_behind_coroutines_hears_of_the_end(gate: Gate) -> None:
    """There is nothing in the mailbox whose leaving would tell."""
    kind = type("Bounded", (Slowly,), {"mailbox_size": 1, "mailbox_overflow": "block"})
    ref = kind.start(gate)
    ref.cast(0)
    gate.await_waiting(0)
    ref.cast(1)
    settle(ref)
    sender = threading.Thread(target=ref.cast, args=(2,))
    sender.start()
    assert not ref.join(0.05)
    ref.kill()
    sender.join(SECONDS)
    assert not sender.is_alive()


def test_a_coroutine_does_not_wait_for_room_in_its_own_mailbox(gate: Gate) -> None:
    """It would hold up the event loop, and with it itself: it gets an error, as a plain handler does."""
    kind = type("Bounded", (Slowly,), {"mailbox_size": 2, "mailbox_overflow": "block"})
    ref = kind.start(gate)
    ref.cast("itself")
    gate.await_waiting("itself")
    gate.open()
    assert isinstance(ended(ref).exception, MailboxFullError)


# -- async generators ---------------------------------------------------------------


class Stream(Noting, Producer):
    handle_cancel = Noting.handle_cancel

    def init(self, limit: int, **options: Any) -> None:
        self.limit = limit
        self.pulled = 0
        self.demands: list[int] = []
        self.closed = threading.Event()
        self.note(options)

    async def handle_demand(self, demand: int) -> AsyncIterator[int]:
        self.demands.append(demand)
        try:
            for n in range(self.limit):
                await asyncio.sleep(0)
                self.pulled += 1
                yield n
        finally:
            self.closed.set()


class StreamMiddle(Middle):
    copies = 3

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> AsyncIterator[Any]:  # type: ignore[override]
        self.batches.append(list(events))
        for event in events:
            for _ in range(self.copies):
                await asyncio.sleep(0)
                yield event


def test_an_async_generator_is_pulled_as_far_as_there_is_demand() -> None:
    """And goes on there."""
    source, sink = Stream.start(100), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 3)
    until(lambda: inside(sink, lambda s: s.events) == [0, 1, 2])
    ask(subscription, 2)
    until(lambda: inside(sink, lambda s: s.events) == [0, 1, 2, 3, 4])
    settle(source, sink)
    assert (seen(source, "pulled"), seen(source, "demands")) == (5, [3])


def test_demand_that_an_async_generator_does_not_meet_goes_to_the_next_call() -> None:
    """As with a plain one."""
    source, sink = Stream.start(4), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=source)
    ask(subscription, 3)
    until(lambda: inside(sink, lambda s: s.count) == 3)
    ask(subscription, 5)
    until(lambda: inside(sink, lambda s: s.count) == 8)
    assert seen(source, "demands") == [3, 4]
    assert inside(sink, lambda s: s.events) == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("max_demand", [1, 3, 50])
@pytest.mark.parametrize("options", [{}, {"max_concurrency": 4}, {"max_concurrency": 4, "ordered": False}])
def test_an_async_generator_in_the_middle(max_demand: int, options: Any) -> None:
    """Every event, in order if so wanted."""
    source, middle, sink = Source.start(100), StreamMiddle.start(**options), Sink.start()
    sync_subscribe(sink, to=middle, max_demand=max_demand)
    sync_subscribe(middle, to=source, max_demand=20, min_demand=17)
    assert ended(sink) == "normal"
    events, expected = dead_events(sink), [n for n in range(100) for _ in range(3)]
    assert sorted(events) == expected
    if options.get("ordered", True):
        assert events == expected


def ahead(stage: Any) -> list[int]:
    """How many events each of the async generators that run has yielded before its turn."""
    return [len(job.basket) for job in stage._lane._jobs.values()]


def test_async_generators_that_wait_for_their_turn_are_one_event_ahead() -> None:
    """They have begun, and no more piles up, whatever the first one does."""
    source, middle, sink = Silent.start(), StreamMiddle.start(max_concurrency=3), Sink.start(mode="manual")
    subscription = sync_subscribe(sink, to=middle)
    sync_subscribe(middle, to=source, max_demand=10, min_demand=9)
    inside(source, lambda s: s.emit(range(5)))
    ask(subscription, 2)
    until(lambda: inside(sink, lambda s: s.events) == [0, 0])
    settle(middle, sink)
    assert seen(middle, "batches") == [[0], [1], [2]]
    assert inside(middle, ahead) == [0, 1, 1]
    ask(subscription, 2)
    until(lambda: inside(sink, lambda s: s.events) == [0, 0, 0, 1])
    # What it was ahead counts: it is not pulled further now that it is the first.
    until(lambda: inside(middle, ahead) == [0, 1])
    assert shared.loop is not None
    for _ in range(10):
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), shared.loop).result(SECONDS)
    assert inside(middle, ahead) == [0, 1]
    assert inside(middle, lambda s: s._buffer.length) == 0
    ask(subscription, 100)
    until(lambda: inside(sink, lambda s: s.events) == [n for n in range(5) for _ in range(3)])


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_async_generator_is_closed_when_its_stage_ends(end: str) -> None:
    """In the event loop."""
    source, sink = Stream.start(100), Sink.start(mode="manual")
    closed = seen(source, "closed")
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    ask(subscription, 3)
    until(lambda: inside(sink, lambda s: s.count) == 3)
    getattr(source, end)()
    ended(source)
    # The end of a stage that was killed is seen at once, by whoever asks.
    assert closed.wait(SECONDS if end == "kill" else 0)


# -- what a coroutine may do -----------------------------------------------------------


def test_emit_complete_and_stop_work_in_a_coroutine() -> None:
    """`complete` counts after what the coroutine returns, `emit` before."""

    class Last(Producer):
        async def handle_demand(self, demand: int) -> list[int]:  # type: ignore[override]
            self.complete()
            self.emit([1])
            await asyncio.sleep(0)
            self.emit([2])
            return [3]

    class Enough(Sink):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            self.batches.append(list(events))
            if 2 in events:
                self.stop("enough")

    source, sink = Last.start(), Sink.start()
    sync_subscribe(sink, to=source)
    assert ended(sink) == "normal"
    assert dead_events(sink) == [1, 2, 3]
    source, sink = Last.start(), Enough.start()
    sync_subscribe(sink, to=source)
    assert ended(sink) == "enough"


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


@pytest.mark.parametrize("own_thread", [False, True])
def test_coroutines_see_the_context_in_which_the_stage_was_started(own_thread: bool) -> None:
    """Each a copy of it."""
    seen_values: list[str] = []

    class Looking(Sink):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            seen_values.append(variable.get())
            variable.set("changed")
            self.got.set()

    Looking.own_thread = own_thread
    token = variable.set("starter's")
    sink = Looking.start()
    variable.reset(token)
    got, source = seen(sink, "got"), Silent.start()
    sync_subscribe(sink, to=source)
    for _ in range(2):
        got.clear()
        inside(source, lambda s: s.emit([1]))
        assert got.wait(SECONDS)
    assert seen_values == ["starter's", "starter's"]


class Serving(Consumer):
    """All that may be async, is."""

    async def init(self, gate: Gate) -> None:
        await asyncio.sleep(0)
        self.gate = gate
        self.seen: list[Any] = []
        self.loop = asyncio.get_running_loop()

    async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
        await self.gate.wait(events[0])
        self.seen += events

    async def handle_call(self, request: Any, sender: Request) -> Any:
        await self.gate.wait(request)
        if isinstance(request, Exception):
            return Failure(request)
        return (request, len(self.seen))

    async def handle_cast(self, message: Any) -> None:
        await self.gate.wait(message)
        self.seen.append(message)

    async def handle_info(self, message: Any) -> None:
        await asyncio.sleep(0)
        self.seen.append(message)

    async def terminate(self, reason: Any) -> None:
        await asyncio.sleep(0)
        self.seen.append(("terminate", reason, self.loop is asyncio.get_running_loop()))


def test_messages_are_handled_one_at_a_time_in_order(gate: Gate) -> None:
    """Those of coroutines wait for each other; events and plain callbacks do not wait for them."""
    stage, source = Serving.start(gate), Silent.start()
    sync_subscribe(stage, to=source)
    stage.cast("slow")
    stage.info("later")
    gate.await_waiting("slow")
    inside(source, lambda s: s.emit([7]))
    gate.await_waiting("slow", 7)
    gate.open(7)
    gate.await_waiting("slow")
    until(lambda: seen(stage, "seen") == [7])
    gate.open()
    assert stage.call("how many?") == ("how many?", 3)
    with pytest.raises(LookupError):
        stage.call(LookupError())
    stage.stop("normal")
    assert seen(stage, "seen") == [7, "slow", "later", ("terminate", "normal", True)]


def test_async_callbacks_call_those_of_their_base_class(gate: Gate) -> None:
    """With ``await super()...``, as everywhere."""

    class Above(Serving):
        async def init(self, gate: Gate) -> None:
            await super().init(gate)
            self.seen.append("above")

        async def handle_call(self, request: Any, sender: Request) -> Any:
            return ("above", await super().handle_call(request, sender))

    gate.open()
    assert Above.start(gate).call(1) == ("above", (1, 1))


def test_a_call_whose_coroutine_crashes_the_stage_tells_the_caller(gate: Gate) -> None:
    """As a handler that raises."""

    class Broken(Serving):
        async def handle_call(self, request: Any, sender: Request) -> Any:
            await asyncio.sleep(0)
            raise LookupError(request)

    stage = Broken.start(gate)
    with pytest.raises(ActorExitError, match="LookupError"):
        stage.call("nothing")


def test_an_init_that_raises_fails_the_start() -> None:
    """With the exception as the cause."""

    class Broken(Consumer):
        async def init(self) -> None:
            await asyncio.sleep(0)
            raise LookupError("nothing here")

        def handle_events(self, events: Sequence[Any], source: Subscription) -> None: ...

    with pytest.raises(StartError) as raised:
        Broken.start()
    assert isinstance(raised.value.__cause__, LookupError)


def test_a_coroutine_that_starts_a_stage_with_an_async_init_is_told_how() -> None:
    """It would wait for itself."""
    errors: list[BaseException] = []

    class Nested(Sink):
        async def handle_events(self, events: Sequence[Any], source: Subscription) -> None:
            try:
                Serving.start(Gate())
            except StartError as error:
                errors.append(error)
            self.got.set()

    sink, source = Nested.start(), Silent.start()
    sync_subscribe(sink, to=source)
    got = seen(sink, "got")
    inside(source, lambda s: s.emit([1]))
    assert got.wait(SECONDS)
    assert "asyncio.to_thread" in str(errors[0].__cause__)


# -- definitions -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["handle_subscribe", "handle_cancel", "handle_continue", "format_discarded"])
def test_what_must_answer_at_once_may_not_be_async(name: str) -> None:
    """An error at the definition, which says what may be."""

    async def callback(self: Any, *args: Any) -> None: ...

    with pytest.raises(
        TypeError, match=rf"Wrong\.{name} is `async def`.* may be async: handle_events, init,"
    ):
        type("Wrong", (ProducerConsumer,), {name: callback})


@pytest.mark.parametrize("base", [Consumer, Producer])
def test_other_callbacks_may_not_be_generators(base: type) -> None:
    """They would never run."""

    def callback(self: Any, message: Any) -> Any:
        yield message

    with pytest.raises(TypeError, match=r"Wrong\.handle_cast is a generator"):
        type("Wrong", (base,), {"handle_cast": callback})


def test_a_plain_handler_that_returns_a_coroutine_crashes_with_a_hint() -> None:
    """It is closed, so nobody warns that it was never awaited."""

    async def later(events: Any) -> Any: ...

    class Mistaken(ProducerConsumer):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> Any:
            return later(events)

    middle, source = Mistaken.start(), Source.start(10)
    sync_subscribe(Sink.start(), to=middle, cancel="temporary")
    sync_subscribe(middle, to=source)
    reason = ended(middle)
    assert isinstance(reason, Crash)
    assert "Mistaken.handle_events is no `async def` but returned <coroutine" in str(reason)


def test_a_subclass_may_go_back_to_a_plain_handler(gate: Gate) -> None:
    """The kind is that of the class that is started."""

    class Plain(AsyncSink):
        def handle_events(self, events: Sequence[Any], source: Subscription) -> None:  # type: ignore[override]
            self.batches.append(list(events))

    source, sink = Source.start(10), Plain.start(gate=gate)
    sync_subscribe(sink, to=source)
    assert ended(sink) == "normal"
    assert dead_events(sink) == list(range(10))


def test_cancel_is_served_while_coroutines_run(gate: Gate) -> None:
    """The consumer's end of the subscription follows behind them."""
    source, sink = Silent.start(), AsyncSink.start(gate=gate)
    subscription = sync_subscribe(sink, to=source, cancel="temporary")
    inside(source, lambda s: s.emit([1]))
    gate.await_waiting(1)
    cancel(subscription)
    settle(source, sink)
    assert seen(source, "left") == [("cancel", "normal")]
    assert seen(sink, "left") == []
    gate.open()
    until(lambda: seen(sink, "left") == [("cancel", "normal")])
    assert inside(sink, lambda s: s.events) == [1]
