"""Tasks: functions in actors of their own, and who waits for them."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import pytest

from slither_actors.actors import (
    Crash,
    DynamicSupervisor,
    Exit,
    Ref,
    Server,
    Supervisor,
    Task,
    TaskDone,
    TaskExit,
    TaskOutcome,
    TaskResult,
    TaskSupervisor,
    TaskSupervisorRef,
    await_many,
    yield_many,
)
from slither_actors.actors._runtime import current_cell
from slither_actors.actors._scheduler import Scheduler
from slither_actors.actors._task_stream import TaskStream
from slither_actors.core import Ordering, TaskWindow
from slither_actors.errors import (
    ActorExitError,
    CallCycleError,
    CallTimeoutError,
    ChildError,
    ExitPendingError,
    OptionError,
)
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet, Trapper, crash, in_thread, settle


@pytest.fixture
def tasks() -> TaskSupervisorRef:
    return TaskSupervisor.start()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def settle_children(tasks: TaskSupervisorRef) -> list[Ref]:
    """The tasks that are left once the supervisor knows of every end until now."""
    return tasks.children()


def after(gate: Gate, value: Any) -> Any:
    """Return the value when the gate is open."""
    gate()
    return value


def opened(gate: Gate, value: Any) -> Any:
    """Open the gate and return the value."""
    gate.open()
    return value


def unless(gate: Gate, number: int) -> int:
    """Return 0 at once, and another number when the gate is open."""
    return after(gate, number) if number else 0


class Deaf(Server):
    """Runs what it is called with, and has no handle_info."""

    def handle_call(self, request: Any, sender: Any) -> Any:
        return request(self)


# -- tasks that nobody waits for ------------------------------------------------------


def test_start_child_runs_the_function_and_does_not_wait(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """With its arguments, under the supervisor."""
    log = Log()

    def work(one: int, *, two: int) -> None:
        gate()
        log.add((one, two))

    ref = tasks.start_child(work, 1, two=2)
    gate.wait()
    assert tasks.children() == [ref]
    gate.open()
    assert log.get() == (1, 2)
    assert ref.join(LONG)
    assert ref.exit_reason == "normal"


def test_a_task_is_not_restarted(tasks: TaskSupervisorRef) -> None:
    """It runs once, also if it fails."""
    ref = tasks.start_child(crash)
    assert ref.join(LONG)
    assert isinstance(ref.exit_reason, Crash)
    assert settle_children(tasks) == []
    assert tasks.is_alive()


def test_a_spec_may_ask_for_restarts(tasks: TaskSupervisorRef) -> None:
    """A transient task runs until it succeeds."""
    log = Log()
    attempts = itertools.count()

    def work(label: str) -> None:
        attempt = next(attempts)
        log.add((label, attempt))
        if attempt < 2:
            crash()

    tasks.start_child(Task.child_spec(work, "try", restart="transient"))
    assert log.take(3) == [("try", 0), ("try", 1), ("try", 2)]


def test_a_spec_has_its_arguments(tasks: TaskSupervisorRef) -> None:
    """There is no second place for them."""
    with pytest.raises(OptionError, match="which has its arguments"):
        tasks.start_child(Task.child_spec(print), "more")


def test_a_task_may_be_a_child_of_any_supervisor() -> None:
    """Its id is the function's name."""
    log = Log()
    tree = Supervisor.start([Task.child_spec(log.add, 1, id="first"), Task.child_spec(crash)])
    assert log.get() == 1
    tree.stop("shutdown")
    dynamic = DynamicSupervisor.start()
    dynamic.call(("start_child", Task.child_spec(log.add, 2), ()))
    assert log.get() == 2
    dynamic.start_child(Task.child_spec(lambda *given: log.add(given), 1), 2, 3)
    assert log.get() == (1, 2, 3)
    assert Task.child_spec(crash).id == "crash"
    assert Task.child_spec(crash).restart == "temporary"


