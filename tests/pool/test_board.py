"""The shared page: what a worker noted is there whatever became of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from slither_actors.pool._board import Board, Phase


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board.create()
    yield board
    board.close()


def test_the_note_says_what_runs(board: Board) -> None:
    """The reference, the phase and the time are those of the last `begin`."""
    assert board.read().ref == 0
    board.begin(7, Phase.LOADING)
    loading = board.read()
    assert (loading.ref, loading.phase) == (7, Phase.LOADING)
    board.begin(7)
    running = board.read()
    assert (running.ref, running.phase) == (7, Phase.RUNNING)
    assert running.since >= loading.since
    board.end()
    assert board.read().ref == 0


def test_the_other_side_sees_it(board: Board) -> None:
    """Both sides map the same page."""
    other = Board(os.dup(board.fd))
    other.begin(3)
    other.note_peak_memory(12345)
    other.close()
    assert board.read().ref == 3
    assert board.read().peak_memory == 12345


def test_a_revoked_batch_does_not_begin(board: Board) -> None:
    """Taken back before it begins: the driver is told that it will not, the worker not to."""
    board.begin(1)
    assert board.revoke(2)
    assert not board.begin(2)


def test_a_batch_that_has_begun_is_not_revoked(board: Board) -> None:
    """Begun before it is taken back: the driver is told that it is too late."""
    assert board.begin(1)
    assert not board.revoke(1)
