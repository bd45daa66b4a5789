"""A worker that dies costs the batch that it ran: mpire #138.

There, the death of one worker ends the whole call, or hangs it; in
`concurrent.futures` it breaks the pool, and in `multiprocessing.Pool` the
batch's results are waited for without an end.
"""

from __future__ import annotations

import signal

import pytest

from slither_actors import Application, Retry, dispatch
from slither_actors.errors import DispatchError, PoisonBatchError, WorkerCrashError
from tests.dispatch import work


@pytest.mark.parametrize("workers", [1, 2])
def test_the_other_batches_come_out_complete_and_in_order(workers: int) -> None:
    """Those that waited behind the crash, too; the error names batch and signal."""
    with Application(pools={"default": workers}):
        found = dispatch.run(range(300), executor=work.die_on_seven, batch_size=3, on_error="skip")
    assert [item.payload for item in found] == list(range(300))
    skipped = [item for item in found if item.meta.get("skipped")]
    assert [item.payload for item in skipped] == [6, 7, 8]
    error = skipped[0].meta["error"]
    assert isinstance(error, WorkerCrashError)
    assert (error.batch, error.signal) == ("batch 2 of dispatch", signal.SIGKILL)


def test_the_pool_is_as_good_as_new() -> None:
    """Run after run, each with a crash, over one pool."""
    with Application(pools={"default": 2}):
        for _ in range(4):
            found = dispatch.run(range(20), executor=work.die_on_seven, batch_size=2, on_error="skip")
            assert sum(item.meta.get("skipped", False) for item in found) == 2
        assert len(dispatch.run(range(100), executor=work.increment, batch_size=7)) == 100


def test_a_batch_that_kills_every_worker_is_given_up() -> None:
    """After two workers, whatever the policy allows; the error has both deaths."""
    policy = Retry(max_attempts=3, backoff=0)
    with Application(pools={"default": 2}), pytest.raises(DispatchError) as caught:
        dispatch.run(range(6, 20), executor=work.die_on_seven, batch_size=2, on_error=policy)
    assert caught.value.batch == "batch 0 of dispatch, attempt 2"
    assert isinstance(caught.value.reason, PoisonBatchError)
    assert [kill.attempt for kill in caught.value.reason.kills] == [1, 2]


def test_a_batch_may_kill_as_many_workers_as_it_is_allowed_to() -> None:
    """Then the attempts of the policy count."""
    policy = Retry(max_attempts=3, backoff=0)
    options = {"batch_size": 2, "on_error": policy, "poison_after": None}
    with Application(pools={"default": 2}), pytest.raises(DispatchError) as caught:
        dispatch.run(range(6, 20), executor=work.die_on_seven, **options)
    assert caught.value.batch == "batch 0 of dispatch, attempt 3"
    assert isinstance(caught.value.reason, WorkerCrashError)
    assert caught.value.reason.attempt == 3