def test_the_shutdown_of_a_spec_is_kept(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """A function that does not return costs the supervisor only what the spec allows."""
    tasks.start_child(Task.child_spec(gate, shutdown="brutal_kill"))
    gate.wait()
    assert tasks.stop("shutdown", timeout=4.0)


def test_max_children_holds_for_tasks() -> None:
    """One more is refused, not queued."""
    tasks = TaskSupervisor.start(max_children=0)
    with pytest.raises(ChildError, match="max_children"):
        tasks.async_(abs, 1)


def test_many_blocking_functions_run_at_one_time(tasks: TaskSupervisorRef) -> None:
    """Each of twenty waits for the others."""
    barrier = threading.Barrier(20)
    assert sorted(await_many([tasks.async_(barrier.wait, LONG) for _ in range(20)], LONG)) == list(range(20))


def test_a_task_without_a_supervisor_runs() -> None:
    """Nobody waits for it, and nobody is linked to it."""
    log = Log()
    assert Task.start(log.add, 1).join(LONG)
    assert log.get() == 1


def test_start_link_links_to_the_caller() -> None:
    """The caller dies of the task's failure."""
    actor = Quiet.start()
    actor.cast(lambda _: Task.start_link(crash))
    assert actor.join(LONG)
    assert isinstance(actor.exit_reason, Crash)


def test_a_task_that_is_killed_before_it_began_does_not_run() -> None:
    """Its function is a message like any other; the end comes first."""
    log = Log()

    def start_and_kill(_: Any) -> Ref:
        ref = Task.start(log.add, "ran")
        ref.kill()
        return ref

    for _ in range(50):
        ref: Ref = Quiet.start().call(start_and_kill)
        assert ref.join(LONG)
    # The scheduler may have run one or the other if the handler lasted.
    assert len(log.rest()) < 25


# -- await_ ----------------------------------------------------------------------------


def test_await_returns_the_result(tasks: TaskSupervisorRef) -> None:
    """Under a supervisor and without one, in a plain thread and in an actor."""
    assert tasks.async_(divmod, 7, 2).await_() == (3, 1)
    assert Task.async_(int, "ff", base=16).await_() == 255
    assert Quiet.start().call(lambda _: tasks.async_(abs, -1).await_()) == 1


def test_a_result_can_be_waited_for_again(tasks: TaskSupervisorRef) -> None:
    """By anybody, in any thread."""
    task = tasks.async_(abs, -1)
    assert task.await_() == task.await_() == in_thread(task.await_)() == 1


def test_a_task_of_no_result_is_done_too(tasks: TaskSupervisorRef) -> None:
    """None is a result."""
    assert tasks.async_(print, end="").await_() is None


def test_await_raises_what_the_function_raised(tasks: TaskSupervisorRef) -> None:
    """The task's traceback is a note, once; its frames are not kept."""
    task = tasks.async_nolink(crash)
    depths = []
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
            task.await_()
        (note,) = caught.value.__notes__
        assert "in TaskActor" in note
        assert 'raise ZeroDivisionError("on purpose")' in note
        assert "crash" not in [frame.name for frame in caught.traceback]
        depths.append(len(caught.traceback))
    assert depths[0] == depths[1]


def test_await_of_a_killed_task_raises_its_reason(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """There is no result and no exception of the function."""
    task = tasks.async_nolink(Task.child_spec(gate, shutdown="brutal_kill"))
    waiting = in_thread(task.await_)
    gate.wait()
    tasks.call(("terminate_child", task.ref))
    with pytest.raises(ActorExitError, match=r"TaskActor <\d+> exited before it answered: killed"):
        waiting()


def test_a_result_counts_though_the_task_was_killed(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """The function had returned before the kill was looked at."""
    task = tasks.async_nolink(after, gate, 1)
    gate.wait()
    task.ref.kill()
    gate.open()
    assert task.await_() == 1
    assert task.ref.join(LONG)
    assert task.ref.exit_reason == "killed"


def test_an_exit_in_a_task_does_not_end_who_waits(tasks: TaskSupervisorRef) -> None:
    """`SystemExit` is the reason of the task only."""
    with pytest.raises(ActorExitError, match="SystemExit"):
        tasks.async_nolink(lambda: (_ for _ in ()).throw(SystemExit(3))).await_()


def test_a_late_task_is_told_to_end(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """Who has waited in vain does not leave it behind."""
    task = tasks.async_(gate)
    gate.wait()
    with pytest.raises(CallTimeoutError, match=r"TaskActor <\d+> did not answer within 0\.01 s"):
        task.await_(0.01)
    gate.open()
    assert task.ref.join(LONG)
    assert task.ref.exit_reason == "shutdown"


def test_who_catches_the_timeout_lives(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """The link is undone before the task is told to end."""

    def wait(_: Any) -> Ref:
        task = tasks.async_(gate)
        gate.wait()
        with pytest.raises(CallTimeoutError):
            task.await_(0.01)
        return task.ref

    actor = Quiet.start()
    late: Ref = actor.call(wait)
    late.kill()
    gate.open()
    assert late.join(LONG)
    settle(actor)


def test_waiting_for_a_task_that_waits_for_the_caller_raises(tasks: TaskSupervisorRef) -> None:
    """In the one of the two that closes the circle."""
    actor = Quiet.start()

    def wait(_: Any) -> str:
        task = tasks.async_nolink(actor.call, "back")
        try:
            task.await_(None)
        except CallCycleError:
            return "cycle"
        return "no cycle"

    assert actor.call(wait, LONG) == "cycle"


def test_a_task_cannot_wait_for_itself(tasks: TaskSupervisorRef) -> None:
    """It would never end."""
    own: list[Task[Any]] = []
    gate = Gate()

    def work() -> None:
        gate()
        own[0].await_()

    own.append(tasks.async_nolink(work))
    gate.open()
    with pytest.raises(CallCycleError):
        own[0].await_()


# -- links -------------------------------------------------------------------------------


def test_a_failed_task_ends_who_made_it(tasks: TaskSupervisorRef) -> None:
    """Also if it caught what `await_` raised: the link counts."""

    def make(_: Any) -> None:
        # Or a wait before is broken off already, for the end that the link brings.
        with suppress(ZeroDivisionError, ExitPendingError):
            tasks.async_(crash).await_()

    actor = Quiet.start()
    actor.cast(make)
    assert actor.join(LONG)
    assert isinstance(actor.exit_reason, Crash)


def test_who_traps_exits_is_told(tasks: TaskSupervisorRef) -> None:
    """The failure is a message then."""
    log = Log()
    actor = Trapper.start(log)
    task: Task[Any] = actor.call(lambda _: tasks.async_(crash))
    told = [log.get(), log.get()]
    assert [message.reason for message in told if isinstance(message, Exit)] == [task.ref.exit_reason]
    assert [message.task for message in told if isinstance(message, TaskDone)] == [task]


def test_async_nolink_fails_alone(tasks: TaskSupervisorRef) -> None:
    """Who made it goes on."""

    def make(_: Any) -> None:
        with pytest.raises(ZeroDivisionError):
            tasks.async_nolink(crash).await_()

    actor = Quiet.start()
    actor.call(make)
    settle(actor)


@pytest.mark.parametrize("supervised", [True, False])
@pytest.mark.parametrize(("reason", "expected"), [("normal", "normal"), ("broken", "broken")])
def test_a_linked_task_ends_with_who_made_it(
    tasks: TaskSupervisorRef, gate: Gate, supervised: bool, reason: str, expected: str
) -> None:
    """If that was abnormal: a normal end leaves it alone."""
    make = tasks.async_ if supervised else Task.async_
    actor = Quiet.start()
    task: Task[Any] = actor.call(lambda _: make(gate))
    gate.wait()
    actor.stop(reason)
    gate.open()
    assert task.ref.join(LONG)
    assert task.ref.exit_reason == expected


def test_an_unlinked_task_outlives_who_made_it(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """Its result is there for whoever has the handle."""
    actor = Quiet.start()
    task: Task[Any] = actor.call(lambda _: tasks.async_nolink(gate))
    actor.kill()
    assert actor.join(LONG)
    gate.open()
    assert task.await_() is None


def test_a_task_with_a_result_runs_once(tasks: TaskSupervisorRef) -> None:
    """There is one result to wait for; restarts make no sense."""
    with pytest.raises(OptionError, match="'temporary'"):
        tasks.async_(Task.child_spec(abs, 1, restart="transient"))
    with pytest.raises(OptionError, match=r"a Task\.child_spec"):
        tasks.async_(Quiet.child_spec(restart="temporary"))
    assert tasks.async_(Task.child_spec(abs, -1, shutdown="brutal_kill")).await_() == 1


# -- messages to the owner ----------------------------------------------------------------


def test_an_owner_that_does_not_wait_is_told(tasks: TaskSupervisorRef) -> None:
    """With the task and its outcome, of either kind."""
    log = Log()
    actor = Probe.start(log)
    good: Task[Any] = actor.call(lambda _: tasks.async_nolink(abs, -1))
    assert log.get() == TaskDone(good, TaskResult(1))
    bad: Task[Any] = actor.call(lambda _: tasks.async_nolink(crash))
    done = log.get()
    assert done.task is bad
    assert isinstance(done.outcome.reason.exception, ZeroDivisionError)


def test_an_owner_that_has_waited_is_not_told(tasks: TaskSupervisorRef) -> None:
    """However it waited, and if it wants to know nothing of the task."""

    def wait(_: Any) -> None:
        tasks.async_nolink(abs, 1).await_()
        tasks.async_nolink(abs, 1).yield_()
        await_many([tasks.async_nolink(abs, 1) for _ in range(3)])
        yield_many([tasks.async_nolink(abs, 1) for _ in range(3)])
        list(tasks.async_stream(abs, range(5)))
        tasks.async_nolink(abs, 1).ignore()
        tasks.async_nolink(abs, 1).shutdown()

    log = Log()
    actor = Probe.start(log)
    actor.call(wait, LONG)
    while settle_children(tasks):
        pass
    settle(actor)
    assert log.rest() == []


def test_an_owner_without_handle_info_is_not_told(
    tasks: TaskSupervisorRef, caplog: pytest.LogCaptureFixture
) -> None:
    """It would only be logged as a message that nobody handles."""
    actor = Deaf.start()
    task: Task[Any] = actor.call(lambda _: tasks.async_nolink(abs, -1))
    assert task.await_() == 1
    actor.call(lambda _: None)
    assert not caplog.records


# -- yield_, shutdown, ignore -------------------------------------------------------------


def test_yield_is_none_until_there_is_an_outcome(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """It may be asked again and again, and never raises what the function raised."""
    task = tasks.async_nolink(gate)
    assert task.yield_(0) is None
    assert task.yield_(0.01) is None
    assert not task.is_done()
    gate.open()
    assert task.yield_(LONG) == TaskResult(None)
    assert task.yield_(0) == TaskResult(None)
    assert isinstance(tasks.async_nolink(crash).yield_(LONG), TaskExit)


def test_a_wait_in_vain_leaves_nothing_behind(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """Polling a task for long costs no memory."""
    task = tasks.async_nolink(gate)
    for _ in range(10):
        task.yield_(0.0001)
    assert not task._reply._waiters


def test_outcomes_can_be_had_as_results(tasks: TaskSupervisorRef) -> None:
    """`get` returns or raises, as `await_` does."""
    assert TaskResult(1).get() == 1
    outcome = tasks.async_nolink(crash).yield_(LONG)
    assert outcome is not None
    with pytest.raises(ZeroDivisionError):
        outcome.get()
    with pytest.raises(ActorExitError, match="a task exited before it answered: timeout"):
        TaskExit("timeout", "a task").get()


def test_shutdown_ends_the_task(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """There is no outcome of a task that did what it was told."""
    actor = Quiet.start()

    def make(_: Any) -> tuple[Task[Any], Any]:
        task = tasks.async_(print)  # it has no thread yet: this one runs us
        return task, task.shutdown()

    task, outcome = actor.call(make)
    assert outcome is None or outcome == TaskResult(None)
    assert not task.ref.is_alive()
    settle(actor)


def test_shutdown_returns_what_the_function_returned_meanwhile(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """A function that runs is given the time to return."""
    task = tasks.async_(after, gate, "done")
    gate.wait()
    ending = in_thread(lambda: task.shutdown(LONG))
    gate.open()
    assert ending() == TaskResult("done")
    assert not task.ref.is_alive()


def test_shutdown_of_a_failed_task_says_so(tasks: TaskSupervisorRef) -> None:
    """Its reason is not that of the shutdown."""
    task = tasks.async_nolink(crash)
    assert task.ref.join(LONG)
    outcome = task.shutdown()
    assert isinstance(outcome, TaskExit)
    assert isinstance(outcome.reason, Crash)


def test_a_function_that_does_not_return_is_abandoned(
    tasks: TaskSupervisorRef, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """After the time of the shutdown; the log says where it hangs, and its result is dropped."""
    task = tasks.async_(after, gate, "late")
    gate.wait()
    outcome = task.shutdown(0.01)
    assert isinstance(outcome, TaskExit)
    assert outcome.reason == "killed"
    assert not task.ref.is_alive()
    assert settle_children(tasks) == []
    assert "is abandoned" in caplog.text
    gate.open()
    assert task.yield_() is outcome


def test_a_brutal_kill_is_no_outcome(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """It is what was asked for."""
    task = tasks.async_(gate)
    gate.wait()
    assert task.shutdown("brutal_kill") is None
    assert task.ref.exit_reason == "killed"


def test_shutdown_does_not_end_who_asks(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """The link is undone first."""

    def make(_: Any) -> None:
        task = tasks.async_(gate)
        gate.wait()
        task.shutdown("brutal_kill")

    actor = Quiet.start()
    actor.call(make)
    settle(actor)


def test_an_ignored_task_runs_on_alone(tasks: TaskSupervisorRef) -> None:
    """Its failure ends nobody."""
    gate = Gate()

    def work() -> None:
        gate()
        crash()

    def make(_: Any) -> Task[Any]:
        task = tasks.async_(work)
        assert task.ignore() is None
        return task

    actor = Quiet.start()
    task: Task[Any] = actor.call(make)
    gate.open()
    assert task.ref.join(LONG)
    settle(actor)
    assert isinstance(task.ignore(), TaskExit)


# -- many -----------------------------------------------------------------------------------


def test_await_many_keeps_the_order_of_the_tasks(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """The last one is done first here."""
    first = tasks.async_(after, gate, 1)
    second = tasks.async_(opened, gate, 2)
    assert await_many([first, second, first]) == [1, 2, 1]


def test_await_many_of_none_is_empty() -> None:
    """And does not wait."""
    assert await_many([], None) == []
    assert yield_many([], None) == []


def test_await_many_raises_the_first_failure_at_once(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """It does not wait for the others, and they go on."""
    other = tasks.async_nolink(after, gate, 1)
    with pytest.raises(ZeroDivisionError):
        await_many([other, tasks.async_nolink(crash)], None)
    gate.open()
    assert other.await_() == 1


def test_await_many_has_one_time_for_all(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """Ten late tasks are as late as one; all are told to end."""
    late = [tasks.async_nolink(gate) for _ in range(10)]
    early = tasks.async_nolink(abs, -1)
    began = time.monotonic()
    with pytest.raises(CallTimeoutError, match=r"10 of 11 tasks, TaskActor <\d+> the first of them,"):
        await_many([*late, early], 0.2)
    assert time.monotonic() - began < 1.5
    gate.open()
    for task in late:
        assert task.ref.join(LONG)
        assert task.ref.exit_reason == "shutdown"


def test_yield_many_gives_what_is_there(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """The others may be waited for again."""
    slow, quick, bad = tasks.async_nolink(gate), tasks.async_nolink(abs, -1), tasks.async_nolink(crash)
    outcomes = yield_many([slow, quick, bad], 0.5)
    assert [task for task, _ in outcomes] == [slow, quick, bad]
    assert outcomes[0][1] is None
    assert outcomes[1][1] == TaskResult(1)
    assert isinstance(outcomes[2][1], TaskExit)
    gate.open()
    assert yield_many([slow], LONG) == [(slow, TaskResult(None))]


def test_yield_many_returns_early_with_enough(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """Without a time, it would wait for all."""
    slow, quick = tasks.async_nolink(gate), tasks.async_nolink(abs, -1)
    assert yield_many([slow, quick], None, limit=1) == [(slow, None), (quick, TaskResult(1))]


def test_yield_many_can_kill_or_ignore_what_is_late(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """Otherwise the late ones go on."""
    killed, ignored, kept = (tasks.async_nolink(gate) for _ in range(3))
    gate.wait()
    yield_many([kept], 0.01)
    yield_many([ignored], 0.01, on_timeout="ignore")
    yield_many([killed], 0.01, on_timeout="kill_task")
    assert [task.ref.is_alive() for task in (killed, ignored, kept)] == [False, True, True]
    with pytest.raises(OptionError, match="allowed are 'nothing', 'ignore', 'kill_task'"):
        yield_many([], on_timeout="kill")  # type: ignore[arg-type]


@pytest.mark.parametrize("on_timeout", ["ignore", "kill_task"])
def test_yield_many_undoes_the_links_of_what_is_late(
    tasks: TaskSupervisorRef, gate: Gate, on_timeout: Literal["ignore", "kill_task"]
) -> None:
    """Whatever becomes of the task, it is not the caller's end."""

    def work() -> None:
        gate()
        crash()

    def wait(_: Any) -> Ref:
        task = tasks.async_(work)
        gate.wait()
        assert yield_many([task], 0.01, on_timeout=on_timeout) == [(task, None)]
        return task.ref

    actor = Quiet.start()
    late: Ref = actor.call(wait)
    gate.open()
    assert late.join(LONG)
    settle(actor)


def test_waiting_for_a_task_hands_the_other_actors_over(scheduler: Scheduler) -> None:
    """They do not wait for the monitor to find out."""
    tasks = TaskSupervisor.start()
    actor = Quiet.start()
    settle(actor)
    before = scheduler.statistics().hand_overs
    actor.call(lambda _: Task.async_(print, end="").await_())
    assert scheduler.statistics().hand_overs > before
    tasks.stop()


# -- streams ----------------------------------------------------------------------------------


def values(stream: Iterator[TaskOutcome[Any]]) -> list[Any]:
    return [outcome.get() for outcome in stream]


@pytest.mark.parametrize("concurrency", [1, 2, 7, 100])
def test_a_stream_is_in_order(tasks: TaskSupervisorRef, concurrency: int) -> None:
    """One outcome for each item."""
    stream = tasks.async_stream(str, range(50), max_concurrency=concurrency)
    assert values(stream) == [str(number) for number in range(50)]
    assert tasks.is_alive()


def test_a_stream_without_order_gives_what_is_there(tasks: TaskSupervisorRef) -> None:
    """The first item waits for the second one to be read."""
    gates = [Gate(), Gate()]
    gates[1].open()

    def work(number: int) -> int:
        gates[number]()
        return number

    stream = tasks.async_stream(work, [0, 1], max_concurrency=2, ordered=False)
    assert next(stream) == TaskResult(1)
    gates[0].open()
    assert next(stream) == TaskResult(0)
    assert list(stream) == []


def test_a_stream_runs_as_many_as_it_may(tasks: TaskSupervisorRef) -> None:
    """Not fewer, or nobody would pass the barrier, and not more."""
    barrier = threading.Barrier(3)
    running: list[int] = []
    most: list[int] = []

    def work(number: int) -> int:
        running.append(number)
        barrier.wait(LONG)
        most.append(len(running))
        barrier.wait(LONG)
        running.remove(number)
        return number

    assert values(tasks.async_stream(work, range(12), max_concurrency=3, timeout=None)) == list(range(12))
    assert max(most) == 3


def test_a_stream_reads_its_input_when_it_needs_it(tasks: TaskSupervisorRef) -> None:
    """At most `max_concurrency` items ahead of the reader, so the input may be infinite."""
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in itertools.count():
            read.append(number)
            yield number

    stream = tasks.async_stream(abs, source(), max_concurrency=3)
    assert read == []
    for taken in range(20):
        assert next(stream) == TaskResult(taken)
        assert len(read) <= taken + 3
    stream.close()


def test_a_reader_that_stops_leaves_no_task(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """What runs is killed, and what waits for a thread never runs."""
    started = Log()

    def work(number: int) -> int:
        started.add(number)
        if number:
            gate()
        return number

    for outcome in tasks.async_stream(work, itertools.count(), max_concurrency=4, timeout=None):
        assert outcome == TaskResult(0)
        left = [ref for ref in tasks.children() if ref.is_alive()]
        break
    gate.open()
    assert len(left) >= 3
    for ref in left:
        assert ref.join(LONG)
    assert [ref.exit_reason for ref in left].count("killed") >= 3
    assert max(started.rest()) <= 4


def test_an_actor_that_stops_reading_lives(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """The links are undone before the tasks are killed."""

    def read(_: Any) -> None:
        stream = tasks.async_stream(partial(unless, gate), range(4), max_concurrency=4)
        next(stream)
        stream.close()

    actor = Quiet.start()
    actor.call(read)
    gate.open()
    while settle_children(tasks):
        pass
    settle(actor)


def test_a_failing_input_is_the_readers_error(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """The tasks that run are killed."""

    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken input")

    with pytest.raises(ValueError, match="broken input"):
        list(tasks.async_stream(lambda _: gate(), source(), max_concurrency=2, timeout=None))
    gate.open()
    while settle_children(tasks):
        pass


def test_a_failure_is_an_outcome_in_its_place(tasks: TaskSupervisorRef) -> None:
    """The others are not concerned."""

    def work(number: int) -> float:
        return 1 / number

    outcomes = list(tasks.async_stream(work, [1, 0, 2]))
    assert outcomes[0] == TaskResult(1.0)
    assert outcomes[2] == TaskResult(0.5)
    failure = outcomes[1]
    assert isinstance(failure, TaskExit)
    assert isinstance(failure.reason.exception, ZeroDivisionError)


def test_a_failure_in_a_linked_stream_ends_the_reader(tasks: TaskSupervisorRef) -> None:
    """Unless the stream is the unlinked one."""
    actor, other = Quiet.start(), Quiet.start()
    actor.cast(lambda _: list(tasks.async_stream(crash, [1])))
    other.call(lambda _: list(tasks.async_stream_nolink(crash, [1])))
    assert actor.join(LONG)
    settle(other)


def test_a_late_task_ends_the_stream(tasks: TaskSupervisorRef, gate: Gate) -> None:
    """With an error at the reader that names it; nothing runs on."""
    stream = tasks.async_stream(partial(unless, gate), range(3), max_concurrency=3, timeout=0.5)
    assert next(stream) == TaskResult(0)
    with pytest.raises(CallTimeoutError, match=r"within 0\.5 s"):
        next(stream)
    gate.open()
    while settle_children(tasks):
        pass


def test_a_late_task_can_be_an_outcome(
    tasks: TaskSupervisorRef, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """In its place, and its place is free for the next one at once."""
    stream = tasks.async_stream(
        lambda number: after(gate, number) if number % 2 else number,
        range(6),
        max_concurrency=2,
        timeout=0.4,
        on_timeout="kill_task",
    )
    outcomes = list(stream)
    assert [o.value for o in outcomes if isinstance(o, TaskResult)] == [0, 2, 4]
    assert [o.reason for o in outcomes[1::2] if isinstance(o, TaskExit)] == ["timeout"] * 3
    assert settle_children(tasks) == []
    assert "is abandoned" in caplog.text


def stream_of(timeout: float) -> TaskStream:
    """A stream without order that gives late tasks up, to be driven by hand."""
    window: TaskWindow[TaskOutcome[Any]] = TaskWindow(2, Ordering.AS_COMPLETED, timeout)
    return TaskStream(Task.async_, window, "kill_task")


def test_a_task_is_late_while_others_come_and_go(gate: Gate) -> None:
    """A flow of results that never ends does not hide it."""
    stream = stream_of(timeout=0)
    stream._start_next(iter([gate]))
    stream._done.put(99)  # of one that has left already
    (late,) = stream._finished()
    assert isinstance(late, TaskExit)
    assert late.reason == "timeout"


def test_a_task_that_is_done_in_the_last_moment_is_not_late() -> None:
    """Its result is on its way to the reader."""
    stream = stream_of(timeout=0)
    stream._start_next(iter([lambda: 1]))
    assert stream._running[0].await_() == 1
    assert stream._late() == []
    assert stream._finished() == [TaskResult(1)]


def test_a_reader_that_keeps_a_stream_is_not_told_of_its_tasks(tasks: TaskSupervisorRef) -> None:
    """Their outcomes belong to the stream, also while nobody reads it."""
    log = Log()
    actor = Probe.start(log)

    def read(probe: Any) -> None:
        probe.stream = tasks.async_stream(abs, range(4), max_concurrency=4)
        next(probe.stream)

    actor.call(read)
    while settle_children(tasks):
        pass
    settle(actor)
    assert log.rest() == []
    assert actor.call(lambda probe: values(probe.stream)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_concurrency", 0),
        ("max_concurrency", True),
        ("timeout", -1),
        ("timeout", "5"),
        ("on_timeout", "kill"),
    ],
)
def test_options_are_refused_where_they_are_given(tasks: TaskSupervisorRef, option: str, value: Any) -> None:
    """By the call, not by the first look at the stream."""
    options: dict[str, Any] = {option: value}
    with pytest.raises(OptionError, match=option):
        tasks.async_stream(abs, [1], **options)


def test_a_refused_task_ends_the_stream(gate: Gate) -> None:
    """A supervisor that takes no more tasks is the reader's error."""
    tasks = TaskSupervisor.start(max_children=1)
    with pytest.raises(ChildError, match="max_children"):
        list(tasks.async_stream(lambda _: gate(), range(3), max_concurrency=2, timeout=None))
    gate.open()


def test_tasks_are_spared_the_noise_of_normal_ends(
    tasks: TaskSupervisorRef, caplog: pytest.LogCaptureFixture
) -> None:
    """A thousand of them write nothing to the log."""
    caplog.set_level(logging.INFO, "slither_actors")
    assert sum(values(tasks.async_stream(abs, range(1000), max_concurrency=8))) == 499500
    assert not caplog.records


def test_a_task_knows_its_supervisor(tasks: TaskSupervisorRef) -> None:
    """The function runs below it, also if somebody else asked."""

    def parent() -> Ref | None:
        cell = current_cell()
        return None if cell is None or cell.parent is None else cell.parent.ref

    assert tasks.async_(parent).await_() is tasks
    assert Quiet.start().call(lambda _: tasks.async_(parent).await_()) is tasks
