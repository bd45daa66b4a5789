"""The supervisor with a child per event: each line of what GenStage's does, and what is done otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from slither_actors.actors import (
    Backoff,
    ChildCounts,
    ChildSpec,
    Ignore,
    Ref,
    Server,
    Supervisor,
    Task,
    named,
    zombies,
)
from slither_actors.errors import ActorExitError, ChildError, OptionError, StartError
from slither_actors.stages import (
    ConsumerSupervisor,
    ConsumerSupervisorRef,
    Subscription,
    cancel,
    connected,
    drain,
    from_iterable,
    pause,
    resume,
    statistics,
    sync_subscribe,
)
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, crash, in_thread
from tests.stages.probes import Noting, Silent, ended, inside, seen, settle, until


class Job(Quiet):
    """The child of an event, which notes it and stays until it is told to end."""

    def init(self, log: Log, *events: Any) -> None:  # type: ignore[override]
        super().init(log)
        log.add((events, self.ref))


def emit(feed: Ref, *events: Any) -> None:
    inside(feed, lambda stage: stage.emit(events))


def jobs(log: Log, **options: Any) -> ChildSpec:
    return Job.child_spec(log, **{"restart": "temporary", **options})


def supervise(child: Any, *feeds: Ref, **options: Any) -> ConsumerSupervisorRef:
    """Start a supervisor and subscribe it to feeds; ``max_demand`` and the like are for these."""
    words = ("max_demand", "min_demand", "cancel")
    wanted = {word: options.pop(word) for word in words if word in options}
    supervisor = ConsumerSupervisor.start(child, **options)
    assert isinstance(supervisor, ConsumerSupervisorRef)
    for feed in feeds:
        sync_subscribe(supervisor, to=feed, **wanted)
    return supervisor


def demands(feed: Ref, supervisor: Ref) -> list[int]:
    """What the feed was asked for, once all messages under way have arrived."""
    settle(supervisor, feed)
    return list(seen(feed, "demands"))


def children(log: Log, count: int) -> list[Ref]:
    """Take as many children off the log, in the order of their starts."""
    return [ref for _, ref in log.take(count)]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def feed() -> Ref:
    return Silent.start()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()
    until(lambda: not zombies())


# -- the template ----------------------------------------------------------------------------


def test_each_event_has_a_child_that_gets_it_behind_the_arguments(log: Log, feed: Ref) -> None:
    """In the order of the events."""
    supervisor = supervise(Job.child_spec(log, "first", restart="temporary"), feed)
    emit(feed, 1, [2], None)
    started = log.take(3)
    assert [events for events, _ in started] == [("first", 1), ("first", [2]), ("first", None)]
    assert [info.ref for info in supervisor.which_children()] == [ref for _, ref in started[::-1]]


def test_the_options_may_be_those_of_a_class(log: Log, feed: Ref) -> None:
    """Or set in `init`, which then takes what it likes."""

    class Crew(ConsumerSupervisor):
        max_restarts = 7

        def init(self, label: str) -> None:  # type: ignore[override]
            self.child = Job.child_spec(log, label, restart="transient")
            self.subscribe_to = [{"to": feed, "max_demand": 4, "min_demand": 1}]

    crew = Crew.start("in init")
    emit(feed, 1)
    assert log.get()[0] == ("in init", 1)
    assert demands(feed, crew) == [4]


class Permanent(Server):
    """Its default spec is permanent."""


class Temporary(Quiet):
    """A class that says by itself how it is to be started."""

    @classmethod
    def child_spec(cls, *args: Any, **options: Any) -> ChildSpec:
        return super().child_spec(*args, **{"restart": "temporary", **options})


def test_a_class_will_do_that_says_how_to_start_it(feed: Ref) -> None:
    """As everywhere where a child spec is wanted."""
    assert supervise(Temporary, feed).is_alive()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'child' is None; allowed is one child spec"),
        ({"child": []}, r"'child' is \[\]; allowed is one child spec"),
        ({"child": [Temporary.child_spec()] * 2}, "allowed is one child spec"),
        ({"child": 3}, "'child' has 3; .*allowed is one child spec"),
        ({"child": Permanent}, "'Permanent' with restart='permanent', which would .* never make room"),
        ({"child": Permanent.child_spec()}, "allowed are 'temporary' .* and 'transient'"),
        ({"child": Temporary.child_spec(restart="transient", significant=True)}, "'significant' is True"),
        ({"child": Temporary, "strategy": "one_for_all"}, "'strategy' is 'one_for_all'; .*'one_for_one'"),
        ({"child": Temporary, "max_restarts": -1}, "'max_restarts'"),
        ({"child": Temporary, "max_seconds": 0}, "'max_seconds'"),
        ({"child": Temporary, "max_zombies": -1}, "'max_zombies'"),
        ({"child": Temporary, "subscribe_to": [3]}, "subscribe_to: option 'to' is 3"),
    ],
)
def test_a_wrong_option_fails_the_start(options: dict[str, Any], message: str) -> None:
    """And says what is allowed."""
    with pytest.raises((StartError, OptionError), match=f"ConsumerSupervisor.*{message}"):
        ConsumerSupervisor.start(**options)


def test_what_the_children_are_for_is_not_the_supervisors() -> None:
    """It is said when the class is defined, or for a subscription when it begins."""
    with pytest.raises(TypeError, match=r"Own has a handle_events.*ProducerConsumer in front"):
        type("Own", (ConsumerSupervisor,), {"handle_events": lambda self, events, source: None})

    async def init(self: Any) -> None:
        pass

    with pytest.raises(TypeError, match=r"Own is a supervisor.*async def"):
        type("Own", (ConsumerSupervisor,), {"init": init})


def test_nobody_else_asks(feed: Ref) -> None:
    """A subscription by hand would break the bound."""

    class ByHand(ConsumerSupervisor):
        child = Temporary

        def handle_subscribe(self, role: str, options: Any, source: Any) -> str:
            return "manual"

    with pytest.raises(StartError, match="returned 'manual' for a producer; allowed are None, 'automatic'"):
        ByHand.start(subscribe_to=[feed])


# -- demand ------------------------------------------------------------------------------------


def test_it_asks_for_all_at_the_start(log: Log, feed: Ref) -> None:
    """1000 as every consumer, if nothing else is said."""
    supervisor = supervise(jobs(log), feed)
    assert demands(feed, supervisor) == [1000]


def test_it_asks_for_those_that_have_finished_once_they_are_enough(log: Log, feed: Ref) -> None:
    """`min_demand` is a number of finished children: with 10 and 9, nine of ten may be gone."""
    supervisor = supervise(jobs(log), feed, max_demand=10, min_demand=9)
    emit(feed, *range(10))
    running = children(log, 10)
    for ref in running[:8]:
        ref.stop()
    assert demands(feed, supervisor) == [10]
    running[8].stop()
    assert demands(feed, supervisor) == [10, 9]
    assert supervisor.count_children().active == 1


@pytest.mark.parametrize("least", [0, 1])
def test_with_a_low_minimum_it_asks_for_each(least: int, log: Log, feed: Ref) -> None:
    """Zero and one are the same."""
    supervisor = supervise(jobs(log), feed, max_demand=2, min_demand=least)
    emit(feed, 1, 2)
    for number, ref in enumerate(children(log, 2), 1):
        ref.stop()
        assert demands(feed, supervisor) == [2] + [1] * number


def test_an_end_of_any_kind_is_one_of_a_temporary_child(log: Log, feed: Ref) -> None:
    """Normal, crashed, killed."""
    supervisor = supervise(jobs(log), feed, max_demand=3, min_demand=3 - 1)
    emit(feed, 1, 2, 3)
    first, second, third = children(log, 3)
    first.cast(crash)
    second.kill()
    until(lambda: demands(feed, supervisor) == [3, 2])
    third.stop()
    assert supervisor.count_children().active == 0


def test_what_ends_before_the_others_were_started_has_finished(log: Log, feed: Ref) -> None:
    """Its end is handled behind the list that it came in."""

    def at_once(event: int) -> None:
        log.add(event)

    supervisor = supervise(Task.child_spec(at_once), feed, max_demand=4)
    emit(feed, *range(4))
    assert sorted(log.take(4)) == [0, 1, 2, 3]
    until(lambda: sum(demands(feed, supervisor)) == 8)


class Picky(Quiet):
    """Starts for no event but the number 1."""

    def init(self, event: Any) -> None:  # type: ignore[override]
        if event == "ignore":
            raise Ignore
        if event == "stop":
            self.stop("no")
        elif event != 1:
            raise ZeroDivisionError


def test_a_start_that_fails_or_is_ignored_counts_as_finished(
    feed: Ref, caplog: pytest.LogCaptureFixture
) -> None:
    """The others start, and the failures are logged with the event, shortened."""
    supervisor = supervise(Picky.child_spec(restart="temporary"), feed, max_demand=4, min_demand=3)
    emit(feed, "ignore", "long" * 1000, 1, "stop")
    assert demands(feed, supervisor) == [4, 3]
    assert supervisor.count_children().active == 1
    errors = [record.getMessage() for record in caplog.records if "has no child" in record.getMessage()]
    assert len(errors) == 2
    assert "longlong" in errors[0]
    assert "ZeroDivisionError" in errors[0]
    assert errors[0].count("long") < 1000
    assert "'stop'" in errors[1]


def test_an_event_that_cannot_be_shown_ends_nobody(feed: Ref, caplog: pytest.LogCaptureFixture) -> None:
    """Neither does it hide what went wrong."""

    class Hidden:
        def __repr__(self) -> str:
            raise SystemExit

    supervisor = supervise(Picky.child_spec(restart="temporary"), feed)
    emit(feed, Hidden())
    settle(feed, supervisor)
    assert supervisor.is_alive()
    assert "whose text raised SystemExit" in caplog.text


def test_a_start_that_returns_no_ref_has_failed(feed: Ref, caplog: pytest.LogCaptureFixture) -> None:
    """Its end would never be told, and its place never be free."""

    class Odd:
        @classmethod
        def start_link(cls, event: int) -> None:
            return None

    child = ChildSpec(id="odd", start=(Odd, (), {}), restart="temporary")
    supervisor = supervise(child, feed, max_demand=1)
    emit(feed, 1)
    assert demands(feed, supervisor) == [1, 1]
    assert "returned None" in caplog.text


def test_events_that_nobody_asked_for_have_children_too(
    log: Log, feed: Ref, caplog: pytest.LogCaptureFixture
) -> None:
    """As a consumer handles them; it is an error of the fan-out."""

    class Lavish:
        outbox: list[Any] = []

        def subscribe(self, key: Any, options: Any, *, consumer: Any = None) -> None:
            self.key = key

        def ask(self, key: Any, count: int, buffered: int = 0) -> int:
            return count

        def cancel(self, key: Any, buffered: int = 0) -> int:
            return 0

        def dispatch(self, events: Sequence[Any]) -> tuple[list[Any], Sequence[Any]]:
            return [(self.key, events)], ()

        def info(self, message: Any) -> bool:
            return True

        def statistics(self) -> Any:
            return None

    lavish = Silent.start(dispatcher=Lavish)
    supervisor = supervise(jobs(log), lavish, max_demand=2, min_demand=0)
    emit(lavish, 1, 2, 3)
    running = children(log, 3)
    assert "received 1 events in excess" in caplog.text
    running[0].stop()
    assert demands(lavish, supervisor) == [2]
    running[1].stop()
    assert demands(lavish, supervisor) == [2, 1]


def test_each_producer_has_a_bound_of_its_own(log: Log, feed: Ref) -> None:
    """And is asked for what its own children leave."""
    other = Silent.start()
    supervisor = supervise(jobs(log), feed, max_demand=2, min_demand=0)
    sync_subscribe(supervisor, to=other, max_demand=3, min_demand=0)
    emit(feed, 1, 2, 3)
    emit(other, 4, 5, 6, 7)
    started = {events[0]: ref for events, ref in log.take(5)}
    assert sorted(started) == [1, 2, 4, 5, 6]
    started[5].stop()
    assert log.get()[0] == (7,)
    started[1].stop()
    assert log.get()[0] == (3,)
    assert (demands(feed, supervisor), demands(other, supervisor)) == ([2], [3])


# -- restarts ----------------------------------------------------------------------------------------


def test_a_transient_child_starts_again_with_its_event(log: Log, feed: Ref) -> None:
    """It goes on being active, and nothing is asked for."""
    supervisor = supervise(jobs(log, restart="transient"), feed, max_demand=1)
    emit(feed, "event")
    log.get()[1].cast(crash)
    events, again = log.get()
    assert events == ("event",)
    assert demands(feed, supervisor) == [1]
    assert supervisor.which_children()[0].restarts == 1
    again.stop()
    assert demands(feed, supervisor) == [1, 1]
    assert log.empty()


class Unlucky(Quiet):
    """Starts once, and then as often as `init` of the test lets it."""

    def init(self, log: Log, starts: Iterator[Callable[[], Any]], event: Any) -> None:  # type: ignore[override]
        super().init(log)
        next(starts)()
        log.add(self.ref)


def ignore() -> None:
    raise Ignore


def test_a_restart_that_fails_is_tried_until_there_were_too_many(
    log: Log, feed: Ref, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the supervisor ends, with all its children."""
    starts = iter([int, int, *[crash] * 3])
    supervisor = supervise(Unlucky.child_spec(log, starts, restart="transient"), feed, max_restarts=3)
    emit(feed, 1, 2)
    first, second = log.take(2)
    first.cast(crash)
    assert ended(supervisor) == "shutdown"
    assert ended(second) == "shutdown"
    assert next(starts, None) is None
    assert "more than 3 restarts within 5 s" in caplog.text


