"""The pages for those who come from elsewhere: each name of theirs, and none of ours that is not there."""

from __future__ import annotations

import concurrent.futures
import importlib
import inspect
import multiprocessing.pool
import re
from types import ModuleType
from typing import Any

import attrs
import pytest

import slither_actors
from slither_actors.bridge import ViewOptions
from slither_actors.dispatch import RunOptions
from slither_actors.examples._catalogue import EXAMPLES
from slither_actors.pool import PoolOptions
from tests.reference_tables import names_in, rows_of
from tests.test_docs import DOCS

PAGES = {page.stem: page.read_text() for page in sorted(DOCS.glob("from-*.md"))}
PACKAGES = ("actors", "bridge", "dispatch", "errors", "pipe", "pool", "stages", "store", "telemetry")
OPTIONS = {
    field.name for options in (RunOptions, PoolOptions, ViewOptions) for field in attrs.fields(options)
}

SLITHER = """
Slither Slither.Bridge Slither.Bridge.ViewRegistry Slither.Context Slither.Dispatch Slither.Dispatch.Executor
Slither.Dispatch.Executors.SnakeBridge Slither.Dispatch.Executors.Snakepit Slither.Dispatch.Runner
Slither.Dispatch.Strategies.FixedBatch Slither.Dispatch.Strategies.KeyPartition
Slither.Dispatch.Strategies.WeightedBatch Slither.Dispatch.Strategy Slither.Examples.Baseline
Slither.Examples.BatchStats.StatsDemo Slither.Examples.DataEtl.EtlPipe Slither.Examples.DataEtl.SchemaStore
Slither.Examples.ImagePipeline.ThumbnailDemo Slither.Examples.MlScoring.FeatureStore
Slither.Examples.MlScoring.ScoringPipe Slither.Examples.TextAnalysis.StopwordStore
Slither.Examples.TextAnalysis.TextPipe Slither.Item Slither.Pipe Slither.Pipe.Builder Slither.Pipe.Definition
Slither.Pipe.Runner Slither.Pipe.Supervisor Slither.Stage Slither.Stage.Beam Slither.Stage.Python
Slither.Stage.Router Slither.Store Slither.Store.Pointer Slither.Store.Server Slither.Store.Supervisor
Slither.Telemetry Slither.DispatchError Slither.Error Slither.PipeError
"""
"""The module index of Slither 0.1.0, in its order."""

JOBLIB = """
n_jobs backend return_as verbose timeout pre_dispatch batch_size temp_folder max_nbytes mmap_mode prefer
require delayed parallel_config parallel_backend register_parallel_backend cpu_count effective_n_jobs
wrap_non_picklable_objects Memory hash dump load
"""
"""What joblib 1.6 exports, and the options of its `Parallel`."""

PYPELN = """
pl.process.map pl.thread.map pl.task.map pl.sync.map filter flat_map each concat ordered from_iterable
to_iterable run workers maxsize timeout on_start on_done worker_info stage_status
"""
"""The functions and options of pypeln 0.4."""

MPIRE = """
n_jobs daemon cpu_ids shared_objects pass_worker_id use_worker_state start_method keep_alive use_dill
enable_insights order_tasks
map map_unordered imap imap_unordered apply apply_async stop_and_join join terminate get_insights
print_insights get_exit_results set_shared_objects set_use_worker_state set_keep_alive set_order_tasks
pass_on_worker_id
iterable_of_args iterable_len max_tasks_active chunk_size n_splits worker_lifespan progress_bar
progress_bar_options progress_bar_style concatenate_numpy_output worker_init worker_exit task_timeout
worker_init_timeout worker_exit_timeout callback error_callback
"""
"""The options, methods and arguments of the `WorkerPool` of mpire 2.10."""

BROADWAY = """
:name :context :shutdown :max_restarts :max_seconds :resubscribe_interval :partition_by :hibernate_after
:spawn_opt :module :concurrency :transformer :rate_limiting :max_demand :min_demand :batch_size :batch_timeout
handle_message/3 prepare_messages/2 handle_batch/4 handle_failed/2 process_name/2
update_data/2 put_batcher/2 put_batch_key/2 put_batch_mode/2 failed/2 configure_ack/2 ack_immediately/1
start_link/2 stop/3 push_messages/2 test_message/3 test_batch/3 producer_names/1 topology/1 all_running/0
get_rate_limiting/1 update_rate_limiting/2
Broadway.Acknowledger CallerAcknowledger NoopAcknowledger Broadway.BatchInfo Broadway.DummyProducer
Broadway.Producer
"""
"""The options, callbacks and functions of Broadway 1.3."""

