"""Options that are not allowed: one error, where they are given, that says whose option it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slither_actors.actors import (
    Actor,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Failure,
    PartitionSupervisor,
    Ref,
    Registry,
    Server,
    Supervisor,
    SupervisorRef,
    Task,
    TaskSupervisor,
    await_many,
    interruptible,
    named,
    trace,
    when_named,
    whereis,
    yield_many,
)
from slither_actors.application import Application
from slither_actors.errors import ChildError, OptionError, StartError
from tests.actors.probes import LONG, Probe, Quiet

NAN = float("nan")
INF = float("inf")
HUGE = 10**400
"""No float can hold it."""


class Incomparable:
    """As an id or a value: its ``==`` raises."""

    __hash__ = object.__hash__

    def __eq__(self, _: object) -> bool:
        raise LookupError("no comparison")


class Unhashable:
    """As an id or a name."""

    def __hash__(self) -> int:
        raise LookupError("no hash")


class Nameless:
    """Has no text."""

    def __repr__(self) -> str:
        raise LookupError("no text")


ODD: list[Any] = [Incomparable(), Unhashable(), Nameless(), [], b"x", 1j]
"""What is allowed nowhere below."""

FLAGS: list[Any] = [*ODD, None, 0, 1, "yes", ""]
COUNTS: list[Any] = [*ODD, True, -1, 1.5, NAN, INF, "1"]
TIMES: list[Any] = [*ODD, True, False, -1, -0.5, NAN, -INF, HUGE, "1"]
FINITE: list[Any] = [*TIMES, INF]
NAMES: list[Any] = [[], {}, Unhashable()]
WORDS: list[Any] = [*ODD, None, True, 0, "nope"]


def table(*rows: tuple[str, list[Any]]) -> Any:
    """The options with each of their wrong values."""
    cases = [(option, value) for option, values in rows for value in values]
    ids = [f"{option}-{number}" for number, (option, _) in enumerate(cases)]
    return pytest.mark.parametrize(("option", "value"), cases, ids=ids)


def refused(option: str, where: str, function: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Call the function; return the text of the `OptionError`, of a start that failed its cause."""
    with pytest.raises((OptionError, StartError)) as caught:
        function(*args, **kwargs)
    error: BaseException | None = caught.value
    if isinstance(error, StartError):
        error = error.__cause__
    assert isinstance(error, OptionError), error
    assert error.option == option
    assert where in error.where
    assert "allowed" in str(error).lower()
    return str(error)


# -- child specs -------------------------------------------------------------------------------


@table(
    ("id", NAMES),
    ("restart", WORDS),
    ("shutdown", [*FINITE, "kill"]),
    ("significant", FLAGS),
    ("backoff", [*ODD, 1, "1", True]),
    ("exclusive", FLAGS),
    ("async_kill", FLAGS),
)
def test_a_child_spec_names_its_id_and_class(option: str, value: Any) -> None:
    """When it is made, by either way."""
    if option == "id":
        refused(option, "of Quiet", Quiet.child_spec, id=value)
        return
    refused(option, "child spec 'a' of Quiet", Quiet.child_spec, id="a", **{option: value})
    spec: dict[str, Any] = {"id": "a", "start": (Quiet, (), {}), option: value}
    refused(option, "child spec 'a' of Quiet", ChildSpec, **spec)


@pytest.mark.parametrize(
    "start", [*ODD, None, (Quiet, ()), (Quiet, [], {}), (Quiet, (), {1: 2}), (3, (), {})]
)
def test_the_start_of_a_spec_is_checked(start: Any) -> None:
    """It is a class and the arguments of its `init`."""
    refused("start", "child spec 'a'", ChildSpec, id="a", start=start)


@pytest.mark.parametrize("name", NAMES, ids=["list", "dict", "raises"])
def test_a_name_has_a_hash(name: Any) -> None:
    """Where a server is described, started, looked up or waited for."""
    refused("name", "child spec of Quiet", Quiet.child_spec, name=name)
    refused("name", "Quiet", Quiet.start, name=name)
    refused("name", "Quiet", Quiet.start, name=(Registry.start(), name))
    refused("name", "whereis", whereis, name)
    refused("name", "whereis", named(name).call, 1)
    refused("name", "when_named", when_named, name, Quiet.start(), print, timeout=1)