def test_one_that_is_being_restarted_is_active_for_the_demand(log: Log, feed: Ref) -> None:
    """It counts among the workers and not among the active ones; stopped by hand, it has finished."""
    child = jobs(log, restart="transient", backoff=Backoff(min=3600, max=3600))
    supervisor = supervise(child, feed, max_demand=1)
    emit(feed, 1)
    (ref,) = children(log, 1)
    ref.cast(crash)
    until(lambda: supervisor.which_children()[0].state == "restarting")
    assert supervisor.count_children() == ChildCounts(specs=1, active=0, supervisors=0, workers=1)
    assert demands(feed, supervisor) == [1]
    supervisor.terminate_child(ref)
    assert demands(feed, supervisor) == [1, 1]


def test_a_restart_that_is_ignored_counts_as_finished(log: Log, feed: Ref) -> None:
    """The child is gone for good."""
    child = Unlucky.child_spec(log, iter([int, ignore]), restart="transient")
    supervisor = supervise(child, feed, max_demand=1)
    emit(feed, 1)
    log.get().cast(crash)
    until(lambda: demands(feed, supervisor) == [1, 1])
    assert supervisor.count_children().workers == 0


def test_temporary_children_do_not_keep_their_events_in_the_supervisor(log: Log, feed: Ref) -> None:
    """A transient child needs it for a restart; a temporary one may have taken it apart."""
    supervisor = supervise(jobs(log), feed)
    emit(feed, "event")
    log.get()
    assert inside(supervisor, lambda s: [child.extra for child in s._all_children()]) == [()]