GENSTAGE = """
GenStage.sync_subscribe/3 GenStage.stream/2 GenStage.from_enumerable/2 ConsumerSupervisor :dispatcher Flow
"""
"""What of GenStage has another shape here; `stages-genstage` has all of it."""


def public(kind: Any) -> list[str]:
    """The methods of a class that are its users' business."""
    return [name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")]


def arguments(function: Any) -> list[str]:
    """But `self`."""
    return list(inspect.signature(function).parameters)[1:]


POOL = multiprocessing.pool.Pool
PROCESSES, THREADS = concurrent.futures.ProcessPoolExecutor, concurrent.futures.ThreadPoolExecutor

THEIRS = {
    "from-slither": [*SLITHER.split(), "mix slither.example"],
    "from-joblib": JOBLIB.split(),
    "from-pypeln": PYPELN.split(),
    "from-mpire": MPIRE.split(),
    "from-broadway": [*BROADWAY.split(), *GENSTAGE.split()],
    # Those of the interpreter that runs the tests, which says when it has more.
    "from-multiprocessing": [*arguments(POOL.__init__), *{*public(POOL)} - {"Process"}, "chunksize"],
    "from-futures": [
        *arguments(PROCESSES.__init__),
        *arguments(THREADS.__init__),
        *{*public(PROCESSES), *public(concurrent.futures.Executor)},
        "as_completed",
        "wait",
        "chunksize",
        "BrokenProcessPool",
    ],
}


def rows(page: str) -> list[list[str]]:
    return rows_of(PAGES[page], "Here")


@pytest.mark.parametrize("page", PAGES)
def test_each_name_of_theirs_has_a_row(page: str) -> None:
    """What somebody looks for is in the first column."""
    found = {name for row in rows(page) for name in re.findall(r"`([^`]+)`", row[0])}
    missing = [name for name in THEIRS[page] if name not in found]
    assert missing == []


def test_the_module_index_is_kept_in_order() -> None:
    """Once each, so that it can be compared with theirs."""
    first = [row[0].strip("`") for row in rows("from-slither")]
    assert [name for name in first if name in SLITHER.split()] == SLITHER.split()


@pytest.mark.parametrize("page", PAGES)
def test_rows_are_whole(page: str) -> None:
    """Three cells each."""
    assert len(rows(page)) > 10
    assert [row for row in rows(page) if len(row) != 3] == []


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (page, name)
        for page in PAGES
        for name in names_in(rows(page))
        if not name.startswith("slither-actors ")
    ],
)
def test_each_name_of_ours_is_there(page: str, name: str) -> None:
    """A public name, a member of one, or with `=` an option."""
    if name.endswith("="):
        assert name[:-1] in OPTIONS
        return
    head, *members = name.split(".")
    value: Any = _public(slither_actors, head) if head not in PACKAGES else _package(head)
    for member in members:
        value = _public(value, member) if isinstance(value, ModuleType) else _member(value, member)


def _package(name: str) -> ModuleType:
    return importlib.import_module(f"slither_actors.{name}")


def _public(module: ModuleType, name: str) -> Any:
    assert name in module.__all__
    return getattr(module, name)


def _member(kind: Any, name: str) -> Any:
    fields = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set()
    if name in fields or hasattr(kind, name):
        return getattr(kind, name, None)
    # An attribute that `__init__` sets, of an exception say.
    assert f"self.{name} = " in inspect.getsource(kind.__init__)
    return None


def test_each_example_is_there() -> None:
    """All of Slither's, and by its name."""
    start = "slither-actors example "
    named = {name.removeprefix(start) for name in names_in(rows("from-slither")) if name.startswith(start)}
    assert named == set(EXAMPLES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_honest(page: str) -> None:
    """Their snippet and ours, and what each does that the other does not."""
    text = PAGES[page]
    assert "```python\n" in text
    assert "```py\n" in text or "```elixir\n" in text
    assert re.search(r"^## What is done here that .* do(es)? not do$", text, re.MULTILINE)
    assert re.search(r"^## What .* does that is not done here$", text, re.MULTILINE)


@pytest.mark.parametrize("page", [*PAGES, "stages-genstage", "otp"])
def test_the_first_page_leads_there(page: str) -> None:
    """A newcomer who knows another library finds its page without a search."""
    words, _, trees = (DOCS / "index.md").read_text().partition("```{toctree}")
    assert page == "otp" or f"]({page}.md)" in words
    assert f"\n{page}\n" in trees