class Sized(Server):
    """Takes one option of its own."""

    def init(self, size: int = 1) -> None:
        self.size = size


class Lenient(Server):
    """Takes anything."""

    def init(self, **options: Any) -> None:
        self.options = options


def test_a_misspelt_option_is_no_argument_of_init() -> None:
    """The error says what it may have been, and what `init` takes."""
    text = refused("restrat", "child spec of Sized", Sized.child_spec, restrat="transient")
    assert "is neither an option nor a parameter of Sized.init; did you mean 'restart'?" in text
    assert "Sized.init takes size" in text
    assert "did you mean 'size'?" in refused("sice", "child spec of Sized", Sized.child_spec, sice=3)
    assert Sized.child_spec(size=3).start == (Sized, (), {"size": 3})


def test_an_init_that_takes_all_options_gets_them() -> None:
    """Nobody can tell then."""
    assert Lenient.start(**Lenient.child_spec(restrat=1).start[2]).get_state(LONG) == {
        "options": {"restrat": 1}
    }


def test_a_misspelt_option_of_a_start_names_the_right_one() -> None:
    """Of a server, a supervisor, and one without an `init`, which takes none."""
    assert "did you mean 'size'?" in refused("sise", "Sized", Sized.start, sise=1)
    text = refused("strategie", "Supervisor", Supervisor.start, strategie="one_for_all")
    assert "is no parameter of Supervisor.init; did you mean 'strategy'?" in text
    refused("name_", "Server", Server.start, name_="a")
    refused("name_", "Server", Server.child_spec, name_="a")


def test_a_type_error_of_an_init_stays_what_it_is() -> None:
    """Only that of a wrong keyword becomes an error of the options."""

    class Broken(Sized):
        def init(self, size: int = 1) -> None:
            super().init(size + "1")  # type: ignore[operator]

    with pytest.raises(StartError) as caught:
        Broken.start(size=1)
    assert type(caught.value.__cause__) is TypeError


# -- supervisors -----------------------------------------------------------------------------------

LIMITS = [("max_restarts", COUNTS), ("max_seconds", [*TIMES, 0]), ("max_zombies", COUNTS)]


@table(
    ("strategy", WORDS),
    ("auto_shutdown", WORDS),
    ("children", [*ODD[:3], ODD[5], None, 3, Quiet, ["x"], [3], [Task], [Nameless()]]),
    *LIMITS,
)
def test_a_supervisor_names_itself(option: str, value: Any) -> None:
    """Nothing starts."""
    refused(option, "Supervisor 'top' <", Supervisor.start, name="top", **{option: value})


@table(("max_children", COUNTS), *LIMITS)
def test_a_dynamic_supervisor_names_itself(option: str, value: Any) -> None:
    """One of tasks as well."""
    refused(option, "DynamicSupervisor <", DynamicSupervisor.start, **{option: value})
    refused(option, "TaskSupervisor <", TaskSupervisor.start, **{option: value})


@table(
    ("partitions", [*COUNTS, 0, 100_001, HUGE]),
    ("with_arguments", [*ODD, 1, "x"]),
    ("strategy", WORDS),
    *LIMITS,
)
def test_a_partition_supervisor_names_itself(option: str, value: Any) -> None:
    """And what it is to start."""
    options = {"partitions": 2, option: value}
    refused(option, "PartitionSupervisor <", PartitionSupervisor.start, Quiet, **options)


@pytest.mark.parametrize("count", [*COUNTS, 3], ids=type)
def test_a_wrong_size_does_not_end_the_partitions(count: Any) -> None:
    """It is the caller's mistake, whatever it is."""
    partitions = PartitionSupervisor.start(Quiet, partitions=2)
    refused("partitions", str(partitions), partitions.resize, count)
    assert partitions.partitions() == 2


@table(("keys", WORDS), ("listeners", [*ODD[:3], 3, "doorman", b"x", [[]], [Unhashable()]]))
def test_a_registry_names_itself(option: str, value: Any) -> None:
    """As a supervisor does."""
    refused(option, "Registry <", Registry.start, **{option: value})


@pytest.mark.parametrize("ref", [None, "name", 3, Quiet, Nameless()], ids=lambda ref: type(ref).__name__)
@pytest.mark.parametrize("method", ["monitor", "link", "unlink"])
def test_what_is_no_ref_is_refused(method: str, ref: Any) -> None:
    """A name that nobody has gives None, and the error says that this is no actor."""
    probe = Quiet.start()
    refused("ref", method, probe.call, lambda probe: Failure(caught(getattr(probe, method), ref)))
    assert probe.is_alive()