# -- by hand -------------------------------------------------------------------------------------------


def test_children_started_by_hand_are_no_part_of_the_demand(log: Log, feed: Ref) -> None:
    """They are supervised like the others."""
    supervisor = supervise(jobs(log, restart="transient"), feed, max_demand=1)
    ref = supervisor.start_child("by", "hand")
    assert log.get() == (("by", "hand"), ref)
    emit(feed, 1)
    (event_child,) = children(log, 1)
    assert supervisor.count_children().active == 2
    ref.cast(crash)
    events, again = log.get()
    assert events == ("by", "hand")
    again.stop()
    supervisor.terminate_child(supervisor.start_child())
    assert demands(feed, supervisor) == [1]
    event_child.stop()
    assert demands(feed, supervisor) == [1, 1]


def test_a_child_by_hand_that_does_not_start_is_the_callers_error(feed: Ref) -> None:
    """Or None, if it was ignored."""
    supervisor = supervise(Picky.child_spec(restart="temporary"), feed)
    assert supervisor.start_child("ignore") is None
    with pytest.raises(StartError, match="ZeroDivisionError"):
        supervisor.start_child(0)


def test_a_child_that_is_stopped_by_hand_has_finished(log: Log, feed: Ref) -> None:
    """A transient one does not start again."""
    supervisor = supervise(jobs(log, restart="transient"), feed, max_demand=1)
    emit(feed, 1)
    (ref,) = children(log, 1)
    supervisor.terminate_child(ref)
    assert ended(ref) == "shutdown"
    assert demands(feed, supervisor) == [1, 1]
    with pytest.raises(ChildError, match="is not a child of"):
        supervisor.terminate_child(ref)
    assert log.empty()


