"""What a user gives, and that is odder than it looks: keys, names, exceptions, errors within errors."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from slither_actors.actors import (
    Crash,
    Registry,
    RegistryRef,
    Server,
    Supervisor,
    TaskSupervisor,
    TaskSupervisorRef,
    whereis,
)
from slither_actors.errors import ActorError, ActorExitError, ExitPendingError, StartError
from tests.actors.probes import LONG, Gate, Log, Probe, Quiet


class Name:
    """A name whose hash is lost when `broken` is set."""

    broken = False

    def __hash__(self) -> int:
        if self.broken:
            raise LookupError("no hash")
        return 1


class Broken(Quiet):
    """Does not start."""

    def init(self, *_: Any) -> None:
        raise OSError("the disk is full")


def test_the_failure_below_many_supervisors_is_told_once() -> None:
    """With the way to it, and not quoted again by each of them."""
    spec = Broken.child_spec(id="worker")
    for level in range(30):
        spec = Supervisor.child_spec([spec], id=level)
    with pytest.raises(StartError) as caught:
        Supervisor.start([spec])
    text = str(caught.value)
    assert "child 29: child 28: " in text
    assert text.endswith("child 0: child 'worker': OSError: the disk is full")
    assert len(text) < 600


def test_a_key_that_cannot_be_one_is_the_callers_mistake() -> None:
    """Who wants to lock it gets the error; the registry and the actors in it live."""
    registry = Registry.start()
    assert isinstance(registry, RegistryRef)
    owner = Quiet.start()
    registry.register_actor(owner, "key", None)
    with pytest.raises(TypeError, match="unhashable"):
        registry.lock(["x"], print)
    assert registry.is_alive()
    assert owner.is_alive()


@pytest.mark.parametrize("listeners", ["doorman", 3, [["doorman"]]])
def test_listeners_are_checked_when_they_are_given(listeners: Any) -> None:
    """A text is one name, and not a listener for each letter."""
    with pytest.raises(StartError, match="listeners"):
        Registry.start(listeners=listeners)


@pytest.mark.parametrize("seconds", [1e10, float("inf")])
def test_a_wait_may_be_longer_than_the_system_knows(seconds: float) -> None:
    """It is as long as can be."""
    ref = Quiet.start()
    tasks = TaskSupervisor.start()
    assert isinstance(tasks, TaskSupervisorRef)
    assert ref.call("there?", seconds) == "there?"
    assert tasks.async_nolink(int).await_(seconds) == 0
    ref.kill()
    assert ref.join(seconds)


def test_an_actor_ends_though_its_name_has_lost_its_hash() -> None:
    """Who watches it is told, and other names stay."""
    name = Name()
    log = Log()
    watcher = Probe.start(log)
    other = Quiet.start(name="other")
    named = Quiet.start(name=name)
    watcher.call(lambda actor: actor.monitor(named) and None, LONG)
    name.broken = True
    named.kill()
    assert named.join(LONG)
    assert log.get().reason == "killed"
    assert whereis("other") is other


class _Cyclic(Server):
    def handle_cast(self, message: Any) -> None:
        first, second = ValueError(1), ValueError(2)
        first.__cause__, second.__cause__ = second, first
        self.ref.exit("shutdown")
        raise first


def test_exceptions_that_cause_each_other_end_an_actor() -> None:
    """Also while an exit is on its way, which makes the runtime look at the causes."""
    ref = _Cyclic.start()
    ref.cast(None)
    assert ref.join(LONG)
    assert isinstance(ref.exit_reason, Crash)


class _CauseRaisesError(Exception):
    @property
    def __cause__(self) -> Any:
        raise LookupError("no cause")


class _MembersRaise(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> Any:
        raise LookupError("no members")


@pytest.mark.parametrize("error", [_CauseRaisesError(), _MembersRaise("several", [ValueError()])], ids=type)
def test_an_exception_that_hides_what_it_holds_ends_an_actor(error: Exception) -> None:
    """Its class may have redefined the attributes that exceptions have."""

    class Raising(Server):
        def handle_cast(self, message: Any) -> None:
            raise error

    ref = Raising.start()
    ref.cast(None)
    assert ref.join(LONG)
    assert isinstance(ref.exit_reason, Crash)
    assert ref.exit_reason.exception is error


class Nameless(type):
    """Of classes that do not even give their name."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__name__", "__qualname__", "__module__"):
            raise KeyError(name)
        return super().__getattribute__(name)