@pytest.mark.parametrize("ref", [None, "name", 3, Quiet, Nameless()], ids=lambda ref: type(ref).__name__)
def test_a_registry_refuses_what_is_no_ref(ref: Any) -> None:
    """Wherever it takes one."""
    registry = Registry.start(keys="unique")
    refused("ref", "Registry.register_actor", registry.register_actor, ref, "key")
    refused("ref", "Registry.unregister_actor", registry.unregister_actor, ref, "key")
    refused("ref", "Registry.keys", registry.keys, ref)
    refused("ref", "Registry.values", registry.values, "key", ref)
    assert registry.count() == 0


def caught(function: Callable[[Any], object], argument: Any) -> OptionError:
    """What the function raises."""
    with pytest.raises(OptionError) as error:
        function(argument)
    return error.value


def supervisor_of(*ids: object) -> SupervisorRef:
    """A supervisor with a child for each id."""
    return Supervisor.start([Quiet.child_spec(id=id) for id in ids], strategy="one_for_all")


def test_an_id_that_cannot_be_compared_does_not_end_a_supervisor() -> None:
    """Who asks for it gets the error; the children live."""
    supervisor = supervisor_of("a")
    for method in ("child", "restart_child", "terminate_child", "delete_child"):
        with pytest.raises(ChildError, match="cannot be compared with 'a'") as caught:
            getattr(supervisor, method)(Incomparable())
        assert caught.value.reason == "id"
    with pytest.raises(ChildError, match="cannot be compared"):
        supervisor.start_child(Quiet.child_spec(id=Incomparable()))
    assert supervisor.child("a") is not None


def test_children_whose_ids_cannot_be_compared_are_restarted() -> None:
    """A supervisor knows its children without comparing ids of the user's."""

    class Grouped(Incomparable):
        def __hash__(self) -> int:
            return id(self)

    supervisor = supervisor_of(Grouped(), Grouped(), "last")
    before = [info.ref for info in supervisor.which_children()]
    assert before[0] is not None
    before[0].kill()
    assert all(ref is None or ref.join(LONG) for ref in before)
    after = [info.ref for info in supervisor.which_children()]
    assert all(ref is not None and ref not in before for ref in after)


def test_ids_of_a_list_that_cannot_be_compared_are_refused() -> None:
    """Those that have the same hash and would have to be."""

    class Same(Incomparable):
        def __hash__(self) -> int:
            return 1

    children = [Quiet.child_spec(id=Same()), Quiet.child_spec(id=Same())]
    with pytest.raises(StartError, match="option 'children' has ids that cannot be compared"):
        Supervisor.start(children)


def test_a_supervisor_survives_ids_without_a_text() -> None:
    """They are shown as what they are, in its errors and when it gives up."""
    supervisor = supervisor_of(Nameless())
    with pytest.raises(ChildError, match="Nameless, whose text raised LookupError"):
        supervisor.terminate_child(Nameless())
    (child,) = supervisor.which_children()
    for _ in range(4):
        assert child.ref is not None
        child.ref.kill()
        child.ref.join(LONG)
        if not supervisor.is_alive():
            break
        try:
            (child,) = supervisor.which_children()
        except Exception:  # noqa: BLE001 - it gave up meanwhile
            break
    assert supervisor.join(LONG)
    assert supervisor.exit_reason == "shutdown"


@pytest.mark.parametrize("what", [*ODD, 3, Task, Actor], ids=type)
def test_what_is_no_child_is_refused_by_the_ref(what: Any) -> None:
    """With the name of the supervisor, which lives on."""
    for supervisor in (supervisor_of("a"), DynamicSupervisor.start()):
        refused("children", str(supervisor), supervisor.start_child, what)
        assert supervisor.is_alive()


def test_a_significant_child_is_refused_with_the_supervisor() -> None:
    """Where it cannot have a meaning."""
    spec = Quiet.child_spec(id="a", restart="transient", significant=True)
    for supervisor in (supervisor_of("b"), DynamicSupervisor.start()):
        with pytest.raises(OptionError, match="option 'significant' is True for") as caught:
            supervisor.start_child(spec)
        assert caught.value.where == str(supervisor)