def test_there_is_one_spec_and_children_have_no_ids(log: Log, feed: Ref) -> None:
    """Whatever they are."""
    supervisor = supervise(jobs(log), feed)
    assert supervisor.count_children() == ChildCounts(specs=1, active=0, supervisors=0, workers=0)
    emit(feed, 1, 2)
    log.take(2)
    assert supervisor.count_children() == ChildCounts(specs=1, active=2, supervisors=0, workers=2)
    assert [info.id for info in supervisor.which_children()] == [None, None]


# -- the ends of producers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "reason", "stays"),
    [
        ("permanent", "broken", False),
        ("permanent", "normal", False),
        ("transient", "broken", False),
        ("transient", "shutdown", True),
        ("temporary", "broken", True),
        ("temporary", "normal", True),
    ],
)
def test_the_end_of_a_producer_is_that_of_the_supervisor_as_its_subscription_says(
    mode: str, reason: str, stays: bool, log: Log, feed: Ref
) -> None:
    """If it stays its children run on."""
    supervisor = supervise(jobs(log), feed, cancel=mode)
    emit(feed, 1)
    (ref,) = children(log, 1)
    feed.stop(reason)
    if stays:
        settle(supervisor)
        assert ref.is_alive()
        ref.stop()
        settle(supervisor)
        assert supervisor.is_alive()
    elif reason == "normal":
        settle(supervisor)
        assert ref.is_alive()
        ref.stop()
        assert ended(supervisor) == "normal"
    else:
        assert ended(supervisor) == reason
        assert ended(ref) == "shutdown"


