"""What a person is told who writes a first pipe and gets something wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slither_actors.dispatch import InlineExecutor
from slither_actors.errors import OptionError, PipeDefinitionError, PipeError
from slither_actors.item import Item
from slither_actors.outcome import RouteTo
from slither_actors.pipe import Pipe, router, run_pipe, stage, stream_pipe, workers
from tests.search_path import SEARCH_PATH


class Numbers(Pipe):
    @stage
    def parse(item: Item) -> int:  # noqa: N805 - a stage is a function of an item
        return int(item.payload)


@pytest.mark.parametrize("run", [run_pipe, lambda pipe, items: list(stream_pipe(pipe, items))])
def test_the_traceback_leads_to_the_line_that_failed(run: Any) -> None:
    """Of the handler, and the message names the item."""
    with pytest.raises(PipeError, match=r"invalid literal .* 'two' \(item \d+\)$") as caught:
        run(Numbers, ["1", "two"])
    assert re.fullmatch(r"item \d+", caught.value.item)
    assert "return int(item.payload)" in "".join(traceback.format_exception(caught.value))


def test_a_batch_that_failed_is_named() -> None:
    """Behind the first line, where the reason has several."""

    class P(Pipe):
        work = workers(InlineExecutor(lambda texts: [int(text) for text in texts]), batch_size=1)

    with pytest.raises(PipeError, match=r"pipe P.work halted: .*'two'.* \(batch 1\)"):
        run_pipe(P, ["1", "two"])


def test_an_input_that_raises_says_how_far_it_was_read() -> None:
    """It is no stage that failed."""

    def lines() -> Iterator[str]:
        yield from ["1", "2"]
        raise UnicodeDecodeError("utf-8", b"\xe4", 0, 1, "invalid")

    with pytest.raises(PipeError, match=r"UnicodeDecodeError: .* \(the input of Numbers, after item 2\)$"):
        run_pipe(Numbers, lines())


def test_an_item_that_is_taken_for_its_payload() -> None:
    """Says where the payload is."""

    class Strip(Pipe):
        strip = stage(lambda item: item.strip())

    class Look(Pipe):
        look = stage(lambda item: item["name"])

    for pipe in (Strip, Look):
        with pytest.raises(PipeError, match="a stage gets an Item: what was put in is item.payload"):
            run_pipe(pipe, [{"name": "x"}])


def test_an_output_that_is_misspelt() -> None:
    """Names the ones that there are."""
    with pytest.raises(KeyError, match="no output 'defualt'; did you mean 'default'. Known: 'default'"):
        run_pipe(Numbers, ["1"])["defualt"]


def test_the_name_of_a_file_is_no_input() -> None:
    """Nor is a text whose letters would be the items."""
    with pytest.raises(OptionError, match="'orders.csv'; .* for the lines of a file the open file"):
        run_pipe(Numbers, "orders.csv")


def test_an_instance_is_no_pipe() -> None:
    """The class is."""
    with pytest.raises(OptionError, match="the class, without the parentheses"):
        run_pipe(Numbers(), ["1"])  # type: ignore[arg-type]


def test_a_route_that_leads_nowhere_says_where_outputs_are_named() -> None:
    """At the run for a function, which may route anywhere, at the class statement for a router."""

    class P(Pipe):
        sort = stage(lambda item: RouteTo("bad", item.payload))

    with pytest.raises(PipeError, match=r"named in the class's `outputs`, or by @stage\(routes=\['bad'\]\)"):
        run_pipe(P, [1])
    with pytest.raises(PipeDefinitionError, match="Add it to the class's `outputs`"):

        class Q(Pipe):
            outputs = ["bad"]
            sort = router(high=lambda item: item.payload > 1)


def test_a_router_without_a_name() -> None:
    """Shows how one is given."""
    with pytest.raises(PipeDefinitionError, match=r"or names: router\(high=\.\.\.\)"):

        class P(Pipe):
            sort = router(lambda item: item.payload > 1)  # type: ignore[arg-type]


def test_a_definition_error_is_at_the_class_statement() -> None:
    """What checks the class is not what is wrong, and is not in the traceback."""
    with pytest.raises(PipeDefinitionError, match="did you mean 'clean'") as caught:

        class P(Pipe):
            clean = stage(lambda item: item.payload)
            work = stage(lambda item: item.payload, after="claen")

    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [Path(frame.filename).name for frame in frames] == ["test_first_mistakes.py", "_body.py"]


def test_a_program_without_the_guard(tmp_path: Path) -> None:
    """One sentence says what is missing; the traceback of the worker is not told again."""
    (tmp_path / "program.py").write_text(
        "from slither_actors import Pipe, run_pipe, workers\n"
        "def work(payloads): return payloads\n"
        "class P(Pipe):\n"
        "    work = workers(work)\n"
        "run_pipe(P, [1])\n"
    )
    ran = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1
    own = [line for line in ran.stderr.splitlines() if not line.startswith("[pool")]
    assert "what starts a pool has to be under \"if __name__ == '__main__':\"" in own[-1]
    assert sum(line.startswith("Traceback") for line in own) == 1
