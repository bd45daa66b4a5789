"""The store's server: loading, reloading, dying."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, ClassVar

import pytest

from slither_actors import telemetry
from slither_actors.actors import Ref, Supervisor, SupervisorRef, zombies
from slither_actors.bridge import SESSIONS
from slither_actors.errors import (
    ActorExitError,
    CallCycleError,
    CallTimeoutError,
    NotRunningError,
    StartError,
    StoreError,
    StoreLoadError,
    ViewError,
)
from slither_actors.store import LoadTables, Store, StoreServer, Table, retire, view, views_of
from slither_actors.store._store import pointer_of
from tests.actors.probes import Quiet, settle
from tests.store.conftest import Start


class Source(Store):
    """Loads what the test says."""

    left: Table[Any, Any] = Table()
    right: Table[Any, Any] = Table()
    generation: ClassVar[int] = 1
    loading: ClassVar[threading.Event]
    go_on: ClassVar[threading.Event]
    fail: ClassVar[BaseException | None] = None
    fail_once: ClassVar[bool] = False
    kept: ClassVar[LoadTables | None] = None

    def load(self, tables: LoadTables) -> None:
        cls = type(self)
        cls.kept = tables
        tables.left.put("generation", cls.generation)
        cls.loading.set()
        assert cls.go_on.wait(20)
        if cls.fail is not None:
            fail = cls.fail
            if cls.fail_once:
                cls.fail = None
            raise fail
        tables["right"].insert({"generation": cls.generation})
        self.loaded = cls.generation

    @view
    def which(self) -> tuple[int, Any]:
        return self.loaded, self.right.get("generation")


@pytest.fixture(autouse=True)
def reset() -> None:
    Source.generation, Source.fail, Source.fail_once, Source.kept = 1, None, False, None
    Source.loading, Source.go_on = threading.Event(), threading.Event()
    Source.go_on.set()


def both() -> tuple[Any, Any]:
    return Source.left.get("generation"), Source.right.get("generation")


def server(supervisor: Ref) -> Any:
    found: Any = supervisor
    return found.child(pointer_of(Source).key)


def in_thread(function: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def join(thread: threading.Thread) -> None:
    thread.join(20)
    assert not thread.is_alive()


# -- load ------------------------------------------------------------------------


def test_a_failing_load_fails_the_start() -> None:
    """The start error is caused by one that names the store; nothing is published."""
    Source.fail = ValueError("no such file")
    with pytest.raises(StartError) as caught:
        StoreServer.start(Source)
    cause = caught.value.__cause__
    assert isinstance(cause, StoreLoadError)
    assert str(cause) == "store Source did not load: ValueError: no such file"
    assert cause.reason is Source.fail
    with pytest.raises(NotRunningError):
        Source.left.get("generation")
    with pytest.raises(NotRunningError):
        Source.left.put("generation", 1)


def test_a_failing_load_fails_the_start_of_its_supervisor(start: Start) -> None:
    """The load error is in the chain of causes."""
    Source.fail = ValueError("no such file")
    with pytest.raises(StartError) as caught:
        start(Source)
    chain: list[BaseException] = [caught.value]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    assert any(isinstance(error, StoreLoadError) for error in chain)


def test_tables_are_closed_once_they_are_published(start: Start) -> None:
    """What `load` was given can no longer reach the readers."""
    start(Source)
    assert Source.kept is not None
    with pytest.raises(StoreError, match="was loaded and published"):
        Source.kept.left.put("generation", 99)
    assert both() == (1, 1)


def test_load_names_a_table_that_is_not_declared(start: Start) -> None:
    """As the reason of the load error."""

    class Wrong(Store):
        rows: Table[Any, Any] = Table()

        def load(self, tables: LoadTables) -> None:
            tables.rovs.put(1, 1)

    with pytest.raises(StartError) as caught:
        StoreServer.start(Wrong)
    assert "there is no table 'rovs'; declared: rows" in str(caught.value.__cause__)


def test_load_may_read_and_delete_what_it_has_put(start: Start) -> None:
    """A table that is being loaded is written by one thread and seen by no other."""

    class Careful(Store):
        rows: Table[Any, Any] = Table()

        def load(self, tables: LoadTables) -> None:
            tables.rows.insert((number, number) for number in range(10))
            assert len(tables.rows) == 10
            assert 3 in tables.rows
            assert tables.rows.get(3) == 3
            assert tables.rows.delete(3)
            assert not tables.rows.delete(3)

    start(Careful)
    assert sorted(Careful.rows) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_global_views_live_as_long_as_their_store(start: Start) -> None:
    """In every session and in none; two stores cannot have the same one."""

    class One(Store):
        @view(scope="global")
        def everywhere(self) -> str:
            return type(self).__name__

    class Two(One):
        @view(scope="global")
        def everywhere(self) -> str:
            return "two"

        rows: Table[Any, Any] = Table()

    start(One)
    assert SESSIONS.find(None, "everywhere").call((), {}) == "One"
    with pytest.raises(StartError) as caught:
        StoreServer.start(Two)
    assert isinstance(caught.value.__cause__, ViewError)
    with pytest.raises(NotRunningError):
        Two.rows.size()
    retire(One)
    with pytest.raises(ViewError):
        SESSIONS.find(None, "everywhere")


# -- reload ----------------------------------------------------------------------


def test_a_reload_swaps_all_tables_and_the_instance(start: Start) -> None:
    """Rows that `load` does not bring back are gone, and views run on the new instance."""
    start(Source)
    Source.left.put("mine", 1)
    Source.generation = 2
    Source.reload()
    assert both() == (2, 2)
    assert "mine" not in Source.left
    assert views_of(Source)[0].call((), {}) == (2, 2)


def test_readers_keep_the_old_tables_until_the_load_is_through(start: Start) -> None:
    """Also views, and what `load` set on its instance."""
    start(Source)
    Source.generation = 2
    Source.loading.clear()
    Source.go_on.clear()
    reloading = in_thread(Source.reload)
    assert Source.loading.wait(20)
    assert both() == (1, 1)
    assert views_of(Source)[0].call((), {}) == (1, 1)
    Source.go_on.set()
    join(reloading)
    assert both() == (2, 2)


def test_a_failing_reload_keeps_the_old_tables(start: Start) -> None:
    """The caller gets the reason, the server lives, writes go on as before."""
    supervisor = start(Source)
    before = server(supervisor)
    Source.generation, Source.fail = 2, OSError("disk")
    with pytest.raises(StoreLoadError, match="store Source did not load: OSError: disk"):
        Source.reload()
    assert both() == (1, 1)
    assert server(supervisor) is before
    Source.left.put("x", 1)
    assert Source.left.get("x") == 1


def test_writes_during_a_reload_apply_to_the_new_tables(start: Start) -> None:
    """They queue behind it: the server is one actor."""
    start(Source)
    Source.generation = 2
    Source.loading.clear()
    Source.go_on.clear()
    reloading = in_thread(Source.reload)
    assert Source.loading.wait(20)
    writing = in_thread(Source.left.put, "late", "write")
    while not server_has_mail():
        writing.join(0.001)
    Source.go_on.set()
    join(reloading)
    join(writing)
    assert both() == (2, 2)
    assert Source.left.get("late") == "write"


def server_has_mail() -> bool:
    return bool(pointer_of(Source).server._cell.inbox)  # type: ignore[attr-defined]


def test_a_reload_goes_on_after_its_caller_gave_up(start: Start) -> None:
    """The timeout is the caller's, also where the server is idle and would take a call inline."""
    start(Source)
    Source.generation = 2
    Source.go_on.clear()
    with pytest.raises(CallTimeoutError):
        Source.reload(timeout=0.05)
    assert both() == (1, 1)
    Source.go_on.set()
    Source.left.put("after", 1)  # queues behind the reload
    assert both() == (2, 2)