class NamelessError(Exception, metaclass=Nameless):
    """Its class has no name."""


class Inline(Quiet):
    inline_calls = True


@pytest.mark.parametrize("kind", [Quiet, Inline])
def test_an_exception_whose_class_hides_its_name_ends_an_actor(kind: type[Quiet]) -> None:
    """The caller is told and the actor is dead, as after any other."""

    def fail(_: Any) -> None:
        raise NamelessError("hidden")

    ref = kind.start()
    with pytest.raises(ActorExitError, match="NamelessError: hidden"):
        ref.call(fail, LONG)
    assert ref.join(LONG)
    assert isinstance(ref.exit_reason, Crash)


class Textless:
    """A reason that has no text."""

    def __str__(self) -> str:
        raise LookupError("no text")

    __repr__ = __str__


def test_a_reason_without_a_text_ends_a_wait() -> None:
    """Who waits in a call and is to end for it gets the error, not the one of the text."""
    server, caller, errors = Quiet.start(), Quiet.start(), Log()
    asked, gate = Gate(), Gate()

    def wait(_: Any) -> None:
        asked.arrived.set()
        try:
            server.call(None, LONG)
        except ActorError as error:
            errors.add(error)
            raise

    server.cast(gate)
    caller.cast(wait)
    asked.wait()
    caller.exit(Textless())
    assert caller.join(LONG)
    gate.open()
    error = errors.get()
    assert isinstance(error, ExitPendingError)
    assert "Textless, whose text raised LookupError" in str(error)
    assert isinstance(caller.exit_reason, Textless)


def test_errors_that_quote_one_another_do_not_grow() -> None:
    """A crash at the end of a long chain of calls is told at each actor of it, from both ends."""
    ref = Quiet.start()
    at_the_end: Any = lambda _: 1 / 0  # noqa: E731
    for _ in range(100):
        at_the_end = lambda _, ref=ref, following=at_the_end: ref.call(following, LONG)  # noqa: E731
        ref = Quiet.start()
    with pytest.raises(ActorExitError) as caught:
        ref.call(at_the_end, LONG)
    text = str(caught.value)
    assert text.startswith(f"{ref} exited before it answered: ")
    assert "characters left out" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert len(text) < 2200
    assert len(caught.value.reason.traceback_text) < 6000


def test_a_server_has_a_text() -> None:
    """For the log: its class, name and number."""

    class Speaking(Server):
        def handle_call(self, request: Any, sender: Any) -> str:
            return f"{self}"

    ref = Speaking.start(name="anna")
    assert ref.call(None) == f"Speaking 'anna' <{ref.id}>"


@pytest.mark.skipif(sys.platform == "win32", reason="no fork here")
def test_a_wait_in_a_child_of_a_fork_is_an_error(program: Any) -> None:
    """There is nobody who could end it: of a task, of an ask, of a run that is read."""
    done = program("""
import os, threading, warnings
from slither_actors.actors import Actor, TaskSupervisor
from slither_actors.errors import ForkedRuntimeError

gate = threading.Event()
class Waiting(Actor):
    def on_receive(self, message):
        gate.wait()

task = TaskSupervisor.start().async_nolink(gate.wait)
future = Waiting.start().ask(1, block=False)
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forks beside threads
pid = os.fork()
if not pid:
    for wait in (lambda: task.await_(None), lambda: task.yield_(None), future.get):
        try:
            wait()
        except ForkedRuntimeError:
            print("refused", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
gate.set()
""")
    assert done.out == ["refused"] * 3
    assert done.err == ""


class HiddenError(Exception):
    """An exception of which nothing can be asked, not even its class."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("way", ["cast", "call", "at the end"])
def test_an_exception_of_which_nothing_can_be_asked_ends_its_actor(way: str) -> None:
    """Crash report, links and callers have to do without."""

    class Raising(Quiet):
        def terminate(self, reason: Any) -> None:
            raise HiddenError

    def hide(_: Any) -> None:
        raise HiddenError

    ref = (Raising if way == "at the end" else Quiet).start()
    if way == "call":
        with pytest.raises(ActorExitError):
            ref.call(hide, LONG)
    elif way == "cast":
        ref.cast(hide)
    else:
        ref.stop(block=False)
    assert ref.join(LONG)