def test_a_producer_that_crashes_takes_the_supervisor_and_its_children_along(log: Log, feed: Ref) -> None:
    """At once: with an abnormal end nothing is waited for."""
    supervisor = supervise(jobs(log), feed)
    emit(feed, 1)
    (ref,) = children(log, 1)
    feed.cast("what it has no handle_cast for")
    assert ended(supervisor) is feed.exit_reason
    assert ended(ref) == "shutdown"


def test_a_finite_input_is_finished(log: Log) -> None:
    """The supervisor ends when the last child has, and not with the producer, as GenStage's does."""
    gate = Gate()
    done = Log()

    def work(event: int) -> None:
        gate()
        done.add(event)

    supervisor = supervise(Task.child_spec(work), from_iterable(range(20)), max_demand=30)
    gate.wait()
    settle(supervisor)
    assert supervisor.is_alive()
    gate.open()
    assert ended(supervisor) == "normal"
    assert sorted(done.take(20)) == list(range(20))


def test_while_it_waits_for_the_last_children_nothing_new_is_taken(log: Log, feed: Ref) -> None:
    """The other producers are left at once, and keep their events."""
    other = Silent.start()
    supervisor = supervise(jobs(log), feed, other, max_demand=5)
    emit(feed, 1)
    (ref,) = children(log, 1)
    feed.stop()
    settle(supervisor, other)
    emit(other, 2)
    settle(other, supervisor)
    assert log.empty()
    assert seen(other, "left") == [("cancel", "normal")]
    assert inside(other, lambda stage: stage._buffer.length) == 1
    by_hand = supervisor.start_child("by hand")
    ref.stop()
    assert ended(supervisor) == "normal"
    assert ended(by_hand) == "shutdown"


def test_an_abnormal_end_while_it_waits_ends_it_at_once(log: Log, feed: Ref) -> None:
    """Of a second producer."""
    other = Silent.start()
    supervisor = supervise(jobs(log), feed, other)
    emit(feed, 1)
    log.get()
    inside(supervisor, lambda stage: (feed.stop(), other.exit("broken"), other.join(LONG)))
    assert ended(supervisor) == "broken"