def test_a_write_from_inside_the_server_is_refused(start: Start) -> None:
    """It would wait for itself; the error comes at once."""
    start(Source)
    with pytest.raises(CallCycleError):
        Source.left.update("x", lambda _: Source.left.put("y", 1))


# -- death -----------------------------------------------------------------------


def test_a_restarted_server_loads_again(start: Start) -> None:
    """A write after the death waits for the successor; the version goes on."""
    supervisor = start(Source)
    Source.left.put("mine", 1)
    before, version = server(supervisor), Source.statistics().tables[0].version
    Source.generation = 2
    before.kill()
    before.join(20)
    Source.left.put("other", 1)
    assert both() == (2, 2)
    assert "mine" not in Source.left
    assert server(supervisor) is not before
    assert Source.statistics().tables[0].version == version + 2


def test_readers_keep_the_tables_of_a_dead_server(start: Start) -> None:
    """Until its successor has loaded, and from one moment to the next."""
    supervisor = start(Source)
    Source.generation = 2
    Source.loading.clear()
    Source.go_on.clear()
    server(supervisor).kill()
    assert Source.loading.wait(20)
    assert both() == (1, 1)
    Source.go_on.set()
    Source.right.put("x", 1)  # waits for the successor
    assert both() == (2, 2)


def test_readers_keep_the_tables_when_the_supervisor_dies(start: Start) -> None:
    """Killing it takes the servers along; only `retire` takes the tables away."""
    supervisor = start(Source)
    victim = server(supervisor)
    supervisor.kill()
    assert victim.join(20)
    assert both() == (1, 1)
    retire(Source)
    with pytest.raises(NotRunningError):
        both()


def test_a_server_that_crashes_answers_its_caller(start: Start) -> None:
    """What is no `Exception` ends the server; the caller learns that, and its row stays."""
    start(Source)

    def leave(_: object) -> object:
        raise SystemExit(3)

    with pytest.raises(ActorExitError, match="SystemExit"):
        Source.left.update("generation", leave)
    Source.left.put("x", 1)
    assert both() == (1, 1)