# -- classes ---------------------------------------------------------------------------------------


@table(
    ("own_thread", [*FLAGS, 2]),
    ("trap_exit", FLAGS),
    ("inline_calls", FLAGS),
    ("mailbox_size", [*COUNTS, 0]),
    ("mailbox_overflow", WORDS),
    ("child_type", WORDS),
    ("ref_class", [*ODD, None, object]),
)
def test_a_class_is_checked_when_it_is_defined(option: str, value: Any) -> None:
    """Also what it has from a mixin."""
    refused(option, "Wrong", type, "Wrong", (Server,), {option: value})
    mixin = type("Mixin", (), {option: value})
    refused(option, "Wrong", type, "Wrong", (mixin, Server), {})
    if option not in ("child_type", "ref_class"):
        refused(option, "Wrong", type, "Wrong", (Actor,), {option: value})


# -- waits -----------------------------------------------------------------------------------------


class Inline(Quiet):
    """Answers in the caller's thread."""

    inline_calls = True


@pytest.mark.parametrize("timeout", TIMES, ids=type)
def test_a_timeout_is_refused_before_anything_is_sent(timeout: Any) -> None:
    """By all methods of a ref that wait, and it names the actor."""
    for ref in (Quiet.start(), Inline.start()):
        for wait in (ref.get_state, ref.suspend, ref.resume, ref.join):
            refused("timeout", str(ref), wait, timeout)
        refused("timeout", str(ref), ref.call, 1, timeout)
        refused("timeout", str(ref), ref.run, print, None, timeout)
        refused("timeout", str(ref), ref.replace_state, dict, timeout)
        refused("timeout", str(ref), ref.stop, timeout=timeout)
        assert ref.is_alive()
        assert ref.statistics().handled == 0
    supervisor = supervisor_of("a")
    refused("timeout", str(supervisor), supervisor.render, timeout)


@pytest.mark.parametrize("block", FLAGS, ids=type)
def test_a_stop_waits_or_does_not(block: Any) -> None:
    """The option is a flag."""
    ref = Quiet.start()
    refused("block", str(ref), ref.stop, block=block)
    assert ref.is_alive()


class Echo(Actor):
    """Answers what it is asked."""

    def on_receive(self, message: Any) -> Any:
        return message


def test_the_timeout_of_an_ask_is_a_number() -> None:
    """One below 0 is none to wait for, as in Pykka; one that is larger than the system knows is allowed."""
    ref = Echo.start()
    for value in ("1", NAN, HUGE, True):
        refused("timeout", "Future.get", ref.ask, 1, timeout=value)
        refused("timeout", str(ref), ref.stop, timeout=value)
    assert ref.ask(1, timeout=INF) == 1
    ref.stop(timeout=LONG)


@pytest.mark.parametrize("timeout", TIMES, ids=type)
def test_the_timeout_of_a_task_is_checked(timeout: Any) -> None:
    """Though its outcome may be there already."""
    tasks = TaskSupervisor.start()
    task = tasks.async_nolink(int)
    assert task.yield_(LONG) is not None
    for wait in (task.await_, task.yield_, task.shutdown):
        refused("timeout", str(task.ref), wait, timeout)
    refused("timeout", "await_many", await_many, [task], timeout)
    refused("timeout", "yield_many", yield_many, [task], timeout)
    refused("timeout", "async_stream", tasks.async_stream_nolink, abs, [1], timeout=timeout)


@table(("limit", COUNTS), ("on_timeout", WORDS))
def test_yield_many_checks_its_options(option: str, value: Any) -> None:
    """All of them."""
    refused(option, "yield_many", yield_many, [], **{option: value})


@pytest.mark.parametrize("tasks", [None, 3, [3], [Nameless()]], ids=type)
def test_what_is_no_task_is_not_waited_for(tasks: Any) -> None:
    """One, or the list of them."""
    refused("tasks", "await_many", await_many, tasks)
    refused("tasks", "yield_many", yield_many, tasks)


@table(("max_concurrency", [*COUNTS, 0]), ("ordered", [*FLAGS, "x"]), ("on_timeout", WORDS))
def test_a_stream_checks_its_options(option: str, value: Any) -> None:
    """By the call."""
    tasks = TaskSupervisor.start()
    refused(option, "async_stream", tasks.async_stream, abs, [1], **{option: value})