def test_what_is_left_of_a_subscription_that_was_cancelled_asks_nobody(log: Log, feed: Ref) -> None:
    """A new one begins with its own demand."""
    supervisor = ConsumerSupervisor.start(jobs(log))
    first = sync_subscribe(supervisor, to=feed, max_demand=2, min_demand=0, cancel="temporary")
    emit(feed, 1)
    (ref,) = children(log, 1)
    cancel(first)
    settle(feed, supervisor)
    ref.stop()
    assert demands(feed, supervisor) == [2]
    sync_subscribe(supervisor, to=feed, max_demand=4)
    assert sum(demands(feed, supervisor)) == 5  # one was left over of the first
    assert inside(supervisor, lambda stage: len(stage._demands)) == 1


def test_a_dead_producer_is_gone_from_the_start(log: Log, feed: Ref) -> None:
    """As for all consumers."""
    feed.stop()
    supervisor = ConsumerSupervisor.start(jobs(log))
    sync_subscribe(supervisor, to=feed, cancel="temporary")
    settle(supervisor)
    assert supervisor.is_alive()
    sync_subscribe(supervisor, to=feed)
    assert ended(supervisor) == "noproc"


class Told(Noting, ConsumerSupervisor):
    """Notes its subscriptions."""

    def init(self, child: ChildSpec) -> None:  # type: ignore[override]
        self.note({"child": child})


def test_its_callbacks_are_those_of_a_consumer(log: Log, feed: Ref) -> None:
    """It learns of its subscriptions and of their ends."""
    supervisor = Told.start(jobs(log))
    sync_subscribe(supervisor, to=feed, cancel="temporary")
    feed.stop()
    settle(supervisor)
    assert seen(supervisor, "joined") == ["producer"]
    assert seen(supervisor, "left") == [("down", "normal")]


# -- the end of the supervisor --------------------------------------------------------------------------


class Slow(Probe):
    """Notes its end."""

    def init(self, log: Log, event: Any) -> None:  # type: ignore[override]
        super().init(log, label=event)


def test_it_ends_its_children_as_their_spec_says(log: Log, feed: Ref) -> None:
    """Each runs its `terminate`, and none is left."""
    supervisor = supervise(Slow.child_spec(log, restart="transient"), feed)
    emit(feed, "a", "b")
    until(lambda: supervisor.count_children().active == 2)
    refs = [info.ref for info in supervisor.which_children()]
    supervisor.stop("shutdown")
    assert sorted(log.rest()) == [("terminate", "a", "shutdown"), ("terminate", "b", "shutdown")]
    assert not any(ref is None or ref.is_alive() for ref in refs)


def test_a_brutal_kill_asks_nobody(log: Log, feed: Ref) -> None:
    """As the spec says."""
    supervisor = supervise(Slow.child_spec(log, restart="temporary", shutdown="brutal_kill"), feed)
    emit(feed, "a")
    until(lambda: supervisor.count_children().active == 1)
    supervisor.stop()
    assert log.empty()


def test_nothing_outlives_a_kill(log: Log, feed: Ref) -> None:
    """The children are linked to it."""
    supervisor = supervise(jobs(log), feed)
    emit(feed, 1, 2)
    refs = children(log, 2)
    supervisor.kill()
    assert [ended(ref) for ref in refs] == ["killed"] * 2


def test_a_kill_does_not_wait_for_the_rest_of_a_list(feed: Ref) -> None:
    """The end that comes to it while a child starts is no failed start of the next ones."""
    gate = Gate()
    started = Log()

    class Held(Quiet):
        def init(self, event: int) -> None:  # type: ignore[override]
            started.add(event)
            gate()

    supervisor = supervise(Held.child_spec(restart="temporary"), feed)
    emit(feed, *range(100))
    gate.wait()
    supervisor.kill()
    gate.open()
    assert ended(supervisor) == "killed"
    assert started.rest() == [0]