def test_a_crash_in_the_middle_of_a_reload_leaves_the_old_tables(start: Start) -> None:
    """The caller learns the reason; the next server loads anew, all of it."""
    start(Source)
    Source.generation, Source.fail = 2, SystemExit("half way")
    Source.fail_once = True
    with pytest.raises(ActorExitError, match="half way"):
        Source.reload()
    assert both() in [(1, 1), (2, 2)]
    Source.left.put("x", 1)  # waits for the successor
    assert both() == (2, 2)


def test_a_stopped_server_takes_its_tables_with_it() -> None:
    """Unlike one that failed, or one whose supervisor shuts down."""
    ref = StoreServer.start(Source)
    ref.stop()
    with pytest.raises(NotRunningError):
        both()
    with pytest.raises(NotRunningError):
        Source.left.put("x", 1)


def test_a_replaced_server_cannot_publish(start: Start) -> None:
    """A server that was given up while it was loading does not undo its successor's tables."""
    start(Source)
    pointer = pointer_of(Source)
    with pytest.raises(StoreError, match="a server that was killed or replaced"):
        pointer.publish(object(), pointer.now)
    assert both() == (1, 1)


@pytest.mark.parametrize("where", ["update", "load"])
def test_an_abandoned_server_writes_no_more(where: str) -> None:
    """Its handler runs on in the user's function; without a successor, too, readers see nothing of it."""
    supervisor = Supervisor.start([StoreServer.child_spec(Source, id="store", shutdown=0)])
    assert isinstance(supervisor, SupervisorRef)
    entered, go_on = threading.Event(), threading.Event()

    def slow(value: object) -> object:
        entered.set()
        assert go_on.wait(20)
        return "too late"

    if where == "load":
        Source.loading, Source.go_on, Source.generation = entered, go_on, 2
        write = Source.reload
    else:
        write = partial(Source.left.update, "generation", slow)
    outcome: list[type] = []

    def attempt() -> None:
        try:
            write()
        except ActorExitError as error:
            outcome.append(type(error))

    writer = Quiet.start()
    writer.cast(lambda _: attempt())
    assert entered.wait(20)
    supervisor.terminate_child("store")
    go_on.set()
    settle(writer)
    while zombies():
        threading.Event().wait(0.001)
    assert both() == (1, 1)
    assert outcome == [ActorExitError]
    supervisor.stop()
    writer.stop()
    retire(Source)


# -- telling ---------------------------------------------------------------------


def test_writes_are_told_once_each(start: Start) -> None:
    """One event a write, with the number of rows; a failed one and a read are none."""
    start(Source)
    seen: list[tuple[Any, ...]] = []
    with telemetry.attach("slither.store.write", lambda *event: seen.append(event)):
        Source.left.put("a", 1)
        Source.left.bulk_insert({"b": 1, "c": 2})
        Source.right.clear()
        Source.left.get("a")
        with pytest.raises(TypeError):
            Source.left.increment("a", "x")
    counts = [(sender, measured["count"], data) for _, sender, measured, data in seen]
    assert counts == [
        (Source, 1, {"store": "Source", "table": "left"}),
        (Source, 2, {"store": "Source", "table": "left"}),
        (Source, 1, {"store": "Source", "table": "right"}),
    ]


def test_reloads_are_told(start: Start) -> None:
    """A start and a stop, or a start and an exception with its reason."""
    start(Source)
    seen: list[tuple[Any, ...]] = []
    with telemetry.attach("slither.store.reload.*", lambda *event: seen.append(event)):
        Source.reload()
        Source.fail = ValueError("bad row")
        with pytest.raises(StoreLoadError):
            Source.reload()
    assert [name.rpartition(".")[2] for name, *_ in seen] == ["start", "stop", "start", "exception"]
    assert {sender for _, sender, _, _ in seen} == {Source}
    assert seen[1][2]["duration"] >= 0
    assert seen[1][3] == {"store": "Source"}
    assert isinstance(seen[3][3]["reason"], StoreLoadError)


def test_statistics(start: Start) -> None:
    """Rows, versions and writes per table; loads per store; nothing while it does not run."""
    idle = Source.statistics()
    assert (idle.running, idle.tables, idle.loads) == (False, (), 0)
    start(Source)
    Source.left.put("x", 1)
    Source.left.bulk_insert({"y": 1, "z": 1})
    Source.left.delete("nothing")
    Source.reload()
    Source.left.put("x", 1)
    stats = Source.statistics()
    assert (stats.store, stats.running, stats.loads) == ("Source", True, 2)
    assert stats.loaded_at > 0
    left, right = stats.tables
    assert (left.name, left.rows, left.version, left.writes) == ("left", 2, 5, 3)
    assert (right.name, right.rows, right.version, right.writes) == ("right", 1, 2, 0)
