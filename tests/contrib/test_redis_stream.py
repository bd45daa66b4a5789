"""A Redis stream as an input, with a server of its own: no message is lost."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors import Application, Pipe, Skip, run_pipe, stage, start_pipe, stream_pipe
from slither_actors.contrib.redis import RedisStream
from slither_actors.dispatch._stream import stages_of
from slither_actors.errors import ActorExitError, OptionError
from tests.contrib.killing import consume_under_kills

redis = pytest.importorskip("redis")
SERVER = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server")

QUICK = {"stream": "s", "group": "g", "idle_seconds": 0.15, "poll_seconds": 0.02, "ack_seconds": 0.02}


@pytest.fixture(autouse=True)
def application() -> Iterator[Any]:
    with Application(pools={}) as running:
        yield running


def start_server(folder: Path, port: int) -> Any:
    command = [str(SERVER), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    options = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    return subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)


def wait_until_up(client: Any) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            client.ping()
            return
        except redis.exceptions.RedisError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    with start_server(tmp_path_factory.mktemp("redis"), number) as server:
        try:
            with redis.Redis(port=number) as client:
                wait_until_up(client)
            yield number
        finally:
            server.kill()


@pytest.fixture
def client(port: int) -> Iterator[Any]:
    with redis.Redis(port=port) as found:
        found.flushall()
        yield found


class Same(Pipe):
    same = stage(lambda item: item.payload)


def pending(client: Any) -> int:
    return int(client.xpending("s", "g")["pending"])


def add(client: Any, count: int, stream: str = "s") -> None:
    pipeline = client.pipeline()
    for number in range(count):
        pipeline.xadd(stream, {"number": number})
    pipeline.execute()


def test_messages_are_delivered_in_order_and_acknowledged(client: Any) -> None:
    """Each once in a group; another group has them as well."""
    add(client, 250)
    found = run_pipe(Same, RedisStream(client, **QUICK))["default"]
    assert [item.payload for item in found] == [{"number": str(n)} for n in range(250)]
    assert pending(client) == 0
    assert run_pipe(Same, RedisStream(client, **QUICK))["default"] == []
    other = RedisStream(client, **{**QUICK, "group": "other"}, decode=dict, delete=True)
    assert run_pipe(Same, other)["default"][0].payload == {b"number": b"0"}
    assert client.xlen("s") == 0


def test_a_late_beat_is_no_further_delivery(client: Any) -> None:
    """What is worked at for longer than it may be idle was delivered once: else it is given up too early."""
    add(client, 1)
    source = RedisStream(client, **{**QUICK, "idle_seconds": 0.3}, min_idle_seconds=0.05)
    deliveries = source.deliveries(threading.Event())
    assert next(deliveries).payload == {"number": "0"}
    assert list(deliveries) == []  # nobody beats meanwhile
    assert [found["times_delivered"] for found in client.xpending_range("s", "g", "-", "+", 1)] == [1]


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_do(client: Any, port: int, protocol: int) -> None:
    """The answers have another form in each."""
    add(client, 3)
    with redis.Redis(port=port, protocol=protocol) as own:
        assert len(run_pipe(Same, RedisStream(own, **QUICK))["default"]) == 3
    assert pending(client) == 0


def test_what_fails_comes_again_and_is_given_up_then(client: Any) -> None:
    """The dead letter has the fields of the message, and the error."""
    seen = []

    class P(Pipe):
        @stage(on_error="skip")
        def check(item: Any) -> Any:  # noqa: N805
            seen.append(item.payload["number"])
            if item.payload["number"] == "1":
                raise ValueError("no good")
            return item.payload

    add(client, 2)
    options = {
        **QUICK,
        "min_idle_seconds": 0.05,
        "idle_seconds": 0.4,
        "max_deliveries": 3,
        "dead_letters": "dead",
    }
    run_pipe(P, RedisStream(client, **options))
    assert sorted(seen) == ["0", "1", "1", "1"]
    [(_, letter)] = client.xrange("dead")
    assert letter[b"number"] == b"1"
    assert letter[b"error"] == b"ValueError: no good"
    assert pending(client) == 0


def test_what_a_consumer_left_goes_to_another(client: Any) -> None:
    """After a while; a stream that is left acknowledges only what was consumed."""
    add(client, 20)
    options = {**QUICK, "min_idle_seconds": 0.1, "idle_seconds": 0.5}
    with stream_pipe(Same, RedisStream(client, **options)) as stream:
        for _ in range(5):
            next(stream)
    assert pending(client) == 16
    rest = run_pipe(Same, RedisStream(client, **options))["default"]
    assert [int(item.payload["number"]) for item in rest] == list(range(4, 20))
    assert pending(client) == 0


def test_what_is_worked_at_is_not_taken_by_another(client: Any) -> None:
    """However long it takes."""
    started, may_end = threading.Event(), threading.Event()

    class Slow(Pipe):
        @stage
        def wait(item: Any) -> Any:  # noqa: N805
            started.set()
            may_end.wait(10)
            return Skip()

    add(client, 1)
    options = {**QUICK, "min_idle_seconds": 0.3}
    running = threading.Thread(target=run_pipe, args=(Slow, RedisStream(client, **options)))
    running.start()
    try:
        assert started.wait(10)
        other = RedisStream(client, **{**options, "idle_seconds": 0.7})
        assert run_pipe(Same, other)["default"] == []
    finally:
        may_end.set()
        running.join(10)
    assert pending(client) == 0


def test_a_message_that_cannot_be_given_up_takes_no_acknowledgement_away(client: Any) -> None:
    """Where the dead letters go is no stream, and then it is; half a pair of surrogates is written out."""

    class P(Pipe):
        @stage(on_error="skip")
        def check(item: Any) -> Any:  # noqa: N805
            if item.payload["number"] == "0":
                raise ValueError("file \udc80")
            return item.payload

    add(client, 3)
    client.set("dead", "no stream")
    options = {**QUICK, "max_deliveries": 1, "min_idle_seconds": 0.1, "dead_letters": "dead"}
    run_pipe(P, RedisStream(client, **{**options, "idle_seconds": 0.05}))
    assert pending(client) == 1
    client.delete("dead")
    time.sleep(0.1)
    run_pipe(P, RedisStream(client, **options))
    assert pending(client) == 0
    [(_, letter)] = client.xrange("dead")
    assert letter[b"error"] == b"ValueError: file \\udc80"


def test_a_server_that_stops_answering_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The run notices, may be ended meanwhile, and goes on when the server does."""
    monkeypatch.setattr("slither_actors.contrib.redis._ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("slither_actors.contrib.redis._AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("slither_actors.contrib.redis._RETRIES", 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    with start_server(tmp_path, number) as server, redis.Redis(port=number) as own:
        try:
            wait_until_up(own)
            add(own, 10)
            options = {**QUICK, "idle_seconds": None, "min_idle_seconds": 0.3}
            found: list[Any] = []
            pipe = start_pipe(
                Same, source=RedisStream(f"redis://127.0.0.1:{number}", **options), into=found.extend
            )
            until(lambda: len(found) == 10)
            server.send_signal(signal.SIGSTOP)
            until(lambda: "cannot be read" in caplog.text)
            server.send_signal(signal.SIGCONT)
            add(own, 10)
            until(lambda: len({item.payload["number"] for item in found}) == 10 and len(found) >= 20)
            until(lambda: pending(own) == 0)
            assert pipe.status().restarts == 0
            server.send_signal(signal.SIGSTOP)
            assert pipe.stop(10)
        finally:
            server.kill()


def until(true: Any) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_message_that_cannot_be_decoded_is_given_up(client: Any) -> None:
    """And holds up nothing else."""
    client.xadd("s", {"number": "x"})
    add(client, 1)
    options = {**QUICK, "max_deliveries": 1, "decode": lambda fields: int(fields[b"number"])}
    assert [item.payload for item in run_pipe(Same, RedisStream(client, **options))["default"]] == [0]
    assert pending(client) == 0


def test_a_wrong_option_is_refused(client: Any) -> None:
    """With its name, and so is a missing one."""
    with pytest.raises(OptionError, match="groop"):
        RedisStream(client, stream="s", groop="g")
    with pytest.raises(OptionError, match="group"):
        RedisStream(client, stream="s")


def test_a_message_that_a_run_gave_back_is_read_by_the_next_at_once(client: Any, port: int) -> None:
    """It does not wait until others may have it, and that is no further attempt."""
    add(client, 100)
    source = RedisStream(f"redis://localhost:{port}", fetch_size=10, **QUICK)
    with stream_pipe(Same, source) as stream:
        assert [int(next(stream).payload["number"]) for _ in range(6)] == list(range(6))
    assert pending(client) > 0
    with stream_pipe(Same, source) as stream:
        assert int(next(stream).payload["number"]) == 5
        found = client.xpending_range("s", "g", min="-", max="+", count=1)
        assert found[0]["times_delivered"] == 1
    again = [int(item.payload["number"]) for item in run_pipe(Same, source)["default"]]
    assert sorted(again) == list(range(5, 100))
    assert pending(client) == 0


def test_what_another_consumer_has_claimed_meanwhile_stays_with_it(client: Any) -> None:
    """Though it was given back here."""
    add(client, 2)
    source = RedisStream(client, **QUICK)
    with stream_pipe(Same, source) as stream:
        next(stream)
    taken = client.xpending_range("s", "g", min="-", max="+", count=2)
    client.xclaim("s", "g", "other", 0, [taken[0]["message_id"]])
    assert [item.payload["number"] for item in run_pipe(Same, source)["default"]] == ["1"]
    assert pending(client) == 1


def test_an_answer_that_is_on_its_way_when_a_run_ends_is_not_cut_off(client: Any, port: int) -> None:
    """The server has delivered those messages: they would come again only when others may have them."""
    source = RedisStream(f"redis://localhost:{port}", **QUICK)
    parse, asked, may_read = source._client.parse_response, threading.Event(), threading.Event()

    def parse_late(connection: Any, command: str, **options: Any) -> Any:
        if command == "XREADGROUP" and not asked.is_set():
            asked.set()
            assert may_read.wait(10)
        return parse(connection, command, **options)

    source._client.parse_response = parse_late
    add(client, 3)
    found: list[Any] = []
    reading = threading.Thread(target=lambda: found.extend(source.deliveries(threading.Event())))
    reading.start()
    try:
        assert asked.wait(10)
        source.close()
    finally:
        may_read.set()
        reading.join(10)
    assert [delivery.payload["number"] for delivery in found] == ["0", "1", "2"]
    deadline = time.monotonic() + 10
    while len(client.client_list()) > 1:  # the last to use a connection has closed it
        assert time.monotonic() < deadline


@pytest.mark.parametrize("seed", [1, 2])
def test_a_pipe_that_runs_on_and_is_killed_at_random_loses_nothing(client: Any, port: int, seed: int) -> None:
    """Each message is done, in one of its runs."""
    add(client, 500)
    chance, found = random.Random(seed), set()
    source = RedisStream(f"redis://localhost:{port}", fetch_size=20, **{**QUICK, "idle_seconds": None})
    pipe = start_pipe(
        Same,
        source=source,
        into=lambda items: found.update(int(item.payload["number"]) for item in items),
        max_restarts=1000,
        max_seconds=1.0,
    )
    deadline = time.monotonic() + 30
    killed = 0
    while len(found) < 500:
        assert time.monotonic() < deadline, (pipe.status(), pending(client))
        time.sleep(chance.uniform(0.0, 0.03))
        run = pipe._life.run
        if run is not None and killed < 10:
            chance.choice([run, *children_of(run)]).kill()
            killed += 1
    assert pipe.drain(10)
    assert pending(client) == 0
    assert pipe.status().lost == 0


def children_of(run: Any) -> list[Any]:
    try:
        return [ref for _, ref in run.run(stages_of)]
    except ActorExitError:
        return []


@pytest.mark.programs
@pytest.mark.stress
def test_a_consumer_that_is_killed_at_random_loses_nothing(client: Any, port: int, tmp_path: Path) -> None:
    """All parts of each message were written at least once before it was acknowledged."""
    add(client, 300, "numbers")
    where = f"redis://127.0.0.1:{port}"
    written = consume_under_kills("redis", where, tmp_path / "notes", kills=3, seed=2)
    assert written.keys() == {f"{number} {part}" for number in range(300) for part in "ab"}
    assert client.xpending("numbers", "noting")["pending"] == 0


@pytest.mark.stress
def test_a_server_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """The run goes on when it is back, and so does what it acknowledges."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    half, seen = threading.Event(), []

    class P(Pipe):
        @stage
        def see(item: Any) -> Any:  # noqa: N805
            seen.append(int(item.payload["number"]))
            if len(seen) == 50:
                half.set()
            time.sleep(0.002)
            return Skip()

    server = start_server(tmp_path, port)
    try:
        with redis.Redis(port=port) as client:
            wait_until_up(client)
            add(client, 200)
            options = {**QUICK, "min_idle_seconds": 0.3, "idle_seconds": 1.0, "fetch_size": 10}
            source = RedisStream(f"redis://127.0.0.1:{port}", **options)
            running = threading.Thread(target=run_pipe, args=(P, source))
            running.start()
            assert half.wait(10)
            server.kill()
            server.wait()
            server = start_server(tmp_path, port)
            wait_until_up(client)
            running.join(30)
            assert not running.is_alive()
            assert set(seen) == set(range(200))
            assert pending(client) == 0
    finally:
        server.kill()
        server.wait()