def test_a_start_that_a_kill_ends_is_no_failure_of_the_child(
    feed: Ref, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the supervisor that waits there."""
    other, waits = Silent.start(), threading.Event()

    class Waiting(Quiet):
        def init(self, event: int) -> None:  # type: ignore[override]
            waits.set()
            other.join(LONG)

    supervisor = supervise(Waiting.child_spec(restart="temporary"), feed)
    emit(feed, 1)
    assert waits.wait(LONG)
    supervisor.kill()
    assert ended(supervisor) == "killed"
    assert "has no child" not in caplog.text


def test_it_is_a_child_like_any_supervisor(log: Log) -> None:
    """After a crash it subscribes again, and its producer goes on."""
    feed = Silent.start(name="feed of the supervisor")
    spec = ConsumerSupervisor.child_spec(
        jobs(log), id="crew", subscribe_to=[{"to": "feed of the supervisor", "max_demand": 2}]
    )
    assert (spec.type, spec.shutdown) == ("supervisor", None)
    tree = Supervisor.start([spec])
    emit(feed, 1)
    (ref,) = children(log, 1)
    tree.child("crew").kill()
    assert ended(ref) == "killed"
    emit(feed, 2)
    assert log.get()[0] == (2,)
    assert named("feed of the supervisor").is_alive()
    tree.stop("shutdown")


# -- zombies -------------------------------------------------------------------------------------------


def test_an_abandoned_child_keeps_its_place_until_its_handler_returns(
    log: Log, feed: Ref, gate: Gate
) -> None:
    """Or there would be more threads than `max_demand`."""
    supervisor = supervise(jobs(log, shutdown="brutal_kill"), feed, max_demand=1)
    emit(feed, 1)
    (ref,) = children(log, 1)
    ref.cast(gate)
    gate.wait()
    supervisor.terminate_child(ref)
    assert len(zombies()) == 1
    assert supervisor.count_children().active == 0
    assert demands(feed, supervisor) == [1]
    gate.open()
    until(lambda: demands(feed, supervisor) == [1, 1])


def test_too_many_abandoned_children_end_it(log: Log, feed: Ref, gate: Gate) -> None:
    """As every supervisor."""
    supervisor = supervise(jobs(log, shutdown="brutal_kill"), feed, max_zombies=1)
    emit(feed, 1, 2)
    for ref in children(log, 2):
        arrived = threading.Event()
        ref.cast(lambda _, arrived=arrived: (arrived.set(), gate()))
        assert arrived.wait(LONG)
        supervisor.terminate_child(ref)
    assert ended(supervisor) == "shutdown"


def test_it_does_not_wait_for_abandoned_children_at_the_end(log: Log, feed: Ref, gate: Gate) -> None:
    """They are declared dead."""
    supervisor = supervise(jobs(log, shutdown="brutal_kill"), feed)
    emit(feed, 1)
    (ref,) = children(log, 1)
    ref.cast(gate)
    gate.wait()
    feed.stop()
    settle(supervisor)
    supervisor.terminate_child(ref)
    assert ended(supervisor) == "normal"


# -- tasks ------------------------------------------------------------------------------------------------


def test_a_function_may_be_run_for_each_event(log: Log) -> None:
    """The event comes behind the arguments of the task."""
    spec = Task.child_spec(lambda *given, last: log.add((*given, last)), "first", last="last")
    supervisor = supervise(spec, from_iterable("ab"), max_demand=1)
    assert ended(supervisor) == "normal"
    assert sorted(log.rest()) == [("first", "a", "last"), ("first", "b", "last")]


def test_functions_that_wait_run_side_by_side(log: Log) -> None:
    """As many as `max_demand` says."""
    together = threading.Barrier(8)
    spec = Task.child_spec(lambda event: log.add((event, together.wait(LONG))))
    assert ended(supervise(spec, from_iterable(range(16)), max_demand=8, min_demand=1)) == "normal"
    assert len(log.rest()) == 16


def test_a_transient_task_is_tried_again(log: Log) -> None:
    """Until it has succeeded, or there were too many restarts."""

    def work(tries: list[int], event: int) -> None:
        tries.append(event)
        if len(tries) < 3:
            raise ZeroDivisionError

    tries: list[int] = []
    supervisor = supervise(Task.child_spec(work, tries, restart="transient"), from_iterable([7]))
    assert ended(supervisor) == "normal"
    assert tries == [7, 7, 7]


def test_a_subscription_is_told_of_by_its_ref(log: Log, feed: Ref) -> None:
    """`sync_subscribe` returns it, as for any consumer."""
    supervisor = ConsumerSupervisor.start(jobs(log))
    subscription = sync_subscribe(supervisor, to=feed)
    assert isinstance(subscription, Subscription)
    supervisor.stop()
    with pytest.raises(ActorExitError):
        sync_subscribe(supervisor, to=feed)


# -- control ----------------------------------------------------------------------------------------------


def test_a_paused_one_starts_nobody_and_its_children_run_on(log: Log, feed: Ref) -> None:
    """What comes waits, and there is no more of it than there are places."""
    supervisor = supervise(jobs(log), feed, max_demand=2, min_demand=0)
    emit(feed, 1)
    (ref,) = children(log, 1)
    pause(supervisor)
    emit(feed, 2, 3, 4)
    ref.stop()
    settle(supervisor, feed)
    assert log.empty()
    assert supervisor.count_children().active == 0
    assert statistics(supervisor).waiting == 2
    resume(supervisor)
    assert [events for events, _ in log.take(2)] == [(2,), (3,)]
    assert log.empty()


def test_an_end_of_a_producer_behind_a_pause_stops_no_other(log: Log, feed: Ref) -> None:
    """It does not wait for the children."""
    other = Silent.start()
    supervisor = supervise(jobs(log), feed, other, cancel="temporary")
    emit(feed, 1)
    log.get()
    pause(supervisor)
    feed.stop()
    settle(supervisor)
    emit(other, 2)
    settle(other, supervisor)
    resume(supervisor)
    assert log.get()[0] == (2,)


@pytest.mark.parametrize("paused", [False, True])
def test_it_is_drained_when_the_children_have_finished(paused: bool, log: Log, feed: Ref) -> None:
    """Those of events that wait, too; nothing new is taken."""
    supervisor = supervise(jobs(log), feed, max_demand=2, min_demand=0)
    if paused:
        pause(supervisor)
    emit(feed, 1)
    settle(feed, supervisor)
    report = in_thread(lambda: drain(supervisor, timeout=LONG))
    (ref,) = children(log, 1)
    until(lambda: seen(feed, "left"))
    emit(feed, 2)
    settle(feed, supervisor)
    assert supervisor.is_alive()
    assert log.empty()
    ref.stop()
    assert report().ended == {supervisor: "normal"}


def test_one_without_children_is_drained_at_once(log: Log, feed: Ref) -> None:
    """There is nothing to wait for."""
    supervisor = supervise(jobs(log), feed)
    assert drain(supervisor, timeout=LONG).ended == {supervisor: "normal"}


def test_what_does_not_finish_in_time_is_killed_and_counted(log: Log, feed: Ref) -> None:
    """An event in a child is lost with it."""
    supervisor = supervise(jobs(log), feed)
    emit(feed, 1, 2)
    refs = children(log, 2)
    assert drain(supervisor, timeout=0.05).killed == {supervisor: 2}
    assert [ended(ref) for ref in refs] == ["killed"] * 2


def test_a_graph_is_drained_through_it() -> None:
    """Every event that was taken has its child, and the rest stays where it was."""
    done = Log()
    source = from_iterable(range(100_000))
    supervisor = supervise(Task.child_spec(done.add), source, max_demand=5)
    assert drain(*connected(supervisor), timeout=LONG).lost == 0
    events = done.rest()
    assert sorted(events) == list(range(len(events)))


def test_its_statistics_are_those_of_its_places(log: Log, feed: Ref) -> None:
    """What it asked for, and what its children have."""
    supervisor = supervise(jobs(log), feed, max_demand=5)
    emit(feed, 1, 2)
    log.take(2)
    numbers = statistics(supervisor)
    assert list(numbers.asked_of.values()) == [3]
    assert (numbers.in_flight, numbers.waiting, numbers.kind) == (2, 0, "consumer")


def test_a_child_is_what_its_event_is_handed_over_to(log: Log, feed: Ref) -> None:
    """Handing over at least once would end with the start of the child: it is refused and said how else."""
    with pytest.raises(OptionError, match="'delivery' is 'at_least_once'; a .* takes 'at_most_once'"):
        sync_subscribe(supervise(jobs(log)), to=feed, delivery="at_least_once")