def test_a_stream_may_wait_longer_than_the_system_knows() -> None:
    """It is as long as can be."""
    tasks = TaskSupervisor.start()
    outcomes = [outcome.get() for outcome in tasks.async_stream_nolink(abs, [-1], timeout=INF)]
    assert outcomes == [1]


@pytest.mark.parametrize("function", [*ODD, None, 3], ids=type)
def test_what_is_no_function_is_not_run(function: Any) -> None:
    """It is refused where it is given, not where it would have been called."""
    tasks = TaskSupervisor.start()
    ref = Quiet.start()
    for start in (tasks.async_nolink, tasks.start_child, Task.start, Task.async_, Task.child_spec):
        refused("function", "", start, function)
    refused("function", str(tasks), tasks.async_stream, function, [1])
    refused("iterable", str(tasks), tasks.async_stream, abs, 3)
    refused("function", f"trace of {ref}", trace, ref, function)
    refused("function", str(ref), ref.replace_state, function)
    refused("function", "when_named", when_named, "a", ref, function, timeout=1)
    refused("waiter", "when_named", when_named, "a", 3, print, timeout=1)
    refused("ref", "trace", trace, function, print)
    refused("wake", "interruptible", interruptible(function).__enter__)
    refused("error", "Failure", Failure, function)


def test_a_task_does_not_take_a_misspelt_option() -> None:
    """If its function does not either."""

    def sweep(depth: int = 1) -> int:
        return depth

    text = refused("restrat", "child spec of a task", Task.child_spec, sweep, restrat="permanent")
    assert "did you mean 'restart'?" in text
    assert Task.child_spec(sweep, depth=2).start[1] == (sweep, (), {"depth": 2})


def test_a_new_state_is_a_mapping() -> None:
    """Otherwise the old one stays."""
    ref = Sized.start(3)
    for made in (None, 3, [1], {1: 2}):
        refused("function", str(ref), ref.replace_state, lambda _, made=made: made, LONG)
    assert ref.get_state(LONG) == {"size": 3}


# -- timers ------------------------------------------------------------------------------------------


def inside(ref: Ref, function: Callable[[Any], object]) -> None:
    """Run the function in the actor."""
    ref.call(lambda actor: function(actor) and None, LONG)


NO_DELAYS: list[Any] = [*ODD, None, True, NAN, INF, -INF, HUGE, "1"]
NO_PERIODS: list[Any] = [*FINITE, 0]


def test_a_timer_names_its_actor() -> None:
    """Nothing is left behind."""
    probe = Probe.start(None)

    def check(actor: Any) -> None:
        for value in NO_DELAYS:
            refused("seconds", str(probe), actor.send_after, value, "x")
            refused("seconds", str(probe), actor.run_after, value, print)
        for value in NO_PERIODS:
            refused("period", str(probe), actor.send_after, 1, "x", period=value)
        refused("function", str(probe), actor.run_after, 1, "x")

    inside(probe, check)
    assert probe.statistics().timers == 0
    for value in NO_DELAYS:
        refused("timeout", "when_named", when_named, "a", probe, print, timeout=value)


@table(("min", FINITE), ("max", FINITE), ("jitter", [*FINITE, 1.1]), ("reset_after", FINITE))
def test_a_backoff_is_checked(option: str, value: Any) -> None:
    """When it is made."""
    refused(option, "backoff", Backoff, **{option: value})


# -- applications ------------------------------------------------------------------------------------


@table(
    ("drain_timeout", [*TIMES, None]),
    ("on_zombies", WORDS),
    ("children", [*ODD[:3], ODD[5], None, 3, Quiet, ["x"], [3], [Task]]),
    ("stores", [*ODD[:3], ODD[5], None, 3, ["x"], [Nameless()]]),
    ("pools", [*ODD, 3, {1: 2}, {"a": Nameless()}, {"a": True}]),
)
def test_an_application_is_checked_when_it_is_made(option: str, value: Any) -> None:
    """It names the application."""
    refused(option, "Application", Application, **{option: value})


@pytest.mark.parametrize("timeout", [*TIMES, None], ids=type)
def test_an_application_stops_within_seconds(timeout: Any) -> None:
    """The option of `stop`."""
    refused("timeout", "Application", Application().stop, timeout)
