"""Delivery: a job goes back with what its worker said about it."""

from __future__ import annotations

import pickle

from slither_actors.errors import PayloadError
from slither_actors.pool import _wire as wire
from slither_actors.pool._job import Job
from slither_actors.pool._payloads import ErrorRecord, not_unpickled
from slither_actors.pool._segments import Segments
from slither_actors.pool._sharing import unpack_results

__all__ = ["deliver"]


def deliver(segments: Segments, job: Job, kind: int, body: bytes | bytearray) -> None:
    """Send a job back with its results, its error, or why they cannot be read. Its segment is free then.

    Raises:
        WireError: the frame makes no sense. The job has gone back.
    """
    try:
        if kind == wire.FAILED:
            job.fail(ErrorRecord.loads(body).to_error())
        elif kind == wire.DONE and job.segment is None and len(body) < segments.threshold:
            try:
                results = pickle.loads(body)  # from our own worker
            except BaseException as error:  # noqa: BLE001 - the user's code runs in there
                job.fail(not_unpickled(error, f"{job.description}: the results", "driver"))
            else:
                job.succeed(results)
        else:
            job.succeed(unpack_results(segments, job, kind, body))
    except PayloadError as error:
        job.fail(error)
    except wire.WireError as error:
        job.fail(PayloadError(f"{job.description}: worker {job.worker_pid} sent no results: {error}"))
        raise
    finally:
        if job.segment is not None:
            segments.release(job.segment)
            job.segment = None
